// SPDX-License-Identifier: GPL-2.0-only
#include "controller/sandbox/sandbox.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/text.h"
#include "controller/sandbox/seccomp.h"
#include "controller/shim/instructions.h"

namespace viscum {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kLeastInodes = 1024;
constexpr std::uint64_t kOwnMemory = 64 * 1024;  // for what the sandbox itself puts there
constexpr std::uint64_t kLockedMemory = 64 * 1024;
constexpr uid_t kFirstOwnUid = 0x70000000;  // from here on an account is one service's alone

/// Kernel interfaces that tell of the machine or act on it: nothing that a service needs.
constexpr std::array<std::string_view, 27> kHiddenProc = {
    "acpi",       "asound",        "bus",        "driver",       "dynamic_debug", "fs",          "interrupts",
    "irq",        "kcore",         "key-users",  "keys",         "kmsg",          "kpagecgroup", "kpagecount",
    "kpageflags", "latency_stats", "mtrr",       "pagetypeinfo", "sched_debug",   "scsi",        "slabinfo",
    "softirqs",   "sysrq-trigger", "timer_list", "timer_stats",  "tty",           "vmallocinfo"};

/// Without them a service that sees all of /proc could still write there, as root without any capability.
constexpr std::array<std::string_view, 7> kProtectedProc = {"acpi", "bus", "dynamic_debug", "fs", "irq", "scsi", "sys"};

/// Of the host's files: other people's, and keys.
constexpr std::array<std::string_view, 27> kHiddenHost = {"/root",
                                                          "/home",
                                                          "/boot",
                                                          "/overlay",
                                                          "/rom",
                                                          "/etc/shadow",
                                                          "/etc/shadow-",
                                                          "/etc/gshadow",
                                                          "/etc/gshadow-",
                                                          "/etc/ssh",
                                                          "/etc/dropbear",
                                                          "/etc/wireguard",
                                                          "/etc/config",
                                                          "/etc/hostapd",
                                                          "/etc/wpa_supplicant",
                                                          "/etc/ppp",
                                                          "/etc/openvpn",
                                                          "/etc/ipsec.d",
                                                          "/etc/swanctl",
                                                          "/etc/ssl/private",
                                                          "/etc/uhttpd.key",
                                                          "/etc/sudoers.d",
                                                          "/etc/NetworkManager",
                                                          "/etc/letsencrypt",
                                                          "/etc/ipsec.secrets",
                                                          "/var/backups",
                                                          "/var/spool/cron"};

/// Where nothing of a service file's may be put.
constexpr std::array<std::string_view, 3> kKernels = {"/proc", "/sys", "/dev"};

constexpr std::array<std::string_view, 3> kScratch = {"/run", "/tmp", "/var/tmp"};

bool is_within(std::string_view path, std::string_view top) {
    return path == top || top == "/" || (path.size() > top.size() && path.starts_with(top) && path[top.size()] == '/');
}

template <class Tops>
bool is_within_any(std::string_view path, const Tops& tops) {
    return std::any_of(tops.begin(), tops.end(), [path](std::string_view top) { return is_within(path, top); });
}

/// Absolute, and each part says where it is: no "", "." or "..".
bool is_plain(std::string_view path) {
    if (path.size() < 2 || path.front() != '/' || path.size() >= 4096) {
        return false;
    }
    const auto parts = split(path.substr(1), '/');
    return std::none_of(parts.begin(), parts.end(), [](const std::string& part) {
        return part.empty() || part == "." || part == ".." || part.size() > 255;
    });
}

class Writer {
public:
    explicit Writer(const SandboxInput& input) : input_(input), spec_(*input.spec) {}
    Result<Sandbox> write();

private:
    template <class... Words>
    void add(Op op, const Words&... words) {
        const auto word = [this](std::string_view text) {
            if (text.find('\0') != std::string_view::npos && !failure_) {
                failure_ = Error{EINVAL, cat("'", text.substr(0, text.find('\0')), "' holds a NUL")};
            }
            sandbox_.words += text;
            sandbox_.words += '\0';
        };
        word(kInstructions[static_cast<std::size_t>(op)].name);
        (word(text_of(words)), ...);
    }
    static std::string text_of(std::string_view text) { return std::string(text); }
    static std::string text_of(std::uint64_t number) { return std::to_string(number); }

