// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/points/attempt.h"

#include <signal.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "tests/faults/points/errors.h"

namespace viscum {
namespace {

class Attempt {
public:
    Attempt(Stage& stage, const Point& point)
        : stage_(stage), scene_(stage.scene()), point_(point), operation_(*find_operation(point.operation)) {}

    Verdict carry_out() {
        if (const auto problem = stage_.prepare(operation_); !problem.empty()) {
            complain(problem);
            return std::move(verdict_);
        }
        before_ = stage_.disk();
        trial_before_ = stage_.trial();
        logged_ = scene_.viscumd().log().size();
        const auto flow = scene_.flow(kWeb, 1);
        if (strike()) {
            judge();
        }
        const FlowSummary summary = flow->stop();
        verdict_.requests = summary.requests;
        verdict_.failed = summary.failed;
        verdict_.resets = summary.resets;
        if (summary.failed + summary.resets > 0) {
            complain(summary.text());
        }
        return std::move(verdict_);
    }

private:
    void complain(const std::string& problem) {
        if (!problem.empty()) {
            verdict_.problems.push_back(problem);
        }
    }

    /// false: it could not be traced.
    bool strike() {
        const auto kind = point_.error == 0 ? SyscallStrike::Kind::kill : SyscallStrike::Kind::fail;
        auto tracer = stage_.trace(operation_, {.strike = {{kind, point_.call, point_.nth, point_.error}}});
        if (!tracer) {
            complain(tracer.error().what);
            return false;
        }
        output_ = stage_.act(operation_, **tracer);
        (void)eventually(kLimit, [&] { return stage_.finished(operation_, **tracer); });
        verdict_.reached = (*tracer)->struck().has_value();
        judge_process(**tracer);
        trial_after_ = stage_.trial_after(operation_, trial_before_);
        after_ = stage_.after(operation_, before_, trial_after_);
        return true;
    }

    /// Whether viscumd lives where it should, before another one is started.
    void judge_process(SyscallTracer& tracer) {
        const bool struck = verdict_.reached && point_.error != 0;
        bool ended = tracer.ended_within(Millis(0));
        if (struck && !ended && operation_.starts_viscumd && !eventually(kLimit, [this] { return stage_.settled(); })) {
            complain("a viscumd that started in spite of the error does not settle");
        }
        tracer.stop();
        ended = ended || tracer.ended_within(Millis(0));
        const bool may_end = operation_.starts_viscumd || operation_.ends_viscumd;
        if (struck && ended && !may_end) {
            complain(cat("viscumd has ended:\n", log()));
        }
        if (struck && operation_.ends_viscumd && !ended && scene_.viscumd().running()) {
            complain("viscumd does not end");
        }
        if (operation_.starts_viscumd) {
            const int status = tracer.wait(Millis(0));
            // The dynamic linker, before main(), ends without a word where it has no memory.
            const bool in_linker = point_.call == "mmap" && status == 128 + SIGSEGV && log().empty();
            if (struck && ended && !in_linker && (status == 0 || status > 128 || log().empty())) {
                complain(cat("viscumd ended with ", status, " and said: ", log()));
            }
        }
    }

    void judge() {
        if (point_.error == 0 || !scene_.viscumd().running()) {
            scene_.viscumd().kill();
            if (auto started = scene_.viscumd().start_again(); !started) {
                verdict_.adopted = false;
                complain(cat("the next viscumd: ", started.error().what));
                return;
            }
        }
        if (!eventually(kLimit, [this] { return stage_.settled(); })) {
            verdict_.adopted = false;
            complain(cat("it does not settle:\n", scene_.viscumd().ctl({"status"}).out, log()));
        }
        judge_trial();
        const DiskState now = stage_.disk();
        if (point_.error == 0 || !verdict_.reached) {
            add(judge_state(now, before_, after_));
        } else {
            judge_outcome(now);
        }
        verdict_.orphans = stage_.orphans();
        add(verdict_.orphans);
        if (operation_.name == "deploy" && !scene_.status("web").name.empty()) {
            complain(stage_.remove());
            const auto left = stage_.orphans();
            verdict_.orphans.insert(verdict_.orphans.end(), left.begin(), left.end());
            add(left);
        }
        if (trial_after_ && stage_.trial().trial == TrialFacts::Trial::on) {
            complain(stage_.let_trial_end());
        }
    }

