// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include "spec_texts.h"

using namespace viscum;
using namespace viscum::test;
using namespace std::chrono_literals;

TEST_CASE("spec: every field of viscum.yaml is read") {
    const auto config = router_of(R"(viscum: 1
lan: [br-lan, "wlan*"]
claimable:
  - "203.0.113.0/24"
  - { address: 2001:db8::/32, port: 443 }
  - { address: 198.51.100.7, port: 8000-8100 }
lease: 5s
tables: { rules: 16, flows: 1048576, fragments: 64 }
aliases: { v4: 10.99.0.0/16, v6: "fd00:1::/64" }
datapath: classic
cost_per_gb: 4.50 EUR
metered: true
measure_cloud: true
log_level: debug
)");
    RouterConfig expected;
    expected.lan = {"br-lan", "wlan*"};
    expected.claimable = {{*IpPrefix::parse("203.0.113.0/24"), {}},
                          {*IpPrefix::parse("2001:db8::/32"), {443, 443}},
                          {*IpPrefix::parse("198.51.100.7"), {8000, 8100}}};
    expected.lease = 5s;
    expected.tables = {16, 1'048'576, 64};
    expected.aliases = {*IpPrefix::parse("10.99.0.0/16"), *IpPrefix::parse("fd00:1::/64")};
    expected.datapath = DatapathChoice::classic;
    expected.cost_per_gb = Price{45'000, "EUR"};
    expected.metered = true;
    expected.log_level = "debug";
    CHECK(config == expected);
}

TEST_CASE("spec: viscum.yaml needs lan, and has a default for the rest") {
    RouterConfig expected;
    expected.lan = {"eth1"};
    CHECK(router_of("lan: [eth1]\n") == expected);
    CHECK(router_of("lan: [eth1]\nclaimable: []\n") == expected);
    CHECK(router_says("") == "viscum.yaml:1:1: the file is empty");
    CHECK(router_says("viscum: 1\n") == "viscum.yaml:1:1: 'lan' is missing (lan: [br-lan])");
    CHECK(router_says("lan: []\n") ==
          "viscum.yaml:1:6: 'lan' is empty (lan: [br-lan], device names or patterns such as wlan*)");
}

TEST_CASE("spec: a lease is off or at least a second") {
    CHECK(router_of("lan: [eth1]\nlease: off\n").lease == std::nullopt);
    CHECK(router_of("lan: [eth1]\nlease: 1s\n").lease == 1000ms);
    CHECK(router_says("lan: [eth1]\nlease: 999ms\n") == "viscum.yaml:2:8: 'lease': 999ms is out of range (1s to 24h)");
    CHECK(router_says("lan: [eth1]\nlease: never\n") ==
          "viscum.yaml:2:8: 'lease': 'never' is no duration (a number and ms, s, m or h, such as 500ms or 2s)");
}

TEST_CASE("spec: table sizes have bounds") {
    const auto says_of = [](const std::string& tables) {
        return router_says("lan: [eth1]\ntables: { " + tables + " }\n");
    };
    CHECK(says_of("rules: 15") == "viscum.yaml:2:18: 'rules': 15 is out of range (16 to 65536)");
    CHECK(says_of("rules: 65537") == "viscum.yaml:2:18: 'rules': 65537 is out of range (16 to 65536)");
    CHECK(says_of("flows: 63") == "viscum.yaml:2:18: 'flows': 63 is out of range (64 to 1048576)");
    CHECK(says_of("flows: 1048577") == "viscum.yaml:2:18: 'flows': 1048577 is out of range (64 to 1048576)");
    CHECK(says_of("fragments: 63") == "viscum.yaml:2:22: 'fragments': 63 is out of range (64 to 65536)");
    CHECK(says_of("rule: 64") == "viscum.yaml:2:11: unknown key 'rule' (did you mean 'rules'?)");
}

TEST_CASE("spec: aliases are private prefixes of one length, each with a default") {
    const auto says_of = [](const std::string& aliases) {
        return router_says("lan: [eth1]\naliases: { " + aliases + " }\n");
    };
    CHECK(router_of("lan: [eth1]\naliases: { v6: 'fd00::/64' }\n").aliases.v4 == *IpPrefix::parse("198.19.0.0/16"));
    for (const std::string v4 : {"10.0.0.0", "172.31.0.0", "192.168.0.0", "198.18.0.0", "100.127.0.0", "169.254.0.0"}) {
        CHECK(says_of("v4: " + v4 + "/16") == "accepted");
    }
    CHECK(says_of("v4: 198.19.0.0/17") ==
          "viscum.yaml:2:16: 'v4': 198.19.0.0/17 is no IPv4 prefix of 16 bits (such as 198.19.0.0/16)");
    CHECK(says_of("v4: 'fd00::/64'") ==
          "viscum.yaml:2:16: 'v4': fd00::/64 is no IPv4 prefix of 16 bits (such as 198.19.0.0/16)");
    CHECK(says_of("v6: 'fd00::/48'") ==
          "viscum.yaml:2:16: 'v6': fd00::/48 is no IPv6 prefix of 64 bits (such as fd76:6973:6375:6d::/64)");
    CHECK(says_of("v4: 203.0.0.0/16") ==
          "viscum.yaml:2:16: 'v4': 203.0.0.0/16 is no private network (of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, "
          "198.18.0.0/15, 100.64.0.0/10 or 169.254.0.0/16)");
    CHECK(says_of("v6: '2001:db8::/64'") ==
          "viscum.yaml:2:16: 'v6': 2001:db8::/64 is no private network (of fc00::/7)");
    CHECK(says_of("v5: x") == "viscum.yaml:2:12: unknown key 'v5' (did you mean 'v4'?)");
}

TEST_CASE("spec: devices are names that the kernel takes, or patterns") {
    const std::string hint = " (at most 15 bytes, without '/' and ':')";
    CHECK(router_says("lan: [eth0/1]\n") == "viscum.yaml:1:7: 'eth0/1' is no device name" + hint);
    CHECK(router_says("lan: [..]\n") == "viscum.yaml:1:7: '..' is no device name" + hint);
    CHECK(router_says("lan: ['a b']\n") == "viscum.yaml:1:7: 'a b' is no device name" + hint);
    CHECK(router_says("lan: [sixteen-bytes-00]\n") == "viscum.yaml:1:7: 'sixteen-bytes-00' is no device name" + hint);
    CHECK(router_says("lan: [eth0, eth0]\n") == "viscum.yaml:1:13: device 'eth0' is there twice");
    CHECK(router_says("lan: br-lan\n") ==
          "viscum.yaml:1:6: 'lan' is a single value where a list is expected (lan: "
          "[br-lan], device names or patterns such as wlan*)");
    CHECK(router_of("lan: ['br-guest-[0-9]*']\n").lan == std::vector<std::string>{"br-guest-[0-9]*"});
}

TEST_CASE("spec: claimable is as strict as a claim") {
    CHECK(router_says("lan: [a]\nclaimable: [203.0.113.1/24, { port: 1 }, { address: 300.1.1.1 }, { address: "
                      "203.0.113.1, port: 08, protocol: tcp }]\n") ==
          "viscum.yaml:2:13: '203.0.113.1/24' is no network: bits behind the prefix length are set (the network is "
          "203.0.113.0/24)\n"
          "viscum.yaml:2:29: 'address' is missing (address: 203.0.113.0/24)\n"
          "viscum.yaml:2:53: '300.1.1.1' is no IP address (an address or prefix, such as 203.0.113.10, "
          "198.51.100.0/28 or 2001:db8::10)\n"
          "viscum.yaml:2:96: port 08 has a leading zero (write 8)\n"
          "viscum.yaml:2:100: unknown key 'protocol' (known here: address, port)");
    CHECK(router_says("lan: [a]\nclaimable: 203.0.113.0/24\n") ==
          "viscum.yaml:2:12: 'claimable' is a single value where a list is expected (claimable: [203.0.113.0/24])");
}

TEST_CASE("spec: who is trusted is a key, and never nobody by mistake") {
    const std::string key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOH1EjjF4MA9XuhdaOLYFdUOEYZsxfkERW7cjBV+zer0";
    CHECK(router_of("lan: [eth1]\n").trust.empty());
    CHECK(router_of("lan: [eth1]\ntrust: ['" + key + " ops@example.net', '" + key + "']\n").trust ==
          std::vector{key, key});
    for (const std::string& item : {std::string(" "), std::string("\t"), std::string("ops"), key.substr(0, 79),
                                    key + "A", "ssh-rsa " + key.substr(12), key.substr(12), "x" + key}) {
        CAPTURE(item);
        CHECK(router_says("lan: [eth1]\ntrust: [\"" + item + "\"]\n").find("viscum.yaml:2:") == 0);
    }
    for (const char* text : {"[]", "", "~", "{}", "''", "[[]]", "[{}]", "['']", "yes"}) {
        CAPTURE(text);
        CHECK(router_says(std::string("lan: [eth1]\ntrust: ") + text + "\n").find("viscum.yaml:2:") == 0);
    }
}

TEST_CASE("spec: a price is a number with four decimals at most, and a currency where that is to be told") {
    const auto price_of = [](const std::string& text) {
        return router_of("lan: [eth1]\ncost_per_gb: " + text + "\n").cost_per_gb;
    };
    CHECK(price_of("4.50 EUR") == Price{45'000, "EUR"});
    CHECK(price_of("0") == Price{0, ""});
    CHECK(price_of("0.0001 Fr") == Price{1, "Fr"});
    CHECK(price_of("10000") == Price{Price::kMost, ""});
    CHECK(price_of("10000")->text() == "10000.00");
    CHECK(price_of("4.5 EUR")->text() == "4.50 EUR");
    CHECK(price_of("0.0070")->text() == "0.007");
    for (const char* text :
         {"4,50", "-1", "1.", ".5", "1.00001", "10000.0001", "10001", "1e3", "EUR", "4.5 EUR x", "4.5EUR", "'4.5 '",
          "4.5 E1", "4.5 ABCDEFGHI", "''", "[4.5]", "0x1", "99999999999999999999"}) {
        CAPTURE(text);
        CHECK(router_says(std::string("lan: [eth1]\ncost_per_gb: ") + text + "\n").find("viscum.yaml:2:") == 0);
    }
    CHECK(router_says("lan: [eth1]\ncost_per_gb: cheap\n") ==
          "viscum.yaml:2:14: 'cost_per_gb': 'cheap' is no price (as in 4.50 EUR: from 0 to 10000 with at most four "
          "decimals, then 1-8 letters)");
}

TEST_CASE("spec: over a metered uplink nothing is measured, unless that is asked for") {
    CHECK(router_of("lan: [eth1]\n").measure_cloud);
    CHECK(!router_of("lan: [eth1]\nmetered: true\n").measure_cloud);
    CHECK(router_of("lan: [eth1]\nmetered: true\nmeasure_cloud: true\n").measure_cloud);
    CHECK(!router_of("lan: [eth1]\nmeasure_cloud: false\n").measure_cloud);
    CHECK(router_says("lan: [eth1]\nmetered: 1\n").find("viscum.yaml:2:") == 0);
}

TEST_CASE("spec: unknown keys, versions and levels of viscum.yaml are refused") {
    CHECK(router_says("viscum: 2\nlan: [a]\nlog_level: trace\nleese: 1s\n") ==
          "viscum.yaml:1:9: unknown format version '2' (this program reads viscum: 1)\n"
          "viscum.yaml:3:12: 'log_level': unknown value 'trace' (one of debug, info, warn, error)\n"
          "viscum.yaml:4:1: unknown key 'leese' (did you mean 'lease'?)");
}
