// SPDX-License-Identifier: GPL-2.0-only
// /etc/config/viscum to viscum.yaml, as viscumd reads it.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "controller/spec/parse.h"
#include "tests/openwrt/fixture.h"

using namespace viscum;
using namespace viscum::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* kFile = "/etc/viscum/viscum.yaml";
const std::string kLan = "\tlist lan 'br-lan'\n";
const std::string kKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOH1EjjF4MA9XuhdaOLYFdUOEYZsxfkERW7cjBV+zer0";

/// A UCI value may hold anything, newlines too; a quote ends it.
std::string quoted(const std::string& value) {
    std::string text = "'";
    for (const char c : value) {
        text += c == '\'' ? "'\\''" : std::string(1, c);
    }
    return text + "'\n";
}

RouterConfig config_of(const Router& router) {
    const auto parsed = parse_router_config(router.read(kFile), "viscum.yaml");
    if (const auto* mistakes = std::get_if<Diagnostics>(&parsed)) {
        FAIL_CHECK(mistakes->front().text());
        return {};
    }
    return std::get<RouterConfig>(parsed);
}

}  // namespace

TEST_CASE("openwrt: viscumd reads in viscum.yaml what /etc/config/viscum says") {
    const Router router;
    router.configure(
        "\tlist lan 'br-lan'\n\tlist lan 'wlan*'\n\tlist lan '[!x]th?'\n\tlist lan 'eth0.10'\n"
        "\tlist claimable '203.0.113.0/24'\n\tlist claimable '2001:DB8::7 443'\n"
        "\tlist claimable '198.51.100.0/28 8000-8100'\n\toption lease '5s'\n\toption log_level 'debug'\n"
        "\toption cost_per_gb '4.50 EUR'\n\toption metered '1'\n\toption measure_cloud 'on'\n"
        "\tlist trust '" +
        kKey + " ops@example.net'\n\tlist trust '" + kKey + "'\n");
    REQUIRE(router.init("start") == 0);
    RouterConfig expected;
    expected.lan = {"br-lan", "wlan*", "[!x]th?", "eth0.10"};
    expected.claimable = {{*IpPrefix::parse("203.0.113.0/24"), {}},
                          {*IpPrefix::parse("2001:db8::7"), {443, 443}},
                          {*IpPrefix::parse("198.51.100.0/28"), {8000, 8100}}};
    expected.lease = 5s;
    expected.log_level = "debug";
    expected.cost_per_gb = Price{45'000, "EUR"};
    expected.metered = true;
    expected.trust = {kKey, kKey};
    CHECK(config_of(router) == expected);
    CHECK(std::filesystem::status(router.path(kFile)).permissions() ==
          (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));

    router.configure(kLan + "\toption lease 'off'\n");
    REQUIRE(router.init("start") == 0);
    expected = {};
    expected.lan = {"br-lan"};
    expected.lease = std::nullopt;
    CHECK(config_of(router) == expected);
}

TEST_CASE("openwrt: viscum.yaml is written only when it changes, and nothing else is left") {
    const Router router;
    router.configure(kLan);
    REQUIRE(router.init("start") == 0);
    const auto version = router.version(kFile);
    router.set_running(true);
    for (const auto* action : {"start", "reload"}) {
        REQUIRE(router.init(action) == 0);
        CHECK(router.version(kFile) == version);
    }
    router.write("/etc/viscum/viscum.yaml.new", "left by a kill");
    router.configure(kLan + "\tlist claimable '203.0.113.9'\n");
    REQUIRE(router.init("reload") == 0);
    CHECK(router.version(kFile) != version);
    CHECK(config_of(router).claimable.size() == 1);
    CHECK(!router.exists("/etc/viscum/viscum.yaml.new"));
    // A power cut leaves the old file or the new one.
    CHECK(router.read("/syncs") == "\n\n");
}

TEST_CASE("openwrt: no value of /etc/config/viscum becomes YAML of its own") {
    const Router router;
    const std::vector<std::string> hostile{
        "a\nclaimable: [0.0.0.0/0]",
        "\n",
        "a\n",
        "a\"",
        "a\", \"*",
        "a'b",
        "a #b",
        "#",
        "a: b",
        "a b",
        " ",
        "[a, b]",
        "a,b",
        "{a}",
        "&a",
        "|",
        ">",
        "%",
        "a\\",
        "a\tb",
        "a\rb",
        "\x01",
        "\xc3\xa9",
        "\xff",
        "$(touch " + router.path("/ran") + ")",
        "`id`",
        "a;b",
        "30s\nlan: [eth9]\nx: 1s",
        "30 s",
        "info\nlan: [x]",
        "203.0.113.0/24\n  - 0.0.0.0/0",
        "203.0.113.1 80, x: 1",
        "203.0.113.1 80 81",
        "203.0.113.1 80-90-95",
        "203.0.113.1  80",
        "203.0.113.1 ",
        "203.0.113.1 -1",
        "203.0.113.1 80\n",
        "203.0.113.1 80 }\n",
    };
    router.configure(kLan + "\toption lease '9s'\n");
    REQUIRE(router.init("start") == 0);
    const auto kept = router.read(kFile);
    router.set_running(true);
    const auto refusals = [&](const std::string& config) {
        router.configure(kLan + config);
        router.remove("/log");
        CHECK(router.init("reload") != 0);
        CHECK(router.read(kFile) == kept);
        // A line for each, whatever is in it, and a last one: that nothing was written.
        const auto log = router.read("/log");
        CHECK(log.find("viscum.yaml is not written\n") != std::string::npos);
        return std::count(log.begin(), log.end(), '\n') - 1;
    };
    std::string lan;
    std::string claimable;
    std::string trust;
    for (const auto& value : hostile) {
        CAPTURE(value);
        CHECK(refusals("\toption lease " + quoted(value) + "\toption log_level " + quoted(value)) == 2);
        // 30 of some currency is a price.
        CHECK(refusals("\toption metered " + quoted(value) + "\toption cost_per_gb " + quoted(value)) ==
              (value == "30 s" ? 1 : 2));
        lan += "\tlist lan " + quoted(value);
        claimable += "\tlist claimable " + quoted(value);
        trust += "\tlist trust " + quoted(value) + "\tlist trust " + quoted(kKey + value);
    }
    CHECK(refusals(lan) == static_cast<long>(hostile.size()));
    CHECK(refusals(claimable) == static_cast<long>(hostile.size()));
    CHECK(refusals(trust) >= static_cast<long>(hostile.size()));
    CHECK(refusals("\toption trust " + quoted(kKey)) == 1);
    CHECK(!router.exists("/ran"));
}

TEST_CASE("openwrt: without a LAN viscumd is not started") {
    const Router router;
    router.configure("");
    CHECK(router.init("start") != 0);
    CHECK(!router.exists(kFile));
    CHECK(router.read("/log").find("is missing") != std::string::npos);
}

TEST_CASE("openwrt: a viscum.yaml that the operator wrote is used as it is, whatever /etc/config/viscum says") {
    const Router router;
    const std::string own = "\nlan: [eth7]\ntables: { rules: 512 }\n";
    router.write(kFile, own);
    const auto version = router.version(kFile);
    router.configure(kLan + "\toption lease 'nonsense'\n");
    CHECK(router.init("start") == 0);
    CHECK(router.take_sent().size() == 1);
    router.set_running(true);
    CHECK(router.init("reload") == 0);
    CHECK(router.take_sent() == std::vector<std::string>{R"(signal {"name":"viscum","signal":1})"});
    CHECK(router.version(kFile) == version);
    CHECK(router.read("/log").find("is not ours and is used as it is") != std::string::npos);

    // Made his own by taking our lines away.
    router.remove(kFile);
    router.configure(kLan);
    REQUIRE(router.init("start") == 0);
    auto text = router.read(kFile);
    text.erase(0, text.find("viscum: 1"));
    router.write(kFile, text);
    router.configure(kLan + "\toption lease '9s'\n");
    REQUIRE(router.init("start") == 0);
    CHECK(router.read(kFile) == text);
}

TEST_CASE("openwrt: a link in the place of viscum.yaml is the operator's, too") {
    const Router router;
    router.configure(kLan);
    REQUIRE(router.init("start") == 0);
    std::filesystem::rename(router.path(kFile), router.path("/mine.yaml"));
    router.configure(kLan + "\toption lease '9s'\n");
    const auto mine = router.read("/mine.yaml");
    for (const auto* target : {"/mine.yaml", "/nowhere.yaml"}) {
        router.remove(kFile);
        std::filesystem::create_symlink(router.path(target), router.path(kFile));
        CHECK(router.init("start") == 0);
        CHECK(std::filesystem::is_symlink(router.path(kFile)));
    }
    CHECK(router.read("/mine.yaml") == mine);
    CHECK(!router.exists("/nowhere.yaml"));
}

TEST_CASE("openwrt: a viscum.yaml that a power cut left empty is written again") {
    const Router router;
    router.write(kFile, "");
    router.configure(kLan);
    CHECK(router.init("start") == 0);
    CHECK(config_of(router).lan == std::vector<std::string>{"br-lan"});
}

TEST_CASE("openwrt: the first start names the LAN where nobody has, and does so once") {
    const auto defaults = package_file("files/viscum.defaults");
    const auto lan_of = [&](const std::string& network, const std::string& config) {
        const Router router;
        router.write("/etc/config/network", network);
        router.write("/etc/config/viscum", config);
        for (int i = 0; i < 2; ++i) {
            const auto output = router.script({defaults});
            CHECK_MESSAGE(output.success(), output.err);
        }
        REQUIRE(router.init("start") == 0);
        return config_of(router).lan;
    };
    using Names = std::vector<std::string>;
    const Router router;
    std::filesystem::copy_file(package_file("files/viscum.config"), router.path("/etc/config/viscum"));
    const auto shipped = router.read("/etc/config/viscum");
    const std::string network = "config interface 'lan'\n\toption device ";
    CHECK(lan_of(network + "'br-home'\n", shipped) == Names{"br-home"});
    CHECK(lan_of(network + "'two devices'\n", shipped) == Names{"br-lan"});
    CHECK(lan_of("", shipped) == Names{"br-lan"});
    CHECK(lan_of(network + "'br-home'\n", "") == Names{"br-home"});
    CHECK(lan_of(network + "'br-home'\n", shipped + "\tlist lan 'eth3'\n") == Names{"eth3"});
}
