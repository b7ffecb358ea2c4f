// SPDX-License-Identifier: GPL-2.0-only
// A flood of SYNs at one service: bounded in number, and within the bed.
#include <algorithm>

#include "tests/bench/overload/flood.h"
#include "tests/e2e/packets.h"
#include "tests/faults/network/faults.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kSyns = 50'000;
constexpr std::size_t kEnough = 100;  // requests, for a 99th percentile
constexpr double kMostP99 = 1'000;    // ms: what is lost and sent again takes longer
const Endpoint kOther = Endpoint::of("203.0.113.20", 80);

/// How long the requests took that began between two times, in milliseconds.
std::vector<double> took_between(const FlowClient& flow, BootTime begin, BootTime end) {
    std::vector<double> took;
    for (const FlowRecord& record : flow.records()) {
        if (record.start >= begin && record.start < end) {
            took.push_back(std::chrono::duration<double, std::milli>(record.end - record.start).count());
        }
    }
    std::ranges::sort(took);
    return took;
}

/// By nearest rank, of sorted samples.
double p99(const std::vector<double>& sorted) {
    const std::size_t rank = (99 * sorted.size() + 99) / 100;
    return sorted.at(rank - 1);
}

std::string counts(const FlowSummary& summary) {
    return cat(summary.requests, ", ", summary.failed, ", ", summary.resets);
}

ServiceFile other_service() {
    const Server server = must(nginx("other", "local", {"80"}));
    return {"other", {"203.0.113.20 80"}, server.command, quick_health()};
}

}  // namespace

TEST_CASE("fault 27: a flood of SYNs at one service fails no client of another, and its own are served by cookies") {
    Scene scene;
    scene.deploy(web_service());
    scene.deploy(other_service());
    const NetNs flooded = must(NetNs::open("viscum-web"));
    must(flooded.inside([] { return set_net_sysctl("ipv4/tcp_syncookies", "1"); }));
    const Snapshot before = must(take_snapshot());
    must(FloodSources::add(scene.bed(), 1));
    const auto other = steady_flow(scene, kOther, 2);
    const auto own = steady_flow(scene, kWeb, 2);
    const BootTime calm = boot_now();
    REQUIRE(eventually(kLimit, [&] { return took_between(*other, calm, BootTime::max()).size() >= kEnough; }));
    const BootTime begin = boot_now();
    const std::uint64_t sent =
        must(flood_with_syns(scene.bed().client(1), {.to = kWeb, .count = kSyns, .seed = campaign_seed()}, {}));
    const BootTime end = boot_now();
    // While its queue is full of what will never be finished.
    CHECK(own->wait_for("local", boot_now(), kLimit));
    CHECK(http_get(scene.bed().client(1), {.to = kWeb}).who() == "local");
    const auto cookies = kernel_counter(flooded, "netstat", "TcpExt: SyncookiesSent");
    const auto passed = kernel_counter(flooded, "netstat", "TcpExt: SyncookiesRecv");
    const auto full = kernel_counter(flooded, "netstat", "TcpExt: TCPReqQFullDoCookies");
    MESSAGE("VISCUM_TEST_SEED=", campaign_seed());
    MESSAGE(sent, " SYNs in ", (end - begin) / 1ms, " ms; full ", full, ", cookies sent ", cookies, ", come back ",
            passed);
    CHECK(full > 0);
    CHECK(cookies > 0);
    CHECK(passed > 0);
    const FlowSummary others = other->stop();
    const FlowSummary owns = own->stop();
    const auto before_it = took_between(*other, calm, begin);
    const auto during_it = took_between(*other, begin, end);
    REQUIRE(during_it.size() > 0);
    MESSAGE("another service before it: ", p50_p99_ms(before_it), "; during it: ", p50_p99_ms(during_it));
    CHECK(p99(during_it) < kMostP99);
    check_flow("clients of another service during the flood", others);
    CHECK(others.cloud == 0);
    check_flow("clients of the flooded one", owns);
    CHECK(scene.status("web").admission == "serve");
    CHECK(scene.status("web").restarts == 0);
    must(record({.part = "syn-flood",
                 .title = "A flood of SYNs from clients that do not exist",
                 .repeat = "ctest -R 'fault 27'",
                 .values = {{"SYNs sent", cat(sent, " in ", (end - begin) / 1ms, " ms")},
                            {"cookies sent / come back", cat(cookies, " / ", passed)},
                            {"another service: requests, failed, reset", counts(others)},
                            {"another service before it, p50 / p99", p50_p99_ms(before_it)},
                            {"another service during it, p50 / p99", p50_p99_ms(during_it)},
                            {"the flooded one: requests, failed, reset", counts(owns)}}}));
    must(FloodSources::remove(scene.bed()));
    CHECK(join(must(leaks_since(before, kBack, comes_and_goes)), "\n") == "");
    CHECK(join(complaints(scene), "\n") == "");
    scene.ctl({"remove", "web", "--wait", "1s"});  // what is half open would be waited for
    scene.ctl({"remove", "other"});
    scene.check_no_leak();
}

}  // namespace viscum
