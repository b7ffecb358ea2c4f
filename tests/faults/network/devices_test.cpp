// SPDX-License-Identifier: GPL-2.0-only
// Devices that go, come back, change their names and numbers, or fall and rise.
#include <signal.h>

#include <algorithm>
#include <set>

#include "tests/faults/network/faults.h"
#include "tests/faults/network/tables.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

std::string filters(Scene& scene, const std::string& device) {
    return said_in_hotspot(scene, {"tc", "filter", "show", "dev", device, "ingress"});
}

std::uint32_t index_of(Scene& scene, const std::string& device) {
    const auto text = split(in_hotspot(scene, {"ip", "-o", "link", "show", "dev", device}), ':').front();
    return static_cast<std::uint32_t>(parse_decimal(text, UINT32_MAX).value_or(0));
}

/// What the programs know of LAN devices is exactly these.
bool table_has_only(Scene& scene, const std::vector<std::string>& devices) {
    std::set<std::uint32_t> wanted;
    for (const std::string& device : devices) {
        wanted.insert(index_of(scene, device));
    }
    return lans_in_table(scene) == wanted;
}

/// A bridge that has no MAC of its own takes another one with its ports, and its clients must learn that first.
void keep_bridge_mac(Scene& scene) {
    const std::string line = in_hotspot(scene, {"ip", "-o", "link", "show", "dev", "br-lan"});
    const auto at = line.find("link/ether ") + 11;
    must(ip_batch(scene.bed().hotspot(), cat("link set br-lan address ", line.substr(at, 17), "\n")));
}

/// A plain LAN device and its addresses, as the bed has them, which go with the device or with its way down.
std::string lan_lines(int number) {
    return cat("address replace 10.77.", number, ".1/24 dev lan", number, "\naddress replace 2001:db8:77:", number,
               "::1/64 dev lan", number, " nodad\n");
}

void rename(Scene& scene, const std::string& before, const std::string& after) {
    must(ip_batch(scene.bed().hotspot(), cat("link set ", before, " down\nlink set ", before, " name ", after,
                                             "\nlink set ", after, " up\n")));
}

void check_other_lan(const std::string& what, FlowClient& flow) {
    const FlowSummary seen = flow.stop();
    check_flow(what, seen);
    CHECK(seen.cloud == 0);
}

}  // namespace

TEST_CASE("fault 20: a port that was made anew seventy times is served") {
    Scene scene;
    keep_bridge_mac(scene);
    scene.deploy(web_service());
    const auto flow = steady_flow(scene);
    {
        const NetNs guest = must(NetNs::create("guest"));
        // Two names in turn: what is repeated at once is done twice a second only.
        for (int time = 0; time < 71; ++time) {
            CAPTURE(time);
            const std::string port = time % 2 == 0 ? "lan9" : "lan8";
            must(ip_batch(scene.bed().hotspot(), cat("link add ", port, " type veth peer name eth0 netns guest\n",
                                                     "link set ", port, " master br-lan up\n")));
            REQUIRE(eventually(kLimit, [&] { return lans_in_table(scene).size() == 3; }));
            if (time < 70) {
                must(ip_batch(scene.bed().hotspot(), cat("link del ", port, "\n")));
                REQUIRE(eventually(kLimit, [&] { return lans_in_table(scene).size() == 2; }));
            }
        }
        must(ip_batch(guest,
                      "link set lo up\nlink set eth0 up\naddress add 10.77.0.99/16 dev eth0\n"
                      "address add 2001:db8:77::99/64 dev eth0 nodad\n"
                      "route add default via 10.77.0.1\nroute add default via 2001:db8:77::1\n"));
        CHECK(eventually(kLimit, [&] { return served(guest); }));
        CHECK(table_has_only(scene, {"lan1", "lan2", "lan9"}));
        must(ip_batch(scene.bed().hotspot(), "link del lan9\n"));
        must(remove_net_ns_name("guest"));
    }
    CHECK(eventually(kLimit, [&] { return !has_lan(scene, "lan9"); }));
    CHECK(table_has_only(scene, {"lan1", "lan2"}));
    check_other_lan("a client beside a port that comes and goes", *flow);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 20: a LAN device loses the filter with its name, and has it again with it") {
    Scene scene({.bed = {.bridge = false}, .config_lines = "lan: [lan1, lan2]\n"});
    scene.deploy(web_service());
    CHECK(scene.web() == "local");
    const auto flow = steady_flow(scene);
    rename(scene, "lan1", "other1");
    CHECK(eventually(kLimit, [&] { return filters(scene, "other1") == "0"; }));
    CHECK_FALSE(has_lan(scene, "lan1"));
    CHECK(eventually(kLimit, [&] { return scene.web() == "cloud"; }));
    rename(scene, "other1", "lan1");
    CHECK(eventually(kLimit, [&] { return has_lan(scene, "lan1"); }));
    CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    must(ip_batch(scene.bed().hotspot(), lan_lines(1)));  // what the way down took
    check_other_lan("a client of another LAN", *flow);
    scene.ctl({"remove", "web"});
    CHECK(scene.web() == "cloud");
    scene.check_no_leak();
}

