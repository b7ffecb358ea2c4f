// SPDX-License-Identifier: GPL-2.0-only
// The rows of the verdict table that are about TCP, with real sockets.
#include <doctest/doctest.h>
#include <poll.h>

#include "tests/bpf/lab.h"
#include "tests/bpf/raw_client.h"

using namespace viscum;

namespace {

/// Takes the next connection of a listener; invalid where none comes.
UniqueFd accept_one(const UniqueFd& listener) {
    if (!wait_for_socket(listener.get(), POLLIN, boot_now() + std::chrono::seconds(2))) {
        return UniqueFd();
    }
    return UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

Rule with(Rule rule, Admission admission) {
    rule.admission = admission;
    return rule;
}

/// A served connection between the raw client and the service.
struct Served {
    explicit Served(const Family& family, std::uint16_t port = 40000) : lab(Lab::make()) {
        REQUIRE(lab);
        REQUIRE(lab->attach());
        rule = lab->rule(family.service, 80);
        REQUIRE(lab->apply({rule}) > 0);
        listener = listen_tcp(lab->namespace_of(0), family.service, 80);
        client = RawClient::open(lab->client());
        REQUIRE(client);
        Frame syn = tcp(family.client, family.service, kSyn);
        syn.source_port = port;
        connection.emplace(*client, syn);
    }
    void connect() {
        REQUIRE(connection->connect());
        accepted = accept_one(listener);
        REQUIRE(accepted);
    }
    /// The service closes first.
    void leave_time_wait() {
        connect();
        accepted.reset();
        REQUIRE(connection->end_after_service());
    }

    std::unique_ptr<Lab> lab;
    Rule rule;
    UniqueFd listener;
    UniqueFd accepted;
    std::optional<RawClient> client;
    std::optional<RawConnection> connection;
};

}  // namespace

TEST_CASE("bpf: a SYN is served only where a listener exists at that instant") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    for (const auto& family : kFamilies) {
        const auto rule = lab->rule(family.service, 80);
        REQUIRE(lab->apply({rule}) > 0);
        const Frame syn = tcp(family.client, family.service, kSyn);
        CHECK(lab->lan(syn).text == "pass: no-listener");
        {
            const auto listener = listen_tcp(lab->namespace_of(0), family.service, 80);
            CHECK(lab->lan(syn).text == "redirect: served");
            CHECK(lab->lan(tcp(family.client, family.service, kSyn | kEce | kCwr)).text == "redirect: served");
        }
        CHECK(lab->lan(syn).text == "pass: no-listener");
        const auto counters = lab->counters(rule);
        CHECK(counters.flows == 2);
        CHECK(counters.flows_cloud == 2);
        CHECK(counters.packets_in == 2);
        CHECK(counters.bytes_in == 2 * (build(syn).size() - 14));
        CHECK(counters.cloud[reason(VS_NO_LISTENER)] == 2);
    }
}

TEST_CASE("bpf: a segment without a socket stays with the cloud, though a listener exists") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    for (const auto& family : kFamilies) {
        const auto rule = lab->rule(family.service, 80);
        REQUIRE(lab->apply({rule}) > 0);
        const auto listener = listen_tcp(lab->namespace_of(0), family.service, 80);
        for (const int flags :
             {kAck, kAck | kPsh, kFin | kAck, kRst, kRst | kAck, kSyn | kAck, kSyn | kFin, kSyn | kRst, 0}) {
            CAPTURE(flags);
            CHECK(lab->lan(tcp(family.client, family.service, flags)).text == "pass: cloud-flow");
        }
        const auto counters = lab->counters(rule);
        CHECK(counters.cloud[reason(VS_CLOUD_FLOW)] == 9);
        CHECK(counters.flows_cloud == 0);
        CHECK(counters.flows == 0);
    }
}

TEST_CASE("bpf: new flows come as the rule and the lease admit, and those that run go on") {
    for (const auto& family : kFamilies) {
        Served served(family);
        served.connect();
        Lab& lab = *served.lab;
        Frame syn = served.connection->syn();
        syn.source_port = 40001;
        const Frame segment = served.connection->next();
        CHECK(lab.lan(syn).text == "redirect: served");
        CHECK(lab.lan(segment).text == "redirect: served");

        CHECK(lab.apply({with(served.rule, Admission::drain)}) == 1);
        CHECK(lab.lan(syn).text == "pass: draining");
        CHECK(lab.lan(segment).text == "redirect: served");

        CHECK(lab.apply({with(served.rule, Admission::off)}) == 1);
        CHECK(lab.lan(syn).text == "pass: not-admitted");
        CHECK(lab.lan(segment).text == "pass: not-admitted");

        CHECK(lab.apply({served.rule}) == 1);
        REQUIRE(lab.table().set_lease(boot_now() - Millis(1)));
        CHECK(lab.lan(syn).text == "pass: lease-expired");
        CHECK(lab.lan(segment).text == "redirect: served");
        REQUIRE(lab.table().set_lease(boot_now() + std::chrono::seconds(60)));
        CHECK(lab.lan(syn).text == "redirect: served");
    }
}

