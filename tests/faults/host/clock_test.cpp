// SPDX-License-Identifier: GPL-2.0-only
// The wall clock jumps: times in the log are all that changes, and what has an `until`.
#include <signal.h>
#include <sys/timex.h>

#include <array>
#include <chrono>
#include <ctime>

#include "base/file.h"
#include "base/wall_clock.h"
#include "tests/faults/oracle/oracle.h"
#include "tests/scene/scene.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr std::int64_t kDay = 86'400;  // seconds
constexpr const char* kClock = VISCUM_BIN_DIR "/viscum-test-clock.so";
constexpr const char* kJump = "/tmp/jump";
constexpr const char* kLog = "/tmp/jumpingd.log";

void jump(const std::string& by) {
    must(write_file_atomically(kJump, by + "\n", 0644));
}

/// In the place of the scene's viscumd, one whose wall clock jumps.
Program start_jumping(Scene& scene) {
    scene.viscumd().kill();
    jump("0");
    return must(Program::start({.argv = {"env", cat("LD_PRELOAD=", kClock), cat("VISCUM_TEST_CLOCK=", kJump),
                                         VISCUM_BIN_DIR "/viscumd", "--shim", VISCUM_BIN_DIR "/viscum-shim"},
                                .log_file = kLog,
                                .ns = &scene.bed().hotspot()}));
}

/// Lets the kernel say that somebody sets the clock: by a billionth of a second, and back.
bool tell_of_jump() {
    for (const bool forwards : {true, false}) {
        timex step{};
        step.modes = ADJ_SETOFFSET | ADJ_NANO;
        step.time.tv_sec = forwards ? 0 : -1;
        step.time.tv_usec = forwards ? 1 : 999'999'999;
        if (adjtimex(&step) < 0) {
            return false;
        }
    }
    return true;
}

/// The day so many seconds from now, as the log writes it.
std::string day_in(std::int64_t seconds) {
    const auto time = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()) + seconds;
    tm utc{};
    gmtime_r(&time, &utc);
    std::array<char, 16> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d", &utc)};
}

/// The day that the last line of the log has.
std::string day_of_log() {
    const auto lines = split(must(read_file(kLog, 16 * 1024 * 1024)), '\n');
    return lines.size() < 2 ? "" : lines[lines.size() - 2].substr(0, 10);
}

}  // namespace

TEST_CASE(
    "fault 19: the wall clock jumps a day ahead and two back, and nothing but the times in the log is different") {
    Scene scene({.config_lines = "lan: [br-lan]\nlease: 2s\n"});
    scene.deploy(web_service());
    const ServiceReport before = scene.status("web");
    Program viscumd = start_jumping(scene);
    CHECK(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    const auto flow = scene.flow();
    for (const std::int64_t by : {kDay, -kDay}) {
        const std::string day = day_in(by);
        jump(std::to_string(by));
        const BootTime jumped = boot_now();
        scene.ctl({"drain", "web"});
        CHECK(flow->wait_for("cloud", jumped, kLimit));
        // Or it was not shown another clock. Midnight may have come meanwhile.
        const std::string told = day_of_log();
        CHECK((told == day || told == day_in(by)));
        scene.ctl({"resume", "web"});
        CHECK(flow->wait_for("local", boot_now(), kLimit));
        // Longer than the lease: it is renewed, and probes go on.
        CHECK(eventually(kLimit, [&] { return boot_now() - jumped > Millis(2'500); }));
        CHECK(flow->wait_for("local", boot_now(), kLimit));
        const ServiceReport now = scene.status("web");
        CHECK(now.health == "healthy");
        CHECK(now.pid == before.pid);
        CHECK(now.restarts == before.restarts);
    }
    const FlowSummary seen = flow->stop();
    check_flow("a clock that jumps", seen);
    std::string complaints;
    for (const LogLine& line : log_lines(must(read_file(kLog, 16 * 1024 * 1024)))) {
        complaints += line.level == "info" ? "" : cat(line.text, '\n');
    }
    CHECK(complaints == "");
    viscumd.stop(SIGTERM);
    must(scene.viscumd().start_again());
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 19: the wall clock is set beyond the end of a claim, and back, and new flows go where it says") {
    if (!tell_of_jump()) {
        skip("the clock may not be set here");
        return;
    }
    // With this lease viscumd looks at everything once in eight hours: nothing but the news of the clock is in time.
    Scene scene({.config_lines = "lan: [br-lan]\nlease: 24h\n"});
    ServiceFile file = web_service();
    file.more += cat("until: ", format_wall_time(wall_now() + std::chrono::hours(12)), "\n");
    scene.deploy(file);
    Program viscumd = start_jumping(scene);
    CHECK(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    const auto flow = scene.flow();
    auto open = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
    CHECK(open.get().who() == "local");
    for (int round = 0; round < 3; ++round) {
        CAPTURE(round);
        for (const std::int64_t by : {kDay, std::int64_t{0}}) {
            jump(std::to_string(by));
            REQUIRE(tell_of_jump());
            CHECK(flow->wait_for(by == 0 ? "local" : "cloud", boot_now(), kLimit));
            CHECK(eventually(kLimit, [&] { return scene.status("web").claims.at(0).ended == (by != 0); }));
            CHECK(open.get().who() == "local");
        }
    }
    const FlowSummary seen = flow->stop();
    check_flow("a clock that is set", seen);
    CHECK(scene.ctl({"events"}).out.find("what it claims ended at ") != std::string::npos);
    viscumd.stop(SIGTERM);
    must(scene.viscumd().start_again());
    { const auto closed = std::move(open); }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 19: a viscumd whose boot time is not the kernel's does not start, says why, and changes nothing") {
    Scene scene;
    scene.viscumd().kill();
    const Snapshot before = must(take_snapshot());
    const Argv argv = {"unshare", "-T", "--boottime", "3600", "--fork", VISCUM_BIN_DIR "/viscumd"};
    const RunOutput refused = run(argv, {.ns = &scene.bed().hotspot()});
    if (refused.err.find("unshare") != std::string::npos) {
        skip("there are no time namespaces here");
        return;
    }
    CHECK(refused.status == 2);
    CHECK_MESSAGE(refused.err.find("the boot time is shifted by 3600 s") != std::string::npos, refused.err);
    CHECK(join(difference(before, must(take_snapshot())), "\n") == "");
    must(scene.viscumd().start_again());
}

}  // namespace viscum
