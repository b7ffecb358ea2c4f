// SPDX-License-Identifier: GPL-2.0-only
// UDP: flows that are ours, the cloud's, new, and idle.
#include <doctest/doctest.h>

#include "tests/bpf/lab.h"

using namespace viscum;

namespace {

vs_flow_key key_of(const Frame& frame) {
    vs_flow_key key{};
    key.client = abi_address(frame.source);
    key.service = abi_address(frame.destination);
    key.client_port_be = htons(frame.source_port);
    key.service_port_be = htons(frame.destination_port);
    key.protocol = IPPROTO_UDP;
    return key;
}

/// Moves a flow's last packet into the past.
void age(Lab& lab, const Frame& frame, std::uint64_t nanoseconds) {
    auto flow = lab.datapath().flows.find(key_of(frame));
    REQUIRE(flow);
    flow->last -= nanoseconds;
    REQUIRE(lab.datapath().flows.set(key_of(frame), *flow));
}

struct Udp {
    explicit Udp(const Family& family) : lab(Lab::make()), question(udp(family.client, family.service)) {
        REQUIRE(lab);
        rule = lab->rule(family.service, 53, IPPROTO_UDP);
        REQUIRE(lab->apply({rule}) > 0);
    }
    [[nodiscard]] std::string run() const { return lab->lan(question).text; }
    [[nodiscard]] std::string run_from(std::uint16_t port) const {
        Frame other = question;
        other.source_port = port;
        return lab->lan(other).text;
    }
    void admit(Admission admission) {
        rule.admission = admission;
        REQUIRE(lab->apply({rule}) == 1);
    }
    UniqueFd bind() const { return bind_udp(lab->namespace_of(0), question.destination.text(), 53); }

    std::unique_ptr<Lab> lab;
    Frame question;
    Rule rule;
};

}  // namespace

TEST_CASE("bpf: a datagram is served where a socket is bound, and a flow stays with whom it began") {
    for (const auto& family : kFamilies) {
        Udp udp(family);
        CHECK(udp.run() == "pass: no-listener");
        auto socket = udp.bind();
        CHECK(udp.run() == "pass: cloud-flow");
        CHECK(udp.run_from(40001) == "redirect: served");
        CHECK(udp.run_from(40001) == "redirect: served");
        socket.reset();
        CHECK(udp.run_from(40001) == "pass: no-listener");
        CHECK(udp.run_from(40001) == "pass: cloud-flow");
        socket = udp.bind();
        CHECK(udp.run_from(40001) == "pass: cloud-flow");
        CHECK(udp.run_from(40002) == "redirect: served");
        const auto counters = udp.lab->counters(udp.rule);
        CHECK(counters.flows == 2);
        CHECK(counters.flows_cloud == 1);
        CHECK(counters.packets_in == 3);
        CHECK(counters.bytes_in == 3 * (build(udp.question).size() - 14));
        CHECK(counters.cloud[reason(VS_NO_LISTENER)] == 2);
        CHECK(counters.cloud[reason(VS_CLOUD_FLOW)] == 3);
    }
}

TEST_CASE("bpf: a rule that drains keeps its UDP flows, and one that is off gives them to the cloud for good") {
    for (const auto& family : kFamilies) {
        Udp udp(family);
        const auto socket = udp.bind();
        CHECK(udp.run() == "redirect: served");
        udp.admit(Admission::drain);
        CHECK(udp.run() == "redirect: served");
        CHECK(udp.run_from(40001) == "pass: draining");
        REQUIRE(udp.lab->table().set_lease(boot_now() - Millis(1)));
        udp.admit(Admission::serve);
        CHECK(udp.run() == "redirect: served");
        CHECK(udp.run_from(40002) == "pass: lease-expired");
        REQUIRE(udp.lab->table().set_lease(std::nullopt));
        udp.admit(Admission::off);
        CHECK(udp.run() == "pass: not-admitted");
        CHECK(udp.run_from(40003) == "pass: not-admitted");
        udp.admit(Admission::serve);
        for (std::uint16_t port = 40000; port < 40004; ++port) {
            CAPTURE(port);
            CHECK(udp.run_from(port) == "pass: cloud-flow");
        }
        CHECK(udp.run_from(40004) == "redirect: served");
    }
}

