// SPDX-License-Identifier: GPL-2.0-only
// The first fragment carries the ports, and the later ones follow it, in both directions.
#include <doctest/doctest.h>

#include "tests/bpf/lab.h"
#include "tests/bpf/raw_client.h"

using namespace viscum;

namespace {

constexpr std::size_t kSize = 64;

/// A datagram of three fragments.
Frame long_question(const Family& family, std::uint16_t port = 40000) {
    Frame question = udp(family.client, family.service, std::string(150, 'q'));
    question.source_port = port;
    return question;
}

}  // namespace

TEST_CASE("bpf: later fragments follow the first one, of our datagrams and of the cloud's") {
    for (const auto& family : kFamilies) {
        const auto lab = Lab::make();
        REQUIRE(lab);
        const auto rule = lab->rule(family.service, 53, IPPROTO_UDP);
        REQUIRE(lab->apply({rule}) > 0);
        const auto clouds = build_fragments(long_question(family, 40001), 1, kSize);
        REQUIRE(clouds.size() == 3);
        CHECK(lab->lan(clouds[1]).text == "pass: fragment");
        CHECK(lab->lan(clouds[0]).text == "pass: no-listener");
        CHECK(lab->lan(clouds[1]).text == "pass: fragment");
        const auto socket = bind_udp(lab->namespace_of(0), family.service, 53);
        const auto ours = build_fragments(long_question(family), 2, kSize);
        CHECK(lab->lan(ours[1]).text == "pass: fragment");  // it came before the first
        for (const auto& fragment : ours) {
            CHECK(lab->lan(fragment).text == "redirect: served");
        }
        CHECK(lab->lan(clouds[2]).text == "pass: fragment");
        Bytes other_host = ours[2];
        other_host[5] ^= 1;
        CHECK(lab->lan(other_host).text == "pass: fragment");
        const auto counters = lab->counters(rule);
        CHECK(counters.flows == 1);
        CHECK(counters.packets_in == 3);
        CHECK(counters.bytes_in == ours[0].size() + ours[1].size() + ours[2].size() - 3 * 14);
    }
}

TEST_CASE("bpf: of a datagram that must not leave the site, no fragment does") {
    for (const auto& family : kFamilies) {
        const auto lab = Lab::make();
        REQUIRE(lab);
        auto rule = lab->rule(family.service, 53, IPPROTO_UDP);
        rule.closed = true;
        REQUIRE(lab->apply({rule}) > 0);
        for (const auto& fragment : build_fragments(long_question(family), 3, kSize)) {
            CHECK(lab->lan(fragment).text == "drop: closed");
        }
    }
}

TEST_CASE("bpf: a datagram of the cloud's does not inherit the fragments of one of ours that had its id") {
    for (const auto& family : kFamilies) {
        const auto lab = Lab::make();
        REQUIRE(lab);
        REQUIRE(lab->apply({lab->rule(family.service, 53, IPPROTO_UDP)}) > 0);
        auto socket = bind_udp(lab->namespace_of(0), family.service, 53);
        const auto ours = build_fragments(long_question(family), 7, kSize);
        CHECK(lab->lan(ours[0]).text == "redirect: served");
        socket.reset();
        CHECK(lab->lan(ours[0]).text == "pass: no-listener");
        CHECK(lab->lan(ours[1]).text == "pass: fragment");
    }
}

TEST_CASE("bpf: fragments of TCP are served, too") {
    for (const auto& family : kFamilies) {
        const auto lab = Lab::make();
        REQUIRE(lab);
        REQUIRE(lab->apply({lab->rule(family.service, 80)}) > 0);
        const auto listener = listen_tcp(lab->namespace_of(0), family.service, 80);
        Frame syn = tcp(family.client, family.service, kSyn);
        syn.payload.assign(100, 'x');
        for (const auto& fragment : build_fragments(syn, 3, kSize)) {
            CHECK(lab->lan(fragment).text == "redirect: served");
        }
        // Too small for the ports and flags: RFC 1858's tiny fragment.
        CHECK(lab->lan(build_fragments(syn, 4, 8)[0]).text == "pass: truncated");
        CHECK(lab->lan(build_fragments(syn, 4, 8)[1]).text == "pass: fragment");
    }
}

