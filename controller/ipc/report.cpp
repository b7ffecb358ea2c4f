// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ipc/report.h"

#include <algorithm>

#include "controller/ipc/json.h"

namespace viscum {

// Not in an unnamed namespace: the templates of json.h find them by argument-dependent lookup.
void fields(auto& io, FieldsOf<ReasonCount> auto& count) {
    io.field("reason", count.reason);
    io.field("packets", count.packets);
}

void fields(auto& io, FieldsOf<CauseCount> auto& count) {
    io.field("cause", count.cause);
    io.field("times", count.times);
}

void fields(auto& io, FieldsOf<FailoverBucket> auto& bucket) {
    io.field("ms", bucket.ms);
    io.field("count", bucket.count);
}

void fields(auto& io, FieldsOf<ClaimReport> auto& claim) {
    io.field("claim", claim.claim);
    io.field("admission", claim.admission);
    io.field("until", claim.until);
    io.field("ended", claim.ended);
    io.field("flows", claim.flows);
    io.field("packets_in", claim.packets_in);
    io.field("bytes_in", claim.bytes_in);
    io.field("packets_out", claim.packets_out);
    io.field("bytes_out", claim.bytes_out);
    io.field("flows_cloud", claim.flows_cloud);
    io.field("cloud", claim.cloud);
}

void fields(auto& io, FieldsOf<ServiceReport> auto& service) {
    io.field("name", service.name);
    io.field("state", service.state);
    io.field("health", service.health);
    io.field("admission", service.admission);
    io.field("reason", service.reason);
    io.field("last_exit", service.last_exit);
    io.field("namespace", service.namespace_name);
    io.field("link", service.link);
    io.field("pid", service.pid);
    io.field("restarts", service.restarts);
    io.field("up_ms", service.up_ms);
    io.field("drained", service.drained);
    io.field("confirm_ms_left", service.confirm_ms_left);
    io.field("drops", service.drops);
    io.field("updating", service.updating);
    io.field("digest", service.digest);
    io.field("user", service.user);
    io.field("allows", service.allows);
    io.field("limits", service.limits);
    io.field("memory_bytes", service.memory_bytes);
    io.field("cpu_ms", service.cpu_ms);
    io.field("pids", service.pids);
    io.field("oom_kills", service.oom_kills);
    io.field("forks_refused", service.forks_refused);
    io.field("image", service.image);
    io.field("bundle", service.bundle);
    io.field("egress", service.egress);
    io.field("egress_counts", service.egress_counts);
    io.field("log_dropped", service.log_dropped);
    io.field("probe_us", service.probe_us);
    io.field("failovers", service.failovers);
    io.field("failover_us", service.failover_us);
    io.field("failover_last_us", service.failover_last_us);
    io.field("failover_buckets", service.failover_buckets);
    io.field("given_back", service.given_back);
    io.field("given_back_ms_ago", service.given_back_ms_ago);
    io.field("given_back_cause", service.given_back_cause);
    io.field("claims", service.claims);
}

void fields(auto& io, FieldsOf<LanReport> auto& lan) {
    io.field("device", lan.device);
    io.field("bridge", lan.bridge);
    io.field("attached", lan.attached);
    io.field("problem", lan.problem);
}

void fields(auto& io, FieldsOf<DaemonReport> auto& daemon) {
    io.field("instance", daemon.instance);
    io.field("version", daemon.version);
    io.field("grade", daemon.grade);
    io.field("grade_reason", daemon.grade_reason);
    io.field("pid", daemon.pid);
    io.field("lease_ms_left", daemon.lease_ms_left);
    io.field("lan", daemon.lan);
    io.field("verdicts", daemon.verdicts);
    io.field("services", daemon.services);
}

void fields(auto& io, FieldsOf<AuditEntry> auto& entry) {
    io.field("name", entry.name);
    io.field("ok", entry.ok);
    io.field("exposure", entry.exposure);
    io.field("text", entry.text);
}

void fields(auto& io, FieldsOf<AuditReport> auto& audit) {
    io.field("service", audit.service);
    io.field("running", audit.running);
    io.field("score", audit.score);
    io.field("word", audit.word);
    io.field("items", audit.items);
}

namespace {

template <class Report>
std::string written(const Report& report) {
    JsonOut out;
    fields(out, report);
    return std::move(out).text();
}

template <class Report>
std::optional<Report> read_back(const std::string& text) {
    const auto value = parse_json(text);
    if (!value) {
        return std::nullopt;
    }
    JsonIn in(*value);
    Report report;
    fields(in, report);
    return in.status() ? std::optional(std::move(report)) : std::nullopt;
}

}  // namespace

bool claims_anything(const DaemonReport& report) {
    return !std::ranges::all_of(report.services, &std::vector<ClaimReport>::empty, &ServiceReport::claims);
}

std::string to_json(const DaemonReport& report) {
    return written(report);
}
std::string to_json(const ServiceReport& report) {
    return written(report);
}
std::string to_json(const AuditReport& report) {
    return written(report);
}

std::optional<DaemonReport> daemon_report_from_json(const std::string& text) {
    return read_back<DaemonReport>(text);
}
std::optional<ServiceReport> service_report_from_json(const std::string& text) {
    return read_back<ServiceReport>(text);
}
std::optional<AuditReport> audit_report_from_json(const std::string& text) {
    return read_back<AuditReport>(text);
}

}  // namespace viscum
