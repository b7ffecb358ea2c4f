// SPDX-License-Identifier: GPL-2.0-only
// The small readers that all others stand on: numbers, times, addresses, names.
#include "base/ip.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

void check_numbers(std::string_view text, std::uint64_t most) {
    const auto number = parse_decimal(text, most);
    require(!number || (*number <= most && std::to_string(*number) == text), "a number has one form and is in range");
    if (const auto time = parse_duration(text)) {
        require(time->count() >= 0 && time->count() <= 366LL * 24 * 3'600'000, "a time is in range");
        require(parse_duration(format_duration(*time)) == *time, "a time is read back");
    }
    require(!format_size(most).empty() && hex(most, 16).size() == 16, "a number can be shown");
}

void check_addresses(std::string_view text) {
    if (const auto address = IpAddress::parse(text)) {
        require(IpAddress::parse(address->text()) == *address, "an address is read back");
    }
    if (const auto prefix = IpPrefix::parse(text)) {
        require(IpPrefix::parse(prefix->text()) == *prefix && prefix->contains(*prefix), "a prefix is read back");
        require(prefix->contains(IpPrefix{prefix->address, prefix->address.width()}), "a prefix holds its address");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input(data, size);
    const auto most = input.number<std::uint64_t>();
    const std::string text = input.rest();
    check_numbers(text, most);
    check_numbers(text_of(data, size), UINT64_MAX);
    check_addresses(text);
    check_addresses(text_of(data, size));
    const auto parts = split(text, ',');
    require(join(parts, ",") == text, "what is split is joined");
    const std::vector<std::string_view> names{"address", "port", "protocol", "name"};
    const auto near = nearest(text, names);
    require(!near || std::find(names.begin(), names.end(), *near) != names.end(), "a suggestion is one of the names");
    return 0;
}
