// SPDX-License-Identifier: GPL-2.0-only
// What is left to viscumd is enough for its work, and each piece of it is needed.
#include "controller/daemon/cage.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "controller/spec/allowances.h"
#include "netns/link.h"
#include "netns/masquerade.h"
#include "netns/net_ns.h"
#include "netns/nl_socket.h"

using namespace viscum;

namespace {

/// The exit status of a child that runs `body`.
int in_child(const std::function<int()>& body) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        _exit(body());
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

std::uint64_t set_of(const std::string& name) {
    const auto text = read_file("/proc/thread-self/status", 65'536).operator*();
    const auto at = text.find(name + ":\t");
    return at == std::string::npos ? 0 : std::stoull(text.substr(at + name.size() + 2), nullptr, 16);
}

constexpr uid_t kOther = 12345;
constexpr const char* kPrivate = "/tmp/cage-private";

/// A task of viscumd's or the shim's; 0 or an errno.
using Task = std::function<int()>;

int result(long returned) {
    return returned < 0 ? errno : 0;
}
int result(const Status& status) {
    return status ? 0 : status.error().errno_code;
}

int mount_tmpfs() {
    const int code = result(mount("tmpfs", "/mnt", "tmpfs", 0, nullptr));
    return code != 0 ? code : result(umount2("/mnt", MNT_DETACH));
}

int mount_overlay() {
    for (const auto* const name : {"/tmp/cage-low", "/tmp/cage-up", "/tmp/cage-work"}) {
        mkdir(name, 0755);
    }
    const int code = result(
        mount("overlay", "/mnt", "overlay", 0, "lowerdir=/tmp/cage-low,upperdir=/tmp/cage-up,workdir=/tmp/cage-work"));
    return code != 0 ? code : result(umount2("/mnt", MNT_DETACH));
}

int create_namespace() {
    const auto made = NetNs::create("test-cage");
    const int code = made ? 0 : made.error().errno_code;
    return code != 0 ? code : result(remove_net_ns_name("test-cage"));
}

/// Namespaces first, in the same process: what the shim does.
int unshare_all() {
    return result(unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWCGROUP));
}

int create_link() {
    const auto socket = NlSocket::open();
    const auto ns = NetNs::current();
    if (!socket || !ns) {
        return ENOTRECOVERABLE;
    }
    const auto made = create_veth(*socket, {"cage0", "cage1", service_mac("test", "cage"), 1500}, *ns);
    return made ? result(delete_link(*socket, "cage0")) : made.error().errno_code;
}

int load_bpf() {
    std::array<bpf_insn, 2> program{};
    program[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
    program[1].code = BPF_JMP | BPF_EXIT;
    bpf_attr attributes{};
    attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
    attributes.insn_cnt = program.size();
    attributes.insns = reinterpret_cast<std::uint64_t>(program.data());
    attributes.license = reinterpret_cast<std::uint64_t>("GPL");
    const UniqueFd loaded(static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes)));
    bpf_attr table{};
    table.map_type = BPF_MAP_TYPE_LRU_HASH;
    table.key_size = table.value_size = 8;
    table.max_entries = 4096;
    const UniqueFd map(static_cast<int>(syscall(SYS_bpf, BPF_MAP_CREATE, &table, sizeof table)));
    return loaded && map ? 0 : errno;
}

int make_device() {
    const int code = result(mknod("/tmp/cage-null", S_IFCHR | 0666, makedev(1, 3)));
    unlink("/tmp/cage-null");
    return code;
}

int give_away() {
    const UniqueFd file(open("/tmp/cage-file", O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    const int code = result(fchown(file.get(), kOther, kOther));
    unlink("/tmp/cage-file");
    return code;
}

int drop_one() {
    return result(prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0));
}

int take_groups() {
    const gid_t group = kOther;
    return result(setgroups(1, &group));
}

/// A process and a directory of another user's, as services and their roots are.
class Stranger {
public:
    Stranger() {
        std::array<int, 2> ends{};
        REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
        const UniqueFd reader(ends[0]);
        UniqueFd writer(ends[1]);
        pid_ = fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            const char done = setresuid(kOther, kOther, kOther) == 0 ? 'y' : 'n';
            static_cast<void>(write(writer.get(), &done, 1) == 1);
            pause();
            _exit(0);
        }
        writer.reset();
        char done = 'n';
        REQUIRE(read(reader.get(), &done, 1) == 1);
        REQUIRE(done == 'y');
        std::error_code ignored;
        std::filesystem::create_directory(kPrivate, ignored);
        REQUIRE(chown(kPrivate, kOther, kOther) == 0);
        REQUIRE(chmod(kPrivate, 0700) == 0);
    }
    ~Stranger() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    Stranger(const Stranger&) = delete;
    Stranger& operator=(const Stranger&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }

private:
    pid_t pid_ = 0;
};

struct Trial {
    const char* name;
    int capability;  // without which it fails
    Task task;
};

