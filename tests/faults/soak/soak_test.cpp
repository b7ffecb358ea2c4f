// SPDX-License-Identifier: GPL-2.0-only
// Row 38. The nemesis does what its dice say, round after round, several faults at a time; then it undoes what it did,
// and all must be as before. Clients write down what they see, and are compared with what it did.
//
// Wall clocks are no part of it: CLOCK_REALTIME is the whole machine's, and time namespaces do not hold it. What
// viscumd does by the clock, it does by CLOCK_BOOTTIME (base/event_loop.h).
#include <algorithm>
#include <thread>

#include "tests/faults/soak/steps.h"
#include "tests/support/campaign.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr int kUsualSeconds = 120;
constexpr std::size_t kFewest = 3;  // faults of a round
constexpr std::size_t kMost = 6;
constexpr std::size_t kRoundLength = 3'000;  // ms, in which they begin
constexpr int kSamples = 3;                  // of growth, after each round
constexpr int kTooShort = 60;                // seconds, to see growth
constexpr int kLeastRounds = 3;              // that have samples enough of it
const std::vector<std::string> kWatched = {"viscumd: RSS in KiB", "viscumd: memory of its own in KiB"};

/// A fault as it was drawn, before anything is done: what happens meanwhile does not change the dice.
struct Drawn {
    std::size_t kind = 0;
    Millis at{};
    Millis length{};
    std::uint32_t seed = 0;
};

struct Running {
    std::size_t step = 0;  // in the history
    Fault fault;
    BootTime until{};
};

class Nemesis {
public:
    Nemesis(Stage& stage, std::uint32_t seed) : stage_(stage), dice_(seed) {}

    /// One round, to the end of its undoing; what is not as it was before, a line each.
    std::vector<std::string> round() {
        auto drawn = draw_round();
        const BootTime start = boot_now();
        for (const Drawn& next : drawn) {
            undo_until(start + next.at);
            begin(next);
        }
        undo_until(BootTime::max());
        // Steps of the last kind need viscumd.
        auto problems = finish();
        return problems;
    }
    [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }

private:
    std::vector<Drawn> draw_round() {
        std::vector<Drawn> drawn;
        for (std::size_t left = kFewest + below(dice_, kMost - kFewest + 1); left > 0; --left) {
            Drawn one;
            do {
                one.kind = below(dice_, kinds_.size());
            } while (stage_.steady() && kinds_[one.kind].ends_watched);
            one.at = Millis(below(dice_, kRoundLength));
            one.length = Millis(below(dice_, static_cast<std::size_t>(kinds_[one.kind].longest.count()) + 1));
            one.seed = static_cast<std::uint32_t>(dice_());
            drawn.push_back(one);
        }
        std::ranges::sort(drawn, {}, &Drawn::at);
        return drawn;
    }

    void begin(const Drawn& drawn) {
        Dice dice(drawn.seed);
        const BootTime begin = boot_now();
        Fault fault = kinds_[drawn.kind].begin(stage_, dice);
        steps_.push_back(
            {begin, boot_now(), kinds_[drawn.kind].name, fault.what, fault.allows, fault.takes_viscumd, fault.began});
        if (fault.undo) {
            running_.push_back({steps_.size() - 1, std::move(fault), begin + drawn.length});
        }
    }

    /// Waits until `end`, or until nothing is left to be undone where that comes first, and undoes what is due.
    void undo_until(BootTime end) {
        for (;;) {
            auto due = std::ranges::min_element(
                running_, {}, [](const Running& one) { return one.fault.last ? BootTime::max() : one.until; });
            const bool none = due == running_.end() || due->fault.last;
            const BootTime until = none ? end : std::min(end, due->until);
            if (until == BootTime::max()) {
                return;
            }
            std::this_thread::sleep_for(std::max(until - boot_now(), BootTime{}));
            if (none || due->until > end) {
                return;
            }
            undo(*due);
            running_.erase(due);
        }
    }

    void undo(Running& running) {
        Step& step = steps_[running.step];
        step.what += running.fault.undo();
        step.end = boot_now();
    }

    std::vector<std::string> finish() {
        std::vector<std::string> problems;
        if (!stage_.viscumd().running() && !stage_.expects_viscumd()) {
            // It could not start among the other faults; one of them may be a mistake in its file.
            stage_.mend_config();
            if (auto started = stage_.viscumd().start_again(); !started) {
                problems.push_back(started.error().what);
            }
            stage_.expect_viscumd(true);
        }
        for (Running& running : running_) {
            undo(running);
        }
        std::ranges::move(stage_.settle(), std::back_inserter(problems));
        for (const Running& running : running_) {
            steps_[running.step].end = boot_now();
        }
        running_.clear();
        return problems;
    }

    Stage& stage_;
    Dice dice_;
    std::vector<Kind> kinds_ = all_kinds();
    std::vector<Step> steps_;
    std::vector<Running> running_;
};

