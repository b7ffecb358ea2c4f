// SPDX-License-Identifier: GPL-2.0-only
// viscum-test-ask NAMESPACE {tcp|udp} ADDRESS PORT: one request from inside a namespace to a viscum-test-server. Prints
// who answered, or what happened instead; for UDP also what is wrong with the answer's source.
#include <cstdio>
#include <vector>

#include "base/text.h"
#include "tests/support/http_client.h"
#include "tests/support/udp_client.h"

namespace viscum {
namespace {

// No verdict: an emulated machine beside busy compilers is slow.
constexpr std::chrono::milliseconds kLimit{10'000};

std::string ask_udp(const NetNs& ns, const Endpoint& to) {
    const UdpResult result = udp_query(ns, {.to = to, .payload = "x", .limit = kLimit});
    if (!result.answered) {
        return result.error;
    }
    return result.source == to ? result.reply.substr(0, result.reply.find(' '))
                               : cat("an answer from ", result.source.text());
}

int run(const std::vector<std::string>& words) {
    if (words.size() != 4) {
        std::fputs("usage: viscum-test-ask NAMESPACE {tcp|udp} ADDRESS PORT\n", stderr);
        return 2;
    }
    const auto ns = NetNs::open(words[0]);
    if (!ns) {
        std::fprintf(stderr, "%s\n", ns.error().what.c_str());
        return 1;
    }
    const Endpoint to =
        Endpoint::of(words[2], static_cast<std::uint16_t>(parse_decimal(words[3], UINT16_MAX).value_or(0)));
    std::puts(words[1] == "udp" ? ask_udp(*ns, to).c_str() : http_get(*ns, {.to = to, .limit = kLimit}).who().c_str());
    return 0;
}

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    return viscum::run({argv + 1, argv + argc});
}
