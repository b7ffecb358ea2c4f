// SPDX-License-Identifier: GPL-2.0-only
// Every system call of viscumd at work: it is killed in its place, or the call fails.
//
// The calls are enumerated from traces of runs in which nothing goes wrong. In a normal run a sample of them is tried,
// drawn by VISCUM_TEST_SEED; with VISCUM_FAULTS=full all of them. To repeat one point, or one operation:
//
//   VISCUM_POINT=deploy/openat/12 faults_points -tc='fault 15*'
//   VISCUM_POINT=deploy/openat/12/ENOMEM faults_points -tc='fault 16*'
//   VISCUM_POINT=deploy faults_points -tc='fault 15*'                       (all points of the operation)
//
// A point that its run did not come to (timers, news) counts as not reached, and is judged all the same.
#include <iostream>
#include <random>
#include <set>

#include "tests/faults/points/attempt.h"
#include "tests/faults/points/chosen.h"
#include "tests/faults/points/errors.h"
#include "tests/support/campaign.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr int kTraces = 2;
constexpr std::size_t kSample = 8;       // of each operation
constexpr std::size_t kLookEvery = 100;  // points between two looks of the LEAK oracle

struct Sums {
    std::size_t enumerated = 0;
    std::size_t tried = 0;
    std::size_t not_reached = 0;
    std::size_t orphans = 0;  // points that left some
    std::size_t not_adopted = 0;
    std::size_t other = 0;  // points with another problem
    std::size_t requests = 0;
    std::size_t failed = 0;
    std::size_t resets = 0;

    void add(const Verdict& verdict) {
        tried += 1;
        not_reached += verdict.reached ? 0U : 1U;
        orphans += verdict.orphans.empty() ? 0U : 1U;
        not_adopted += verdict.adopted ? 0U : 1U;
        other += verdict.orphans.empty() && verdict.adopted && !verdict.problems.empty() ? 1U : 0U;
        requests += verdict.requests;
        failed += verdict.failed;
        resets += verdict.resets;
    }
};

/// One error that fits each call. Calls for which there is none are named in `sure`.
std::vector<Point> with_errors(const std::vector<Point>& points, std::mt19937& dice, std::set<std::string>& sure) {
    std::vector<Point> out;
    for (Point point : points) {
        const auto& errors = errors_that_fit(point.call);
        if (errors.empty()) {
            sure.insert(point.call);
        } else {
            point.error = errors[dice() % errors.size()];
            out.push_back(std::move(point));
        }
    }
    return out;
}

class Campaign {
public:
    explicit Campaign(bool kill) : kill_(kill), dice_(campaign_seed()), stage_(std::make_unique<Stage>()) {
        MESSAGE("VISCUM_TEST_SEED=", campaign_seed());
    }

    void run() {
        if (const auto point = Point::parse(chosen())) {
            try_point(*point, sums_[point->operation]);
            look_for_leaks();
            return;
        }
        for (const Operation& operation : operations()) {
            if (chosen().empty() || chosen() == operation.name) {
                run_operation(operation);
            }
        }
        tell();
    }

private:
    void run_operation(const Operation& operation) {
        auto points = enumerate(*stage_, operation, kTraces);
        if (!kill_) {
            points = with_errors(points, dice_, sure_);
        }
        Sums& sums = sums_[operation.name];
        sums.enumerated = points.size();
        const bool all = effort() == Effort::full || !chosen().empty();
        const auto drawn = draw(points.size(), all ? points.size() : kSample, dice_);
        std::vector<std::string> names;
        for (const std::size_t index : drawn) {
            names.push_back(points[index].text());
        }
        if (!all) {
            MESSAGE(operation.name, ": ", points.size(), " points, of them tried: ", join(names, " "));
        }
        std::size_t since_look = 0;
        for (const std::size_t index : drawn) {
            try_point(points[index], sums);
            if (++since_look % kLookEvery == 0) {
                look_for_leaks();
            }
        }
        look_for_leaks();
    }

