// SPDX-License-Identifier: GPL-2.0-only
// A dry run says what the programs do with a frame, and leaves nothing of it behind.
#include "tcprog/dry_run.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "tests/bpf/lab.h"
#include "tests/bpf/raw_client.h"

using namespace viscum;

namespace {

constexpr std::array<std::uint8_t, 6> kServiceEnd{0x02, 0x56, 0x53, 0x00, 0x00, 0x02};

Question tcp_question(const Family& family, std::uint8_t flags = TH_SYN) {
    return {*IpAddress::parse(family.client), *IpAddress::parse(family.service), 40000, 80, IPPROTO_TCP, flags};
}

Question udp_question(const Family& family) {
    return {*IpAddress::parse(family.client), *IpAddress::parse(family.service), 40000, 53, IPPROTO_UDP, 0};
}

struct Asked {
    explicit Asked(
        const Family& family, Rule (*change)(Rule) = [](Rule rule) { return rule; })
        : lab(Lab::make()) {
        REQUIRE(lab);
        for (const auto& rule : lab->usual_rules(family)) {
            rules.push_back(change(rule));
        }
        REQUIRE(lab->apply(rules) > 0);
        auto opened = DryRun::open(lab->datapath().dir);
        if (!opened) {
            FAIL(opened.error().what);
        }
        dry.emplace(*std::move(opened));
    }
    DryRun::Answer ask(const Question& question) {
        const auto answer = dry->from_client(lab->lan_device(), kRouterMac, question);
        REQUIRE(answer);
        return *answer;
    }

    std::unique_ptr<Lab> lab;
    std::vector<Rule> rules;
    std::optional<DryRun> dry;
};

Rule drained(Rule rule) {
    rule.admission = Admission::drain;
    return rule;
}

}  // namespace

TEST_CASE("dry run: its frames are as a client sends them") {
    for (const auto& family : kFamilies) {
        CHECK(checksums_right(frame_of(tcp_question(family), kRouterMac)));
        CHECK(checksums_right(frame_of(udp_question(family), kRouterMac)));
    }
}

TEST_CASE("dry run: a new connection is served where a listener is, and only there") {
    for (const auto& family : kFamilies) {
        Asked asked(family);
        const auto nobody = asked.ask(tcp_question(family));
        CHECK(nobody.verdict == VS_NO_LISTENER);
        CHECK_FALSE(nobody.slot);
        const auto listener = listen_tcp(asked.lab->namespace_of(0), family.service, 80);
        const auto served = asked.ask(tcp_question(family));
        CHECK(served.verdict == VS_SERVED);
        CHECK(served.slot == 0);
        REQUIRE(served.rule);
        CHECK(*served.rule == asked.lab->table().index_of(asked.rules[0].key));
        const auto claim = asked.dry->claim(*served.rule);
        REQUIRE(claim);
        CHECK(claim->first_port == 80);
        // Of no connection that is here.
        CHECK(asked.ask(tcp_question(family, TH_ACK)).verdict == VS_CLOUD_FLOW);
    }
}

TEST_CASE("dry run: what nobody claims, and what drains") {
    const Family& family = kFamilies[0];
    Asked asked(family, drained);
    const auto listener = listen_tcp(asked.lab->namespace_of(0), family.service, 80);
    CHECK(asked.ask(tcp_question(family)).verdict == VS_DRAINING);
    Question other = tcp_question(family);
    other.destination_port = 81;
    const auto answer = asked.ask(other);
    CHECK(answer.verdict == VS_UNCLAIMED);
    CHECK_FALSE(answer.rule);
}

TEST_CASE("dry run: what may not leave the site is dropped, and the refusal says why") {
    const Family& family = kFamilies[0];
    Asked asked(family, [](Rule rule) {
        rule.closed = true;
        return rule;
    });
    const auto answer = asked.ask(tcp_question(family));
    CHECK(answer.verdict == VS_CLOSED);
    CHECK(answer.refusal == VS_NO_LISTENER);
    const auto listener = listen_tcp(asked.lab->namespace_of(0), family.service, 80);
    CHECK_FALSE(asked.ask(tcp_question(family)).refusal);
}

