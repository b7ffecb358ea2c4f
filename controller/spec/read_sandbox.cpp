// SPDX-License-Identifier: GPL-2.0-only
// What encloses a service: `sandbox`, `limits`, `files`, and `writable` of `run`.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "controller/spec/allowances.h"
#include "controller/spec/fields.h"
#include "controller/spec/readers.h"
#include "controller/spec/yaml_guard.h"

namespace viscum {
namespace {

/// The other capabilities of linux/capability.h, and why a service cannot have them.
constexpr std::array<Allowance, 28> kRefusedCapabilities{{
    {"cap_dac_read_search", "it opens any file of the host by its handle"},
    {"cap_linux_immutable", "it changes what filesystems protect"},
    {"cap_net_broadcast", "the kernel does not use it"},
    {"cap_net_admin", "it rebuilds the link that Viscum relies on"},
    {"cap_ipc_owner", "what a service shares is its own"},
    {"cap_sys_module", "it loads code into the kernel"},
    {"cap_sys_rawio", "it reaches the machine's memory and devices"},
    {"cap_sys_ptrace", "'ptrace' lets it trace its own processes"},
    {"cap_sys_pacct", "it writes files as the kernel"},
    {"cap_sys_admin", "it amounts to root on the host"},
    {"cap_sys_boot", "it restarts the machine"},
    {"cap_sys_resource", "it lifts every limit"},
    {"cap_sys_time", "it sets the machine's clock"},
    {"cap_sys_tty_config", "it hangs up the machine's terminals"},
    {"cap_mknod", "it makes device files of the host's disks"},
    {"cap_lease", "it delays others' access to files"},
    {"cap_audit_write", "it forges the machine's audit log"},
    {"cap_audit_control", "it rules the machine's audit log"},
    {"cap_setfcap", "it gives capabilities to files"},
    {"cap_mac_override", "it overrules the machine's security policy"},
    {"cap_mac_admin", "it changes the machine's security policy"},
    {"cap_syslog", "it reads the kernel's log and addresses"},
    {"cap_wake_alarm", "it wakes the machine up"},
    {"cap_block_suspend", "it keeps the machine awake"},
    {"cap_audit_read", "it reads the machine's audit log"},
    {"cap_perfmon", "it observes all of the machine; 'perf' lets it observe itself"},
    {"cap_bpf", "it loads programs into the kernel"},
    {"cap_checkpoint_restore", "it takes over other processes' ids"},
}};

std::vector<std::string_view> allowance_names() {
    std::vector<std::string_view> names;
    for (const auto& allowance : kAllowances) {
        names.push_back(allowance.name);
    }
    for (const auto& capability : kCapabilities) {
        names.push_back(capability.name);
    }
    return names;
}

void refuse_allowance(const YamlNode& node, const std::string& name, const std::vector<std::string_view>& known,
                      Mistakes& mistakes) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const auto refused = std::find_if(kRefusedCapabilities.begin(), kRefusedCapabilities.end(),
                                      [&](const Allowance& capability) { return capability.name == lower; });
    if (refused != kRefusedCapabilities.end()) {
        mistakes.add(node.place, cat(quoted(name), " cannot be given"), std::string(refused->what));
        return;
    }
    const auto meant = nearest(lower, known);
    mistakes.add(
        node.place, cat(quoted(name), " is nothing that can be allowed"),
        meant ? cat("did you mean ", quoted(*meant), "?") : cat("one of ", join({known.begin(), known.end()}, ", ")));
}

bool is_none(const YamlNode* node) {
    return node != nullptr && node->kind == YamlNode::Kind::text && node->text == "none";
}

/// The limit under `node`, which `read` reads; `standard` where there is none.
template <class T, class Read>
LimitsSpec::Limit<T> read_limit(const YamlNode* node, LimitsSpec::Limit<T> standard, const Read& read) {
    if (is_none(node)) {
        return {T{}, LimitsSpec::Source::none};
    }
    const auto value = read(node);
    return value ? LimitsSpec::Limit<T>{static_cast<T>(*value), LimitsSpec::Source::file} : standard;
}

std::optional<std::uint32_t> read_percent(const YamlNode* node, Mistakes& mistakes) {
    constexpr std::string_view kHint = "a percentage of one CPU: 50% is half of it, 200% are two";
    const auto text = read_text(node, mistakes, kHint);
    if (!text) {
        return std::nullopt;
    }
    constexpr std::uint64_t kTooMuch = 1'000'000;
    const bool percent = text->back() == '%';
    const auto value = parse_decimal(std::string_view(*text).substr(0, text->size() - 1), kTooMuch);
    if (!percent || !value) {
        mistakes.add(node->place, cat(quoted(node->key), ": ", quoted(*text), " is no part of a CPU"),
                     std::string(kHint));
        return std::nullopt;
    }
    const auto part = static_cast<int>(*value);
    if (part < bounds::kCpu.min || part > bounds::kCpu.max) {
        mistakes.add(node->place, cat(quoted(node->key), ": ", *text, " is out of range"),
                     cat(bounds::kCpu.min, "% to ", bounds::kCpu.max, "%"));
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(part);
}

/// The name of a file in a directory of the instance's own.
std::optional<std::string> read_file_name(const YamlNode* node, Mistakes& mistakes) {
    constexpr std::string_view kHint = "1 to 64 of letters, digits, '.', '_' and '-', no '.' first";
    auto name = read_text(node, mistakes, kHint);
    if (name && !is_file_name(*name)) {
        mistakes.add(node->place, cat(quoted(*name), " is no name of a file"), std::string(kHint));
        return std::nullopt;
    }
    return name;
}

/// What `text`, `file` or `secret` says.
void read_source(const YamlNode& node, const Fields& fields, FileSpec& file, Mistakes& mistakes) {
    constexpr std::array<std::pair<std::string_view, FileSpec::Source>, 3> kSources{
        {{"text", FileSpec::Source::text}, {"file", FileSpec::Source::file}, {"secret", FileSpec::Source::secret}}};
    std::optional<std::string_view> first;
    for (const auto& [key, source] : kSources) {
        if (!fields.has(key)) {
            continue;
        }
        const YamlNode* value = fields.find(key);
        if (first && value != nullptr) {
            mistakes.add(value->key_place, cat(quoted(key), " beside ", quoted(*first)),
                         "one of text, file and secret");
            continue;
        }
        first = first.value_or(key);
        file.source = source;
        const auto content = source == FileSpec::Source::text ? read_any_text(value, mistakes, {}, kMaxSpecBytes)
                                                              : read_file_name(value, mistakes);
        file.content = content.value_or("");
    }
    if (!first && fields.is_map()) {
        mistakes.add(node.place, "what the file holds is missing", "one of text, file and secret");
    }
}

/// Reports a path that lies within one of `taken` or around it; `place` is its own.
void check_nesting(const std::string& path, Place place, const std::vector<std::string>& taken, Mistakes& mistakes) {
    for (const auto& other : taken) {
        if (path == other) {
            mistakes.add(place, cat(quoted(path), " is there twice"));
        } else if (is_within(path, other)) {
            mistakes.add(place, cat(quoted(path), " lies below ", quoted(other)));
        } else if (is_within(other, path)) {
            mistakes.add(place, cat(quoted(path), " lies above ", quoted(other)));
        }
    }
}

}  // namespace

SandboxSpec read_sandbox(const YamlNode* node, Mistakes& mistakes) {
    SandboxSpec sandbox;
    if (node == nullptr) {
        return sandbox;
    }
    constexpr std::string_view kHint = "allow: [root], names of what it is let off of";
    const Fields fields(*node, {keys::names<keys::kSandbox>()}, mistakes);
    const auto known = allowance_names();
    for (const YamlNode* item : read_list(fields.require("allow", kHint), bounds::kMaxAllowances, mistakes, kHint)) {
        const auto name = read_text(item, mistakes, kHint);
        if (!name) {
            continue;
        }
        if (std::find(known.begin(), known.end(), *name) == known.end()) {
            refuse_allowance(*item, *name, known, mistakes);
        } else if (!sandbox.allow.insert(*name).second) {
            mistakes.add(item->place, cat(quoted(*name), " is there twice"));
        }
    }
    return sandbox;
}

void check_allowances(const YamlNode* node, const ServiceSpec& spec, Mistakes& mistakes) {
    const auto& allow = spec.sandbox.allow;
    if (node == nullptr) {
        return;
    }
    const bool is_root = allow.contains("root") || allow.contains("cap_setuid");
    if (allow.contains("namespaces") && is_root) {
        mistakes.add(node->place, "'namespaces' is not allowed together with 'root' or 'cap_setuid'",
                     "root in a namespace of its own could lift its own limits");
    }
    if (allow.contains("keyring") && (is_root || !spec.run.user.empty())) {
        mistakes.add(node->place, "'keyring' is allowed only to a service with an account of its own",
                     "leave out 'user', 'root' and 'cap_setuid': keyrings belong to users, also those of the host");
    }
    if (allow.contains("io_uring") && allow.contains("cap_net_raw")) {
        mistakes.add(node->place, "'io_uring' is not allowed together with 'cap_net_raw'",
                     "sockets that io_uring makes pass no filter");
    }
}

LimitsSpec read_limits(const YamlNode* node, Mistakes& mistakes) {
    LimitsSpec limits;
    if (node == nullptr) {
        return limits;
    }
    const Fields fields(*node, {keys::names<keys::kLimits>()}, mistakes);
    limits.memory = read_limit(fields.find("memory"), limits.memory,
                               [&](const YamlNode* at) { return read_size(at, bounds::kMemory, mistakes); });
    limits.cpu =
        read_limit(fields.find("cpu"), limits.cpu, [&](const YamlNode* at) { return read_percent(at, mistakes); });
    limits.pids = read_limit(fields.find("pids"), limits.pids,
                             [&](const YamlNode* at) { return read_number(at, bounds::kPids, mistakes); });
    const YamlNode* open_files = fields.find("open_files");
    if (is_none(open_files)) {
        mistakes.add(open_files->place, "'open_files' always has a limit",
                     cat(bounds::kOpenFiles.min, " to ", bounds::kOpenFiles.max));
    } else {
        limits.open_files = read_limit(open_files, limits.open_files, [&](const YamlNode* at) {
            return read_number(at, bounds::kOpenFiles, mistakes);
        });
    }
    // What lies in /tmp is memory: a service that fills it should be told so, and not be killed.
    const std::uint64_t memory = limits.memory.value;
    const YamlNode* tmp = fields.find("tmp");
    limits.tmp =
        read_size(tmp, bounds::kTmp, mistakes).value_or(memory == 0 ? limits.tmp : std::min(limits.tmp, memory / 2));
    if (memory != 0 && limits.tmp > memory) {
        mistakes.add(tmp->place, cat("'tmp' is larger than 'memory', ", format_size(memory)), "it counts as memory");
    }
    limits.required = read_flag(fields.find("required"), mistakes).value_or(limits.required);
    return limits;
}

std::vector<std::string> read_writable(const YamlNode* node, Mistakes& mistakes) {
    std::vector<std::string> writable;
    for (const YamlNode* item : read_list(node, bounds::kMaxWritable, mistakes, "writable: [/var/cache/nginx]")) {
        const auto path = read_inner_path(item, mistakes);
        if (!path) {
            continue;
        }
        if (std::find(writable.begin(), writable.end(), *path) != writable.end()) {
            mistakes.add(item->place, cat(quoted(*path), " is there twice"));
        }
        writable.push_back(*path);
    }
    return writable;
}

std::vector<FileSpec> read_files(const YamlNode* node, const std::vector<std::string>& writable, Mistakes& mistakes) {
    std::vector<FileSpec> files;
    std::vector<std::string> paths;
    std::vector<std::string> own = writable;
    own.insert(own.end(), {"/run", "/tmp", "/var/tmp"});
    for (const YamlNode* item :
         read_list(node, bounds::kMaxFiles, mistakes, "files: [{ path: /etc/app.conf, text: \"...\" }]")) {
        FileSpec file;
        const Fields fields(*item, {keys::names<keys::kFile>()}, mistakes);
        const YamlNode* at = fields.require("path", "path: /etc/app.conf");
        if (const auto path = read_inner_path(at, mistakes)) {
            file.path = *path;
            check_nesting(*path, at->place, paths, mistakes);
            // A file may lie in a directory that is the service's own, but not hide it.
            const bool hides = std::any_of(own.begin(), own.end(),
                                           [&](const std::string& directory) { return is_within(directory, *path); });
            if (hides) {
                mistakes.add(at->place, cat(quoted(*path), " is a directory of the service's own, or above one"));
            }
            paths.push_back(*path);
        }
        read_source(*item, fields, file, mistakes);
        files.push_back(std::move(file));
    }
    return files;
}

}  // namespace viscum