    /// The version before without a trial, the next one on trial, the one that was confirmed: one of them, whole.
    void judge_trial() {
        if (!trial_after_) {
            return;
        }
        const bool open = point_.error == 0 || !verdict_.reached;
        TrialFacts now;
        const auto as_it_should = [&] {
            now = stage_.trial();
            const bool is_before = (open || !output_.success()) && now == trial_before_;
            const bool is_after = (open || output_.success()) && now == *trial_after_;
            return (is_before || is_after) && stage_.settled();
        };
        if (!eventually(kLimit, as_it_should)) {
            complain(cat("of trials: ", now.text(), "\nbefore: ", trial_before_.text(),
                         "\nif carried out: ", trial_after_->text(), "\n", log()));
        }
    }

    /// The exit code tells whether the operation was carried out or undone, and where it was not, somebody says why.
    void judge_outcome(DiskState now) {
        const bool done = output_.success();
        // Where it cannot be forgotten at once, the next viscumd forgets the number of a service that is gone.
        std::erase_if(now.state.numbers, [&](const auto& number) { return !now.services.contains(number.first); });
        add(judge_state(now, done ? after_ : before_, done ? after_ : before_));
        if (!done && !says_why(cat(output_.out, output_.err, log()))) {
            complain(cat("it failed, and nobody says '", std::strerror(point_.error), "'"));
        }
        if (!verdict_.problems.empty()) {
            complain(cat("viscumctl ended with ", output_.status, ": ", output_.out, output_.err, log()));
        }
    }

    [[nodiscard]] bool says_why(const std::string& said) const {
        // libnl has one text for both.
        const bool memory = point_.error == ENOMEM || point_.error == ENOBUFS;
        return said.find(std::strerror(point_.error)) != std::string::npos ||
               (memory && said.find("Out of memory") != std::string::npos);
    }

    void add(const std::vector<std::string>& problems) {
        verdict_.problems.insert(verdict_.problems.end(), problems.begin(), problems.end());
    }

    /// What viscumd has logged since the operation began.
    [[nodiscard]] std::string log() const {
        const std::string all = scene_.viscumd().log();
        return all.substr(std::min(logged_, all.size()));
    }

    Stage& stage_;
    Scene& scene_;
    const Point& point_;
    const Operation& operation_;
    Verdict verdict_;
    DiskState before_;
    DiskState after_;
    TrialFacts trial_before_;
    std::optional<TrialFacts> trial_after_;
    std::size_t logged_ = 0;
    RunOutput output_;
};

/// The calls of one run in which nothing goes wrong.
std::vector<Syscall> clean_trace(Stage& stage, const Operation& operation) {
    REQUIRE(stage.prepare(operation) == "");
    const auto tracer = must(stage.trace(operation, {}));
    const auto output = stage.act(operation, *tracer);
    CHECK_MESSAGE(output.success(), operation.name, ": ", output.err);
    CHECK(eventually(kLimit, [&] { return stage.finished(operation, *tracer); }));
    tracer->stop();
    return tracer->calls();
}

}  // namespace

std::string Point::text() const {
    return cat(operation, "/", call, "/", nth, error == 0 ? "" : cat("/", error_name(error)));
}

std::optional<Point> Point::parse(std::string_view text) {
    const auto words = split(text, '/');
    const auto nth = words.size() >= 3 ? parse_decimal(words[2], 1'000'000) : std::nullopt;
    if (!nth || words.size() > 4 || find_operation(words[0]) == nullptr) {
        return std::nullopt;
    }
    const int error = words.size() == 4 ? error_number(words[3]) : 0;
    if (words.size() == 4 && error == 0) {
        return std::nullopt;
    }
    return Point{words[0], words[1], static_cast<std::size_t>(*nth), error};
}

Verdict attempt(Stage& stage, const Point& point) {
    return Attempt(stage, point).carry_out();
}

std::vector<Point> enumerate(Stage& stage, const Operation& operation, int traces) {
    std::vector<Point> points;
    for (int trace = 0; trace < traces; ++trace) {
        std::vector<Point> seen;
        for (const Syscall& call : clean_trace(stage, operation)) {
            seen.push_back({operation.name, call.name, call.nth});
        }
        const auto in_this = [&seen](const Point& point) {
            return std::ranges::any_of(
                seen, [&](const Point& other) { return other.call == point.call && other.nth == point.nth; });
        };
        if (trace == 0) {
            points = std::move(seen);
        } else {
            std::erase_if(points, [&](const Point& point) { return !in_this(point); });
        }
    }
    return points;
}

}  // namespace viscum