TEST_CASE("fault 20: a LAN device that is deleted, and made again with another number or as another's, is followed") {
    Scene scene({.bed = {.bridge = false}, .config_lines = "lan: [lan1, lan2]\n"});
    scene.deploy(web_service());
    const auto flow = steady_flow(scene);
    const std::uint32_t before = index_of(scene, "lan1");
    const std::string client =
        "link set eth0 up\naddress add 10.77.1.10/24 dev eth0\naddress add 2001:db8:77:1::10/64 dev eth0 nodad\n"
        "route add default via 10.77.1.1\nroute add default via 2001:db8:77:1::1\n";
    // The number that it had is a device's of others for a while.
    must(ip_batch(scene.bed().hotspot(), "link del lan1\n"));
    must(ip_batch(scene.bed().hotspot(), cat("link add other1 index ", before, " type bridge\n")));
    CHECK(eventually(kLimit, [&] { return !has_lan(scene, "lan1"); }));
    CHECK(filters(scene, "other1") == "0");
    must(ip_batch(scene.bed().hotspot(), "link add lan1 type veth peer name eth0 netns client1\nlink set lan1 up\n"));
    must(ip_batch(scene.bed().hotspot(), lan_lines(1)));
    must(ip_batch(scene.bed().client(1), client));
    CHECK(index_of(scene, "lan1") != before);
    CHECK(eventually(kLimit, [&] { return served(scene.bed().client(1)); }));
    must(ip_batch(scene.bed().hotspot(), "link del other1\n"));
    // And at once, so that viscumd sees one device under two numbers.
    must(ip_batch(scene.bed().hotspot(),
                  cat("link del lan1\nlink add lan1 index ", before,
                      " type veth peer name eth0 netns client1\nlink set lan1 up\n", lan_lines(1))));
    must(ip_batch(scene.bed().client(1), client));
    CHECK(eventually(kLimit, [&] { return served(scene.bed().client(1)); }));
    CHECK(index_of(scene, "lan1") == before);
    check_other_lan("a client of another LAN", *flow);
    CHECK(join(complaints(scene), "\n") == "");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 20: LAN and uplink that flap fifty times leave everything in place") {
    Scene scene({.bed = {.bridge = false}, .config_lines = "lan: [lan1, lan2]\n"});
    scene.deploy(web_service());
    const Snapshot before = must(take_snapshot());
    const auto flow = steady_flow(scene);
    for (int time = 0; time < 50; ++time) {
        must(ip_batch(scene.bed().hotspot(), cat("link set lan1 down\nlink set wan down\nlink set lan1 up\n",
                                                 "link set wan up\n", lan_lines(1))));
    }
    CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
    // Without an uplink, and with one that was made anew.
    must(ip_batch(scene.bed().hotspot(), "link del wan\n"));
    CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
    must(
        ip_batch(scene.bed().hotspot(),
                 "link add wan type veth peer name wan netns cloud\nlink set wan up\naddress add 192.0.2.1/24 dev wan\n"
                 "address add 2001:db8:1::1/64 dev wan nodad\n"));
    must(ip_batch(scene.bed().cloud(),
                  "link set wan up\naddress add 192.0.2.2/24 dev wan\naddress add 2001:db8:1::2/64 dev wan nodad\n"
                  "route add 10.77.0.0/16 via 192.0.2.1\nroute add 2001:db8:77::/48 via 2001:db8:1::1\n"));
    must(ip_batch(scene.bed().hotspot(), "route add default via 192.0.2.2\nroute add default via 2001:db8:1::2\n"));
    CHECK(eventually(kBack, [&] { return scene.web(Endpoint::of("203.0.113.20", 80)) == "cloud"; }));
    CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
    check_other_lan("a client of another LAN", *flow);
    CHECK(join(must(leaks_since(before, kBack, comes_and_goes)), "\n") == "");
    CHECK(join(complaints(scene), "\n") == "");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 20: a bridge that is renamed, or deleted and made anew, is followed with its ports") {
    Scene scene;
    scene.deploy(web_service());
    CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
    // It waits for as long as there is no bridge, and until its neighbour's address is asked for again.
    FlowClient flow(scene.bed().client(2), {.request = {.to = kWeb, .limit = kLimit}, .pause = 2ms});
    CHECK(flow.wait_for("local", boot_now(), kLimit));
    rename(scene, "br-lan", "br-other");
    CHECK(eventually(kBack, [&] { return filters(scene, "lan1") == "0" && filters(scene, "lan2") == "0"; }));
    CHECK(lans_in_table(scene).empty());
    CHECK(eventually(kBack, [&] { return scene.web() == "cloud"; }));
    rename(scene, "br-other", "br-lan");
    must(ip_batch(scene.bed().hotspot(), "address replace 2001:db8:77::1/64 dev br-lan nodad\n"));
    CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)) && served(scene.bed().client(2)); }));
    must(ip_batch(scene.bed().hotspot(), "link del br-lan\n"));
    CHECK(eventually(kBack, [&] { return filters(scene, "lan1") == "0" && filters(scene, "lan2") == "0"; }));
    CHECK(lans_in_table(scene).empty());
    must(ip_batch(scene.bed().hotspot(),
                  "link add br-lan type bridge forward_delay 0 stp_state 0 mcast_snooping 0\nlink set br-lan up\n"
                  "address add 10.77.0.1/16 dev br-lan\naddress add 2001:db8:77::1/64 dev br-lan nodad\n"
                  "link set lan1 master br-lan\nlink set lan2 master br-lan\n"));
    CHECK(eventually(kLimit, [&] { return served(scene.bed().client(1)) && served(scene.bed().client(2)); }));
    CHECK(table_has_only(scene, {"lan1", "lan2"}));
    CHECK(flow.wait_for("local", boot_now(), kLimit));
    check_flow("a client behind the bridge", flow.stop(), 2);  // what was open when it went, each time
    CHECK(join(complaints(scene), "\n") == "");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 20: a bridge's port is served as long as it is one") {
    Scene scene;
    keep_bridge_mac(scene);
    scene.deploy(web_service());
    CHECK(scene.web(kWeb, 2) == "local");
    const auto flow = steady_flow(scene, kWeb, 1);
    must(ip_batch(scene.bed().hotspot(), "link set lan2 nomaster\n"));
    CHECK(eventually(kBack, [&] { return !has_lan(scene, "lan2"); }));
    CHECK(filters(scene, "lan2") == "0");
    CHECK(table_has_only(scene, {"lan1"}));
    must(ip_batch(scene.bed().hotspot(), "link set lan2 master br-lan\n"));
    CHECK(eventually(kBack, [&] { return served(scene.bed().client(2)); }));
    CHECK(has_lan(scene, "lan2"));
    check_other_lan("a client of another port", *flow);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 20: a change of `lan:` moves the filters with SIGHUP, and over a restart") {
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

TEST_CASE("fault 20: a service's link whose name another tool changes, or takes, is the service's again") {
    Scene scene;
    scene.deploy(web_service());
    const std::string link = scene.status("web").link;
    const Snapshot before = must(take_snapshot());
    const auto flow = steady_flow(scene);
    rename(scene, link, "stolen");
    CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
    CHECK(join(must(leaks_since(before, kBack, comes_and_goes)), "\n") == "");
    // Somebody else's device in its place: that one stays, so nothing is served, and the cloud answers.
    must(ip_batch(scene.bed().hotspot(), cat("link del ", link, "\nlink add ", link, " type bridge\n")));
    CHECK(eventually(kLimit, [&] { return scene.web() == "cloud" && scene.web(kWeb6) == "cloud"; }));
    const auto said = complaints(scene);
    CHECK(std::ranges::any_of(said, [](const auto& line) { return line.find("another device") != line.npos; }));
    CHECK(said.size() <= 2);
    must(ip_batch(scene.bed().hotspot(), cat("link del ", link, "\n")));
    CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
    CHECK(join(must(leaks_since(before, kBack, comes_and_goes)), "\n") == "");
    check_flow("while a service's link is not its own", flow->stop());
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
