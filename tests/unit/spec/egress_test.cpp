// SPDX-License-Identifier: GPL-2.0-only
// What a service may begin by itself, and the names of the addresses that it claims.
#include <doctest/doctest.h>

#include "base/text.h"
#include "spec_texts.h"

using namespace viscum;
using namespace viscum::test;

namespace {

/// `egress` of the service of spec_texts.h; it begins in line 5, column 9.
std::string egress_says(const std::string& egress) {
    return says("egress: " + egress + "\n");
}
EgressSpec egress_of(const std::string& egress) {
    return service_of(kService + "egress: " + egress + "\n").egress;
}
std::string with_claims(const std::string& claims, const std::string& more = "") {
    return "viscum: 1\nname: web\nintercept: [" + claims + "]\nrun: { command: [/bin/web] }\n" + more;
}
std::string claims_say(const std::string& claims, const std::string& more = "") {
    return service_says(with_claims(claims, more));
}

}  // namespace

TEST_CASE("spec: egress is a word, or a list of words and targets") {
    CHECK(service_of(kService).egress == EgressSpec{});
    CHECK(egress_of("none") == EgressSpec{});
    CHECK_FALSE(egress_of("none").any());
    CHECK(egress_of("internet").internet);
    CHECK(egress_of("origin").origin);
    const auto all = egress_of(
        "[internet, origin, 192.0.2.53:53/udp, '[2001:db8::1]:443', 192.0.2.0/24:any/tcp, "
        "'[2001:db8:1::/48]:any/udp']");
    CHECK(all.any());
    CHECK(
        all.text() ==
        "internet, origin, 192.0.2.53:53/udp, [2001:db8::1]:443/tcp, 192.0.2.0/24:any/tcp, [2001:db8:1::/48]:any/udp");
    CHECK(EgressSpec{}.text() == "none");
    CHECK(egress_of("[192.0.2.1:80]").targets == std::vector<EgressTarget>{{*IpPrefix::parse("192.0.2.1"), {80, 80}}});
}

TEST_CASE("spec: a mistake in egress has its place and a hint") {
    CHECK(egress_says("all") ==
          "web.yaml:5:9: 'egress': unknown value 'all' (none, internet, origin, or a list such as [origin, "
          "192.0.2.53:53/udp])");
    CHECK(egress_says("192.0.2.53:53/udp").starts_with("web.yaml:5:9: 'egress': unknown value '192.0.2.53:53/udp'"));
    CHECK(egress_says("[]") == "web.yaml:5:9: 'egress' is empty (egress: none, or [origin, 192.0.2.53:53/udp])");
    CHECK(egress_says("[none]") == "web.yaml:5:10: 'none' in a list (egress: none)");
    CHECK(egress_says("{ a: b }").starts_with("web.yaml:5:9: 'egress' is a map where a single value is expected"));
    CHECK(egress_says("[[a]]").starts_with("web.yaml:5:10: an item of 'egress' is a list where a single value"));
    const std::string target =
        " is no egress (ADDRESS:PORT/PROTOCOL, such as 192.0.2.53:53/udp or \"[2001:db8::1]:443\")";
    CHECK(egress_says("[192.0.2.1]") == "web.yaml:5:10: '192.0.2.1'" + target);
    CHECK(egress_says("['[2001:db8::1]']") == "web.yaml:5:10: '[2001:db8::1]'" + target);
    CHECK(egress_says("['[2001:db8::1']") == "web.yaml:5:10: '[2001:db8::1'" + target);
    CHECK(egress_says("[interned]") == "web.yaml:5:10: 'interned'" + target);
    CHECK(egress_says("['2001:db8::1:443']") ==
          "web.yaml:5:10: '2001:db8::1:443' is no egress (put an IPv6 address in brackets, and all in quotes)");
    CHECK(egress_says("['::1']").find("put an IPv6 address in brackets") != std::string::npos);
    CHECK(egress_says("[example.com:80]").starts_with("web.yaml:5:10: 'example.com' is no IP address"));
    CHECK(egress_says("[192.0.2.7/24:80]").starts_with("web.yaml:5:10: '192.0.2.7/24' is no network"));
    CHECK(egress_says("[192.0.2.1:0]") == "web.yaml:5:10: port 0 is out of range (a port is 1 to 65535, or any)");
    CHECK(egress_says("[192.0.2.1:80-90]") == "web.yaml:5:10: port range '80-90' in 'egress' (one port, or any)");
    CHECK(egress_says("[192.0.2.1:80/sctp]") == "web.yaml:5:10: unknown protocol 'sctp' (tcp or udp)");
    CHECK(egress_says("[192.0.2.1:80/]") == "web.yaml:5:10: unknown protocol '' (tcp or udp)");
    CHECK(egress_says("[origin, origin]") == "web.yaml:5:18: 'origin' is there twice");
    CHECK(egress_says("[192.0.2.1:80, 192.0.2.1:80/tcp]") == "web.yaml:5:24: 192.0.2.1:80/tcp is there twice");
}

TEST_CASE("spec: a service has at most 64 targets") {
    std::string targets = "192.0.2.1:1";
    for (int port = 2; port <= 64; ++port) {
        targets += ", 192.0.2.1:" + std::to_string(port);
    }
    CHECK(egress_says("[" + targets + "]") == "accepted");
    CHECK(egress_says("[" + targets + ",\n 192.0.2.1:99]") == "web.yaml:6:2: too many items of 'egress' (at most 64)");
}

