// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include <random>

#include "tests/bpf/base_frames.h"
#include "tests/bpf/raw_client.h"
#include "tests/bpf/sweep.h"
#include "tests/support/campaign.h"

using namespace viscum;

TEST_CASE("fault 29: no frame that is cut at any byte is stolen that is not claimed") {
    auto sweep = Sweep::usual();
    for (const auto& [name, bytes] : base_frames()) {
        for (std::size_t size = 14; size <= bytes.size(); ++size) {
            sweep.check({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)},
                        cat(name, ", ", size, " bytes"));
        }
    }
    MESSAGE(sweep.frames << " frames, " << sweep.taken << " taken");
    CHECK(sweep.taken > 0);
}

TEST_CASE("fault 29: a frame that ends within its IP header passes, and is counted") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    REQUIRE(lab->attach());
    const auto client = RawClient::open(lab->client());
    REQUIRE(client);
    for (const auto& family : kFamilies) {
        const Bytes whole = build(tcp(family.client, family.service, kSyn));
        for (std::size_t size = 14; size < whole.size(); ++size) {
            const auto before = lab->verdicts();
            REQUIRE(client->send(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))));
            const auto deadline = boot_now() + std::chrono::seconds(2);
            while (lab->verdicts()[VS_TRUNCATED] == before[VS_TRUNCATED] && boot_now() < deadline) {
            }
            CAPTURE(size);
            REQUIRE(lab->verdicts()[VS_TRUNCATED] == before[VS_TRUNCATED] + 1);
        }
    }
}

TEST_CASE("fault 29: no frame with a flipped bit is stolen that is not claimed") {
    auto sweep = Sweep::usual();
    for (const auto& [name, bytes] : base_frames()) {
        for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
            Bytes flipped = bytes;
            flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ 1U << bit % 8);
            sweep.check(flipped, cat(name, ", bit ", bit));
        }
    }
    MESSAGE(sweep.frames << " frames, " << sweep.taken << " taken");
    CHECK(sweep.taken > 0);
}

TEST_CASE("fault 29: no random change makes a frame that is stolen and not claimed") {
    auto sweep = Sweep::usual();
    const std::uint32_t seed = campaign_seed();
    MESSAGE("seed " << seed);
    std::mt19937 random(seed);
    const auto frames = base_frames();
    for (int round = 0; round < 20'000; ++round) {
        Bytes bytes = frames[random() % frames.size()].bytes;
        for (auto changes = random() % 6; changes > 0; --changes) {
            bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
        }
        if (random() % 4 == 0) {
            bytes.resize(14 + random() % 100, static_cast<std::uint8_t>(random()));
        }
        sweep.check(bytes, cat("seed ", seed, ", round ", round));
    }
    CHECK(sweep.taken > 0);
    CHECK(record({.part = "frames",
                  .title = "Frames that are changed at random (row 29)",
                  .repeat = cat("VISCUM_TEST_SEED=", seed, " build/bin/bpf -tc='fault 29: no random*'"),
                  .values = {{"frames", std::to_string(sweep.frames)},
                             {"of them taken, as they are claimed", std::to_string(sweep.taken)}}}));
}

TEST_CASE("fault 29: a service's frame with a flipped bit is a reply that is sent, or dropped") {
    auto sweep = Sweep::usual();
    for (const auto& [name, bytes] : base_frames()) {
        for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
            Bytes flipped = bytes;
            flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ 1U << bit % 8);
            if (!can_be_run(flipped)) {
                continue;
            }
            const auto text = sweep.lab->service(flipped).text;
            if (text != "redirect: replied" && !text.starts_with("drop: fence-")) {
                FAIL_CHECK(cat(name, ", bit ", bit, ": ", text));
            }
        }
    }
}
