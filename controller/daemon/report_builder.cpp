// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/report_builder.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cmath>

#include "base/build_info.h"
#include "base/file.h"
#include "base/text.h"
#include "controller/bundle/record.h"
#include "controller/daemon/failover.h"
#include "controller/sandbox/audit.h"
#include "controller/world/grade.h"
#include "netns/ifname.h"

namespace viscum {
namespace {

constexpr std::size_t kNumberLimit = 64;
constexpr std::size_t kChildrenLimit = 64 * 1024;
constexpr std::size_t kShortDigest = 12;

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
        const bool drops = run.spec().on_failure == OnFailure::drop;
        return run.state() != RunState::backoff ? reason
                                                : cat(reason, "; started again after a pause; new flows ",
                                                      drops ? "are dropped" : "go to the cloud");
    }
    if (service.drained) {
        return "drained by the operator";
    }
    if (auto ended = describe_ended(run.spec(), wall_now()); best != Admission::serve && !ended.empty()) {
        return ended;
    }
    return best == Admission::serve ? "" : "not served yet";
}

std::vector<std::string> limit_texts(const Run& run, const Cgroups& cgroups) {
    const LimitsSpec& spec = run.spec().limits;
    const CgroupLimits limits = group_limits(spec, memory_of_machine());
    const auto missing = cgroups.missing(limits);
    const auto lost = run.limits_lost();
    std::vector<std::string> texts;
    /// A limit, and whether it is kept.
    const auto add = [&](const std::string& name, const std::string& value) {
        const auto among = [&name](const auto& names) { return std::ranges::find(names, name) != names.end(); };
        const char* const why = among(missing) ? " (not kept: no controller)"
                                : among(lost)  ? " (not kept: its group was removed)"
                                               : "";
        texts.push_back(cat(name, ' ', value, why));
    };
    if (limits.memory) {
        add("memory", format_size(*limits.memory));
    }
    if (limits.cpu) {
        add("cpu", cat(*limits.cpu, '%'));
    }
    if (limits.pids) {
        add("pids", std::to_string(*limits.pids));
    }
    texts.push_back(cat("open_files ", spec.open_files.value));
    texts.push_back(cat("tmp ", format_size(spec.tmp)));
    return texts;
}

std::string user_text(const Run& run, const Instance& instance) {
    if (!run.has_process()) {
        return {};
    }
    const auto identity = identity_of(run.spec().run, instance, run.identity());
    if (!identity) {
        return {};
    }
    return identity->name.empty() ? std::to_string(identity->uid) : cat(identity->uid, " (", identity->name, ')');
}

/// What the shim says of output that it did not log: one number.
std::uint64_t log_dropped(const Run& run) {
    const auto text = read_file(run.dir() + "/dropped", kNumberLimit);
    return text ? parse_decimal(std::string_view(*text).substr(0, text->find('\n')), UINT64_MAX).value_or(0) : 0;
}

void report_sandbox(const Run& run, World& world, const RunContext& context, ServiceReport& out) {
    const ServiceSpec& spec = run.spec();
    out.user = user_text(run, context.instance);
    out.allows = {spec.sandbox.allow.begin(), spec.sandbox.allow.end()};
    out.limits = limit_texts(run, context.cgroups);
    const CgroupEvents events = run.group_events();
    out.memory_bytes = events.memory_now;
    out.cpu_ms = events.cpu_used / 1000;
    out.pids = events.pids_now;
    out.oom_kills = events.oom_kills;
    out.forks_refused = events.forks_refused;
    if (!spec.bundle.empty()) {
        out.bundle = cat(bundle_version(context.instance, spec.bundle), " (", spec.bundle.substr(0, kShortDigest), ')');
    }
    if (!spec.run.image.empty()) {
        out.image = cat(spec.run.image, " (", run.image_digest().substr(0, kShortDigest), ')');
    }
    out.egress = spec.egress.text();
    for (const auto& [name, packets] : world.egress_counters(run.key())) {
        out.egress_counts.push_back({name, packets});
    }
    out.log_dropped = log_dropped(run);
}

