// SPDX-License-Identifier: GPL-2.0-only
#include "controller/sandbox/audit.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "controller/sandbox/seccomp.h"
#include "controller/spec/allowances.h"

namespace viscum {
namespace {

struct Weight {
    std::string_view name;
    int tenths;
};

/// What harm each could do to others, were it open. Those of `allow` are for parts of the kernel that no other item
/// shows; "root", "proc" and their like are seen in the process itself.
constexpr std::array kWeights{Weight{"user", 9},
                              Weight{"capabilities", 10},
                              Weight{"no-new-privileges", 6},
                              Weight{"seccomp", 8},
                              Weight{"mounts", 5},
                              Weight{"processes", 4},
                              Weight{"ipc", 2},
                              Weight{"hostname", 1},
                              Weight{"network", 8},
                              Weight{"cgroups", 2},
                              Weight{"root-filesystem", 5},
                              Weight{"proc", 3},
                              Weight{"sys", 2},
                              Weight{"devices", 5},
                              Weight{"open-files", 1},
                              Weight{"core-dumps", 1},
                              Weight{"memory", 4},
                              Weight{"cpu", 2},
                              Weight{"pids", 4},
                              Weight{"egress", 5},
                              Weight{"origin", 1},
                              Weight{"claims", 1},
                              Weight{"files", 0},
                              Weight{"health", 1},
                              Weight{"on-failure", 1},
                              Weight{"allow-ptrace", 1},
                              Weight{"allow-namespaces", 2},
                              Weight{"allow-bpf", 2},
                              Weight{"allow-keyring", 1},
                              Weight{"allow-userfaultfd", 1},
                              Weight{"allow-io_uring", 1},
                              Weight{"allow-perf", 1}};

constexpr int weight_of(std::string_view name) {
    for (const auto& weight : kWeights) {
        if (weight.name == name) {
            return weight.tenths;
        }
    }
    return 0;
}

constexpr int sum_of_weights() {
    int sum = 0;
    for (const auto& weight : kWeights) {
        sum += weight.tenths;
    }
    return sum;
}
static_assert(sum_of_weights() == 100);

/// The items whose loss alone takes the word "OK" away.
constexpr int kWall = 6;
static_assert(weight_of("no-new-privileges") == kWall);

/// All that is judged, and the verdict so far.
struct Case {
    const ServiceSpec& spec;
    const ProcessFacts* facts;  // nullptr: its file is judged
    const std::vector<std::string>& missing;
    Audit audit{};

    [[nodiscard]] bool allows(std::string_view name) const { return spec.sandbox.allow.contains(std::string(name)); }

    [[nodiscard]] bool shares(std::string_view space) const {
        return facts != nullptr && std::find(facts->shared_namespaces.begin(), facts->shared_namespaces.end(), space) !=
                                       facts->shared_namespaces.end();
    }

