// SPDX-License-Identifier: GPL-2.0-only
// SYN cookies: between the SYN and the ACK that finishes the handshake, the service's namespace has only a listener.
#include <doctest/doctest.h>
#include <poll.h>

#include "tests/bpf/lab.h"
#include "tests/bpf/raw_client.h"

using namespace viscum;

namespace {

/// A SYN that was answered with a cookie.
struct Cookie {
    explicit Cookie(const Family& family, bool dual_stack) : lab(Lab::make()) {
        REQUIRE(lab);
        REQUIRE(lab->attach());
        const auto set = lab->namespace_of(0).inside([] { return set_net_sysctl("ipv4/tcp_syncookies", "2"); });
        REQUIRE(set);
        rule = lab->rule(family.service, 80);
        REQUIRE(lab->apply({rule}) > 0);
        listener = dual_stack ? listen_dual_stack(lab->namespace_of(0), 80)
                              : listen_tcp(lab->namespace_of(0), family.service, 80);
        client = RawClient::open(lab->client());
        REQUIRE(client);
        connection.emplace(*client, tcp(family.client, family.service, kSyn));
        REQUIRE(connection->send_syn());
        REQUIRE(connection->await_syn_ack());
    }

    std::unique_ptr<Lab> lab;
    Rule rule;
    UniqueFd listener;
    std::optional<RawClient> client;
    std::optional<RawConnection> connection;
};

}  // namespace

TEST_CASE("bpf: an ACK that brings a SYN cookie back is served, any other is not") {
    for (const auto& family : kFamilies) {
        for (const bool dual_stack : {false, true}) {
            Cookie cookie(family, dual_stack);
            Frame ack = cookie.connection->next();
            Frame wrong = ack;
            wrong.acknowledgement ^= 0x100;
            CHECK(cookie.lab->lan(wrong).text == "pass: cloud-flow");
            Frame stranger = ack;
            stranger.source_port += 1;
            CHECK(cookie.lab->lan(stranger).text == "pass: cloud-flow");
            Frame reset = ack;
            reset.flags = kRst | kAck;
            CHECK(cookie.lab->lan(reset).text == "pass: cloud-flow");
            CHECK(cookie.lab->lan(ack).text == "redirect: served");
            cookie.rule.admission = Admission::drain;
            REQUIRE(cookie.lab->apply({cookie.rule}) == 1);
            CHECK(cookie.lab->lan(ack).text == "redirect: served");
            ack.flags = kAck | kPsh;
            ack.payload = {'p', 'i', 'n', 'g'};
            CHECK(cookie.lab->lan(ack).text == "redirect: served");
            REQUIRE(cookie.client->send(ack));
            REQUIRE(wait_for_socket(cookie.listener.get(), POLLIN, boot_now() + std::chrono::seconds(2)));
            const UniqueFd accepted(accept4(cookie.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
            CHECK(accepted);
        }
    }
}

TEST_CASE("bpf: a SYN cookie of a listener that has gone is worth nothing") {
    for (const auto& family : kFamilies) {
        Cookie cookie(family, false);
        cookie.listener.reset();
        CHECK(cookie.lab->lan(cookie.connection->next()).text == "pass: cloud-flow");
    }
}
