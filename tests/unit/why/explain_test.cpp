// SPDX-License-Identifier: GPL-2.0-only
#include "controller/why/explain.h"

#include <doctest/doctest.h>

#include "controller/why/claim_text.h"

using namespace viscum;

namespace {

const Claim kClaim{*IpPrefix::parse("203.0.113.10"), {443, 443}, Protocol::tcp};

Ruling ruling(const std::string& verdict) {
    Ruling out;
    out.verdict = verdict;
    if (verdict != "unclaimed") {
        out.claim = kClaim;
    }
    return out;
}

/// A client of br-lan, and a service "plates" that is up.
Evidence usual(const std::string& verdict) {
    Evidence evidence;
    evidence.query = *parse_flow("10.77.0.10", "203.0.113.10:443/tcp");
    evidence.client = {{Way::Kind::forward, IfIndex{4}, {}}, "br-lan"};
    evidence.filter_device = "lan1";
    evidence.bridge = {.bridge = "br-lan", .port = "lan1"};
    evidence.onward = {{Way::Kind::forward, IfIndex{2}, IpAddress::parse("192.0.2.254")}, "wan"};
    evidence.begins = ruling(verdict);
    ServiceReport service;
    service.name = "plates";
    service.state = "up";
    service.health = "healthy";
    service.claims.push_back({.claim = kClaim.text(), .admission = "serve", .cloud = {}});
    evidence.daemon.emplace();
    evidence.daemon->grade = "socket";
    evidence.daemon->lease_ms_left = 24'300;
    evidence.daemon->lan.push_back({"lan1", "br-lan", true, ""});
    evidence.daemon->services.push_back(service);
    return evidence;
}

std::string because(const Explanation& explanation, const std::string& about) {
    for (const auto& remark : explanation.because) {
        if (remark.about == about) {
            return remark.says;
        }
    }
    return "";
}

}  // namespace

TEST_CASE("why: a packet that is served is told with all that let it through") {
    auto evidence = usual("served");
    evidence.listening = std::vector<Listening>{{*IpAddress::parse("0.0.0.0"), 443, Protocol::tcp}};
    evidence.reply = ruling("replied");
    CHECK(because(explain(evidence), "answer") == "goes straight back, past the router's firewall");
    evidence.back = {{Way::Kind::forward, IfIndex{4}, {}}, "br-lan"};
    const auto said = explain(evidence);
    CHECK(said.outcome == "served");
    CHECK(said.service == "plates");
    CHECK(said.says == "a new connection from 10.77.0.10 to 203.0.113.10:443/tcp is served here, by plates");
    CHECK(because(said, "way in") == "it comes in by br-lan (its port lan1), which carries our filter");
    CHECK(because(said, "claim") == "203.0.113.10:443/tcp, by plates");
    CHECK(because(said, "lease") == "new flows are admitted for 24s more, and viscumd renews that");
    CHECK(because(said, "listener") == "0.0.0.0:443/tcp in the service's namespace");
    CHECK(because(said, "answer") == "goes straight back by br-lan, past the router's firewall");
    CHECK(because(said, "onward").empty());
    CHECK(said.next.empty());
}

TEST_CASE("why: each reason against a service is a sentence, and says what to do") {
    struct Row {
        const char* verdict;
        const char* says;
    };
    for (const Row& row : {Row{"no-listener", "nothing listens there"}, Row{"draining", "no new flows"},
                           Row{"not-admitted", "not admitted"}, Row{"lease-expired", "renewed its lease"},
                           Row{"cloud-flow", "began with the cloud"}}) {
        const auto said = explain(usual(row.verdict));
        CHECK(said.outcome == "cloud");
        CHECK(said.verdict == row.verdict);
        CHECK(said.says.find(row.says) != std::string::npos);
        CHECK(because(said, "onward") == "the router sends it on by wan, to 192.0.2.254");
        REQUIRE_FALSE(said.next.empty());
        CHECK(said.next.front() == "viscumctl status plates");
    }
    // A verdict that is younger than these sentences.
    CHECK(explain(usual("overload")).says.find("\"overload\"") != std::string::npos);
}

TEST_CASE("why: the lease is told where new flows are admitted, and nowhere else") {
    CHECK_FALSE(because(explain(usual("no-listener")), "lease").empty());
    for (const char* verdict : {"draining", "not-admitted", "lease-expired", "cloud-flow"}) {
        CHECK(because(explain(usual(verdict)), "lease").empty());
    }
    auto closed = usual("closed");
    closed.begins->refusal = "draining";
    CHECK(because(explain(closed), "lease").empty());
    closed.begins->refusal = "no-listener";
    CHECK_FALSE(because(explain(closed), "lease").empty());
}

