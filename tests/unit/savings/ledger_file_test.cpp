// SPDX-License-Identifier: GPL-2.0-only
#include "controller/savings/ledger_file.h"

#include <doctest/doctest.h>

#include "base/text.h"

using namespace viscum;

namespace {

DayFigures figures(std::uint64_t from) {
    DayFigures out;
    out.flows = from++;
    out.bytes_in = from++;
    out.bytes_out = from++;
    out.uplink_in = from++;
    out.uplink_out = from++;
    out.flows_cloud = from++;
    for (auto& packets : out.cloud) {
        packets = from++;
    }
    out.served_ms = from++;
    out.cloud_ms = from++;
    out.drained_ms = from++;
    out.failovers = from++;
    out.failover_us = from++;
    out.here = {from, from + 1, from + 2};
    out.away = {from + 3, from + 4, from + 5};
    out.away_failed = from + 6;
    return out;
}

LedgerState sample_state() {
    LedgerState state;
    state.sequence = 7;
    state.boot = "0f9a2e4c-0000-4000-8000-000000000001";
    state.newest = 20'780;
    state.rows[{"plates", 20'780}] = figures(1);
    state.rows[{"plates", kUndated}] = figures(1'000);
    state.rows[{"dns", 20'779}] = figures(UINT64_MAX - 100);
    state.seen["plates"].claims["[2001:db8::10]:443/tcp"] = {1, 2, 3, 4, {5, 6, 7, 8, 9, 10}};
    state.seen["plates"].links[42] = {11, UINT64_MAX};
    return state;
}

}  // namespace

TEST_CASE("savings: the file holds all that is kept") {
    const LedgerState state = sample_state();
    const auto back = decode_ledger(encode_ledger(state));
    REQUIRE(back);
    CHECK(*back == state);
}

TEST_CASE("savings: a file that is cut, changed or something else is refused") {
    const std::string bytes = encode_ledger(sample_state());
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        CHECK(!decode_ledger(bytes.substr(0, length)));
    }
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        std::string changed = bytes;
        changed[at] ^= 1;
        CAPTURE(at);
        CHECK(!decode_ledger(changed));
    }
    CHECK(!decode_ledger("viscum-state 1 0 0\n"));
    CHECK(!decode_ledger("viscum-savings 1\n"));
}

TEST_CASE("savings: lines and figures of a newer viscumd are passed over") {
    LedgerState state = sample_state();
    std::string bytes = encode_ledger(state);
    std::string body = bytes.substr(bytes.find('\n') + 1);
    body.insert(body.size() - 1, " 17 18");
    body += "moon 1 2 3\nday\n\nclaim plates\nlink plates x 1 2\nday plates 99999999 1\nlink Pl\x01tes 4 1 2\n";
    const auto back = decode_ledger(cat("viscum-savings 1 7 ", hex(fnv1a(cat(7, '\n', body)), 16), '\n', body));
    REQUIRE(back);
    CHECK(*back == state);
}

TEST_CASE("savings: however much there is, a file is no longer than 4 MiB, and says that it is not all") {
    LedgerState state;
    state.boot = std::string(36, 'b');
    DayFigures most = figures(0);
    for (auto* number : {&most.flows, &most.bytes_in, &most.bytes_out, &most.uplink_in, &most.uplink_out,
                         &most.flows_cloud, &most.served_ms, &most.cloud_ms, &most.drained_ms, &most.failovers,
                         &most.failover_us, &most.here.count, &most.here.least_us, &most.here.sum_us, &most.away.count,
                         &most.away.least_us, &most.away.sum_us, &most.away_failed}) {
        *number = UINT64_MAX;
    }
    most.cloud.fill(UINT64_MAX);
    constexpr std::uint64_t kMost = UINT64_MAX;
    for (std::size_t row = 0; row < kRowsKept; ++row) {
        state.rows[{cat(std::string(27, 's'), 10'000 + row), kLastDay}] = most;
    }
    for (std::size_t claim = 0; claim < 2 * kClaimsKept; ++claim) {
        const std::string address = "[2001:db8:1111:2222:3333:4444:5555:6666/128]:10000-";
        state.seen[std::string(32, 's')].claims[cat(address, 60'000 + claim, "/tcp")] = {
            kMost, kMost, kMost, kMost, {kMost, kMost, kMost, kMost, kMost, kMost}};
    }
    const std::string bytes = encode_ledger(state);
    CHECK(bytes.size() <= kLedgerLimit);
    const auto back = decode_ledger(bytes);
    REQUIRE(back);
    CHECK(back->rows == state.rows);
    CHECK(!back->whole);
    // What is not in there is not known, so it does not count as new; what is, does.
    Ledger ledger(state.boot);
    ledger.adopt(*back);
    ServiceSample sample;
    sample.name = std::string(32, 's');
    sample.claims["unknown"].flows = 5;
    ledger.sample({sample}, {BootTime(1), kUndated, false}, true);
    CHECK(!ledger.state().rows.contains({sample.name, kUndated}));
}
