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

std::size_t descriptors_of(pid_t pid) {
    return must(list_directory(cat("/proc/", pid, "/fd"))).size();
}

/// System calls that viscumd makes in a second.
std::size_t calls_of(Scene& scene) {
    auto counting = must(Tampering::start(scene.viscumd().pid(), {"accept4,epoll_wait,sendmsg,socket,openat"}));
    std::this_thread::sleep_for(kLooked);
    std::size_t sum = 0;
    for (const auto& [call, count] : counting.stop()) {
        sum += count;
    }
    return sum;
}

/// Warnings and errors that were said more than once.
std::string said_again(const std::string& log) {
    std::set<std::string> said;
    std::string again;
    for (const LogLine& line : log_lines(log)) {
        if ((line.level == "warning" || line.level == "error") && !said.insert(line.text).second) {
            again += cat(line.text, '\n');
        }
    }
    return again;
}

}  // namespace

TEST_CASE("fault 13: a viscumd that may open few descriptors starts and serves, or says why it does not") {
    Scene scene;
    scene.deploy(web_service());
    const auto flow = scene.flow();
    const std::size_t usual = descriptors_of(scene.viscumd().pid());
    scene.viscumd().kill();
    std::size_t least = usual + 8;
    const std::size_t step = effort() == Effort::full ? 1 : 5;
    for (std::size_t limit = usual + 8; limit > 5 && limit <= usual + 8; limit -= step) {
        CAPTURE(limit);
        const LimitedStart start = start_limited(scene, cat("--nofile=", limit, ":", limit));
        CAPTURE(start.log);
        CHECK(start.status < kSignalled);
        CHECK(said_again(start.log) == "");
        if (start.serves) {
            least = limit;
        } else {
            CHECK((start.waits || start.status != 0));
            CHECK((start.waits || start.log.find(kTooMany) != std::string::npos));
        }
    }
    CHECK(least <= usual + 8);
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    check_flow("few descriptors", flow->stop());
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
    must(record({"descriptors",
                 "viscumd without descriptors",
                 "build/bin/faults_host -tc='fault 13:*'",
                 {{"descriptors with one service", std::to_string(usual)},
                  {"fewest with which it starts and answers", std::to_string(least)}}}));
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
    CHECK(said_again(scene.viscumd().log().substr(said)) == "");
    check_flow("no descriptors", flow->stop());
    scene.ctl({"remove", "other"});
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
