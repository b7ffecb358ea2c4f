// SPDX-License-Identifier: GPL-2.0-only
// Every system call of viscum-shim, from its birth in viscumd's clone3 to its end: it is killed in its place, or the
// call fails. So is what its child does until it has become the service, and what `viscumctl exec` puts beside it.
//
// In a normal run a sample of the calls is tried, drawn by VISCUM_TEST_SEED; with VISCUM_FAULTS=full all of them. To
// repeat one point, or one operation:
//
//   VISCUM_POINT=shim-start/openat/12 faults_points -tc='fault 15*the shim*'
//   VISCUM_POINT=shim-start/openat/12/ENOMEM faults_points -tc='fault 16*the shim*'
//   VISCUM_POINT=shim-start faults_points -tc='fault 15*the shim*'                 (all points of the operation)
#include <random>

#include "tests/faults/points/chosen.h"
#include "tests/faults/points/shim_attempt.h"
#include "tests/support/campaign.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr std::size_t kLookEvery = 100;  // points between two looks of the LEAK oracle

struct Sums {
    std::size_t enumerated = 0;
    std::size_t tried = 0;
    std::size_t not_reached = 0;
    std::size_t orphans = 0;  // points that left some
    std::size_t went_on = 0;
    std::size_t unlike = 0;
    std::size_t other = 0;  // points with another problem
    std::size_t requests = 0;
    std::size_t failed = 0;
    std::size_t resets = 0;
    std::size_t resets_allowed = 0;

    void add(const ShimVerdict& verdict) {
        tried += 1;
        not_reached += verdict.reached ? 0U : 1U;
        orphans += verdict.orphans.empty() ? 0U : 1U;
        went_on += verdict.reached && verdict.went_on ? 1U : 0U;
        unlike += verdict.unlike ? 1U : 0U;
        other += verdict.orphans.empty() && !verdict.unlike && !verdict.problems.empty() ? 1U : 0U;
        requests += verdict.requests;
        failed += verdict.failed;
        resets += verdict.resets;
        resets_allowed += verdict.resets_allowed;
    }
};

/// One error that fits each call, drawn by the seed, and nothing for calls that cannot fail.
std::vector<ShimPoint> with_errors(const std::vector<ShimPoint>& points, std::mt19937& dice) {
    std::vector<ShimPoint> out;
    for (ShimPoint point : points) {
        const auto errors = point.can_fail ? shim_errors(point.call) : std::vector<int>();
        if (!errors.empty()) {
            point.error = errors[dice() % errors.size()];
            out.push_back(std::move(point));
        }
    }
    return out;
}

class Campaign {
public:
    explicit Campaign(bool kill) : kill_(kill), dice_(campaign_seed()), stage_(std::make_unique<ShimStage>()) {
        MESSAGE("VISCUM_TEST_SEED=", campaign_seed());
    }

    void run() {
        if (const auto point = ShimPoint::parse(chosen())) {
            try_point(*point);
            look_for_leaks();
            return;
        }
        for (const ShimOperation& operation : shim_operations()) {
            if (chosen().empty() || chosen() == operation.name) {
                run_operation(operation);
            }
        }
        tell();
    }

private:
    void run_operation(const ShimOperation& operation) {
        auto points = enumerate(*stage_, operation);
        CHECK(!points.empty());
        if (!kill_) {
            points = with_errors(points, dice_);
        }
        sums_.enumerated += points.size();
        const bool all = effort() == Effort::full || !chosen().empty();
        const auto drawn = draw(points.size(), all ? points.size() : operation.sample, dice_);
        std::vector<std::string> names;
        for (const std::size_t index : drawn) {
            names.push_back(points[index].text());
        }
        each_.emplace_back(operation.name, cat(drawn.size(), " of ", points.size(), " points"));
        if (!all) {
            MESSAGE(operation.name, ": ", points.size(), " points, of them tried: ", join(names, " "));
        }
        std::size_t since_look = 0;
        for (const std::size_t index : drawn) {
            try_point(points[index]);
            if (++since_look % kLookEvery == 0) {
                look_for_leaks();
            }
        }
        look_for_leaks();
    }

    void try_point(const ShimPoint& point) {
        const ShimVerdict verdict = attempt(*stage_, point);
        sums_.add(verdict);
        const bool well = verdict.problems.empty();
        CHECK_MESSAGE(well, "VISCUM_POINT=", point.text(), "\n", join(verdict.problems, "\n"));
        if (!well) {
            stage_.reset();
            stage_ = std::make_unique<ShimStage>();
        }
    }

    void look_for_leaks() {
        if (!stage_->scene().status("web").name.empty()) {
            CHECK(stage_->remove() == "");
        }
        stage_->scene().check_no_leak();
    }

    void tell() const {
        CHECK_MESSAGE(sums_.tried > 0, "VISCUM_POINT names nothing: ", chosen());
        CHECK(sums_.not_reached * 10 <= sums_.tried);
        Figures figures;
        figures.part = kill_ ? "points-shim-kill" : "points-shim-error";
        figures.title =
            kill_ ? "viscum-shim killed at every system call" : "every system call of viscum-shim fails once";
        figures.repeat =
            cat(effort() == Effort::full ? "VISCUM_FAULTS=full " : "", "VISCUM_TEST_SEED=", campaign_seed(),
                " build/bin/faults_points -tc='fault ", kill_ ? "15" : "16", "*the shim*'");
        figures.values = {{"points enumerated", std::to_string(sums_.enumerated)},
                          {"points tried", std::to_string(sums_.tried)},
                          {"not reached in their run", std::to_string(sums_.not_reached)},
                          {"points that left an orphan", std::to_string(sums_.orphans)},
                          {"came up with less than its sandbox", std::to_string(sums_.unlike)}};
        if (!kill_) {
            figures.values.emplace_back("failures that it may go on without", std::to_string(sums_.went_on));
        }
        figures.values.emplace_back("points with another problem", std::to_string(sums_.other));
        figures.values.emplace_back("connections failed / reset / all",
                                    cat(sums_.failed, " / ", sums_.resets, " / ", sums_.requests));
        figures.values.emplace_back("open with the service that was killed, and reset",
                                    std::to_string(sums_.resets_allowed));
        figures.values.insert(figures.values.end(), each_.begin(), each_.end());
        for (const auto& [name, value] : figures.values) {
            MESSAGE(name, ": ", value);
        }
        if (chosen().empty()) {
            must(record(figures));
        }
    }

    bool kill_;
    std::mt19937 dice_;
    std::unique_ptr<ShimStage> stage_;
    Sums sums_;
    std::vector<std::pair<std::string, std::string>> each_;
};

bool chosen_elsewhere() {
    return !chosen().empty() && !chosen().starts_with("shim-");
}

}  // namespace

TEST_CASE("fault 15: wherever the shim is killed, its service ends with it, is started again, and leaves no orphan") {
    if (!SyscallTracer::possible()) {
        return skip("system calls cannot be changed on this architecture");
    }
    if (chosen_elsewhere()) {
        return skip("VISCUM_POINT names a call of viscumd");
    }
    Campaign(true).run();
}

TEST_CASE("fault 16: whichever call of the shim fails, no service runs with less than its sandbox, and it says why") {
    if (!SyscallTracer::possible()) {
        return skip("system calls cannot be changed on this architecture");
    }
    if (chosen_elsewhere()) {
        return skip("VISCUM_POINT names a call of viscumd");
    }
    Campaign(false).run();
}

}  // namespace viscum