std::vector<Trial> trials(const Stranger& stranger) {
    return {
        {"mount", CAP_SYS_ADMIN, mount_tmpfs},
        {"overlay", CAP_SYS_ADMIN, mount_overlay},
        {"network namespace", CAP_SYS_ADMIN, create_namespace},
        {"namespaces", CAP_SYS_ADMIN, unshare_all},
        {"BPF", CAP_SYS_ADMIN, load_bpf},
        {"veth", CAP_NET_ADMIN, create_link},
        {"masquerade", CAP_NET_ADMIN, [] { return result(remove_masquerade("test-cage")); }},
        {"mknod", CAP_MKNOD, make_device},
        {"chown", CAP_CHOWN, give_away},
        {"directory of another user", CAP_DAC_OVERRIDE, [] { return result(open(kPrivate, O_RDONLY | O_CLOEXEC)); }},
        {"mode of another user's", CAP_FOWNER, [] { return result(chmod(kPrivate, 0700)); }},
        {"setuid", CAP_SETUID, [] { return result(setresuid(kOther, kOther, kOther)); }},
        {"setgroups", CAP_SETGID, take_groups},
        {"bounding set", CAP_SETPCAP, drop_one},
        {"chroot", CAP_SYS_CHROOT, [] { return result(chroot("/tmp")); }},
        {"namespaces of another user's process", CAP_SYS_PTRACE,
         [&] {
             struct stat status {};
             return result(stat(cat("/proc/", stranger.pid(), "/ns/net").c_str(), &status));
         }},
        {"signal to another user's process", CAP_KILL, [&] { return result(kill(stranger.pid(), 0)); }},
    };
}

bool take_away(int capability) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> sets{};
    if (syscall(SYS_capget, &header, sets.data()) != 0) {
        return false;
    }
    auto& set = sets.at(static_cast<std::size_t>(capability) / 32);
    set.permitted &= ~(1U << capability % 32);
    set.effective = set.permitted;
    return syscall(SYS_capset, &header, sets.data()) == 0;
}

constexpr int kNotTried = 200;

}  // namespace

TEST_CASE("cage: each set holds what the table says and no more, also after a program is executed") {
    const auto before = set_of("CapBnd");
    const auto left = before & kept_capability_mask();
    REQUIRE(left != before);
    CHECK(in_child([&] {
              const std::array checks{bool(drop_privileges()),   set_of("CapBnd") == left, set_of("CapPrm") == left,
                                      set_of("CapEff") == left,  set_of("CapInh") == 0,    set_of("CapAmb") == 0,
                                      set_of("NoNewPrivs") == 1, bool(drop_privileges()),  set_of("CapBnd") == left};
              return static_cast<int>(std::ranges::find(checks, false) - checks.begin());
          }) == 9);
    CHECK(in_child([&] {
              const auto wanted = cat("CapEff:\t", hex(left, 16));
              if (!drop_privileges()) {
                  return 1;
              }
              execl("/bin/grep", "grep", "-qi", wanted.c_str(), "/proc/self/status", nullptr);
              return 127;
          }) == 0);
}

TEST_CASE("cage: no core is written any more, and no limit is raised") {
    CHECK(in_child([] {
              rlimit limit{};
              return drop_privileges() && getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 1 &&
                             limit.rlim_max == 1
                         ? 0
                         : 1;
          }) == 0);
    CHECK(in_child([] {
              rlimit limit{};
              return setrlimit(RLIMIT_CORE, &limit) == 0 && drop_privileges() && getrlimit(RLIMIT_CORE, &limit) == 0 &&
                             limit.rlim_max == 0
                         ? 0
                         : 1;
          }) == 0);
}

TEST_CASE("cage: viscumd's work can still be done, and each piece of it needs the capability that it is kept for") {
    const Stranger stranger;
    for (const auto& trial : trials(stranger)) {
        CAPTURE(std::string(trial.name));
        CHECK(in_child([&] { return drop_privileges() ? trial.task() : kNotTried; }) == 0);
        const int without =
            in_child([&] { return drop_privileges() && take_away(trial.capability) ? trial.task() : kNotTried; });
        CAPTURE(without);
        CHECK((without == EPERM || without == EACCES));
    }
}

TEST_CASE("cage: what a service may be given is still there to be given") {
    const auto mask = kept_capability_mask();
    for (const auto& capability : kCapabilities) {
        CAPTURE(capability.name);
        CHECK((mask >> capability.number & 1) == 1);
    }
    for (const int gone : {CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_BOOT, CAP_SYS_TIME, CAP_SYSLOG, CAP_DAC_READ_SEARCH,
                           CAP_SETFCAP, CAP_BPF, CAP_PERFMON, CAP_AUDIT_CONTROL, CAP_MAC_ADMIN}) {
        CHECK((mask >> gone & 1) == 0);
    }
    for (const auto& kept : kept_capabilities()) {
        CHECK_FALSE(kept.reason.empty());
    }
}

TEST_CASE("cage: the systemd unit leaves viscumd exactly what it keeps") {
    const auto unit = read_file(VISCUM_SOURCE_DIR "/packaging/systemd/viscumd.service", 65'536);
    REQUIRE(unit);
    std::vector<std::string> left;
    for (const auto& line : split(*unit, '\n')) {
        const std::string key = "CapabilityBoundingSet=";
        if (line.starts_with(key)) {
            for (auto& name : split(line.substr(key.size()), ' ')) {
                std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
                left.push_back(name);
            }
        }
    }
    std::vector<std::string> kept;
    for (const auto& capability : kept_capabilities()) {
        kept.push_back(capability.name);
    }
    std::ranges::sort(left);
    std::ranges::sort(kept);
    CHECK(left == kept);
}
