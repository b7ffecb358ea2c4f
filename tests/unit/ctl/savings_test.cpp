// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/savings.h"

#include <doctest/doctest.h>

#include "base/text.h"

using namespace viscum;

namespace {

SavingsReport sample_report() {
    SavingsRow row;
    row.service = "plates";
    row.day = "2026-11-22";
    row.flows = 41'200;
    row.bytes_in = 1'200'000;
    row.bytes_out = 340'000'000;
    row.uplink_bytes_in = 12'000'000;
    row.uplink_bytes_out = 90'000;
    row.kept_bytes = 329'110'000;
    row.saved = "1.4810";
    row.flows_cloud = 123;
    row.cloud = {{"no-listener", 12}, {"draining", 111}};
    row.served_ms = 86'000'000;
    row.cloud_ms = 5'250;
    row.drained_ms = 394'750;
    row.failovers = 2;
    row.failover_us = 900;
    row.here_count = 1'400;
    row.here_min_us = 240;
    row.here_mean_us = 312;
    row.away_count = 90;
    row.away_min_us = 21'000;
    row.away_mean_us = 24'400;
    row.away_failed = 1;
    SavingsReport report;
    report.zone = "CET";
    report.today = "2026-11-23";
    report.days = 7;
    report.cost_per_gb = "4.50 EUR";
    report.rows = {row};
    row.day = "";
    report.totals = {row, row};
    report.totals.back().service = "";
    return report;
}

}  // namespace

TEST_CASE("savings: people get a block for each service, of 80 columns") {
    const std::string text = render_savings(sample_report(), false);
    for (const auto& line : split(text, '\n')) {
        CHECK(line.size() <= 80);
    }
    CHECK(text ==
          "plates, 7 days (CET)\n"
          "DAY          FLOWS   SERVED     KEPT   CLOUD    FAIL-OVERS   HERE/AWAY       EUR\n"
          "2026-11-22     41k   341 MB   329 MB     123          2 5s     0.31/24      1.48\n"
          "total          41k   341 MB   329 MB     123          2 5s     0.31/24      1.48\n"
          "  served     1.2 MB from clients, 340 MB to them, in 23h 53m\n"
          "  uplink     12 MB fetched and 90 kB sent by the service itself\n"
          "  cloud      12 no-listener, 111 draining (packets)\n"
          "  drained    for 6m 34s\n"
          "  redirect   0.45 ms from the first sign to the cloud, on average\n"
          "  away       1 of 91 handshakes with the cloud failed\n");
    SavingsReport nothing;
    nothing.days = 7;
    CHECK(render_savings(nothing, false) == "nothing was counted in 7 days\n");
}

TEST_CASE("savings: a table for programs is RFC 4180, with a field for each figure") {
    SavingsReport report = sample_report();
    report.rows.front().service = "a,\"b\"";
    report.rows.front().away_mean_us = -1;
    const std::string csv = csv_of(report);
    CHECK(csv ==
          "service,day,flows,bytes_in,bytes_out,uplink_bytes_in,uplink_bytes_out,kept_bytes,saved,flows_cloud,"
          "cloud_no_listener,cloud_draining,cloud_not_admitted,cloud_lease_expired,cloud_cloud_flow,cloud_other,"
          "served_ms,cloud_ms,drained_ms,failovers,failover_us,here_count,here_min_us,here_mean_us,away_count,"
          "away_min_us,away_mean_us,away_failed\r\n"
          "\"a,\"\"b\"\"\",2026-11-22,41200,1200000,340000000,12000000,90000,329110000,1.4810,123,"
          "12,111,0,0,0,0,86000000,5250,394750,2,900,1400,240,312,90,21000,,1\r\n");
}
