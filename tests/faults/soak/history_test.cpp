// SPDX-License-Identifier: GPL-2.0-only
// The soak's judges find what is planted, and nothing else.
#include <doctest/doctest.h>

#include "base/text.h"
#include "tests/faults/soak/growth.h"
#include "tests/faults/soak/history.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

/// A service with two clients, and a kill of it from 10 s to 11 s that excuses one reset of each.
History quiet() {
    History history;
    history.streams = {{"first", {"web", "client1"}, {"web", "cloud"}}, {"second", {"web", "client2"}, {"web"}, true}};
    history.steps = {{10s, 11s, "kill", "SIGKILL to web", {{Trouble::reset, "web", 1}}}};
    for (std::size_t stream = 0; stream < 2; ++stream) {
        for (int second = 0; second < 30; ++second) {
            const BootTime begin = std::chrono::seconds(second);
            history.seen.push_back({begin, begin + 100ms, stream, Outcome::answered, "web"});
        }
    }
    return history;
}

void plant(History& history, BootTime begin, BootTime end, Outcome outcome, const std::string& who) {
    history.seen.push_back({begin, end, 0, outcome, who});
}

std::size_t problems_of(const History& history) {
    return judge(history).problems.size();
}

}  // namespace

TEST_CASE("soak: a quiet history has no problem") {
    const Verdict verdict = judge(quiet());
    CHECK(join(verdict.problems, "\n") == "");
    CHECK(verdict.requests == 60);
    CHECK(verdict.explained.empty());
    CHECK(verdict.longest_gap == 1s);
}

TEST_CASE("soak: a reset is excused by a step that was under way, as often as the step says, and by no other") {
    History history = quiet();
    plant(history, 9s, 10s, Outcome::reset, "reset");
    CHECK(problems_of(history) == 0);
    CHECK(judge(history).explained.at(Trouble::reset) == 1);
    plant(history, 10s, 11s, Outcome::reset, "reset");
    CHECK(problems_of(history) == 1);

    History early = quiet();
    plant(early, 8s, 9s, Outcome::reset, "reset");
    CHECK(problems_of(early) == 1);

    History late = quiet();
    plant(late, 11s + kLinger + 1ms, 20s, Outcome::closed, "closed");
    CHECK(problems_of(late) == 1);

    History another = quiet();
    another.steps[0].allows[0].whom = "echo";
    plant(another, 10s, 10s, Outcome::reset, "reset");
    CHECK(problems_of(another) == 1);
}

TEST_CASE("soak: while viscumd is away an excuse is good for any number, and without an excuse it is for none") {
    History history = quiet();
    history.steps.push_back({10s, 13s, "hang", "SIGSTOP to viscumd", {}, true});
    for (const BootTime begin : {10s, 11s, 12s}) {
        plant(history, begin, begin + 1s, Outcome::reset, "reset");
    }
    CHECK(problems_of(history) == 0);
    plant(history, 13s + kMended + 1ms, 15s, Outcome::reset, "reset");
    CHECK(problems_of(history) == 0);
    plant(history, 13s + kMended + 2ms, 15s, Outcome::reset, "reset");
    CHECK(problems_of(history) == 1);
    history.steps[0].allows.clear();
    CHECK(problems_of(history) == 5);
}

TEST_CASE("soak: what is not answered at all is no reset") {
    for (const Outcome outcome : {Outcome::refused, Outcome::timed_out, Outcome::unreachable, Outcome::failed}) {
        History history = quiet();
        plant(history, 10s, 11s, outcome, to_text(outcome));
        CHECK(problems_of(history) == 1);
        history.steps[0].allows.push_back({Trouble::unanswered, "client1", 1});
        CHECK(problems_of(history) == 0);
    }
}