    void good(std::string_view name, std::string text) {
        audit.items.push_back({std::string(name), true, 0, std::move(text)});
    }
    /// `part` of its weight is exposed; without one, all of it.
    void bad(std::string_view name, std::string text, int part = 100) {
        audit.items.push_back({std::string(name), false, std::min(part, weight_of(name)), std::move(text)});
    }
    void judge(std::string_view name, bool ok, std::string_view if_ok, std::string_view otherwise) {
        if (ok) {
            good(name, std::string(if_ok));
        } else {
            bad(name, std::string(otherwise));
        }
    }
    /// Where the process is open although its file says nothing of it, something is wrong.
    [[nodiscard]] std::string_view surprise(std::string_view allowance) const {
        return allows(allowance) ? "" : ", which its file does not ask for";
    }
};

void judge_user(Case& c) {
    const bool root = c.facts != nullptr ? c.facts->uid == 0 : c.allows("root");
    const bool own = c.spec.run.user.empty();
    if (root) {
        c.bad("user", cat("runs as root", c.surprise("root")));
        return;
    }
    const std::string who = c.facts != nullptr ? cat("uid ", c.facts->uid) : "a user without privilege";
    const std::string name = own ? ", an account of its own" : cat(", the account '", c.spec.run.user, "'");
    if (c.facts != nullptr && c.facts->gid == 0) {
        c.bad("user", cat("runs as ", who, name, ", but in root's group"), 3);
    } else {
        c.good("user", cat("runs as ", who, name));
    }
}

void judge_capabilities(Case& c) {
    const auto asked = capability_mask(c.spec.sandbox.allow);
    const auto held = c.facts != nullptr ? c.facts->capabilities : asked;
    if (held == 0) {
        c.good("capabilities", "has no capability, and can get none");
        return;
    }
    std::vector<std::string> names;
    auto unknown = held;
    for (const auto& capability : kCapabilities) {
        const auto bit = std::uint64_t{1} << capability.number;
        if ((held & bit) != 0) {
            names.emplace_back(capability.name);
            unknown &= ~bit;
        }
    }
    if (unknown != 0) {
        names.push_back(cat(names.empty() ? "" : "and ", "others that amount to the router itself"));
        c.bad("capabilities", cat("has ", join(names, ", "), (held & ~asked) != 0 ? c.surprise("") : ""));
        return;
    }
    const int part = 1 + static_cast<int>(names.size()) / 2;
    c.bad("capabilities", cat("has ", join(names, ", "), (held & ~asked) != 0 ? c.surprise("") : ""), part);
}

void judge_walls(Case& c) {
    c.judge("no-new-privileges", c.facts == nullptr || c.facts->no_new_privs,
            "cannot get privileges by running a program", "may get privileges by running a setuid program");
    c.judge("seccomp", c.facts == nullptr || c.facts->seccomp,
            "cannot make system calls that are for administrators and debuggers", "may make every system call");
    struct Namespace {
        std::string_view kind, name, own, shared;
    };
    constexpr std::array kNamespaces{
        Namespace{"mnt", "mounts", "cannot see or change the router's mounts", "shares the router's mounts"},
        Namespace{"pid", "processes", "cannot see or signal processes but its own",
                  "sees all of the router's processes"},
        Namespace{"ipc", "ipc", "has System V and POSIX message queues and memory of its own",
                  "shares the router's message queues and memory segments"},
        Namespace{"uts", "hostname", "has a host name of its own", "shares the router's host name"},
        Namespace{"net", "network", "has a network of its own", "shares the router's network"},
        Namespace{"cgroup", "cgroups", "cannot see the router's control groups", "sees the router's control groups"}};
    for (const auto& [kind, name, own, shared] : kNamespaces) {
        c.judge(name, !c.shares(kind), own, shared);
    }
}

void judge_files(Case& c) {
    const auto writes = cat("what it writes is in memory, ", format_size(c.spec.limits.tmp), " at most");
    const bool host = c.spec.run.rootfs.empty() && c.spec.run.image.empty();
    const bool kept = c.allows("writable-root");
    if (c.facts != nullptr ? c.facts->root_writable : kept) {
        c.bad("root-filesystem",
              kept ? cat("may change its root filesystem; ", writes)
                   : cat("may change its root filesystem", c.surprise("writable-root")),
              kept ? 2 : 5);
    } else if (host) {
        c.bad("root-filesystem", cat("reads the router's own files (rootfs or image gives it others); ", writes), 1);
    } else {
        c.good("root-filesystem", cat("cannot change its root filesystem, and sees no other; ", writes));
    }
    const bool proc = c.facts != nullptr ? c.facts->sees_processes : c.allows("proc");
    c.judge("proc", !proc, "sees no other user's processes in /proc, and nothing of the machine's inside",
            cat("sees all of /proc", c.surprise("proc")));
    const bool sys = c.facts != nullptr ? c.facts->sees_sys : c.allows("sys");
    c.judge("sys", !sys, "cannot see /sys: neither devices nor drivers", cat("sees /sys", c.surprise("sys")));
    if (c.facts == nullptr || c.facts->devices.empty()) {
        c.good("devices", "has no device but null, zero, full, random, urandom and tty");
    } else {
        c.bad("devices", cat("has devices: ", join(c.facts->devices, ", ")));
    }
    int secrets = 0;
    for (const auto& file : c.spec.files) {
        secrets += file.source == FileSpec::Source::secret ? 1 : 0;
    }
    const int plain = static_cast<int>(c.spec.files.size()) - secrets;
    c.good("files", c.spec.files.empty() ? "is given no files and no secrets"
                                         : cat("is given files: ", plain, ", secrets that it alone reads: ", secrets,
                                               "; cannot change them"));
}

void judge_process_limits(Case& c) {
    const auto& wanted = c.spec.limits.open_files;
    if (!wanted.any()) {
        c.bad("open-files", "may open as many files as the router lets it");
    } else if (c.facts != nullptr && c.facts->open_files > wanted.value) {
        const bool unlimited = c.facts->open_files == std::numeric_limits<std::uint64_t>::max();
        c.bad("open-files",
              cat("a process of it may open ", unlimited ? "any number of" : std::to_string(c.facts->open_files),
                  " files, more than its limit of ", wanted.value));
    } else {
        const auto most = c.facts != nullptr ? c.facts->open_files : wanted.value;
        c.good("open-files", cat("a process of it may open ", most, " files"));
    }
    c.judge("core-dumps", c.facts == nullptr || !c.facts->core_dumps, "writes no core dumps",
            "may leave its memory behind in core dumps");
}

/// "memory", "cpu" or "pids".
void judge_group_limit(Case& c, std::string_view name, bool any, const std::string& kept) {
    if (!any) {
        c.bad(name, "no limit is asked for: it may take all that the router has");
    } else if (std::find(c.missing.begin(), c.missing.end(), name) != c.missing.end()) {
        c.bad(name, "no limit is kept on this machine: it may take all that the router has");
    } else {
        c.good(name, kept);
    }
}

void judge_group_limits(Case& c) {
    const auto& limits = c.spec.limits;
    const bool standard = limits.memory.source == LimitsSpec::Source::standard;
    judge_group_limit(c, "memory", limits.memory.any(),
                      standard ? "at most half of the machine's, swap included"
                               : cat("at most ", format_size(limits.memory.value), ", swap included"));
    judge_group_limit(c, "cpu", limits.cpu.any(), cat("at most ", limits.cpu.value, "% of one CPU"));
    judge_group_limit(c, "pids", limits.pids.any(), cat("at most ", limits.pids.value, " processes and threads"));
}

/// Whether a list is no list of single peers: a network or more.
bool is_broad(const EgressSpec& egress) {
    constexpr int kNetworkV4 = 24;
    constexpr int kNetworkV6 = 64;
    return std::any_of(egress.targets.begin(), egress.targets.end(), [](const EgressTarget& target) {
        return target.prefix.length < (target.prefix.address.is_v4() ? kNetworkV4 : kNetworkV6);
    });
}

void judge_egress(Case& c) {
    const auto& egress = c.spec.egress;
    std::vector<std::string> targets;
    for (const auto& target : egress.targets) {
        if (targets.size() < 4) {
            targets.push_back(target.text());
        }
    }
    const auto more = egress.targets.size() - targets.size();
    const auto list = cat(join(targets, ", "), more > 0 ? cat(" and ", more, " more") : "");
    if (c.shares("net")) {
        c.bad("egress", "reaches whatever the router reaches: it has no network of its own");
    } else if (egress.internet) {
        c.bad("egress", cat("may reach the internet", list.empty() ? "" : cat(" and ", list),
                            ", but not the router, the LAN, private networks or other services"));
    } else if (is_broad(egress)) {
        c.bad("egress", cat("may reach ", list, ": among them whatever the router itself reaches there"));
    } else if (!list.empty()) {
        c.bad("egress", cat("may reach ", list, " and nothing else"), 2);
    } else {
        c.good("egress", "cannot reach the router, the LAN, other services or the internet: it only answers");
    }
    c.judge("origin", !egress.origin, "cannot reach the real cloud at the addresses that it answers for",
            "may reach the real cloud at the addresses that it answers for");
}

void judge_claims(Case& c) {
    std::vector<IpPrefix> prefixes;
    bool any_port = false;
    for (const auto& claim : c.spec.intercept) {
        prefixes.push_back(claim.prefix);
        any_port = any_port || claim.ports == PortRange{};
    }
    std::sort(prefixes.begin(), prefixes.end());
    prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
    constexpr std::uint64_t kMany = 256;
    std::uint64_t addresses = 0;
    for (const auto& prefix : prefixes) {
        const int bits = prefix.address.width() - prefix.length;
        addresses = bits > 31 ? std::numeric_limits<std::uint32_t>::max() : addresses + (std::uint64_t{1} << bits);
        addresses = std::min<std::uint64_t>(addresses, std::numeric_limits<std::uint32_t>::max());
    }
    const auto& claims = c.spec.intercept;
    const auto first = claims.empty() ? std::string("nothing") : claims.front().text();
    const auto text =
        cat("answers in the cloud's place for ", first,
            claims.size() > 1 ? cat(" and ", claims.size() - 1, " more") : "", "; addresses: ",
            addresses >= std::numeric_limits<std::uint32_t>::max() ? "2^32 or more" : std::to_string(addresses),
            any_port ? ", all ports" : "");
    if (addresses > kMany || any_port) {
        c.bad("claims", text);
    } else {
        c.good("claims", text);
    }
}

void judge_health(Case& c) {
    const auto& probe = c.spec.health.probe;
    const auto* const udp = std::get_if<UdpProbe>(&probe);
    if (std::holds_alternative<ProcessProbe>(probe)) {
        c.bad("health", "nobody asks it anything: one that runs and does not answer is not noticed");
    } else if (std::holds_alternative<TcpProbe>(probe)) {
        c.bad("health", "only its port is tried: one that accepts and never answers is not noticed");
    } else if (udp != nullptr && udp->expect.empty()) {
        c.bad("health", "any datagram counts as healthy: a wrong answer is not noticed");
    } else {
        c.good("health", "its answers are looked at");
    }
    switch (c.spec.on_failure) {
        case OnFailure::cloud: c.good("on-failure", "when it fails, the cloud answers"); break;
        case OnFailure::drop:
            c.good("on-failure", "when it fails, nobody answers: its traffic stays on the site");
            break;
        case OnFailure::keep: c.bad("on-failure", "gets its traffic as long as it listens, healthy or not"); break;
    }
}

void judge_allowances(Case& c) {
    for (const auto& allowance : kAllowances) {
        const auto name = cat("allow-", allowance.name);
        if (c.allows(allowance.name) && weight_of(name) > 0) {
            c.bad(name, cat("may ", allowance.what));
        }
    }
}

}  // namespace

Audit audit_service(const ServiceSpec& spec, const std::optional<ProcessFacts>& facts,
                    const std::vector<std::string>& missing) {
    Case c{spec, facts ? &*facts : nullptr, missing};
    if (!facts) {
        c.good("process", "it does not run: this is what its file asks for");
    }
    for (const auto judge : {judge_user, judge_capabilities, judge_walls, judge_files, judge_allowances, judge_egress,
                             judge_process_limits, judge_group_limits, judge_claims, judge_health}) {
        judge(c);
    }
    int exposed = 0;
    bool wall_lost = false;
    for (const auto& item : c.audit.items) {
        exposed += item.exposure;
        wall_lost = wall_lost || item.exposure >= kWall;
    }
    c.audit.score = exposed / 10.0;
    c.audit.word = exposed > 70 ? "UNSAFE" : exposed > 40 ? "EXPOSED" : exposed > 20 || wall_lost ? "MEDIUM" : "OK";
    return std::move(c.audit);
}

}  // namespace viscum
