// SPDX-License-Identifier: GPL-2.0-only
#include "controller/store/store.h"

#include <doctest/doctest.h>

using namespace viscum;

TEST_CASE("store: the state is read back as it was written") {
    for (const SavedState& state :
         {SavedState{}, SavedState{{"plates"}, {}, {}, {}},
          SavedState{{"plates", "web-2"},
                     {{"plates", 7}, {"web-2", 4095}},
                     {{"plates", "00ff"}},
                     {{"plates", {17, "a-b", false, "00aa", "1f"}}, {"web-2", {0, "a-b", true, "", "1f"}}},
                     {{"plates", {"2f", "00bb", VersionTrial{18, "a-b", false, "00aa", "2f"}}},
                      {"web-2", {"2f", "", std::nullopt}}}}}) {
        std::uint64_t generation = 0;
        const auto read = decode_state(encode_state(state, 7), &generation);
        REQUIRE(read);
        CHECK(*read == state);
        CHECK(generation == 7);
    }
}

TEST_CASE("store: what belongs to a next version counts once its file is there, and otherwise not at all") {
    const std::string text = "the next one";
    const VersionTrial trial{17, "a-b", false, "00aa", digest_of(text)};
    const SavedState known{{}, {}, {{"web", "00aa"}}, {}, {}};
    SavedState interrupted = known;
    interrupted.next["web"] = {digest_of(text), "00bb", trial};
    const std::string before = "the one before";
    for (const std::string* file : {&before, static_cast<const std::string*>(nullptr)}) {
        SavedState state = interrupted;
        settle_next(state, "web", file);
        CHECK(state == known);
    }
    SavedState state = interrupted;
    settle_next(state, "web", &text);
    CHECK(state == SavedState{{}, {}, {{"web", "00bb"}}, {{"web", trial}}, {}});
    // The operator's word: it has neither an image nor a trial.
    state.next["web"] = {digest_of(before), "", std::nullopt};
    settle_next(state, "web", &before);
    CHECK(state == SavedState{});
    settle_next(state, "web", &before);
    CHECK(state == SavedState{});
}

TEST_CASE("store: a torn or changed state file is never used") {
    const std::string bytes = encode_state(
        SavedState{{"plates", "web"}, {{"web", 3}}, {{"web", "00ff"}}, {{"web", {17, "a-b", true, "", "1f"}}}}, 12);
    std::uint64_t generation = 0;
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        CHECK_FALSE(decode_state(bytes.substr(0, length), &generation));
    }
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string flipped = bytes;
            flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
            CHECK_FALSE(decode_state(flipped, &generation));
        }
    }
    CHECK_FALSE(decode_state(bytes + "x", &generation));
}