TEST_CASE("bpf: options behind the fragment header do not part the first fragment from the later ones") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    REQUIRE(lab->apply({lab->rule(kService6, 53, IPPROTO_UDP)}) > 0);
    const auto socket = bind_udp(lab->namespace_of(0), kService6, 53);
    auto parts = build_fragments(long_question(kFamilies[1]), 5, kSize);
    constexpr std::size_t kNext = 54;  // the fragment header's first byte
    Bytes& first = parts[0];
    first[kNext] = IPPROTO_DSTOPTS;
    const Bytes options{IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0};
    first.insert(first.begin() + kNext + 8, options.begin(), options.end());
    first[19] = static_cast<std::uint8_t>(first[19] + 8);
    parts[1][kNext] = IPPROTO_DSTOPTS;
    CHECK(lab->lan(first).text == "redirect: served");
    CHECK(lab->lan(parts[1]).text == "redirect: served");
}

TEST_CASE("bpf: a reply's later fragments follow its first one, over the link of the service that sent that") {
    for (const auto& family : kFamilies) {
        const auto lab = Lab::make();
        REQUIRE(lab);
        const auto rule = lab->rule(family.service, 53, IPPROTO_UDP);
        REQUIRE(lab->apply({rule}) > 0);
        const auto socket = bind_udp(lab->namespace_of(0), family.service, 53);
        CHECK(lab->lan(udp(family.client, family.service)).text == "redirect: served");
        const auto answer = build_fragments(turned(long_question(family)), 9, kSize);
        CHECK(lab->service(answer[1]).text == "drop: fence-source");
        for (const auto& fragment : answer) {
            CHECK(lab->service(fragment).text == "redirect: replied");
        }
        CHECK(lab->service(answer[1], 1).text == "drop: fence-source");
        CHECK(lab->counters(rule).packets_out == 3);
        const auto foreign = build_fragments(turned(long_question(family, 40001)), 10, kSize);
        for (const auto& fragment : foreign) {
            CHECK(lab->service(fragment).text.starts_with("drop: fence-"));
        }
    }
}

TEST_CASE("bpf: what one side has sent opens no way for the other side's later fragments") {
    for (const auto& family : kFamilies) {
        const auto lab = Lab::make();
        REQUIRE(lab);
        const Rule rule = lab->rule(family.service, 53, IPPROTO_UDP);
        REQUIRE(lab->apply({rule}) > 0);
        const auto socket = bind_udp(lab->namespace_of(0), family.service, 53);
        const auto asked = build_fragments(long_question(family), 11, kSize);
        CHECK(lab->lan(asked[0]).text == "redirect: served");
        CHECK(lab->service(asked[1]).text == "drop: fence-source");  // the service, as if it were the client
        const auto answered = build_fragments(turned(long_question(family)), 12, kSize);
        CHECK(lab->service(answered[0]).text == "redirect: replied");
        Bytes copied = answered[1];
        std::copy(kRouterMac.begin(), kRouterMac.end(), copied.begin());
        CHECK(lab->lan(copied).text == "pass: unclaimed");
        REQUIRE(lab->apply({rule, lab->rule(family.client, 53, IPPROTO_UDP)}) > 0);
        CHECK(lab->lan(copied).text == "pass: fragment");
    }
}

TEST_CASE("bpf: a long datagram and its long answer arrive whole") {
    for (const auto& family : kFamilies) {
        const auto lab = Lab::make();
        REQUIRE(lab);
        REQUIRE(lab->attach());
        REQUIRE(lab->apply({lab->rule(family.service, 53, IPPROTO_UDP)}) > 0);
        const auto socket = bind_udp(lab->namespace_of(0), family.service, 53);
        const auto to = Endpoint::of(family.service, 53);
        const auto client = open_socket(lab->client(), SOCK_DGRAM, to, {});
        REQUIRE(client);
        const std::string question(4000, 'q');
        const std::string answer(5000, 'a');
        const auto address = to_sockaddr(to);
        REQUIRE(sendto(client->get(), question.data(), question.size(), 0, address.get(), address.length) == 4000);
        REQUIRE(wait_for_socket(socket.get(), 1, boot_now() + std::chrono::seconds(2)));
        std::string buffer(10'000, '\0');
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        CHECK(recvfrom(socket.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size) ==
              4000);
        REQUIRE(sendto(socket.get(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size) ==
                5000);
        REQUIRE(wait_for_socket(client->get(), 1, boot_now() + std::chrono::seconds(2)));
        CHECK(recv(client->get(), buffer.data(), buffer.size(), 0) == 5000);
        CHECK(buffer.substr(0, 5000) == answer);
    }
}