TEST_CASE("bpf: a rule that is closed drops what it cannot serve") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    for (const auto& family : kFamilies) {
        auto rule = lab->rule(family.service, 80);
        rule.closed = true;
        REQUIRE(lab->apply({rule}) > 0);
        CHECK(lab->lan(tcp(family.client, family.service, kSyn)).text == "drop: closed");
        CHECK(lab->lan(tcp(family.client, family.service, kAck)).text == "drop: closed");
        CHECK(lab->apply({with(rule, Admission::off)}) == 1);
        CHECK(lab->lan(tcp(family.client, family.service, kSyn)).text == "drop: closed");
        CHECK(lab->counters(rule).cloud[reason(VS_NO_LISTENER)] == 1);
        CHECK(lab->counters(rule).cloud[reason(VS_CLOUD_FLOW)] == 1);
        CHECK(lab->counters(rule).cloud[reason(VS_NOT_ADMITTED)] == 1);
        CHECK(lab->counters(rule).flows_cloud == 0);  // nothing of it went there
        CHECK(lab->apply({with(rule, Admission::serve)}) == 1);
        const auto listener = listen_tcp(lab->namespace_of(0), family.service, 80);
        CHECK(lab->lan(tcp(family.client, family.service, kSyn)).text == "redirect: served");
        CHECK(lab->lan(icmp_echo_request(family.client, family.service)).text == "pass: unclaimed");
    }
}

TEST_CASE("bpf: a handshake that began here ends here, and its SYN may come again while the rule drains") {
    for (const auto& family : kFamilies) {
        Served served(family);
        REQUIRE(served.connection->send_syn());
        REQUIRE(served.connection->await_syn_ack());
        Lab& lab = *served.lab;
        Frame again = served.connection->next();
        again.flags = kSyn;
        again.sequence -= 1;
        again.acknowledgement = 0;
        CHECK(lab.apply({with(served.rule, Admission::drain)}) == 1);
        CHECK(lab.lan(again).text == "redirect: served");
        CHECK(lab.lan(served.connection->next()).text == "redirect: served");
        CHECK(lab.counters(served.rule).flows == 1);
        REQUIRE(served.client->send(served.connection->next()));
        CHECK(accept_one(served.listener));
    }
}

TEST_CASE("bpf: a SYN that meets a time-wait socket is served if a listener exists") {
    for (const auto& family : kFamilies) {
        Served served(family);
        served.leave_time_wait();
        Lab& lab = *served.lab;
        CHECK(lab.lan(served.connection->next()).text == "redirect: served");  // the last ACK, once more
        CHECK(lab.lan(served.connection->syn()).text == "redirect: served");
    }
}

TEST_CASE("bpf: a connection that begins with the cloud stays there, though a time-wait socket has its 4-tuple") {
    for (const auto& family : kFamilies) {
        Served served(family);
        served.leave_time_wait();
        Lab& lab = *served.lab;
        served.listener.reset();
        const Frame syn = served.connection->syn();
        Frame segment = syn;
        segment.flags = kAck;
        CHECK(lab.lan(segment).text == "redirect: served");  // of the old connection, as far as anybody knows
        CHECK(lab.lan(syn).text == "pass: no-listener");
        CHECK(lab.lan(segment).text == "pass: cloud-flow");

        const auto listener = listen_tcp(lab.namespace_of(0), family.service, 80);
        CHECK(lab.lan(segment).text == "pass: cloud-flow");
        CHECK(lab.lan(syn).text == "redirect: served");  // a third connection
        CHECK(lab.lan(segment).text == "redirect: served");
    }
}

TEST_CASE("bpf: a connection that begins while the rule is off stays with the cloud, time-wait socket or not") {
    for (const auto& family : kFamilies) {
        Served served(family);
        served.leave_time_wait();
        Lab& lab = *served.lab;
        const Frame syn = served.connection->syn();
        Frame segment = syn;
        segment.flags = kAck;
        CHECK(lab.apply({with(served.rule, Admission::off)}) == 1);
        CHECK(lab.lan(syn).text == "pass: not-admitted");
        CHECK(lab.apply({served.rule}) == 1);
        CHECK(lab.lan(segment).text == "pass: cloud-flow");
        CHECK(lab.lan(syn).text == "redirect: served");
    }
}