    void try_point(const Point& point, Sums& sums) {
        const Verdict verdict = attempt(*stage_, point);
        sums.add(verdict);
        const bool well = verdict.problems.empty();
        CHECK_MESSAGE(well, "VISCUM_POINT=", point.text(), "\n", join(verdict.problems, "\n"));
        if (!well) {
            stage_.reset();
            stage_ = std::make_unique<Stage>();
        }
    }

    void look_for_leaks() {
        if (!stage_->prepare(*find_operation("deploy")).empty()) {
            CHECK_MESSAGE(false, "the service cannot be taken away");
        }
        const auto leaks = stage_->leaks();
        CHECK_MESSAGE(leaks.empty(), join(leaks, "\n"), "\n", stage_->scene().viscumd().log());
    }

    void tell() const {
        Sums all;
        std::vector<std::pair<std::string, std::string>> each;
        for (const Operation& operation : operations()) {
            const auto found = sums_.find(operation.name);
            if (found == sums_.end()) {
                continue;
            }
            const Sums& sums = found->second;
            each.emplace_back(operation.name, cat(sums.tried, " of ", sums.enumerated, " points"));
            all.enumerated += sums.enumerated;
            all.tried += sums.tried;
            all.not_reached += sums.not_reached;
            all.orphans += sums.orphans;
            all.not_adopted += sums.not_adopted;
            all.other += sums.other;
            all.requests += sums.requests;
            all.failed += sums.failed;
            all.resets += sums.resets;
        }
        CHECK_MESSAGE(all.tried > 0, "VISCUM_POINT names nothing: ", chosen());
        CHECK(all.not_reached * 10 <= all.tried);
        Figures figures;
        figures.part = kill_ ? "points-viscumd-kill" : "points-viscumd-error";
        figures.title = kill_ ? "viscumd killed at every system call" : "every system call of viscumd fails once";
        figures.repeat =
            cat(effort() == Effort::full ? "VISCUM_FAULTS=full " : "", "VISCUM_TEST_SEED=", campaign_seed(),
                " build/bin/faults_points -tc='fault ", kill_ ? "15: a viscumd" : "16? 24", "*'");
        figures.values = {
            {"points enumerated", std::to_string(all.enumerated)},
            {"points tried", std::to_string(all.tried)},
            {"not reached in their run", std::to_string(all.not_reached)},
            {"points that left an orphan", std::to_string(all.orphans)},
            {"points not adopted whole", std::to_string(all.not_adopted)},
            {"points with another problem", std::to_string(all.other)},
            {"connections failed / reset / all", cat(all.failed, " / ", all.resets, " / ", all.requests)}};
        if (!kill_) {
            figures.values.emplace_back("calls that are not made to fail",
                                        join(std::vector<std::string>(sure_.begin(), sure_.end()), ", "));
        }
        figures.values.insert(figures.values.end(), each.begin(), each.end());
        for (const auto& [name, value] : figures.values) {
            MESSAGE(name, ": ", value);
        }
        if (chosen().empty()) {
            must(record(figures));
        }
    }

    bool kill_;
    std::mt19937 dice_;
    std::unique_ptr<Stage> stage_;
    std::map<std::string, Sums> sums_;
    std::set<std::string> sure_;
};

}  // namespace

TEST_CASE(
    "fault 15: a viscumd that is killed at any of its system calls leaves no orphan, and the next one adopts all") {
    if (!SyscallTracer::possible()) {
        return skip("system calls cannot be changed on this architecture");
    }
    if (chosen().starts_with("shim-")) {
        return skip("VISCUM_POINT names a call of the shim");
    }
    Campaign(true).run();
}

TEST_CASE("fault 16, 24: whichever system call of viscumd fails, the change is made whole or undone, and it says why") {
    if (!SyscallTracer::possible()) {
        return skip("system calls cannot be changed on this architecture");
    }
    if (chosen().starts_with("shim-")) {
        return skip("VISCUM_POINT names a call of the shim");
    }
    Campaign(false).run();
}

}  // namespace viscum
