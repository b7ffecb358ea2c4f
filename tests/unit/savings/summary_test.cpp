// SPDX-License-Identifier: GPL-2.0-only
#include "controller/savings/summary.h"

#include <doctest/doctest.h>

#include "controller/ipc/json.h"

using namespace viscum;

namespace {

constexpr Day kToday = 20'780;

DayRows sample_rows() {
    DayRows rows;
    DayFigures& today = rows[{"plates", kToday}];
    today.flows = 10;
    today.bytes_in = 1'000;
    today.bytes_out = 9'000;
    today.uplink_in = 2'000;
    today.uplink_out = 500;
    today.cloud[cloud_reason("draining")] = 3;
    today.cloud[cloud_reason("anything")] = 4;
    today.here = {2, 300, 1'000};
    rows[{"plates", kToday - 6}].flows = 5;
    rows[{"plates", kToday - 7}].flows = 100;
    rows[{"dns", kUndated}].uplink_in = 700;
    return rows;
}

SavingsQuestion question(const std::string& service = "") {
    SavingsQuestion out;
    out.service = service;
    out.days = 7;
    out.today = kToday;
    out.zone = "CET";
    out.price = Price{45'000, "EUR"};
    return out;
}

}  // namespace

TEST_CASE("savings: a report has the days that were asked for, and sums") {
    const auto report = summarize(sample_rows(), question());
    REQUIRE(report);
    CHECK(report->today == "2026-11-23");
    CHECK(report->cost_per_gb == "4.50 EUR");
    REQUIRE(report->rows.size() == 3);
    CHECK(report->rows[0].service == "dns");
    CHECK(report->rows[0].day == "");
    CHECK(report->rows[0].kept_bytes == -700);
    const SavingsRow& today = report->rows[2];
    CHECK(today.day == "2026-11-23");
    CHECK(today.kept_bytes == 7'500);
    CHECK(today.saved == "0.0000");
    CHECK(today.cloud == std::vector<ReasonCount>{{"draining", 3}, {"other", 4}});
    CHECK(today.here_mean_us == 500);
    CHECK(today.away_mean_us == -1);
    REQUIRE(report->totals.size() == 3);
    CHECK(report->totals[1].service == "plates");
    CHECK(report->totals[1].flows == 15);
    CHECK(report->totals[2].service == "");
    CHECK(report->totals[2].kept_bytes == 6'800);
    CHECK(summarize(sample_rows(), question("dns"))->rows.size() == 1);
    const auto back = savings_report_from_json(to_json(*report));
    REQUIRE(back);
    CHECK(*back == *report);
}

TEST_CASE("savings: money is right to the last place, whatever the bytes") {
    CHECK(money(1'000'000'000, {45'000, ""}) == "4.5000");
    CHECK(money(-1'000'000'000, {45'000, ""}) == "-4.5000");
    CHECK(money(11'111, {45'000, ""}) == "0.0000");
    CHECK(money(11'112, {45'000, ""}) == "0.0001");
    CHECK(money(-11'111, {45'000, ""}) == "0.0000");
    CHECK(money(INT64_MAX, {Price::kMost, ""}) == "92233720368547.7581");
    CHECK(money(INT64_MIN + 1, {Price::kMost, ""}) == "-92233720368547.7581");
    CHECK(money(INT64_MAX, {0, ""}) == "0.0000");
}

TEST_CASE("savings: bytes beyond what a number with a sign holds stop there") {
    DayRows rows;
    rows[{"plates", kToday}].bytes_in = UINT64_MAX;
    rows[{"dns", kToday}].uplink_in = UINT64_MAX;
    const auto report = summarize(rows, question());
    REQUIRE(report);
    CHECK(report->rows[0].kept_bytes == -INT64_MAX);
    CHECK(report->rows[1].kept_bytes == INT64_MAX);
}

TEST_CASE("savings: as much as one answer holds can be read again, and more is refused") {
    DayRows rows;
    for (Day day = 0; day < 4'090; ++day) {
        DayFigures& row = rows[{"plates", kToday - day}];
        row.cloud.fill(1);
    }
    SavingsQuestion all = question();
    all.days = 5'000;
    const auto report = summarize(rows, all);
    REQUIRE(report);
    CHECK(savings_report_from_json(to_json(*report)));
    for (int service = 0; service < 500; ++service) {
        rows[{"s" + std::to_string(service), kToday}].flows = 1;
    }
    CHECK(summarize(rows, all).error().errno_code == EMSGSIZE);
}
