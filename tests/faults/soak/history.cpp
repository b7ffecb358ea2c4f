// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/soak/history.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "base/text.h"

namespace viscum {
namespace {

constexpr std::size_t kShown = 40;  // problems of one stream

bool concerns(const Stream& stream, const std::string& whom) {
    return std::ranges::find(stream.concerns, whom) != stream.concerns.end();
}

std::string seconds(BootTime time) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f s", static_cast<double>(time.count()) / 1e9);
    return text;
}

/// Each excuse is good for a number of troubles of each stream.
class Excuses {
public:
    Excuses(const History& history, const Stream& stream) {
        for (const Step& step : history.steps) {
            if (!step.began) {
                continue;
            }
            for (const Allowance& allowance : step.allows) {
                if (concerns(stream, allowance.whom)) {
                    open_.push_back({step.begin, step.end + kLinger, allowance.trouble, allowance.most});
                }
            }
            if (step.takes_viscumd) {
                away_.emplace_back(step.begin, step.end + kMended);
            }
        }
        // What is over first is used first, so that none is wasted.
        std::ranges::stable_sort(open_, {}, &Open::end);
    }

    bool take(Trouble trouble, const Seen& seen) {
        const auto fits = [&](const Open& open) {
            return open.trouble == trouble && open.left > 0 && seen.begin <= open.end && seen.end >= open.begin;
        };
        const auto found = std::ranges::find_if(open_, fits);
        if (found == open_.end()) {
            return false;
        }
        const bool counts = std::ranges::none_of(
            away_, [&](const auto& away) { return seen.begin >= away.first && seen.begin <= away.second; });
        found->left -= counts ? 1 : 0;
        return true;
    }

private:
    struct Open {
        BootTime begin;
        BootTime end;
        Trouble trouble;
        int left;
    };
    std::vector<Open> open_;
    std::vector<std::pair<BootTime, BootTime>> away_;
};

/// One stream's part of the verdict.
class Judge {
public:
    Judge(const History& history, std::size_t number, Verdict& verdict)
        : history_(history),
          stream_(history.streams[number]),
          start_(history.steps.empty() ? BootTime{} : history.steps.front().begin),
          excuses_(history, stream_),
          verdict_(verdict) {}

    void look_at(const Seen& seen) {
        ++requests_;
        if (seen.outcome == Outcome::answered) {
            if (requests_ > 1) {
                note_gap(seen.end - last_answer_);
            }
            last_answer_ = seen.end;
            answered_.insert(seen.who);
            if (std::ranges::find(stream_.answers, seen.who) == stream_.answers.end()) {
                complain(seen, cat("'", seen.who, "' answered, who may not"));
            }
            return;
        }
        const bool was_open = seen.outcome == Outcome::reset || seen.outcome == Outcome::closed;
        const Trouble trouble = was_open ? Trouble::reset : Trouble::unanswered;
        if (excuses_.take(trouble, seen)) {
            ++verdict_.explained[trouble];
        } else {
            complain(seen, cat(seen.who, ", which no step excuses", under_way(seen)));
        }
    }

    void end() {
        verdict_.requests += requests_;
        if (unshown_ > 0) {
            verdict_.problems.push_back(cat(stream_.name, ": and ", unshown_, " more"));
        }
        if (!answered_.contains(stream_.answers.front())) {
            verdict_.problems.push_back(cat(stream_.name, ": '", stream_.answers.front(), "' never answered"));
        }
    }

private:
    void note_gap(BootTime gap) {
        if (gap > verdict_.longest_gap) {
            verdict_.longest_gap = gap;
            verdict_.longest_gap_of = stream_.name;
        }
    }
    void complain(const Seen& seen, const std::string& what) {
        ++verdict_.failed;
        if (++shown_ > kShown) {
            ++unshown_;
            return;
        }
        verdict_.problems.push_back(
            cat(stream_.name, ", ", seconds(seen.begin - start_), " to ", seconds(seen.end - start_), ": ", what));
    }
    [[nodiscard]] std::string under_way(const Seen& seen) const {
        std::string text;
        for (const Step& step : history_.steps) {
            if (step.began && seen.begin <= step.end + kLinger && seen.end >= step.begin) {
                text += cat("\n    meanwhile, since ", seconds(step.begin - start_), ": ", step.what);
            }
        }
        return text;
    }

    const History& history_;
    const Stream& stream_;
    BootTime start_;
    Excuses excuses_;
    Verdict& verdict_;
    std::size_t requests_ = 0;
    std::size_t shown_ = 0;
    std::size_t unshown_ = 0;
    BootTime last_answer_{};
    std::set<std::string> answered_;
};

}  // namespace

Verdict judge(const History& history) {
    Verdict verdict;
    std::vector<Judge> judges;
    judges.reserve(history.streams.size());
    for (std::size_t number = 0; number < history.streams.size(); ++number) {
        judges.emplace_back(history, number, verdict);
    }
    for (const Seen& seen : history.seen) {
        judges.at(seen.stream).look_at(seen);
    }
    for (Judge& one : judges) {
        one.end();
    }
    return verdict;
}

std::vector<double> fail_overs(const History& history, const std::string& kind) {
    std::vector<double> found;
    for (const Step& step : history.steps) {
        if (step.kind != kind || !step.began) {
            continue;
        }
        std::set<std::size_t> waiting;
        for (std::size_t number = 0; number < history.streams.size() && !step.allows.empty(); ++number) {
            if (history.streams[number].fresh && concerns(history.streams[number], step.allows.front().whom)) {
                waiting.insert(number);
            }
        }
        for (const Seen& seen : history.seen) {
            if (seen.begin >= step.begin && seen.outcome == Outcome::answered && waiting.erase(seen.stream) > 0) {
                found.push_back(static_cast<double>((seen.end - step.begin).count()) / 1e6);
            }
        }
    }
    return found;
}

std::string to_text(const std::vector<Step>& steps) {
    std::string text;
    for (const Step& step : steps) {
        text += cat("  ", seconds(step.begin - steps.front().begin), "  ", step.kind, ": ", step.what,
                    step.began ? "" : ", which did not begin", " (", seconds(step.end - step.begin), ")\n");
    }
    return text;
}

}  // namespace viscum
