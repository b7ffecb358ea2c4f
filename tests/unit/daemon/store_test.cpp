// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/store.h"

#include <doctest/doctest.h>

using namespace viscum;

TEST_CASE("store: the state is read back as it was written") {
    for (const SavedState& state :
         {SavedState{}, SavedState{{"plates"}, {}, {}, {}},
          SavedState{{"plates", "web-2"},
                     {{"plates", 7}, {"web-2", 4095}},
                     {{"plates", "00ff"}},
                     {{"plates", {17, "a-b", false, "00aa", "1f"}}, {"web-2", {0, "a-b", true, "", "1f"}}}}}) {
        std::uint64_t generation = 0;
        const auto read = decode_state(encode_state(state, 7), &generation);
        REQUIRE(read);
        CHECK(*read == state);
        CHECK(generation == 7);
    }
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
