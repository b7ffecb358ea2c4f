// SPDX-License-Identifier: GPL-2.0-only
// The state file: any bytes, and those that were written, with damage.
#include "base/text.h"
#include "controller/store/store.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

std::string name_from(Input& input) {
    std::string name = input.bytes(input.byte() % 32 + 1U);
    for (char& c : name) {
        c = "abcdefghijklmnopqrstuvwxyz0123456789-"[static_cast<unsigned char>(c) % 37];
    }
    return name.empty() ? "web" : name;
}

VersionTrial trial_from(Input& input) {
    return {input.number<std::uint64_t>(), name_from(input), (input.byte() & 1U) != 0,
            (input.byte() & 1U) != 0 ? "00ff" : "", hex(input.number<std::uint64_t>(), 16)};
}

SavedState state_from(Input& input) {
    SavedState state;
    for (int count = input.byte() % 8; count > 0; --count) {
        state.drained.insert(name_from(input));
    }
    for (int count = input.byte() % 8; count > 0; --count) {
        state.numbers[name_from(input)] = input.number<std::uint16_t>();
    }
    for (int count = input.byte() % 8; count > 0; --count) {
        state.images[name_from(input)] = hex(input.number<std::uint64_t>(), 16) + std::string(24, '0');
    }
    for (int count = input.byte() % 4; count > 0; --count) {
        state.trials[name_from(input)] = trial_from(input);
    }
    for (int count = input.byte() % 4; count > 0; --count) {
        const bool on_trial = (input.byte() & 1U) != 0;
        state.next[name_from(input)] = {hex(input.number<std::uint64_t>(), 16), (input.byte() & 1U) != 0 ? "00ff" : "",
                                        on_trial ? std::optional(trial_from(input)) : std::nullopt};
    }
    return state;
}

void check_bytes(const std::string& bytes) {
    std::uint64_t generation = 77;
    const auto state = decode_state(bytes, &generation);
    if (!state) {
        require(generation == 77 && !state.error().what.empty(), "a refusal changes nothing and says why");
        return;
    }
    std::uint64_t again = 0;
    const auto same = decode_state(encode_state(*state, generation), &again);
    require(same && *same == *state && again == generation, "what was read is read back");
}

/// A body of any bytes under a checksum that holds, as another version may have written it.
void check_body(const std::string& body, std::uint64_t generation) {
    const auto sum = hex(fnv1a(cat(generation, '\n', body)), 16);
    check_bytes(cat("viscum-state 1 ", generation, ' ', sum, '\n', body));
}

void check_written(Input& input) {
    const auto generation = input.number<std::uint64_t>();
    const auto at = input.number<std::uint16_t>();
    const auto flip = input.byte();
    const SavedState state = state_from(input);
    const std::string bytes = encode_state(state, generation);
    std::uint64_t read = 0;
    const auto same = decode_state(bytes, &read);
    require(same && *same == state && read == generation, "what was written is read back");

    std::string damaged = bytes;
    damaged[at % bytes.size()] = static_cast<char>(damaged[at % bytes.size()] ^ flip);
    require(flip == 0 || !decode_state(damaged, &read), "a changed byte is refused");
    require(!decode_state(bytes.substr(0, at % bytes.size()), &read), "a file that is cut off is refused");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string bytes(text_of(data, size));
    check_bytes(bytes);
    check_body(bytes, size);
    Input input(data, size);
    check_written(input);
    return 0;
}