TEST_CASE("spec: nothing is sent to addresses that are nobody's, or to the service's own") {
    CHECK(egress_says("[127.0.0.1:80]") ==
          "web.yaml:5:10: 127.0.0.1:80/tcp is a loopback address, which nothing is sent to");
    CHECK(egress_says("[224.0.0.251:5353/udp]") ==
          "web.yaml:5:10: 224.0.0.251:5353/udp is a multicast address, which nothing is sent to");
    CHECK(egress_says("['[fe80::/64]:any']") ==
          "web.yaml:5:10: [fe80::/64]:any/tcp is a link-local address, which nothing is sent to");
    CHECK(egress_says("[10.0.0.1:53/udp, 0.0.0.0/0:443]") == "accepted");
    CHECK(egress_says("[203.0.113.10:443]") ==
          "web.yaml:5:10: 203.0.113.10:443/tcp is the service's own: it would speak to itself (egress: origin reaches "
          "the real one)");
    CHECK(egress_says("[203.0.113.0/24:443]") == "accepted");
}

TEST_CASE("spec: origin needs few single addresses") {
    const auto claims = [](int count) {
        std::string out;
        for (int i = 0; i < count; ++i) {
            out += cat("{ address: 203.0.113.", i + 1, ", port: 80 }, { address: 203.0.113.", i + 1, ", port: 443 },");
        }
        return out;
    };
    CHECK(claims_say(claims(6), "egress: origin\n") == "accepted");
    CHECK(claims_say(claims(7), "egress: origin\n") ==
          "web.yaml:5:9: 'origin' with 7 claimed addresses (claim up to 6 addresses one by one)");
    CHECK(claims_say(claims(7), "egress: internet\n") == "accepted");
    CHECK(claims_say(claims(1) + "{ address: 198.51.100.0/28, port: 80 }", "egress: [origin]\n") ==
          "web.yaml:5:9: 'origin' needs single addresses, and 198.51.100.0/28:80/tcp is a prefix (claim up to 6 "
          "addresses one by one)");
}

TEST_CASE("spec: with origin the service's /etc/hosts is written for it") {
    const std::string hosts = "files: [{ path: /etc/hosts, text: x }]\n";
    CHECK(says(hosts + "egress: internet\n") == "accepted");
    CHECK(says(hosts + "egress: [origin]\n") ==
          "web.yaml:5:8: a file '/etc/hosts' beside 'egress: origin', which writes it (give addresses a 'name' in "
          "'intercept')");
}

TEST_CASE("spec: a service that begins flows does not claim the ports that they leave from") {
    const std::string hint = " claims them (claim the ports that it serves, or write egress: none)";
    const std::string why = "web.yaml:5:9: 'egress' needs ports 32768-60999 for flows that the service begins, and ";
    CHECK(claims_say("{ address: 203.0.113.1 }", "egress: internet\n") == why + "203.0.113.1:any/tcp" + hint);
    CHECK(claims_say("{ address: 203.0.113.1, port: 60999 }", "egress: [192.0.2.1:80]\n") ==
          why + "203.0.113.1:60999/tcp" + hint);
    CHECK(claims_say("{ address: 203.0.113.1, port: 1-32767 }, { address: 203.0.113.1, port: 61000-65535 }",
                     "egress: internet\n") == "accepted");
    CHECK(claims_say("{ address: 203.0.113.1 }", "egress: none\n") == "accepted");
}

TEST_CASE("spec: a claimed address may have names") {
    const auto spec = service_of(with_claims(
        "{ address: 203.0.113.1, port: 80, name: WWW.Example }, { address: 203.0.113.1, port: 443, name: www.example "
        "}, "
        "{ address: '2001:db8::1', port: 443, name: www.example }, { address: 203.0.113.1, port: 8443, name: a }"));
    const auto v4 = *IpAddress::parse("203.0.113.1");
    CHECK(spec.names ==
          std::vector<HostName>{{"www.example", v4}, {"www.example", *IpAddress::parse("2001:db8::1")}, {"a", v4}});
    CHECK(claims_say("{ address: 203.0.113.0/24, name: www.example }") ==
          "web.yaml:3:46: a name for 203.0.113.0/24 (only a single address can have one)");
}

TEST_CASE("spec: a host name is one of RFC 1123") {
    const auto name_says = [](const std::string& name) {
        return claims_say("{ address: 203.0.113.1, name: " + name + " }");
    };
    for (const std::string name : {"a", "3com.example", "xn--a-b.example", "a.1b"}) {
        CHECK(name_says(name) == "accepted");
    }
    const std::string long_label = repeated("a", 64);
    for (const std::string name : {"a_b", "-a", "a-", "a..b", ".a", "a.", "'a b'", "'*.a'", "203.0.113.1", "'::1'",
                                   "localhost", "LOCALHOST", "\"a\\nb\"", "gr\xc3\xbc\xc3\x9f"}) {
        CHECK(name_says(name).find(" is no host name (such as plates.example") != std::string::npos);
    }
    CHECK(name_says(long_label) != "accepted");
    CHECK(name_says(repeated("aaa.", 63) + "a") == "accepted");
    CHECK(name_says(repeated("aaa.", 63) + "aa") != "accepted");
}