TEST_CASE("soak: an answer of the wrong service is never excused") {
    History history = quiet();
    history.steps[0].allows = {{Trouble::reset, "web", 100}, {Trouble::unanswered, "web", 100}};
    plant(history, 10s, 11s, Outcome::answered, "cloud");
    CHECK(problems_of(history) == 0);
    plant(history, 10s, 11s, Outcome::answered, "echo");
    CHECK(problems_of(history) == 1);
}

TEST_CASE("soak: a client that asked nothing, or was never answered by its service, is a problem") {
    History silent = quiet();
    silent.streams.push_back({"third", {"web"}, {"cloud"}});
    CHECK(problems_of(silent) == 1);
    History never = quiet();
    never.streams[1].answers = {"echo", "web"};
    CHECK(problems_of(never) == 1);
}

TEST_CASE("soak: two faults excuse what each of them excuses") {
    History history = quiet();
    history.steps.push_back({14s, 15s, "kill", "SIGKILL to web", {{Trouble::reset, "web", 1}}});
    plant(history, 14500ms, 14600ms, Outcome::reset, "reset");
    plant(history, 14700ms, 14800ms, Outcome::reset, "reset");
    CHECK(problems_of(history) == 0);
    plant(history, 14900ms, 15000ms, Outcome::reset, "reset");
    CHECK(problems_of(history) == 1);
}

TEST_CASE("soak: a step that did not begin excuses nothing, and has no fail-over") {
    History history = quiet();
    plant(history, 10s, 11s, Outcome::reset, "reset");
    CHECK(problems_of(history) == 0);
    history.steps[0].began = false;
    history.steps[0].takes_viscumd = true;
    CHECK(problems_of(history) == 1);
    CHECK(fail_overs(history, "kill").empty());
    CHECK(to_text(history.steps).find("did not begin") != std::string::npos);
}

TEST_CASE("soak: all requests that failed are counted, also those that are too many to be shown") {
    History history = quiet();
    CHECK(judge(history).failed == 0);
    for (int number = 0; number < 100; ++number) {
        plant(history, 20s, 21s, Outcome::timed_out, "timed out");
    }
    plant(history, 20s, 21s, Outcome::answered, "echo");
    CHECK(judge(history).failed == 101);
    CHECK(problems_of(history) < 50);
}

TEST_CASE("soak: fail-over is the time to the next answer of each client whose connections are fresh") {
    History history = quiet();
    CHECK(fail_overs(history, "kill") == std::vector<double>{100});
    history.streams[0].fresh = true;
    CHECK(fail_overs(history, "kill") == std::vector<double>{100, 100});
    CHECK(fail_overs(history, "hang").empty());
}

TEST_CASE("soak: what grows is found, and what only jitters is not") {
    std::vector<Sample> samples;
    for (std::uint64_t number = 0; number < 60; ++number) {
        samples.push_back({{"viscumd: RSS in KiB", 5'000 + 200 * number},
                           {"viscumd: descriptors", 20 + number % 4},
                           {"viscum-shim: RSS in KiB", number < 10 ? 100 : 900},
                           {"pins", 12 + (number > 53 ? 8U : 0U)}});
    }
    const auto found = judge_growth(trends(samples));
    CHECK(join(found, "\n").find("viscumd: RSS in KiB grows from") != std::string::npos);
    CHECK(join(found, "\n").find("pins grows from 12 to ") == std::string::npos);  // not for a third of the time
    CHECK(found.size() == 1);
    for (std::size_t number = 35; number < samples.size(); ++number) {
        samples[number]["pins"] = 20;
    }
    CHECK(judge_growth(trends(samples)).size() == 2);
    CHECK(judge_growth(trends(samples), {"viscumd: RSS in KiB", "pins"}).size() == 2);
    samples.resize(3);
    CHECK(trends(samples).empty());
    CHECK(judge_growth(trends(samples)).empty());
    CHECK(join(judge_growth(trends(samples), {"pins"}), "\n") == "there is no trend of pins");
}

}  // namespace viscum
