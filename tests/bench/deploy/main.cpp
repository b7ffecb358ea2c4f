// SPDX-License-Identifier: GPL-2.0-only
// How long it takes until a change that the operator asks for is done: for one nginx, as a client sees it; and for
// small services of which many are there already. viscum-bench-deploy [--quick]
//
// The services are a static program that listens on one port. Their health is that they run: probes of a thousand
// services would compute beside what is measured.
#include <poll.h>

#include <algorithm>

#include "base/text.h"
#include "tests/bench/deploy/nginx_times.h"
#include "tests/bench/many/many.h"
#include "tests/bench/many/process_use.h"
#include "tests/bench/measure/measurements.h"
#include "tests/bench/measure/must.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr int kNginxRounds = 11;
constexpr int kRounds = 7;
constexpr int kRestarts = 3;
constexpr std::size_t kGrowth = 100;  // services between two figures of growing
constexpr Millis kPassWithin{500};    // news wait for 50 ms, and a pass is short
const std::vector<std::size_t> kSizes{1, 100, 1'000};
const std::vector<std::size_t> kQuickSizes{1, 6};

constexpr const char* kSubject = "small services";
constexpr const char* kDeploy = "deploy one more";
constexpr const char* kGrow = "deploy many, each";

class Bench {
public:
    explicit Bench(Scale scale)
        : quick_(scale == Scale::quick),
          figures_("deploy",
                   cat("viscumctl deploy, update and remove, from its start: of nginx (http probe) while a client asks "
                       "without pause, ",
                       kNginxRounds,
                       " rounds; and of a small static listener (health: process) with "
                       "1 to 1,000 of them there, ",
                       kRounds, " rounds a number. Many are deployed by up to ", Many::kBatch, " files a call."),
                   scale),
          many_(ProbeKind::process) {
        figures_.axis("services");
    }

    int run() {
        measure_nginx(many_, figures_, quick_ ? 2 : kNginxRounds);
        for (const std::size_t size : quick_ ? kQuickSizes : kSizes) {
            grow(size);
            many_.check(size - 1, true);
            many_.check_all_up(size);
            changes(size);
            answers(size);
            pass(size);
            restarts(size);
        }
        const auto& sizes = quick_ ? kQuickSizes : kSizes;
        expect_flat(kDeploy, sizes[0], sizes.back());
        expect_flat(kGrow, sizes[1], sizes.back());  // the very first one also has the LAN's filters attached
        must(figures_.finish());
        return 0;
    }

private:
    void add(const char* figure, double ms, std::size_t at) {
        figures_.add(kSubject, figure, "ms", ms, static_cast<double>(at));
    }

    /// The time of each since the figure before: not of all since the beginning.
    void grow(std::size_t until) {
        while (there_ < until) {
            const std::size_t next = std::min(until, (there_ / kGrowth + 1) * kGrowth);
            add(kGrow, many_.deploy(there_, next) / static_cast<double>(next - there_), next);
            there_ = next;
        }
    }

    /// Beside those that are there; each of the new ones has a name and a claim that nobody had before it.
    void changes(std::size_t size) {
        for (int round = 0; round < (quick_ ? 1 : kRounds); ++round) {
            const std::size_t extra = Many::kMost - ++extras_;
            add(kDeploy, many_.deploy_one(extra), size);
            many_.check(extra, true);
            add("update one", many_.deploy_one(extra, 1), size);
            many_.check(extra, true);
            add("remove one", many_.remove_one(extra), size);
            many_.check(extra, false);
        }
    }

    void answers(std::size_t size) {
        for (int round = 0; round < (quick_ ? 1 : kRounds); ++round) {
            add("viscumctl list", many_.ask({"list"}), size);
            add("viscumctl status", many_.ask({"status"}), size);
            add("deploy the same again", many_.deploy_one(0), size);
        }
    }

    /// What it costs viscumd to look at everything, which any news of the router's links can bring about.
    void pass(std::size_t size) {
        must(ip_batch(many_.bed().hotspot(), "link add news type veth peer name news-peer\n"));
        for (int round = 0; round < (quick_ ? 1 : kRounds); ++round) {
            poll(nullptr, 0, static_cast<int>(kPassWithin.count()));
            const CpuUse before = must(cpu_of(many_.viscumd().pid()));
            must(ip_batch(many_.bed().hotspot(), cat("link set news ", round % 2 == 0 ? "up" : "down", "\n")));
            poll(nullptr, 0, static_cast<int>(kPassWithin.count()));
            const CpuUse used = must(cpu_of(many_.viscumd().pid())) - before;
            if (used.wakeups == 0) {
                give_up("viscumd did not look when another link changed");
            }
            add("a pass after news of a link, processor", static_cast<double>(used.nanoseconds) / 1e6, size);
        }
        must(ip_batch(many_.bed().hotspot(), "link del news\n"));
    }

    /// Until its socket accepts: before that it has adopted all that is there.
    void restarts(std::size_t size) {
        const auto shims = processes_named("viscum-shim");
        for (int round = 0; round < (quick_ ? 1 : kRestarts); ++round) {
            if (const int status = many_.viscumd().stop(); status != 0) {
                give_up(cat("viscumd ended with ", status));
            }
            const BootTime start = boot_now();
            must(many_.viscumd().start_again());
            add("restart viscumd", ms_since(start), size);
            many_.check_all_up(size);
        }
        if (shims.size() != size || processes_named("viscum-shim") != shims) {
            give_up("the services did not stay as they were when viscumd was started again");
        }
    }

    void expect_flat(const char* figure, std::size_t few, std::size_t many) {
        const Series* with_few = figures_.find(kSubject, figure, static_cast<double>(few));
        const Series* with_many = figures_.find(kSubject, figure, static_cast<double>(many));
        if (with_few != nullptr && with_many != nullptr) {
            figures_.expect({cat(figure, ", with ", number_text(static_cast<double>(many)), " there against ",
                                 number_text(static_cast<double>(few))),
                             Target::Bound::at_most, 1.5, "x",
                             spread_of(with_many->values).median / spread_of(with_few->values).median});
        }
    }

    bool quick_;
    Measurements figures_;
    Many many_;
    std::size_t there_ = 0;
    std::size_t extras_ = 0;
};

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    const viscum::Scale scale = viscum::scale_of(argc, argv);
    return viscum::run_in_sandbox([scale] { return viscum::Bench(scale).run(); });
}