TEST_CASE("why: drained by hand, it is named with the command that ends it") {
    auto evidence = usual("draining");
    evidence.daemon->services[0].drained = true;
    const auto said = explain(evidence);
    CHECK(because(said, "admission") == "plates was drained by an operator");
    CHECK(said.next.front() == "viscumctl resume plates");
}

TEST_CASE("why: a claim that has ended is named with its end, and another one's end is not") {
    auto evidence = usual("draining");
    auto& claims = evidence.daemon->services[0].claims;
    claims.push_back({.claim = "203.0.113.11:443/tcp", .admission = "drain", .ended = true, .cloud = {}});
    CHECK(because(explain(evidence), "admission").empty());
    claims[0].until = "2026-12-31T23:59:00Z";
    claims[0].ended = true;
    CHECK(because(explain(evidence), "admission") == "the claim ended at 2026-12-31T23:59:00Z");
}

TEST_CASE("why: what is closed is dropped, by the reason behind it") {
    auto evidence = usual("closed");
    evidence.begins->refusal = "no-listener";
    const auto said = explain(evidence);
    CHECK(said.outcome == "dropped");
    CHECK(said.says.find("nothing listens there") != std::string::npos);
    CHECK(said.says.find("on_failure: drop") != std::string::npos);
    CHECK(because(said, "onward").empty());
}

TEST_CASE("why: of a bridge it says which port it means, and what it does not know") {
    const auto said = [](const Evidence& evidence) {
        std::string all;
        for (const auto& remark : explain(evidence).because) {
            all += remark.about == "way in" ? remark.says + "\n" : "";
        }
        return all;
    };
    auto evidence = usual("served");
    evidence.bridge->without = {"lan2"};
    CHECK(said(evidence) == "it comes in by br-lan (its port lan1), which carries our filter\n");
    evidence.bridge->vlans = true;
    CHECK(said(evidence).find("br-lan tells VLANs apart: the answer is for frames that its port gets untagged.") !=
          std::string::npos);
    evidence.bridge = {.bridge = "br-lan", .port = "", .without = {"lan2", "lan3"}};
    CHECK(said(evidence).find("by which port the router does not know now. The answer is that of lan1") !=
          std::string::npos);
    CHECK(said(evidence).find("on lan2, lan3 is none, and what comes in there is not looked at") != std::string::npos);
    evidence.bridge->without.clear();
    CHECK(said(evidence) == "it comes in by br-lan, each of whose ports carries our filter\n");
    evidence.bridge->port = "lan2";
    evidence.filter_device.clear();
    CHECK(explain(evidence).outcome == "unseen");
    CHECK(explain(evidence).says.find("10.77.0.10 is behind lan2, a port of br-lan, which is no device of `lan:`") !=
          std::string::npos);
    evidence.daemon->lan.push_back({"lan2", "br-lan", false, "it has no Ethernet frames"});
    CHECK(explain(evidence).says.find("it has no Ethernet frames") != std::string::npos);
}

TEST_CASE("why: in the classic grade what is claimed may go elsewhere than the claim says") {
    auto evidence = usual("not-steered");
    evidence.by_headers = true;
    evidence.client.way.gateway = IpAddress::parse("10.77.0.2");
    const auto beyond = explain(evidence);
    CHECK(beyond.outcome == "cloud");
    CHECK(beyond.says.ends_with("goes to the cloud: no filter of the classic grade takes it"));
    CHECK(beyond.because[1].says.find("behind another router of the LAN, 10.77.0.2") != std::string::npos);
    evidence.begins->claim.reset();
    CHECK(explain(evidence).outcome == "unclaimed");

    auto deaf = usual("no-listener");
    deaf.by_headers = true;
    deaf.listening.emplace();
    CHECK(explain(deaf).outcome == "dropped");
    CHECK(explain(deaf).says.find("is refused by plates: nothing listens there") != std::string::npos);
    CHECK(because(explain(deaf), "listener") == "no listener on 203.0.113.10:443/tcp: it listens on nothing");
    CHECK(because(explain(deaf), "onward").empty());
    deaf.listening.reset();  // what cannot be seen is not told
    CHECK(because(explain(deaf), "listener").empty());
}

TEST_CASE("why: what passes no filter of ours is not looked at") {
    auto evidence = usual("served");
    evidence.filter_device.clear();
    evidence.bridge->port.clear();
    CHECK(explain(evidence).outcome == "unseen");
    CHECK(explain(evidence).says.find("once a service is deployed") != std::string::npos);
    evidence.daemon->lan[0].problem = "it has no Ethernet frames";
    CHECK(explain(evidence).says.find("it has no Ethernet frames") != std::string::npos);
    evidence.client.device = "wan";
    CHECK(explain(evidence).says.find("no device of `lan:`") != std::string::npos);
    evidence.client.way.kind = Way::Kind::local;
    CHECK(explain(evidence).says.find("the router's own") != std::string::npos);
    evidence.client.way.kind = Way::Kind::none;
    CHECK(explain(evidence).says.find("no way to 10.77.0.10") != std::string::npos);
}