std::string by_kind(const std::vector<Step>& steps) {
    std::map<std::string, int> counts;
    for (const Step& step : steps) {
        counts[step.kind] += step.began ? 1 : 0;
    }
    std::erase_if(counts, [](const auto& kind) { return kind.second == 0; });
    std::vector<std::string> parts;
    for (const auto& [kind, count] : counts) {
        parts.push_back(cat(count, " ", kind));
    }
    return join(parts, ", ");
}

std::string in_words(const std::vector<Trend>& trends, const std::string& what) {
    std::vector<std::string> parts;
    for (const Trend& trend : trends) {
        if (const std::size_t at = trend.name.find(cat(": ", what)); at != std::string::npos) {
            parts.push_back(cat(trend.name.substr(0, at), " ", trend.early, " to ", trend.late));
        }
    }
    return join(parts, ", ");
}

void write_down(const History& history, const Verdict& verdict, const std::vector<Trend>& trends, int seconds) {
    const auto count = [&](Trouble trouble) {
        const auto found = verdict.explained.find(trouble);
        return std::to_string(found == verdict.explained.end() ? 0 : found->second);
    };
    const auto begun = static_cast<std::size_t>(std::ranges::count_if(history.steps, &Step::began));
    const auto gap = std::chrono::duration_cast<Millis>(verdict.longest_gap).count();
    must(record(
        {"soak",
         "A seeded mix of faults (row 38)",
         cat("VISCUM_TEST_SEED=", campaign_seed(), " VISCUM_SOAK_SECONDS=", seconds, " make soak"),
         {{"seconds", std::to_string(seconds)},
          {"faults injected", std::to_string(begun)},
          {"drawn, but not possible at that moment", std::to_string(history.steps.size() - begun)},
          {"of each kind", by_kind(history.steps)},
          {"requests", std::to_string(verdict.requests)},
          {"requests failed, or answered by the wrong one", std::to_string(verdict.failed)},
          {"connections reset by a fault that explains it", count(Trouble::reset)},
          {"requests unanswered by a fault that explains it (UDP; viscumctl without viscumd)",
           count(Trouble::unanswered)},
          {"longest time without an answer", cat(gap, " ms (", verdict.longest_gap_of, ")")},
          {"fail-over after a kill of a service, p50 / p99", p50_p99_ms(fail_overs(history, "kill of a service"))},
          {"fail-over after a kill of a shim, p50 / p99", p50_p99_ms(fail_overs(history, "kill of a shim"))},
          {"RSS in KiB, first and last third", in_words(trends, "RSS in KiB")},
          {"memory of its own in KiB, first and last third", in_words(trends, "memory of its own in KiB")},
          {"descriptors, first and last third", in_words(trends, "descriptors")},
          {"wall clock", "not part of it: it is the whole machine's"}}}));
}

}  // namespace

TEST_CASE("fault 38: whatever mix of faults comes, requests are answered, all comes back, and nothing grows") {
    const int seconds = soak_seconds(kUsualSeconds);
    MESSAGE("VISCUM_TEST_SEED=", campaign_seed(), " VISCUM_SOAK_SECONDS=", seconds);
    const SmallDisks disks;
    Stage stage;
    stage.start_load();
    CHECK(join(stage.settle(), "\n") == "");
    Nemesis nemesis(stage, campaign_seed());
    std::vector<Sample> samples;
    std::vector<std::string> problems;
    const BootTime start = boot_now();
    const auto run_until = [&](BootTime end, int least) {
        for (int round = 0; (round < least || boot_now() < end) && problems.empty(); ++round) {
            problems = nemesis.round();
            for (int left = stage.steady() ? kSamples : 0; left > 0; --left) {
                samples.push_back(stage.sample());
                std::this_thread::sleep_for(50ms);
            }
        }
    };
    run_until(start + std::chrono::seconds(seconds) / 2, 0);
    // From here on the same viscumd, prober and shim of net live on, and are looked at.
    stage.be_steady();
    const bool watched = seconds > kTooShort;
    run_until(start + std::chrono::seconds(seconds), watched ? kLeastRounds : 0);

    History history = stage.stop_load();
    history.steps = nemesis.steps();
    const Verdict verdict = judge(history);
    const auto found = trends(samples);
    std::ranges::copy(verdict.problems, std::back_inserter(problems));
    std::ranges::copy(judge_growth(found, watched ? kWatched : std::vector<std::string>()),
                      std::back_inserter(problems));
    CHECK_MESSAGE(problems.empty(), join(problems, "\n"), "\nwhat was done:\n", to_text(history.steps),
                  problems.empty() ? "" : stage.viscumd().log());
    write_down(history, verdict, found, seconds);
    stage.remove_all();
    stage.scene().check_no_leak();
}

}  // namespace viscum