/// The service's main process: the one child that its shim began with. 0: it has none now.
pid_t main_process(pid_t shim) {
    const auto children = read_file(cat("/proc/", shim, "/task/", shim, "/children"), kChildrenLimit);
    const auto pid = children ? parse_decimal(children->substr(0, children->find(' ')), INT_MAX) : std::nullopt;
    return pid ? static_cast<pid_t>(*pid) : 0;
}

}  // namespace

ServiceReport report_service(const Service& service, World& world, const RunContext& context) {
    ServiceReport out;
    out.name = service.name;
    out.drained = service.drained;
    out.state = service.removed ? "stopping" : "down";
    out.health = "unknown";
    Admission best = Admission::off;
    const ServiceView view = service.view();
    for (const auto& rule : rules_of(view)) {
        best = std::max(best, rule.admission);
        ClaimReport& claim = out.claims.emplace_back(report_claim(rule, world));
        if (const auto end = service.run(rule.active)->spec().end_of(rule.claim)) {
            claim.until = format_wall_time(*end);
            claim.ended = *end <= view.now;
        }
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
        out.last_exit = run->describe_end();
    }
    out.namespace_name = net_ns_name(context.instance.name, service.name, service.primary);
    out.link = host_ifname(context.instance.name, service.name, service.primary);
    out.pid = run->pid();
    out.restarts = static_cast<std::uint64_t>(std::max(0, run->starts() - 1));
    out.up_ms = run->has_process() ? millis(boot_now() - run->started_at()) : 0;
    const Run* other = service.run(1 - service.primary);
    out.drops = run->spec().on_failure == OnFailure::drop;
    out.updating = other != nullptr && other->stopping() && other->view().was_up;
    out.digest = digest_of(run->text());
    out.probe_us = run->probe_took() ? run->probe_took()->count() : -1;
    report_sandbox(*run, world, context, out);
    return out;
}

AuditReport report_audit(const Service& service, const RunContext& context) {
    AuditReport out;
    out.service = service.name;
    const Run* run = service.current();
    std::optional<ProcessFacts> facts;
    if (const pid_t main = run->has_process() ? main_process(run->pid()) : 0; main != 0) {
        // One that ends in this instant is judged by its file.
        if (auto read = read_process_facts(main)) {
            facts = std::move(*read);
        }
    }
    out.running = facts.has_value();
    const auto limits = group_limits(run->spec().limits, memory_of_machine());
    const Audit audit = audit_service(run->spec(), facts, context.cgroups.missing(limits));
    out.score = static_cast<std::uint64_t>(std::lround(audit.score * 10));
    out.word = audit.word;
    for (const auto& item : audit.items) {
        out.items.push_back({item.name, item.ok, static_cast<std::uint64_t>(item.exposure), item.text});
    }
    return out;
}

DaemonReport report_daemon(const Services& services, World& world, const RunContext& context,
                           std::optional<BootTime> lease_until, const std::string& only) {
    DaemonReport out;
    out.instance = context.instance.name;
    out.version = kVersion;
    out.grade = world.grade().name();
    out.grade_reason = world.grade().reason();
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
            ServiceReport& report = out.services.emplace_back(report_service(service, world, context));
            if (context.failovers != nullptr) {
                context.failovers->report(report, boot_now());
            }
            if (const auto left = services.trial_left(name)) {
                report.confirm_ms_left = left->count();
            }
        }
    }
    for (const auto& [name, why] : services.unserved()) {
        if ((only.empty() || only == name) && !services.all().contains(name)) {
            ServiceReport& unserved = out.services.emplace_back();
            unserved.name = name;
            unserved.state = "down";
            unserved.health = "unknown";
            unserved.admission = admission_name(Admission::off);
            unserved.reason = cat("not served: ", why);
        }
    }
    return out;
}

}  // namespace viscum