TEST_CASE("why: an open connection, and one that is not") {
    auto evidence = usual("draining");
    evidence.query.source_port = 40000;
    evidence.goes_on = ruling("served");
    CHECK(explain(evidence).says.find("has a socket here, with plates: whether it is open") != std::string::npos);
    evidence.open = false;
    const auto closed = explain(evidence);
    CHECK(closed.outcome == "cloud");
    CHECK(because(closed, "connection").find("that of 10.77.0.10:40000 is closed") != std::string::npos);
    evidence.open = true;
    const auto open = explain(evidence);
    CHECK(open.outcome == "served");
    CHECK(open.says == "the connection 10.77.0.10:40000 to 203.0.113.10:443/tcp is open here, with plates");
    evidence.goes_on = ruling("cloud-flow");
    const auto other = explain(evidence);
    CHECK(other.outcome == "cloud");
    CHECK(because(other, "connection").find("none of 10.77.0.10:40000 is open here") != std::string::npos);
    CHECK(because(other, "connection").find("goes to the cloud") != std::string::npos);
    evidence.goes_on = ruling("closed");
    evidence.goes_on->refusal = "cloud-flow";
    CHECK(because(explain(evidence), "connection").ends_with("is dropped, too (on_failure: drop)"));
    evidence.goes_on = ruling("not-admitted");
    CHECK(because(explain(evidence), "connection") == "");
}

TEST_CASE("why: an answer that would be lost, and a past that went wrong") {
    auto evidence = usual("served");
    evidence.reply = ruling("fence-no-route");
    auto& service = evidence.daemon->services[0];
    service.given_back = {{"exited", 2}, {"unhealthy", 1}, {"drained", 0}};
    service.given_back_ms_ago = 125'000;
    service.given_back_cause = "unhealthy";
    service.last_exit = "killed by SIGKILL";
    const auto said = explain(evidence);
    CHECK(said.outcome == "dropped");
    CHECK(said.says.ends_with("reaches plates here, and its answer is dropped: the router has no way to the client"));
    CHECK(said.next == std::vector<std::string>{"viscumctl status plates"});
    CHECK(
        because(said, "history") ==
        "since viscumd started, new flows were not served because of: exited (2), unhealthy (1); the last time 2m ago: "
        "unhealthy");
    CHECK(because(said, "service") == "up, healthy; the last end: killed by SIGKILL");
}

TEST_CASE("why: without viscumd and without datapath it says what it does not know") {
    auto evidence = usual("served");
    evidence.daemon.reset();
    evidence.daemon_problem = "no viscumd runs for instance 'viscum'";
    CHECK(explain(evidence).outcome == "served");
    CHECK(explain(evidence).service.empty());
    CHECK(because(explain(evidence), "viscumd").starts_with("no viscumd runs"));
    evidence.begins.reset();
    evidence.not_asked = "cannot open '/sys/fs/bpf/viscum/v3/vs_config': No such file or directory";
    const auto said = explain(evidence);
    CHECK(said.outcome == "unknown");
    CHECK(said.says.find("vs_config") != std::string::npos);
}

TEST_CASE("why: a claim is read back as it was written") {
    for (const Claim& claim : {kClaim, Claim{*IpPrefix::parse("198.51.100.0/28"), {8000, 8100}, Protocol::udp},
                               Claim{*IpPrefix::parse("2001:db8::/64"), {}, Protocol::tcp},
                               Claim{*IpPrefix::parse("2001:db8::10"), {53, 53}, Protocol::udp}}) {
        const auto read = parse_claim(claim.text());
        REQUIRE(read);
        CHECK(*read == claim);
    }
    for (const char* text : {"", "/", ":", "203.0.113.10:80", "203.0.113.10/tcp", "203.0.113.10:80/icmp", "x:1/tcp"}) {
        CHECK_FALSE(parse_claim(text));
    }
}

TEST_CASE("why: by the report the longest prefix decides") {
    DaemonReport report;
    report.services.resize(2);
    report.services[0].claims.push_back({.claim = "203.0.113.0/24:any/tcp", .admission = "serve", .cloud = {}});
    report.services[1].claims.push_back({.claim = "203.0.113.10:443/tcp", .admission = "drain", .cloud = {}});
    const auto asked = [&](const char* to) { return ruling_by_report(*parse_flow("10.77.0.10", to), report); };
    CHECK(asked("203.0.113.10:443").verdict == "draining");
    CHECK(asked("203.0.113.10:80").verdict == "served");
    CHECK(asked("203.0.113.10:443/udp").verdict == "unclaimed");
    CHECK(asked("203.0.114.10:443").verdict == "unclaimed");
}
