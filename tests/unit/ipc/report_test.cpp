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
    CHECK(to_json(sample().services[1]) ==
          R"({"name":"","state":"","health":"","admission":"","reason":"","last_exit":"","namespace":"","link":"",)"
          R"("pid":0,"restarts":0,"up_ms":0,"drained":false,"updating":false,"digest":"","claims":[]})");
    CHECK(to_json(DaemonReport{}) ==
          R"({"instance":"","version":"","grade":"","pid":0,"lease_ms_left":-1,"lan":[],"verdicts":[],"services":[]})");
    DaemonReport report;
    report.lan = {LanReport{}};
    report.services = {ServiceReport{}};
    report.services[0].claims = sample().services[0].claims;
    report.services[0].claims.pop_back();
    const std::string json = to_json(report);
    CHECK(json.find(R"("lan":[{"device":"","bridge":"","attached":false,"problem":""}])") != std::string::npos);
    CHECK(json.find(R"("claims":[{"claim":"203.0.113.10:443/tcp","admission":"serve","flows":18446744073709551615,)"
                    R"("packets_in":0,"bytes_in":1,"packets_out":0,"bytes_out":0,"flows_cloud":0,)"
                    R"("cloud":[{"reason":"no-listener","packets":3},{"reason":"draining","packets":1}]}])") !=
          std::string::npos);
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
