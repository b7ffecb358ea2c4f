// SPDX-License-Identifier: GPL-2.0-only
// viscumd may open no more descriptors.
#include <set>
#include <thread>

#include "base/file.h"
#include "tests/faults/host/limits.h"
#include "tests/faults/host/tampering.h"
#include "tests/faults/oracle/oracle.h"
#include "tests/support/campaign.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

constexpr const char* kTooMany = "Too many open files";
constexpr Millis kLooked{1'000};
constexpr std::size_t kCallsInThat = 400;  // one that spins makes tens of thousands
constexpr int kSignalled = 128;
constexpr Millis kLease{2'000};

std::size_t descriptors_of(pid_t pid) {
    return must(list_directory(cat("/proc/", pid, "/fd"))).size();
}

/// System calls that viscumd makes in a second.
std::size_t calls_of(Scene& scene) {
    auto counting = must(Tampering::start(scene.viscumd().pid(), {"accept4,epoll_wait,sendmsg,socket,openat"}));
    std::this_thread::sleep_for(kLooked);
    const Tampered seen = counting.stop();
    std::size_t sum = 0;
    for (const auto& [call, count] : seen.calls) {
        sum += count;
    }
    return sum;
}

/// Warnings and errors that were said more than once, or that are about something else.
std::string said_amiss(const std::string& log) {
    std::set<std::string> said;
    std::string amiss;
    for (const LogLine& line : log_lines(log)) {
        const bool level = line.level == "warning" || line.level == "error";
        if (level && (!said.insert(line.text).second || line.text.find(kTooMany) == std::string::npos)) {
            amiss += cat(line.text, '\n');
        }
    }
    return amiss;
}

struct Starts {
    std::size_t served = 0;
    std::size_t waited = 0;
    std::size_t ended = 0;
    std::size_t least = 0;  // descriptors, with which one served
};

/// Of one that waits it is promised that what is there is served on, and the lease renewed.
void start_with(Scene& scene, std::size_t limit, Starts& starts) {
    CAPTURE(limit);
    const LimitedStart start =
        start_limited(scene, {cat("--nofile=", limit, ":", limit), kTooMany, [&](const LimitedStart& up) {
                                  const BootTime until = boot_now() + kLease + kLease / 2;
                                  while (up.waits && boot_now() < until) {
                                      std::this_thread::sleep_for(100ms);
                                  }
                                  CHECK(scene.web() == "local");
                              }});
    CAPTURE(start.log);
    CHECK(start.status < kSignalled);
    CHECK(said_amiss(start.log) == "");
    if (start.serves) {
        ++starts.served;
        starts.least = limit;
        return;
    }
    ++(start.waits ? starts.waited : starts.ended);
    CHECK((start.waits || start.status != 0));
    CHECK(start.log.find(kTooMany) != std::string::npos);
}

}  // namespace

TEST_CASE("fault 13: a viscumd that may open few descriptors starts and serves, or says why it does not") {
    Scene scene({.config_lines = cat("lan: [br-lan]\nlease: ", kLease.count(), "ms\n")});
    scene.deploy(web_service());
    const DiskState disk = must(read_disk_state(scene.viscumd().instance()));
    const auto flow = scene.flow();
    const std::size_t usual = descriptors_of(scene.viscumd().pid());
    scene.viscumd().kill();
    Starts starts;
    const bool full = effort() == Effort::full;
    std::size_t limit = usual + 8;
    for (const std::size_t step = full ? 1 : 5; limit > 5; limit -= step) {
        start_with(scene, limit, starts);
    }
    REQUIRE(starts.served > 0);
    for (limit = starts.least - 1; !full && limit + 5 > starts.least; --limit) {
        start_with(scene, limit, starts);
    }
    CHECK(starts.ended > 0);
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    check_flow("few descriptors", flow->stop());
    CHECK(join(judge_state(must(read_disk_state(scene.viscumd().instance())), disk, disk), "\n") == "");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
    must(record({"descriptors",
                 "viscumd without descriptors",
                 cat(full ? "VISCUM_FAULTS=full " : "", "build/bin/faults_host -tc='fault 13:*'"),
                 {{"descriptors with one service", std::to_string(usual)},
                  {"starts with fewer and fewer: served / waited / ended",
                   cat(starts.served, " / ", starts.waited, " / ", starts.ended)},
                  {"fewest with which it starts and answers", cat(full ? "" : "at most ", starts.least)}}}));
}

TEST_CASE("fault 13: a viscumd that may open no more waits without spinning, and works again when it may") {
    if (!run({"strace", "--version"}).success()) {
        return skip("there is no strace");
    }
    Scene scene;
    scene.deploy(web_service());
    const auto flow = scene.flow();
    const pid_t pid = scene.viscumd().pid();
    const std::size_t said = scene.viscumd().log().size();
    limit_soft(pid, RLIMIT_NOFILE, 3);
    auto waiting =
        must(Program::start({.argv = {VISCUM_BIN_DIR "/viscumctl", "status"}, .ns = &scene.bed().hotspot()}));
    CHECK(calls_of(scene) < kCallsInThat);
    CHECK(waiting.running());
    CHECK(scene.viscumd().running());
    CHECK(scene.web() == "local");
    limit_off(pid, RLIMIT_NOFILE);
    CHECK(waiting.ended_within(kLimit));
    CHECK(waiting.stop(SIGTERM) == 0);
    // Enough for a client, and not for what a service needs.
    limit_soft(pid, RLIMIT_NOFILE, descriptors_of(pid) + 2);
    const auto other = test_service("other", {"203.0.113.20 80"}, {"other", "tcp", "203.0.113.20", "80"});
    const RunOutput refused = scene.viscumd().ctl({"deploy", other.write()});
    CHECK(refused.status != 0);
    CHECK(refused.err.find(kTooMany) != std::string::npos);
    limit_off(pid, RLIMIT_NOFILE);
    CHECK(eventually(kLimit, [&] { return scene.status("other").name.empty(); }));
    scene.deploy(other);
    CAPTURE(scene.viscumd().log().substr(said));
    CHECK(said_amiss(scene.viscumd().log().substr(said)) == "");
    check_flow("no descriptors", flow->stop());
    scene.ctl({"remove", "other"});
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
