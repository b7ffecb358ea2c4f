// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/report_builder.h"

#include <unistd.h>

#include <algorithm>

#include "base/build_info.h"
#include "netns/ifname.h"

namespace viscum {
namespace {

std::int64_t millis(BootTime time) {
    return std::chrono::duration_cast<Millis>(time).count();
}

ClaimReport report_claim(const WantedRule& rule, World& world) {
    ClaimReport out;
    out.claim = rule.claim.text();
    out.admission = admission_name(rule.admission);
    const ClaimCounters counters = world.counters(rule.claim);
    out.flows = counters.flows;
    out.packets_in = counters.packets_in;
    out.bytes_in = counters.bytes_in;
    out.packets_out = counters.packets_out;
    out.bytes_out = counters.bytes_out;
    out.flows_cloud = counters.flows_cloud;
    for (const auto& [reason, packets] : counters.cloud) {
        out.cloud.push_back({reason, packets});
    }
    return out;
}

std::string why_not_served(const Service& service, const Run& run, Admission best) {
    if (auto reason = run.reason(); !reason.empty()) {
        return reason;
    }
    if (service.drained) {
        return "drained by the operator";
    }
    return best == Admission::serve ? "" : "not served yet";
}

}  // namespace

ServiceReport report_service(const Service& service, World& world, const Instance& instance) {
    ServiceReport out;
    out.name = service.name;
    out.drained = service.drained;
    out.state = service.removed ? "stopping" : "down";
    out.health = "unknown";
    Admission best = Admission::off;
    for (const auto& rule : rules_of(service.view())) {
        best = std::max(best, rule.admission);
        out.claims.push_back(report_claim(rule, world));
    }
    out.admission = admission_name(best);
    const Run* run = service.current();
    if (run == nullptr) {
        return out;
    }
    out.state = state_name(run->state());
    if (run->has_process() && run->state() != RunState::starting) {
        out.health = run->healthy() ? "healthy" : "unhealthy";
    }
    out.reason = why_not_served(service, *run, best);
    if (run->last_exit()) {
        out.last_exit = run->last_exit()->describe();
    }
    out.namespace_name = net_ns_name(instance.name, service.name, service.primary);
    out.link = host_ifname(instance.name, service.name, service.primary);
    out.pid = run->pid();
    out.restarts = static_cast<std::uint64_t>(std::max(0, run->starts() - 1));
    out.up_ms = run->has_process() ? millis(boot_now() - run->started_at()) : 0;
    const Run* other = service.run(1 - service.primary);
    out.updating = other != nullptr && other->stopping() && other->view().was_up;
    out.digest = digest_of(run->text());
    return out;
}

DaemonReport report_daemon(const Services& services, World& world, const Instance& instance,
                           std::optional<BootTime> lease_until, const std::string& only) {
    DaemonReport out;
    out.instance = instance.name;
    out.version = kVersion;
    out.grade = "socket";
    out.pid = getpid();
    out.lease_ms_left = lease_until ? std::max<std::int64_t>(0, millis(*lease_until - boot_now())) : -1;
    for (const auto& lan : world.lan_devices()) {
        out.lan.push_back({lan.device, lan.bridge, lan.attached, lan.problem});
    }
    for (const auto& [verdict, packets] : world.verdicts()) {
        out.verdicts.push_back({verdict, packets});
    }
    for (const auto& [name, service] : services.all()) {
        if (only.empty() || only == name) {
            out.services.push_back(report_service(service, world, instance));
        }
    }
    return out;
}

}  // namespace viscum
