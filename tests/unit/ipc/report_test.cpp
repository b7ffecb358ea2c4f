// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ipc/report.h"

#include <doctest/doctest.h>

#include <limits>

using namespace viscum;

namespace {

DaemonReport sample() {
    ClaimReport claim;
    claim.claim = "203.0.113.10:443/tcp";
    claim.admission = "serve";
    claim.until = "2026-12-31T23:59:00Z";
    claim.ended = true;
    claim.flows = std::numeric_limits<std::uint64_t>::max();
    claim.bytes_in = 1;
    claim.cloud = {{"no-listener", 3}, {"draining", 1}};
    ServiceReport service;
    service.name = "plates";
    service.state = "up";
    service.namespace_name = "viscum-plates";
    service.pid = 42;
    service.up_ms = 1234;
    service.drained = true;
    service.user = "33 (www-data)";
    service.allows = {"cap_setuid", "root"};
    service.limits = {"memory 64M", "cpu 50% (not kept: no controller)"};
    service.memory_bytes = 1;
    service.cpu_ms = 2;
    service.pids = 3;
    service.oom_kills = 4;
    service.forks_refused = 5;
    service.image = "nginx (0123456789ab)";
    service.bundle = "1.4 (0123456789ab)";
    service.egress = "internet, origin";
    service.egress_counts = {{"out", 12}, {"not-allowed", 1}};
    service.log_dropped = 6;
    service.probe_us = 412;
    service.failovers = 2;
    service.failover_us = 5'300;
    service.failover_last_us = 1'300;
    service.failover_buckets = {{1, 0}, {2, 1}, {5, 2}};
    service.given_back = {{"exited", 2}, {"drained", 1}};
    service.given_back_ms_ago = 60'000;
    service.given_back_cause = "drained";
    service.claims = {claim, ClaimReport{}};
    DaemonReport report;
    report.instance = "viscum";
    report.lease_ms_left = -1;
    report.lan = {{"wlan0", "br-lan", false, "no such device"}};
    report.verdicts = {{"served", 7}};
    report.services = {service, ServiceReport{}};
    return report;
}

}  // namespace

TEST_CASE("report: what is written is read back") {
    CHECK(daemon_report_from_json(to_json(sample())) == sample());
    CHECK(service_report_from_json(to_json(sample().services[0])) == sample().services[0]);
}

TEST_CASE("report: the fields have the names that docs/json.md gives them") {
    CHECK(
        to_json(sample().services[1]) ==
        R"({"name":"","state":"","health":"","admission":"","reason":"","last_exit":"","namespace":"","link":"",)"
        R"("pid":0,"restarts":0,"up_ms":0,"drained":false,"confirm_ms_left":-1,"drops":false,"updating":false,"digest":"","user":"",)"
        R"("allows":[],"limits":[],"memory_bytes":0,"cpu_ms":0,"pids":0,"oom_kills":0,"forks_refused":0,"image":"","bundle":"",)"
        R"("egress":"","egress_counts":[],"log_dropped":0,"probe_us":-1,"failovers":0,"failover_us":0,)"
        R"("failover_last_us":-1,"failover_buckets":[],"given_back":[],"given_back_ms_ago":-1,)"
        R"("given_back_cause":"","claims":[]})");
    CHECK(
        to_json(DaemonReport{}) ==
        R"({"instance":"","version":"","grade":"","grade_reason":"","pid":0,"lease_ms_left":-1,"lan":[],"verdicts":[],"services":[]})");
    DaemonReport report;
    report.lan = {LanReport{}};
    report.services = {ServiceReport{}};
    report.services[0].claims = sample().services[0].claims;
    report.services[0].claims.pop_back();
    const std::string json = to_json(report);
    CHECK(json.find(R"("lan":[{"device":"","bridge":"","attached":false,"problem":""}])") != std::string::npos);
    CHECK(json.find(R"("claims":[{"claim":"203.0.113.10:443/tcp","admission":"serve",)"
                    R"("until":"2026-12-31T23:59:00Z","ended":true,"flows":18446744073709551615,)"
                    R"("packets_in":0,"bytes_in":1,"packets_out":0,"bytes_out":0,"flows_cloud":0,)"
                    R"("cloud":[{"reason":"no-listener","packets":3},{"reason":"draining","packets":1}]}])") !=
          std::string::npos);
}

TEST_CASE("report: an audit is written and read back, its score in tenths of a point") {
    const AuditReport audit{"plates", true, 23, "MEDIUM", {{"user", true, 0, "uid 7"}, {"egress", false, 8, "all"}}};
    const std::string json = to_json(audit);
    CHECK(json == R"({"service":"plates","running":true,"score":23,"word":"MEDIUM","items":[)"
                  R"({"name":"user","ok":true,"exposure":0,"text":"uid 7"},)"
                  R"({"name":"egress","ok":false,"exposure":8,"text":"all"}]})");
    CHECK(audit_report_from_json(json) == audit);
    CHECK_FALSE(audit_report_from_json(to_json(sample())));
    CHECK_FALSE(audit_report_from_json(json.substr(0, json.size() - 1)));
}

TEST_CASE("report: text that is no report is none") {
    CHECK_FALSE(daemon_report_from_json(""));
    CHECK_FALSE(daemon_report_from_json("{}"));
    CHECK_FALSE(daemon_report_from_json("[]"));
    CHECK_FALSE(service_report_from_json(to_json(sample())));
    std::string json = to_json(sample());
    for (std::size_t length = 0; length < json.size(); ++length) {
        CHECK_FALSE(daemon_report_from_json(json.substr(0, length)));
    }
}
