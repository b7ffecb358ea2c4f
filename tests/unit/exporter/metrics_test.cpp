// SPDX-License-Identifier: GPL-2.0-only
#include "controller/exporter/metrics.h"

#include <doctest/doctest.h>

#include <set>

#include "base/text.h"

using namespace viscum;

namespace {

Snapshot sample() {
    ClaimReport claim;
    claim.claim = "203.0.113.10:443/tcp";
    claim.flows = 7;
    claim.bytes_in = 1'000;
    claim.bytes_out = 9'000;
    claim.flows_cloud = 2;
    claim.cloud = {{"no-listener", 3}, {"draining", 1}};
    ServiceReport service;
    service.name = "plates";
    service.state = "up";
    service.health = "healthy";
    service.admission = "serve";
    service.restarts = 1;
    service.drops = true;
    service.up_ms = 1'234;
    service.cpu_ms = 2'500;
    service.probe_us = 412;
    service.failovers = 3;
    service.failover_us = 1'507'000;
    service.failover_buckets = {{1, 0}, {2, 1}, {5, 1}, {10, 2}};
    service.given_back = {{"exited", 2}, {"unhealthy", 1}};
    service.egress_counts = {{"out", 12}};
    service.claims = {claim, claim};
    service.claims[1].claim = "[2001:db8::10]:443/tcp";
    DaemonReport report;
    report.instance = "viscum";
    report.version = "0.1.0";
    report.grade = "socket";
    report.pid = 4217;
    report.lease_ms_left = 29'500;
    report.lan = {{"lan1", "br-lan", true, ""}, {"lan2", "br-lan", false, "no such device"}};
    report.verdicts = {{"served", 7}};
    report.services = {service};
    return {report, "", ""};
}

bool has(const std::string& text, const std::string& line) {
    return ("\n" + text).find(cat("\n", line, "\n")) != std::string::npos;
}

}  // namespace

TEST_CASE("metrics: the classic text") {
    const std::string text = render_metrics(sample(), {5, 1, 2}, MetricsFormat::classic);
    for (const auto* line :
         {"viscum_up 1",
          "viscum_exporter_reports_total 5",
          "viscum_exporter_turned_away_total 1",
          "viscum_exporter_streams 2",
          R"(viscum_build_info{version="0.1.0",name="viscum"} 1)",
          "# TYPE viscum_build_info gauge",
          "# TYPE viscum_service_restarts_total counter",
          R"(viscum_grade{grade="socket"} 1)",
          R"(viscum_grade{grade="classic"} 0)",
          "viscum_lease_remaining_seconds 29.5",
          "viscum_lan_devices 2",
          "viscum_daemon_pid 4217",
          R"(viscum_service_drops{service="plates"} 1)",
          R"(viscum_service_ended{service="plates"} 0)",
          "viscum_lan_devices_attached 1",
          R"(viscum_packets_total{reason="served"} 7)",
          "viscum_services 1",
          R"(viscum_service_state{service="plates",state="up"} 1)",
          R"(viscum_service_state{service="plates",state="failed"} 0)",
          R"(viscum_service_health{service="plates",health="healthy"} 1)",
          R"(viscum_service_admission{service="plates",admission="off"} 0)",
          R"(viscum_service_uptime_seconds{service="plates"} 1.234)",
          R"(viscum_service_probe_seconds{service="plates"} 0.000412)",
          R"(viscum_service_cpu_seconds_total{service="plates"} 2.5)",
          R"(viscum_service_failover_seconds_bucket{service="plates",le="0.002"} 1)",
          R"(viscum_service_failover_seconds_bucket{service="plates",le="30.0"} 0)",
          R"(viscum_service_failover_seconds_bucket{service="plates",le="+Inf"} 3)",
          R"(viscum_service_failover_seconds_sum{service="plates"} 1.507)",
          R"(viscum_service_failover_seconds_count{service="plates"} 3)",
          R"(viscum_service_given_back_total{service="plates",reason="exited"} 2)",
          R"(viscum_service_uplink_saved_bytes_total{service="plates"} 20000)",
          R"(viscum_claim_flows_total{service="plates",claim="[2001:db8::10]:443/tcp"} 7)",
          R"(viscum_claim_cloud_packets_total{service="plates",claim="203.0.113.10:443/tcp",reason="draining"} 1)"}) {
        CAPTURE(line);
        CHECK(has(text, line));
    }
    CHECK(text.find("# EOF") == std::string::npos);
    CHECK(text.find("# UNIT") == std::string::npos);
}