TEST_CASE("bpf: an established connection is served by the version that has it, new ones by the active one") {
    for (const auto& family : kFamilies) {
        Served served(family);
        served.connect();
        Lab& lab = *served.lab;
        auto rule = served.rule;
        rule.backend[1] = lab.backend(1);
        rule.active = 1;
        REQUIRE(lab.apply({rule}) == 1);
        Frame syn = served.connection->syn();
        syn.source_port = 40001;
        CHECK(lab.lan(syn).text == "pass: no-listener");
        CHECK(lab.lan(served.connection->next()).text == "redirect: served");
        const auto listener = listen_tcp(lab.namespace_of(1), family.service, 80);
        CHECK(lab.lan(syn).text == "redirect: served");
        CHECK(lab.lan(served.connection->next()).text == "redirect: served");
        served.accepted.reset();
        rule.backend[0] = {};
        REQUIRE(lab.apply({rule}) == 1);
        CHECK(lab.lan(served.connection->next()).text == "pass: cloud-flow");
    }
}

TEST_CASE("bpf: a SYN that comes again goes where the first one went, though another version is active by now") {
    for (const auto& family : kFamilies) {
        for (const bool established : {false, true}) {
            Served served(family);
            REQUIRE(served.connection->send_syn());
            REQUIRE(served.connection->await_syn_ack());
            Lab& lab = *served.lab;
            if (established) {
                REQUIRE(served.client->send(served.connection->next()));
                served.accepted = accept_one(served.listener);
                REQUIRE(served.accepted);
            }
            const auto listener = listen_tcp(lab.namespace_of(1), family.service, 80);
            auto rule = served.rule;
            rule.backend[1] = lab.backend(1);
            rule.active = 1;
            REQUIRE(lab.apply({rule}) == 1);
            Frame again = served.connection->next();
            again.flags = kSyn;
            again.sequence -= 1;
            again.acknowledgement = 0;
            REQUIRE(served.client->send(again));
            if (!established) {
                REQUIRE(served.client->send(served.connection->next()));
                CHECK(accept_one(served.listener));
            }
            CHECK(lab.counters(rule).flows == 1);
            // A new connection meets the new version.
            again.source_port += 1;
            CHECK(lab.lan(again).text == "redirect: served");
            CHECK(lab.counters(rule).flows == 2);
        }
    }
}

TEST_CASE("bpf: data comes and goes over a served connection, and is counted") {
    for (const auto& family : kFamilies) {
        Served served(family);
        served.connect();
        Frame segment = served.connection->next();
        segment.flags = kAck | kPsh;
        segment.payload = {'p', 'i', 'n', 'g'};
        REQUIRE(served.client->send(segment));
        REQUIRE(wait_for_socket(served.accepted.get(), POLLIN, boot_now() + std::chrono::seconds(2)));
        char buffer[16];
        CHECK(recv(served.accepted.get(), buffer, sizeof buffer, 0) == 4);
        REQUIRE(send(served.accepted.get(), "pong!", 5, 0) == 5);
        const auto answer = served.client->receive([](const Reading& reading) { return reading.payload == 5; });
        REQUIRE(answer);
        CHECK(std::equal(kClientMac.begin(), kClientMac.end(), answer->begin()));
        CHECK(std::equal(kRouterMac.begin(), kRouterMac.end(), answer->begin() + 6));
        const auto counters = served.lab->counters(served.rule);
        CHECK(counters.flows == 1);
        CHECK(counters.packets_in == 3);
        CHECK(counters.packets_out >= 3);
        CHECK(counters.cloud == decltype(counters.cloud){});
    }
}

TEST_CASE("bpf: a listener of both families takes IPv4, too") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    const auto listener = listen_dual_stack(lab->namespace_of(0), 80);
    for (const auto& family : kFamilies) {
        REQUIRE(lab->apply({lab->rule(family.service, 80)}) > 0);
        CHECK(lab->lan(tcp(family.client, family.service, kSyn)).text == "redirect: served");
    }
}

TEST_CASE("bpf: a socket that is bound to another device or address does not listen for us") {
    const auto lab = Lab::make();
    REQUIRE(lab);
    for (const auto& family : kFamilies) {
        REQUIRE(lab->apply({lab->rule(family.service, 80)}) > 0);
        const Frame syn = tcp(family.client, family.service, kSyn);
        const auto elsewhere = listen_tcp(lab->namespace_of(0), family.other_service, 80);
        CHECK(lab->lan(syn).text == "pass: no-listener");
        const auto bound = listen_tcp(lab->namespace_of(0), family.service, 80);
        REQUIRE(setsockopt(bound.get(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) == 0);
        CHECK(lab->lan(syn).text == "pass: no-listener");
    }
}
