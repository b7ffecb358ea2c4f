// SPDX-License-Identifier: GPL-2.0-only
// A file of savings: any bytes, any body under a checksum that holds, and what was written, with damage.
#include "base/text.h"
#include "controller/savings/ledger_file.h"
#include "controller/spec/names.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

void check_bytes(const std::string& bytes) {
    const auto state = decode_ledger(bytes);
    if (!state) {
        require(state.error().errno_code == EBADMSG && !state.error().what.empty(), "a refusal says why");
        return;
    }
    require(state->rows.size() <= kRowsKept, "no more rows are read than are kept");
    for (const auto& [key, figures] : state->rows) {
        require(is_service_name(key.first), "a day is a service's");
        require(key.second >= kUndated && key.second <= kLastDay, "a day is one of the calendar");
    }
    for (const auto& [service, seen] : state->seen) {
        require(is_service_name(service), "counters are a service's");
        require(!seen.claims.empty() || !seen.links.empty(), "what has no counters was not seen");
    }
    const std::string written = encode_ledger(*state);
    const auto same = decode_ledger(written);
    require(same && *same == *state, "what was read is read back");
    require(encode_ledger(*same) == written, "what is written has one form");
}

std::string name_from(Input& input) {
    std::string name = input.bytes(input.byte() % 16);
    for (char& c : name) {
        c = "abcdefghijklmnopqrstuvwxyz0123456789"[static_cast<unsigned char>(c) % 36];
    }
    return cat('s', name);
}

LedgerState state_from(Input& input) {
    LedgerState state;
    state.sequence = input.number<std::uint32_t>();
    state.boot = name_from(input);
    state.whole = (input.byte() & 1U) != 0;
    state.newest = static_cast<Day>(input.number<std::uint16_t>());
    for (int count = input.byte() % 8; count > 0; --count) {
        DayFigures figures;
        figures.flows = input.number<std::uint64_t>();
        figures.cloud.back() = input.number<std::uint64_t>();
        figures.away = {input.byte(), input.byte(), input.number<std::uint64_t>()};
        figures.away_failed = input.byte();
        state.rows[{name_from(input), static_cast<Day>(input.number<std::uint16_t>())}] = figures;
    }
    for (int count = input.byte() % 8; count > 0; --count) {
        ClaimNumbers numbers{input.number<std::uint64_t>(), input.byte(), input.byte(), input.byte(), {}};
        numbers.cloud.front() = input.number<std::uint64_t>();
        state.seen[name_from(input)].claims[name_from(input)] = numbers;
    }
    for (int count = input.byte() % 8; count > 0; --count) {
        state.seen[name_from(input)].links[input.number<std::uint32_t>()] = {input.number<std::uint64_t>(),
                                                                             input.byte()};
    }
    return state;
}

void check_written(Input& input) {
    const auto at = input.number<std::uint16_t>();
    const auto flip = input.byte();
    const LedgerState state = state_from(input);
    const std::string bytes = encode_ledger(state);
    const auto same = decode_ledger(bytes);
    require(same && *same == state, "what was written is read back");
    std::string damaged = bytes;
    damaged[at % bytes.size()] = static_cast<char>(damaged[at % bytes.size()] ^ flip);
    require(flip == 0 || !decode_ledger(damaged), "a changed byte is refused");
    require(!decode_ledger(bytes.substr(0, at % bytes.size())), "a file that is cut off is refused");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string bytes(text_of(data, size));
    check_bytes(bytes);
    // As another version may have written it.
    check_bytes(cat("viscum-savings 1 ", size, ' ', hex(fnv1a(cat(size, '\n', bytes)), 16), '\n', bytes));
    Input input(data, size);
    check_written(input);
    return 0;
}