    [[nodiscard]] bool allows(const char* name) const { return spec_.sandbox.allow.contains(name); }
    [[nodiscard]] bool on_host() const { return input_.layers.empty() && spec_.run.rootfs.empty(); }
    void fail(std::string what) {
        if (!failure_) {
            failure_ = Error{EINVAL, std::move(what)};
        }
    }

    void add_root();
    void add_mounts();
    void add_proc();
    void add_own();
    void add_hidden();
    [[nodiscard]] std::string files_directory() const;
    void add_files();
    void add_process();
    [[nodiscard]] std::vector<std::string> hidden() const;
    [[nodiscard]] std::string hosts() const;

    const SandboxInput& input_;
    const ServiceSpec& spec_;
    Sandbox sandbox_;
    std::optional<Error> failure_;
};

std::vector<std::string> Writer::hidden() const {
    std::vector<std::string> paths(kHiddenHost.begin(), kHiddenHost.end());
    // As a whole: what is made or replaced in it later is hidden as well.
    paths.push_back(cat("/etc/", input_.instance));
    paths.push_back(cat("/var/lib/", input_.instance));
    return paths;
}

void Writer::add_root() {
    add(Op::hostname, spec_.name);
    const std::uint64_t limit =
        input_.memory_limit == 0 ? spec_.limits.tmp : std::min(spec_.limits.tmp, input_.memory_limit);
    add(Op::scratch, limit + kOwnMemory, limit / kPage + kLeastInodes);
    for (auto layer = input_.layers.rbegin(); layer != input_.layers.rend(); ++layer) {
        add(Op::layer, *layer);
    }
    if (input_.layers.empty()) {
        add(Op::root, on_host() ? "/" : spec_.run.rootfs);
    }
    if (allows("writable-root")) {
        add(Op::writable);
    }
}

void Writer::add_mounts() {
    if (!on_host()) {
        return;
    }
    const auto away = hidden();
    for (const auto& mount : input_.host_mounts) {
        if (!is_within_any(mount.path, away) && !is_within_any(mount.path, kScratch) &&
            !is_within_any(mount.path, kKernels)) {
            add(Op::mount, mount.path);
        }
    }
}

void Writer::add_proc() {
    // The group that sees all the same is root's, where nothing else is said: then one that nobody is in.
    add(Op::proc, allows("proc") ? "" : "hidepid=2,gid=4294967294");
    if (allows("proc")) {
        for (const auto name : kProtectedProc) {
            add(Op::readonly, cat("/proc/", name));
        }
        add(Op::hide, "/proc/sysrq-trigger");
    } else {
        for (const auto name : kHiddenProc) {
            add(Op::hide, cat("/proc/", name));
        }
        add(Op::readonly, "/proc/sys");
    }
    add(Op::dev);
    if (allows("sys")) {
        add(Op::sys);
    }
}

void Writer::add_own() {
    const Identity& user = input_.identity;
    const auto own = [this, &user](std::string_view path, const char* mode) {
        add(Op::own, path, mode, std::uint64_t{user.uid}, std::uint64_t{user.gid});
    };
    own("/run", "0755");
    own("/tmp", "1777");
    own("/var/tmp", "1777");
    own("/dev/shm", "1777");
    // Sorted: a directory before what is in it.
    std::vector<std::string> writable = spec_.run.writable;
    std::sort(writable.begin(), writable.end());
    for (const auto& path : writable) {
        if (!is_plain(path) || is_within_any(path, kKernels)) {
            fail(cat("'run: {writable: [", path, "]}': no directory there can be the service's own"));
        }
        if (std::find(kScratch.begin(), kScratch.end(), path) == kScratch.end()) {
            own(path, "0755");
        }
    }
}

void Writer::add_hidden() {
    if (on_host()) {
        for (const auto& path : hidden()) {
            add(Op::hide, path);
        }
    }
}

std::string Writer::hosts() const {
    std::string text = cat("127.0.0.1\tlocalhost ", spec_.name, "\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (const auto& line : input_.hosts) {
        text += cat(line.address.text(), "\t", line.names, "\n");
    }
    return text;
}

std::string Writer::files_directory() const {
    return spec_.bundle.empty() ? cat("/etc/", input_.instance, "/files")
                                : cat("/var/lib/", input_.instance, "/bundles/", spec_.bundle, "/files");
}

void Writer::add_files() {
    add(Op::text, "/etc/hosts", hosts());
    add(Op::text, "/etc/hostname", spec_.name + "\n");
    for (const auto& file : spec_.files) {
        if (!is_plain(file.path) || is_within_any(file.path, kKernels)) {
            fail(cat("'files:' cannot put anything at '", file.path, "'"));
        }
        if (file.source == FileSpec::Source::text) {
            add(Op::text, file.path, file.content);
            continue;
        }
        if (!is_plain("/" + file.content)) {
            fail(cat("'files:' cannot take '", file.content, "' for '", file.path, "': it is no name of a file"));
        }
        if (file.source == FileSpec::Source::file) {
            add(Op::file, file.path, cat(files_directory(), "/", file.content));
        } else {
            add(Op::secret, file.path, cat("/etc/", input_.instance, "/secrets/", file.content),
                std::uint64_t{input_.identity.uid}, std::uint64_t{input_.identity.gid});
        }
    }
}

void Writer::add_process() {
    const Identity& user = input_.identity;
    for (const auto& file : input_.cgroup_files) {
        add(Op::cgroup, file);
    }
    if (spec_.limits.open_files.any()) {
        add(Op::rlimit, "nofile", std::uint64_t{spec_.limits.open_files.value},
            std::uint64_t{spec_.limits.open_files.value});
    }
    // core(5), and fs/coredump.c: a core_pattern that is a pipe ignores a limit of 0, but not one of 1.
    add(Op::rlimit, "core", std::uint64_t{1}, std::uint64_t{1});
    add(Op::rlimit, "memlock", kLockedMemory, kLockedMemory);
    add(Op::rlimit, "msgqueue", kLockedMemory, kLockedMemory);
    if (user.uid >= kFirstOwnUid && spec_.limits.pids.any()) {
        // A bound also where no group can keep it. It counts the user's processes, so two versions during an update.
        const std::uint64_t twice = 2 * std::uint64_t{spec_.limits.pids.value};
        add(Op::rlimit, "nproc", twice, twice);
    }
    std::vector<std::string> groups;
    for (const gid_t group : user.groups) {
        groups.push_back(std::to_string(group));
    }
    add(Op::user, std::uint64_t{user.uid}, std::uint64_t{user.gid}, groups.empty() ? "-" : join(groups, ","));
    add(Op::capabilities, capability_mask(spec_.sandbox.allow));
    if (!input_.seccomp.empty()) {
        add(Op::seccomp, std::uint64_t{input_.seccomp.size()});
    }
    add(Op::directory, spec_.run.directory.empty() ? "/" : spec_.run.directory);
    add(Op::end);
}

Result<Sandbox> Writer::write() {
    if (input_.identity.uid == 0 && !allows("root")) {
        fail("to run as root needs 'sandbox: {allow: [root]}'");
    }
    if (!spec_.run.rootfs.empty() && !is_plain(spec_.run.rootfs)) {
        fail(cat("'run: {rootfs: ", spec_.run.rootfs, "}' is no absolute path"));
    }
    const std::size_t places = input_.host_mounts.size() + spec_.run.writable.size() + spec_.files.size() + 6;
    if (places > kMaxPlaces || input_.layers.size() > kMaxLayers || input_.cgroup_files.size() > kMaxCgroups) {
        fail("too many mounts of the host, layers or files for one sandbox");
    }
    add_root();
    add_proc();
    add_mounts();
    // First, so that the service may have a directory of its own in the place of what is hidden.
    add_hidden();
    add_own();
    add_files();
    add_process();
    if (sandbox_.words.size() > kMaxSandboxBytes) {
        fail("'files:' holds too much text");
    }
    if (failure_) {
        return *failure_;
    }
    sandbox_.seccomp = input_.seccomp;
    return std::move(sandbox_);
}

}  // namespace

Result<Sandbox> make_sandbox(const SandboxInput& input) {
    return Writer(input).write();
}

std::vector<std::string> describe(const Sandbox& sandbox) {
    std::vector<std::string> lines;
    auto words = split(sandbox.words, '\0');
    for (std::size_t i = 0; i + 1 < words.size();) {
        const auto* form = std::find_if(std::begin(kInstructions), std::end(kInstructions),
                                        [&](const InstructionForm& known) { return words[i] == known.name; });
        const std::size_t arity = form == std::end(kInstructions) ? 0 : static_cast<std::size_t>(form->arity);
        std::string line = words[i++];
        for (std::size_t j = 0; j < arity && i + 1 < words.size(); ++j) {
            line += " " + words[i++];
        }
        lines.push_back(std::move(line));
    }
    return lines;
}

}  // namespace viscum
