// SPDX-License-Identifier: GPL-2.0-only
// viscumd itself: it hangs, or there are two of it.
#include <signal.h>

#include "base/file.h"
#include "tests/faults/oracle/oracle.h"
#include "tests/scene/scene.h"
#include "tests/support/campaign.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

/// viscumd is ended within this, whatever the lease: its watchdog and the kernel's mercy, twice over.
constexpr Millis kWatchdog{80'000};

void check_second_refuses(Scene& scene) {
    const auto flow = scene.flow();
    const Snapshot before = must(take_snapshot());
    const DiskState disk = must(read_disk_state(scene.viscumd().instance()));
    const RunOutput second = run({VISCUM_BIN_DIR "/viscumd"}, {.ns = &scene.bed().hotspot()});
    CHECK(second.status == 5);
    CHECK(join(judge_log(second.err, "another viscumd serves instance 'viscum'"), "\n") == "");
    CHECK(join(must(leaks_since(before, kLimit, is_probe)), "\n") == "");
    CHECK(must(read_disk_state(scene.viscumd().instance())).same_as(disk));
    const FlowSummary seen = flow->stop();
    check_flow("a second viscumd", seen);
    CHECK(seen.cloud == 0);
}

}  // namespace

TEST_CASE(
    "fault 17: a viscumd that is stopped loses new flows to the cloud with its lease, and has them when it goes on") {
    Scene scene({.config_lines = "lan: [br-lan]\nlease: 2s\n"});
    scene.deploy(web_service());
    const auto flow = scene.flow();
    auto open = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
    CHECK(open.get().who() == "local");
    must(scene.viscumd().pause());
    CHECK(scene.web() == "local");
    CHECK(flow->wait_for("cloud", boot_now(), kLimit));
    CHECK(scene.web(kWeb6) == "cloud");
    CHECK(open.get().who() == "local");
    must(scene.viscumd().resume());
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    CHECK(open.get().who() == "local");
    check_flow("a lease that ended", flow->stop());
    { const auto closed = std::move(open); }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 17: a viscumd that hangs for long is ended, and the next one adopts all") {
    if (effort() != Effort::full) {
        return skip("it takes as long as a hang may, 35 s: VISCUM_FAULTS=full");
    }
    Scene scene({.config_lines = "lan: [br-lan]\nlease: 2s\n"});
    scene.deploy(web_service());
    const auto flow = scene.flow();
    auto open = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
    CHECK(open.get().who() == "local");
    const ServiceReport before = scene.status("web");
    must(scene.viscumd().pause());
    CHECK(eventually(kWatchdog, [&] { return !scene.viscumd().running(); }));
    CHECK(scene.web() == "cloud");
    CHECK(open.get().who() == "local");
    must(scene.viscumd().start_again());
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    CHECK(scene.status("web").pid == before.pid);
    CHECK(open.get().who() == "local");
    check_flow("a viscumd that hung", flow->stop());
    { const auto closed = std::move(open); }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 18: a second viscumd of an instance refuses to start and changes nothing, also beside a stopped one") {
    Scene scene;
    scene.deploy(web_service());
    check_second_refuses(scene);
    must(scene.viscumd().pause());
    check_second_refuses(scene);
    must(scene.viscumd().resume());
    CHECK(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 18: where another tool removed the lock and a second viscumd took it, the first ends") {
    Scene scene;
    scene.deploy(web_service());
    const auto flow = scene.flow();
    must(scene.viscumd().pause());
    must(remove_file(scene.viscumd().instance().lock_file()));
    auto second = must(Viscumd::start(scene.bed().hotspot(), {}));
    must(scene.viscumd().resume());
    CHECK(eventually(kLimit, [&] { return !scene.viscumd().running(); }));
    CHECK(scene.viscumd().stop() == 5);
    CHECK(scene.viscumd().log().find("another viscumd serves instance 'viscum'") != std::string::npos);
    CHECK(second.ctl({"list"}).status == 0);
    CHECK(scene.status("web").admission == "serve");
    CHECK(scene.web() == "local");
    // The journal is the second one's: the first tells nothing there of its end.
    const std::string events = second.ctl({"events"}).out;
    CHECK(events.find("it adopted 1 process") != std::string::npos);
    CHECK(events.find("viscumd ended") == std::string::npos);
    check_flow("a second viscumd that took over", flow->stop());
    CHECK(second.stop() == 0);
    must(scene.viscumd().start_again());
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
