// SPDX-License-Identifier: GPL-2.0-only
// The programs against the model, over random worlds and packets. To repeat: VISCUM_TEST_SEED; to repeat one world of
// it alone, VISCUM_MODEL_WORLD as well.
#include <doctest/doctest.h>

#include <cstdlib>

#include "base/text.h"
#include "tests/faults/model/comparison.h"
#include "tests/faults/model/random_packet.h"
#include "tests/support/campaign.h"

using namespace viscum;

namespace {

constexpr int kMostReported = 5;

struct Campaign {
    std::uint32_t worlds = 0;
    std::uint32_t packets_each = 0;
    std::uint64_t packets = 0;
    std::uint64_t mutations = 0;
    std::uint64_t changes = 0;
    int differences = 0;
    Verdicts verdicts{};
};

std::uint32_t world_seed(std::uint32_t number) {
    return campaign_seed() + number * 2'654'435'761U;
}

void run_world(Campaign& campaign, std::uint32_t number) {
    const auto live = LiveWorld::make(world_seed(number));
    REQUIRE(live);
    PacketSource source(live->world(), live->cookies(), world_seed(number));
    Comparison comparison(*live, live->world().rules);
    std::vector<Step> steps;
    std::optional<std::string> difference;
    for (std::uint32_t i = 0; i < campaign.packets_each && !difference; ++i) {
        steps.push_back(source.next());
        const bool packet = steps.back().kind == Step::Kind::packet;
        campaign.packets += packet ? 1 : 0;
        campaign.changes += packet ? 0 : 1;
        difference = comparison.step(steps.back(), &campaign.verdicts);
    }
    if (!difference) {
        difference = comparison.compare_flows();
    }
    campaign.mutations += source.mutations();
    if (difference) {
        ++campaign.differences;
        FAIL_CHECK(cat("seed ", campaign_seed(), ", world ", number, ", step ", steps.size(), ": ", *difference,
                       "\nIts smallest case: ", smallest_case(*live, steps)));
    }
}

std::string verdicts_text(const Verdicts& verdicts, bool reached) {
    std::string out;
    for (std::size_t i = 0; i <= VS_RETURN_OTHER; ++i) {
        if ((verdicts[i] > 0) == reached) {
            out += cat(out.empty() ? "" : ", ", verdict_name(i), reached ? cat(' ', verdicts[i]) : "");
        }
    }
    return out.empty() ? "none" : out;
}

std::size_t reached(const Verdicts& verdicts) {
    std::size_t out = 0;
    for (std::size_t i = 0; i <= VS_RETURN_OTHER; ++i) {
        out += verdicts[i] > 0 ? 1U : 0U;
    }
    return out;
}

}  // namespace

TEST_CASE("model: the programs say of every packet what a plain reading of the documents says") {
    const bool full = effort() == Effort::full;
    Campaign campaign{.worlds = full ? 210U : 5U, .packets_each = full ? 5'000U : 4'000U};
    MESSAGE("seed " << campaign_seed());
    if (const char* const only = std::getenv("VISCUM_MODEL_WORLD")) {
        run_world(campaign, static_cast<std::uint32_t>(std::strtoul(only, nullptr, 10)));
        return;
    }
    for (std::uint32_t number = 0; number < campaign.worlds && campaign.differences < kMostReported; ++number) {
        run_world(campaign, number);
    }
    MESSAGE(campaign.packets << " packets, " << campaign.mutations
                             << " of them mutations; reached: " << verdicts_text(campaign.verdicts, true));
    CHECK(campaign.differences == 0);
    if (full) {
        CHECK_MESSAGE(reached(campaign.verdicts) == VS_RETURN_OTHER + 1,
                      "never reached: " << verdicts_text(campaign.verdicts, false));
        CHECK(campaign.packets >= 1'000'000);
    }
    const auto recorded =
        record({.part = "model",
                .title = "BPF programs against a model",
                .repeat = cat(full ? "VISCUM_FAULTS=full " : "", "VISCUM_TEST_SEED=", campaign_seed(),
                              " build/bin/faults_model -tc='model: *'"),
                .values = {{"random worlds", std::to_string(campaign.worlds)},
                           {"packets", std::to_string(campaign.packets)},
                           {"of them mutated", std::to_string(campaign.mutations)},
                           {"changes of rules and lease", std::to_string(campaign.changes)},
                           {"differences", std::to_string(campaign.differences)},
                           {"verdicts seen", cat(reached(campaign.verdicts), " of ", VS_RETURN_OTHER + 1)},
                           {"verdicts not seen", verdicts_text(campaign.verdicts, false)}}});
    CHECK(recorded);
}
