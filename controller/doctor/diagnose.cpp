// SPDX-License-Identifier: GPL-2.0-only
#include "controller/doctor/diagnose.h"

#include <fnmatch.h>

#include <algorithm>

#include "base/text.h"

namespace viscum {
namespace {

constexpr int kFirstYear = 2026;                     // nothing of this was there before
constexpr std::uint64_t kLittleSpace = 1 << 20;      // a deploy writes less
constexpr std::uint64_t kLittleMemory = 16UL << 20;  // viscumd, and a small service

class Findings {
public:
    void good(std::string check, std::string what) { add(std::move(check), Severity::good, std::move(what), ""); }
    void warn(std::string check, std::string what, std::string mend) {
        add(std::move(check), Severity::warning, std::move(what), std::move(mend));
    }
    void problem(std::string check, std::string what, std::string mend) {
        add(std::move(check), Severity::problem, std::move(what), std::move(mend));
    }
    [[nodiscard]] bool has(const std::string& check) const {
        return std::ranges::find(all_, check, &Finding::check) != all_.end();
    }
    [[nodiscard]] std::vector<Finding> take() && { return std::move(all_); }

private:
    void add(std::string check, Severity severity, std::string what, std::string mend) {
        all_.push_back({std::move(check), severity, std::move(what), std::move(mend)});
    }
    std::vector<Finding> all_;
};

/// A command that brings modules, as OpenWrt packages them and as they are called.
std::string bring(Packages packages, const std::string& openwrt, const std::string& modules) {
    switch (packages) {
        case Packages::opkg: return cat("opkg update && opkg install ", openwrt);
        case Packages::apk: return cat("apk update && apk add ", openwrt);
        case Packages::none: break;
    }
    return cat("modprobe -a ", modules);
}

bool needs_bpf(TrialStep failed) {
    return failed == TrialStep::programs || failed == TrialStep::filter;
}

/// What runs, where something does; else what would.
std::string grade_of(const Facts& facts) {
    const bool bpf = facts.trial.failed == TrialStep::none && facts.config.datapath != DatapathChoice::classic;
    const bool classic = (facts.trial.failed == TrialStep::none || needs_bpf(facts.trial.failed)) &&
                         facts.config.datapath != DatapathChoice::socket && facts.trial.classic;
    if (!bpf && !classic) {
        return "none";
    }
    return facts.daemon && !facts.daemon->grade.empty() ? facts.daemon->grade : bpf ? "socket" : "classic";
}

std::string mend_of(const Facts& facts) {
    switch (facts.trial.failed) {
        case TrialStep::none: return "";
        case TrialStep::net_ns: return "a kernel with network namespaces; OpenWrt's small_flash targets have none";
        case TrialStep::veth: return bring(facts.packages, "kmod-veth", "veth");
        case TrialStep::programs: return "a kernel from 5.10 on with BPF (CONFIG_BPF_SYSCALL, CONFIG_NET_CLS_BPF)";
        case TrialStep::filter: return bring(facts.packages, "kmod-sched-core kmod-sched-bpf", "sch_ingress cls_bpf");
    }
    return "";
}

constexpr const char* kClassicLacks =
    "no egress, no lease, no fragments, and the cloud takes over when viscumd sees that a service ended";

void check_kernel(const Facts& facts, Findings& findings) {
    const std::string grade = grade_of(facts);
    const std::string kernel = cat("Linux ", facts.kernel);
    if (grade == "none") {
        findings.problem("kernel", cat(kernel, ": ", facts.trial.why), mend_of(facts));
    } else if (needs_bpf(facts.trial.failed)) {
        findings.warn("kernel", cat(kernel, " serves by the classic grade (", kClassicLacks, "): ", facts.trial.why),
                      mend_of(facts));
    } else if (grade == "classic") {
        findings.warn("kernel",
                      cat(kernel, " could do better than the classic grade (", kClassicLacks,
                          "): ", facts.daemon ? facts.daemon->grade_reason : "viscum.yaml says so"),
                      cat("take `datapath: classic` out of ", facts.config_file, ", and start viscumd again"));
    } else {
        findings.good("kernel", cat(kernel, " makes namespaces, links and filters as services need"));
    }
}

void check_config(const Facts& facts, Findings& findings) {
    const std::string check = "configuration";
    if (!facts.has_config) {
        return findings.problem(check, cat("there is no ", facts.config_file),
                                "write one: `lan:` and `claimable:` (docs/configuration.md)");
    }
    for (const Diagnostic& mistake : facts.config_mistakes) {
        findings.problem(check, mistake.text(), cat("edit ", facts.config_file));
    }
    if (!facts.config_mistakes.empty()) {
        return;
    }
    if (facts.config.claimable.empty()) {
        findings.problem(check, "`claimable:` is empty, so that no service may claim anything",
                         cat("list the cloud's addresses in ", facts.config_file));
    }
    if (facts.config.lan.empty()) {
        findings.problem(check, "`lan:` is empty, so that nobody's packets are looked at",
                         cat("name the clients' devices in ", facts.config_file, ", as in: lan: [br-lan]"));
    }
    if (!findings.has(check)) {
        findings.good(check, cat(facts.config_file, " is valid"));
    }
}

void check_daemon(const Facts& facts, Findings& findings) {
    if (!facts.daemon) {
        return findings.problem("viscumd", facts.daemon_problem, facts.daemon_hint);
    }
    findings.good("viscumd", cat("version ", facts.daemon->version, " runs as process ", facts.daemon->pid));
}

void check_lan(const Facts& facts, Findings& findings) {
    for (const std::string& pattern : facts.config.lan) {
        const bool there = std::ranges::any_of(
            facts.devices, [&](const auto& device) { return fnmatch(pattern.c_str(), device.c_str(), 0) == 0; });
        if (!there) {
            findings.problem("lan", cat("no device is named '", pattern, "'"),
                             cat("ip link shows the names; correct `lan:` in ", facts.config_file));
        }
    }
    for (const LanReport& lan : facts.daemon ? facts.daemon->lan : std::vector<LanReport>()) {
        if (!lan.attached && lan.problem.empty() && !claims_anything(*facts.daemon)) {
            continue;  // nobody claims anything
        }
        if (!lan.attached) {
            findings.problem("lan",
                             cat(lan.device, ": ", lan.problem.empty() ? "carries no filter of ours" : lan.problem),
                             "see viscumd's log");
        } else if (!lan.problem.empty()) {
            findings.warn("lan", cat(lan.device, ": ", lan.problem),
                          cat("tc filter show dev ", lan.device, " ingress"));
        }
    }
    if (!findings.has("lan") && !facts.config.lan.empty()) {
        const bool any = facts.daemon && !facts.daemon->services.empty();
        findings.good("lan", cat("packets of ", join(facts.config.lan, ", "),
                                 any ? " are looked at" : " are looked at once viscumd has a service"));
    }
}

bool claims_only_v4(const ServiceSpec& service) {
    return std::ranges::all_of(service.intercept, [](const Claim& claim) { return claim.prefix.address.is_v4(); });
}

void check_services(const Facts& facts, Findings& findings) {
    for (const Diagnostic& mistake : facts.service_mistakes) {
        findings.problem("services", mistake.text(), "edit the file and deploy it again");
    }
    for (const ServiceSpec& service : facts.services) {
        // By a file with mistakes nothing may be claimed, and that is told already.
        const auto refused = facts.config_mistakes.empty()
                                 ? check_claims(service, facts.config, facts.own_networks, facts.services)
                                 : std::vector<std::string>();
        for (const std::string& against : refused) {
            findings.problem("services", cat(service.name, ": ", against), "change the claim, or `claimable:`");
        }
        if (facts.lan_has_v6 && !service.intercept.empty() && claims_only_v4(service)) {
            findings.warn("services",
                          cat(service.name, " claims IPv4 alone: clients that reach its cloud by IPv6 pass it by"),
                          "claim the cloud's IPv6 addresses as well");
        }
    }
    for (const ServiceReport& service : facts.daemon ? facts.daemon->services : std::vector<ServiceReport>()) {
        if (service.admission != "serve") {
            const std::string what = cat(service.name, ": ", service.reason.empty() ? service.state : service.reason);
            if (service.drained) {
                findings.warn("services", what, cat("viscumctl resume ", service.name));
            } else {
                findings.problem("services", what, cat("viscumctl status ", service.name));
            }
        }
    }
    if (!findings.has("services")) {
        findings.good("services",
                      facts.services.empty() ? "none is deployed" : cat(facts.services.size(), " deployed"));
    }
}

void check_limits(const Facts& facts, Findings& findings) {
    if (facts.missing_limits.empty()) {
        return findings.good("limits", "control groups keep memory, cpu and pids");
    }
    findings.warn("limits",
                  cat("no control group keeps ", join(facts.missing_limits, ", "), ": services are not limited in it"),
                  "mount -t cgroup2 none /sys/fs/cgroup, or a kernel with these controllers");
}

/// What is asked about often, and is no obstacle.
void check_neighbours(const Facts& facts, Findings& findings) {
    for (const FlowTable& table : facts.flow_tables) {
        if (!table.hardware) {
            findings.good("network",
                          cat("flow table ", table.name, " offloads in software: our filters come before it"));
        }
    }
    if (facts.strict_reverse_path) {
        findings.good("network", "rp_filter is strict: what is served here does not pass it");
    }
    for (const std::string& device : facts.shaped) {
        findings.good("network",
                      cat("SQM shapes ", device,
                          ": it takes our filters away at each of its restarts, and they are back within 1 s"));
    }
    for (const std::string& tool : facts.tc_tools) {
        findings.good("network", cat(tool, " runs: its filters come after ours"));
    }
}

void check_network(const Facts& facts, Findings& findings) {
    for (const auto& [forwards, family, key] :
         {std::tuple(facts.forwards_v4, "IPv4", "net.ipv4.ip_forward"),
          std::tuple(facts.forwards_v6, "IPv6", "net.ipv6.conf.all.forwarding")}) {
        if (forwards == false) {
            findings.warn("network",
                          cat("the router does not forward ", family, ": who is not served here reaches no cloud"),
                          cat("sysctl -w ", key, "=1"));
        }
    }
    if (!facts.default_route) {
        findings.warn("network", "there is no default route: who is not served here reaches no cloud",
                      "bring up the uplink: ip route");
    }
    for (const FlowTable& table : facts.flow_tables) {
        if (table.hardware) {
            findings.warn("network",
                          cat("flow table ", table.name,
                              " offloads flows to hardware: those that were offloaded before a "
                              "service came stay with the cloud until they end"),
                          "uci set firewall.@defaults[0].flow_offloading_hw=0 && uci commit firewall && fw4 reload");
        }
    }
    if (!findings.has("network")) {
        findings.good("network", "packets that are not served are forwarded");
    }
    check_neighbours(facts, findings);
}

void check_room(const Facts& facts, Findings& findings) {
    for (const FreeSpace& space : facts.spaces) {
        if (space.bytes < kLittleSpace) {
            findings.warn("room", cat(space.path, " has ", format_size(space.bytes), " left: a deploy may fail"),
                          cat("du -a ", space.path, " | sort -n | tail"));
        }
    }
    if (facts.memory_available < kLittleMemory) {
        findings.warn("room",
                      cat(format_size(facts.memory_available), " of memory are available: services may be killed"),
                      "stop what is not needed, or lower `memory:` of services");
    }
    if (facts.year < kFirstYear) {
        findings.warn("room", cat("the clock says ", facts.year, ": TLS of services and their logs will be wrong"),
                      "set it: date -s, or ntpd -q -p pool.ntp.org");
    }
    if (!findings.has("room")) {
        findings.good("room",
                      cat(format_size(facts.memory_available), " of memory are available; space and clock are right"));
    }
}

}  // namespace

Diagnosis diagnose(const Facts& facts) {
    Findings findings;
    check_kernel(facts, findings);
    check_config(facts, findings);
    check_daemon(facts, findings);
    check_lan(facts, findings);
    check_services(facts, findings);
    check_limits(facts, findings);
    check_network(facts, findings);
    check_room(facts, findings);
    return {grade_of(facts), std::move(findings).take()};
}

bool has_problem(const Diagnosis& diagnosis) {
    return std::ranges::find(diagnosis.findings, Severity::problem, &Finding::severity) != diagnosis.findings.end();
}

}  // namespace viscum