TEST_CASE("dry run: the service's answer is asked for as well, also of a flow that is not there yet") {
    for (const auto& family : kFamilies) {
        Asked asked(family);
        const auto listener = listen_tcp(asked.lab->namespace_of(0), family.service, 80);
        const auto socket = bind_udp(asked.lab->namespace_of(0), family.service, 53);
        REQUIRE(asked.ask(tcp_question(family)).verdict == VS_SERVED);
        const auto link = asked.lab->link_of(0);
        auto answer = asked.dry->from_service(link, kServiceEnd, tcp_question(family).turned(TH_SYN | TH_ACK));
        REQUIRE(answer);
        CHECK(answer->verdict == VS_REPLIED);
        answer = asked.dry->from_service(link, kServiceEnd, udp_question(family).turned(0));
        REQUIRE(answer);
        CHECK(answer->verdict == VS_FENCE_NEW_FLOW);
        REQUIRE(asked.ask(udp_question(family)).verdict == VS_SERVED);
        answer = asked.dry->from_service(link, kServiceEnd, udp_question(family).turned(0));
        REQUIRE(answer);
        CHECK(answer->verdict == VS_REPLIED);
    }
}

TEST_CASE("dry run: it leaves no count, no flow and no rule behind, and sees each change of the real ones") {
    const Family& family = kFamilies[0];
    Asked asked(family);
    const auto socket = bind_udp(asked.lab->namespace_of(0), family.service, 53);
    const auto verdicts = asked.lab->verdicts();
    const auto counters = asked.lab->counters(asked.rules[1]);
    CHECK(asked.ask(udp_question(family)).verdict == VS_SERVED);
    CHECK(asked.ask(tcp_question(family)).verdict == VS_NO_LISTENER);
    CHECK_FALSE(asked.dry->knows_flow(udp_question(family)));
    CHECK(asked.lab->verdicts() == verdicts);
    CHECK(asked.lab->counters(asked.rules[1]) == counters);
    CHECK(asked.lab->datapath().flows.entries(16).empty());

    // The rule drains: new flows go to the cloud, and so does the one of this question from then on.
    asked.rules[1].admission = Admission::drain;
    REQUIRE(asked.lab->apply(asked.rules) > 0);
    CHECK(asked.ask(udp_question(family)).verdict == VS_DRAINING);
    Frame real = udp(family.client, family.service);
    real.source_port = 40000;
    real.destination_port = 53;
    CHECK(asked.lab->lan(real).text == "pass: draining");
    CHECK(asked.dry->knows_flow(udp_question(family)));
    asked.rules[1].admission = Admission::serve;
    REQUIRE(asked.lab->apply(asked.rules) > 0);
    CHECK(asked.ask(udp_question(family)).verdict == VS_CLOUD_FLOW);
    Question another = udp_question(family);
    another.source_port = 40001;
    CHECK(asked.ask(another).verdict == VS_SERVED);
}

TEST_CASE("dry run: of two versions it names the one that has the connection's socket") {
    for (const auto& family : kFamilies) {
        Asked asked(family);
        REQUIRE(asked.lab->attach());
        const auto older = listen_tcp(asked.lab->namespace_of(0), family.service, 80);
        const auto newer = listen_tcp(asked.lab->namespace_of(1), family.service, 80);
        const auto client = RawClient::open(asked.lab->client());
        REQUIRE(client);
        auto syn = tcp(family.client, family.service, kSyn);
        syn.source_port = 40000;
        syn.destination_port = 80;
        RawConnection connection(*client, syn);
        REQUIRE(connection.connect());
        for (auto& rule : asked.rules) {
            rule.backend[1] = asked.lab->backend(1);
            rule.active = 1;
        }
        REQUIRE(asked.lab->apply(asked.rules) > 0);
        const auto slot = [&](std::uint16_t port, std::uint8_t flags) {
            Question question = tcp_question(family, flags);
            question.source_port = port;
            const auto answer = asked.ask(question);
            CHECK(answer.verdict == VS_SERVED);
            return answer.slot;
        };
        CHECK(slot(40000, TH_ACK) == 0);
        CHECK(slot(40000, TH_SYN) == 0);  // once more
        CHECK(slot(40001, TH_SYN) == 1);
        // It looked without the active one, and put it back.
        CHECK(slot(40000, TH_ACK) == 0);
        CHECK(slot(40001, TH_SYN) == 1);
    }
}

TEST_CASE("dry run: nothing is pinned where nothing runs") {
    const auto opened = DryRun::open("/sys/fs/bpf/nobody");
    REQUIRE_FALSE(opened);
    CHECK(opened.error().errno_code == ENOENT);
}
