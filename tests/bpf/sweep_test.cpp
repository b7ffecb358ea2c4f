// SPDX-License-Identifier: GPL-2.0-only
// No frame that we do not claim is ever changed or stolen, and every frame counts one verdict (Lab checks the latter).
#include <doctest/doctest.h>

#include <random>

#include "base/text.h"
#include "tests/bpf/base_frames.h"
#include "tests/bpf/lab.h"
#include "tests/bpf/raw_client.h"
#include "tests/bpf/reading.h"

using namespace viscum;

namespace {

/// BPF_PROG_TEST_RUN takes no frame that ends within its IP header (kernel 6.15 and later).
bool can_be_run(const Bytes& frame) {
    const bool v4 = frame[12] == 0x08 && frame[13] == 0x00;
    const bool v6 = frame[12] == 0x86 && frame[13] == 0xdd;
    return frame.size() >= (v4 ? 34U : v6 ? 54U : 14U);
}

/// A lab whose service takes whatever is claimed, so that all that is not stolen is owed to the programs' own care.
struct Sweep {
    Sweep() : lab(Lab::make()) {
        REQUIRE(lab);
        std::vector<Rule> rules;
        for (const auto& family : kFamilies) {
            for (const auto& rule : lab->usual_rules(family)) {
                rules.push_back(rule);
                claims.push_back(rule.key);
            }
            sockets.push_back(listen_tcp(lab->namespace_of(0), family.service, 80));
            sockets.push_back(bind_udp(lab->namespace_of(0), family.service, 53));
        }
        REQUIRE(lab->apply(rules) > 0);
    }

    void check(const Bytes& frame, const std::string& name) {
        if (!can_be_run(frame)) {
            return;
        }
        const auto outcome = lab->lan(frame);
        if (!may_be_claimed(read_frame(frame), claims)) {
            if (!outcome.text.starts_with("pass: ") || outcome.frame != frame) {
                FAIL_CHECK(cat("stolen: ", name, ": ", outcome.text, ": ", hex_dump(frame)));
            }
        } else {
            taken += outcome.text.starts_with("redirect: ") ? 1 : 0;
        }
        ++frames;
    }

    std::unique_ptr<Lab> lab;
    std::vector<RuleKey> claims;
    std::vector<UniqueFd> sockets;
    int frames = 0;
    int taken = 0;
};

}  // namespace

TEST_CASE("bpf: no cut frame is stolen that is not claimed") {
    Sweep sweep;
    for (const auto& [name, bytes] : base_frames()) {
        for (std::size_t size = 14; size <= bytes.size(); ++size) {
            sweep.check({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}, cat(name, ", ", size, " bytes"));
        }
    }
    MESSAGE(sweep.frames << " frames, " << sweep.taken << " taken");
    CHECK(sweep.taken > 0);
}

TEST_CASE("bpf: a frame that ends within its IP header passes, and is counted") {
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

TEST_CASE("bpf: no frame with a flipped bit is stolen that is not claimed") {
    Sweep sweep;
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

TEST_CASE("bpf: no random change makes a frame that is stolen and not claimed") {
    Sweep sweep;
    const unsigned seed = std::random_device()();
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
}

TEST_CASE("bpf: a service's frame is a reply that is sent, or dropped") {
    Sweep sweep;
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