TEST_CASE("metrics: OpenMetrics names families without their suffixes, says units, and ends") {
    const std::string text = render_metrics(sample(), {}, MetricsFormat::open);
    for (const auto* line :
         {"# TYPE viscum_build info", R"(viscum_build_info{version="0.1.0",name="viscum"} 1)",
          "# TYPE viscum_service_restarts counter", R"(viscum_service_restarts_total{service="plates"} 1)",
          "# UNIT viscum_service_failover_seconds seconds", "# UNIT viscum_claim_sent_bytes bytes"}) {
        CAPTURE(line);
        CHECK(has(text, line));
    }
    CHECK(text.ends_with("\n# EOF\n"));
}

TEST_CASE("metrics: a viscumd that is away is that, and nothing is made up") {
    const std::string text = render_metrics({std::nullopt, "", "no"}, {}, MetricsFormat::classic);
    CHECK(has(text, "viscum_up 0"));
    CHECK(text.find("viscum_service") == std::string::npos);
    CHECK(text.find("viscum_lease") == std::string::npos);
}

TEST_CASE("metrics: a service has ended when all its claims have") {
    Snapshot snapshot = sample();
    auto& claims = snapshot.report->services[0].claims;
    for (const char* line :
         {R"(viscum_service_ended{service="plates"} 0)", R"(viscum_service_ended{service="plates"} 1)"}) {
        claims[claims[0].ended ? 1 : 0].ended = true;
        CHECK(has(render_metrics(snapshot, {}, MetricsFormat::classic), line));
    }
}

TEST_CASE("metrics: no lease, no probe: no sample") {
    Snapshot snapshot = sample();
    snapshot.report->lease_ms_left = -1;
    snapshot.report->services[0].probe_us = -1;
    const std::string text = render_metrics(snapshot, {}, MetricsFormat::classic);
    CHECK(text.find("viscum_lease_remaining_seconds") == std::string::npos);
    CHECK(text.find("viscum_service_probe_seconds{") == std::string::npos);
}

TEST_CASE("metrics: hostile names stay inside their quotes") {
    Snapshot snapshot = sample();
    snapshot.report->services[0].name = "a\"} 1\nviscum_up 0\\";
    const std::string text = render_metrics(snapshot, {}, MetricsFormat::classic);
    CHECK(text.find(R"({service="a\"} 1\nviscum_up 0\\"} )") != std::string::npos);
    CHECK_FALSE(has(text, "viscum_up 0"));
}

TEST_CASE("metrics: every sample is of a family that was announced, and no family is announced twice") {
    for (const auto format : {MetricsFormat::classic, MetricsFormat::open}) {
        std::set<std::string> families;
        for (const auto& line : split(render_metrics(sample(), {}, format), '\n')) {
            if (line.starts_with("# TYPE ")) {
                CHECK(families.insert(split(line, ' ')[2]).second);
            }
        }
        CHECK(families.size() > 30);
    }
}

TEST_CASE("metrics: which format a reader wants") {
    CHECK(metrics_format("") == MetricsFormat::classic);
    CHECK(metrics_format("*/*") == MetricsFormat::classic);
    CHECK(metrics_format("text/html,application/xhtml+xml,*/*;q=0.8") == MetricsFormat::classic);
    CHECK(metrics_format("application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5") ==
          MetricsFormat::open);
    CHECK(metrics_format("text/plain, application/openmetrics-text;q=0") == MetricsFormat::classic);
}

TEST_CASE("metrics: seconds") {
    CHECK(seconds_text(0) == "0.0");
    CHECK(seconds_text(1) == "0.000001");
    CHECK(seconds_text(1'000'000) == "1.0");
    CHECK(seconds_text(12'340'000) == "12.34");
}
