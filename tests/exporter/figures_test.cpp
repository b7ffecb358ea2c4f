// SPDX-License-Identifier: GPL-2.0-only
// What viscumd counts of fail-overs: real ends and hangs, and what its report says of them.
#include <signal.h>

#include <algorithm>

#include "tests/scene/scene.h"

namespace viscum {
namespace {

std::uint64_t times(const ServiceReport& service, const std::string& cause) {
    const auto found = std::ranges::find(service.given_back, cause, &CauseCount::cause);
    return found == service.given_back.end() ? 0 : found->times;
}

/// Cumulative, and no more than there were.
void check_buckets(const ServiceReport& service) {
    REQUIRE(service.failover_buckets.size() == kFailoverBounds.size());
    CHECK(std::ranges::is_sorted(service.failover_buckets, {}, &FailoverBucket::count));
    CHECK(service.failover_buckets.back().count <= service.failovers);
    CHECK(service.failover_us >= static_cast<std::uint64_t>(service.failover_last_us));
}

}  // namespace

TEST_CASE("figures: an end is a fail-over, from the end to the rules that stand") {
    Scene scene;
    scene.deploy(web_service());
    ServiceReport web = scene.status("web");
    CHECK(web.failovers == 0);
    CHECK(web.failover_buckets.empty());
    CHECK(web.given_back_ms_ago == -1);
    scene.kill_service("web");
    CHECK(eventually(kLimit, [&] { return scene.status("web").failovers == 1; }));
    CHECK(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    web = scene.status("web");
    check_buckets(web);
    CHECK(times(web, "exited") == 1);
    CHECK(web.given_back_cause == "exited");
    CHECK(web.given_back_ms_ago >= 0);
    scene.kill_service("web");
    CHECK(eventually(kLimit, [&] { return scene.status("web").failovers == 2; }));
}

TEST_CASE("figures: a hang counts from the first probe that failed, and a drain is none of its making") {
    Scene scene;
    scene.deploy(web_service());
    CHECK(eventually(kLimit, [&] { return scene.status("web").probe_us > 0; }));
    scene.ctl({"drain", "web"});
    CHECK(times(scene.status("web"), "drained") == 1);
    CHECK(scene.status("web").failovers == 0);
    scene.ctl({"resume", "web"});
    CHECK(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    scene.signal_service("web", SIGSTOP);
    CHECK(eventually(kLimit, [&] { return scene.status("web").failovers == 1; }));
    const ServiceReport web = scene.status("web");
    check_buckets(web);
    CHECK(times(web, "unhealthy") == 1);
    // Two probes and more had to fail: an instant would be the last of them alone.
    CHECK(web.failover_last_us > 100'000);
    scene.signal_service("web", SIGCONT);
    CHECK(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    CHECK(scene.web() == "local");
}

TEST_CASE("figures: an update gives nothing back") {
    Scene scene;
    scene.deploy(web_service("1"));
    scene.deploy(web_service("2"));
    scene.ctl({"restart", "web"});
    const ServiceReport web = scene.status("web");
    CHECK(web.failovers == 0);
    for (const auto& count : web.given_back) {
        CHECK(count.times == 0);
    }
}

}  // namespace viscum
