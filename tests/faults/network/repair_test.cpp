// SPDX-License-Identifier: GPL-2.0-only
// What others take away comes back, and devices are followed as they come and go.
#include <signal.h>

#include <algorithm>
#include <array>

#include "tests/scene/scene.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

// Promised is 1 s; a loaded machine may take longer.
constexpr Millis kBack{3'000};

bool served(const NetNs& client) {
    return std::ranges::all_of(std::array{kWeb, kWeb6}, [&](const Endpoint& to) {
        return http_get(client, {.to = to, .limit = 300ms}).who() == "local";
    });
}

/// Another viscumd has other descriptors for the same things.
bool is_descriptor(const std::string& line) {
    return line.find(" descriptor of viscumd: ") != std::string::npos;
}

bool has_lan(const Scene& scene, const std::string& device) {
    const auto lan = scene.report().lan;
    const auto found = std::ranges::find(lan, device, &LanReport::device);
    return found != lan.end() && found->attached;
}

}  // namespace

TEST_CASE("repair: what another tool removes is back at once") {
    Scene scene;
    scene.deploy(web_service());
    const ServiceReport before = scene.status("web");
    const std::string link = before.link;
    const Snapshot snapshot = must(take_snapshot());
    const std::vector<std::pair<std::string, Argv>> removals = {
        {"the qdisc of a LAN device, our filter with it", {"tc", "qdisc", "del", "dev", "lan1", "clsact"}},
        {"our filter", {"tc", "filter", "del", "dev", "lan1", "ingress", "pref", "86"}},
        {"the fence", {"tc", "qdisc", "del", "dev", link, "clsact"}},
        {"the link", {"ip", "link", "del", link}},
        {"the namespace's name", {"ip", "netns", "del", "viscum-web"}},
        {"the addresses", {"ip", "-n", "viscum-web", "address", "flush", "dev", "eth0"}},
        {"the IPv4 routes", {"ip", "-n", "viscum-web", "route", "flush", "table", "main"}},
        {"the IPv6 routes", {"ip", "-n", "viscum-web", "-6", "route", "flush", "table", "main"}},
        {"the link, set down at the router's end", {"ip", "link", "set", link, "down"}},
        {"the link, set down at the service's end", {"ip", "-n", "viscum-web", "link", "set", "eth0", "down"}},
    };
    for (const auto& [what, removal] : removals) {
        CAPTURE(what);
        must(output_of(removal, {.ns = &scene.bed().hotspot()}));
        CHECK(join(must(leaks_since(snapshot, kBack, is_probe)), "\n") == "");
        CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
        CHECK(scene.status("web").pid == before.pid);
    }
    CHECK(scene.status("web").restarts == 0);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("repair: what another tool changed while no viscumd ran is back once one does") {
    Scene scene;
    scene.deploy(web_service());
    const ServiceReport before = scene.status("web");
    const Snapshot snapshot = must(take_snapshot());
    const std::vector<Argv> changes = {
        {"tc", "qdisc", "del", "dev", "lan1", "clsact"},
        {"ip", "link", "del", before.link},
        {"ip", "-n", "viscum-web", "address", "add", "203.0.113.99/32", "dev", "eth0"},
        {"ip", "netns", "del", "viscum-web"},
    };
    for (const Argv& change : changes) {
        CAPTURE(join(change, " "));
        scene.viscumd().kill();
        must(output_of(change, {.ns = &scene.bed().hotspot()}));
        must(scene.viscumd().start_again());
        CHECK(join(must(leaks_since(snapshot, kBack, is_descriptor)), "\n") == "");
        CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
        CHECK(scene.status("web").pid == before.pid);
    }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("repair: a bridge's port is served as long as it is one") {
    Scene scene;
    scene.deploy(web_service());
    CHECK(scene.web(kWeb, 2) == "local");
    must(ip_batch(scene.bed().hotspot(), "link set lan2 nomaster\n"));
    CHECK(eventually(kBack, [&] { return !has_lan(scene, "lan2"); }));
    CHECK(must(output_of({"tc", "filter", "show", "dev", "lan2", "ingress"}, {.ns = &scene.bed().hotspot()})).empty());
    must(ip_batch(scene.bed().hotspot(), "link set lan2 master br-lan\n"));
    CHECK(eventually(kBack, [&] { return served(scene.bed().client(2)); }));
    CHECK(has_lan(scene, "lan2"));
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("repair: a port that joins later is served, and so is one that was made anew") {
    Scene scene;
    scene.deploy(web_service());
    {
        const NetNs guest = must(NetNs::create("guest"));
        for (int time = 0; time < 2; ++time) {
            must(ip_batch(scene.bed().hotspot(),
                          "link add lan9 type veth peer name eth0 netns guest\nlink set lan9 master br-lan up\n"));
            must(ip_batch(guest,
                          "link set lo up\nlink set eth0 up\naddress add 10.77.0.99/16 dev eth0\n"
                          "address add 2001:db8:77::99/64 dev eth0 nodad\n"
                          "route add default via 10.77.0.1\nroute add default via 2001:db8:77::1\n"));
            CHECK(eventually(kBack, [&] { return served(guest); }));
            must(ip_batch(scene.bed().hotspot(), "link del lan9\n"));
        }
        must(remove_net_ns_name("guest"));
    }
    CHECK(eventually(kBack, [&] { return !has_lan(scene, "lan9"); }));
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("repair: a change of `lan:` moves the filters with SIGHUP, and over a restart") {
    Scene scene({.bed = {.bridge = false}, .config_lines = "lan: [lan1]\n"});
    scene.deploy(web_service());
    CHECK(scene.web(kWeb, 1) == "local");
    CHECK(scene.web(kWeb, 2) == "cloud");
    const auto set_lan = [&](const std::string& device) { scene.write_config(cat("lan: [", device, "]\n")); };
    set_lan("lan2");
    REQUIRE(kill(scene.viscumd().pid(), SIGHUP) == 0);
    CHECK(eventually(kBack, [&] { return scene.web(kWeb, 2) == "local" && scene.web(kWeb, 1) == "cloud"; }));
    scene.viscumd().kill();
    set_lan("lan1");
    must(scene.viscumd().start_again());
    CHECK(eventually(kBack, [&] { return scene.web(kWeb, 1) == "local" && scene.web(kWeb, 2) == "cloud"; }));
    // A connection of a device that is no LAN device any more never ends.
    scene.ctl({"remove", "web", "--wait", "1s"});
    scene.check_no_leak();
}

}  // namespace viscum