TEST_CASE("bpf: a UDP flow that was silent for a minute is a new one") {
    for (const auto& family : kFamilies) {
        Udp udp(family);
        CHECK(udp.run() == "pass: no-listener");
        const auto socket = udp.bind();
        age(*udp.lab, udp.question, VS_UDP_IDLE_NS - 5'000'000'000);
        CHECK(udp.run() == "pass: cloud-flow");
        age(*udp.lab, udp.question, VS_UDP_IDLE_NS);
        CHECK(udp.run() == "redirect: served");
        CHECK(udp.run() == "redirect: served");
    }
}

TEST_CASE("bpf: a UDP flow whose last packet another CPU saw a moment later is not an old one") {
    for (const auto& family : kFamilies) {
        Udp udp(family);
        const auto socket = udp.bind();
        CHECK(udp.run() == "redirect: served");
        udp.admit(Admission::drain);
        age(*udp.lab, udp.question, -1'000'000'000ULL);
        CHECK(udp.run() == "redirect: served");
    }
}

TEST_CASE("bpf: replies keep a UDP flow from being a new one") {
    for (const auto& family : kFamilies) {
        Udp udp(family);
        const auto socket = udp.bind();
        CHECK(udp.run() == "redirect: served");
        age(*udp.lab, udp.question, VS_UDP_IDLE_NS);
        CHECK(udp.lab->service(turned(udp.question)).text == "redirect: replied");
        udp.admit(Admission::drain);
        CHECK(udp.run() == "redirect: served");
    }
}

TEST_CASE("bpf: a rule that is closed serves a UDP flow again as soon as it can") {
    for (const auto& family : kFamilies) {
        Udp udp(family);
        udp.rule.closed = true;
        REQUIRE(udp.lab->apply({udp.rule}) == 1);
        CHECK(udp.run() == "drop: closed");
        CHECK(udp.run() == "drop: closed");
        auto socket = udp.bind();
        CHECK(udp.run() == "redirect: served");
        socket.reset();
        CHECK(udp.run() == "drop: closed");
        socket = udp.bind();
        CHECK(udp.run() == "redirect: served");
    }
}

TEST_CASE("bpf: a UDP flow that the cloud was serving when the rule came stays with it") {
    for (const auto& family : kFamilies) {
        Udp udp(family);
        const auto socket = udp.bind();
        REQUIRE(udp.lab->table().keep_with_cloud({{udp.question.source, udp.question.destination, 40000, 53}}));
        CHECK(udp.run() == "pass: cloud-flow");
        CHECK(udp.run_from(40001) == "redirect: served");
        REQUIRE(udp.lab->table().keep_with_cloud({{udp.question.source, udp.question.destination, 40001, 53}}));
        CHECK(udp.run_from(40001) == "redirect: served");  // the programs know better
    }
}

TEST_CASE("bpf: flows kept with the cloud outlive other rules, and a removed rule's flows are forgotten") {
    for (const auto& family : kFamilies) {
        const auto lab = Lab::make();
        REQUIRE(lab);
        const auto other = lab->rule(family.other_service, 53, IPPROTO_UDP);
        const auto rule = lab->rule(family.service, 53, IPPROTO_UDP);
        REQUIRE(lab->apply({other, rule}) > 0);
        REQUIRE(lab->table().index_of(other.key) == 0U);
        const auto socket = bind_udp(lab->namespace_of(0), family.service, 53);
        const Frame question = udp(family.client, family.service);
        REQUIRE(lab->table().keep_with_cloud({{question.source, question.destination, 40000, 53}}));
        REQUIRE(lab->apply({rule}) > 0);
        CHECK(lab->lan(question).text == "pass: cloud-flow");
        Frame served = question;
        served.source_port = 40001;
        CHECK(lab->lan(served).text == "redirect: served");
        REQUIRE(lab->apply({}) > 0);
        CHECK(lab->lan(served).text == "pass: unclaimed");
        CHECK_FALSE(lab->datapath().flows.find(key_of(served)));
    }
}

TEST_CASE(
    "bpf: a UDP flow stays with the version that serves it, and goes on with the next one when that has finished") {
    for (const auto& family : kFamilies) {
        Udp udp(family);
        auto first = udp.bind();
        CHECK(udp.run() == "redirect: served");
        udp.rule.backend[1] = udp.lab->backend(1);
        udp.rule.active = 1;
        REQUIRE(udp.lab->apply({udp.rule}) == 1);
        CHECK(udp.run() == "redirect: served");
        CHECK(udp.run_from(40001) == "pass: no-listener");
        auto second = bind_udp(udp.lab->namespace_of(1), udp.question.destination.text(), 53);
        CHECK(udp.run_from(40002) == "redirect: served");
        first.reset();
        CHECK(udp.run() == "redirect: served");
        second.reset();
        CHECK(udp.run() == "pass: no-listener");
        CHECK(udp.run() == "pass: cloud-flow");
    }
}

TEST_CASE("bpf: more UDP flows than the table holds are still served") {
    const auto lab = Lab::make({.rules = 16, .flows = 64, .fragments = 16});
    REQUIRE(lab);
    const auto rule = lab->rule(kService4, 53, IPPROTO_UDP);
    REQUIRE(lab->apply({rule}) > 0);
    const auto socket = bind_udp(lab->namespace_of(0), kService4, 53);
    Frame question = udp(kClient4, kService4);
    for (std::uint16_t port = 1000; port < 2000; ++port) {
        question.source_port = port;
        REQUIRE(lab->lan(question).text == "redirect: served");
    }
    CHECK(lab->counters(rule).flows == 1000);
    CHECK(lab->datapath().flows.entries(10'000).size() <= 64);
}
