// SPDX-License-Identifier: GPL-2.0-only
// The bed and the oracles themselves: without Viscum, and each oracle must see what it is there for.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>

#include "base/text.h"
#include "tests/support/bed.h"
#include "tests/support/flow_client.h"
#include "tests/support/http_client.h"
#include "tests/support/leak.h"
#include "tests/support/program.h"
#include "tests/support/servers.h"
#include "tests/support/udp_client.h"

using namespace viscum;

namespace {

std::unique_ptr<Bed> make_bed(const BedOptions& options = {}) {
    auto bed = Bed::make(options);
    REQUIRE_MESSAGE(bed, (bed ? "" : bed.error().what));
    return std::move(*bed);
}

template <class T>
T must(Result<T> result) {
    REQUIRE_MESSAGE(result, (result ? "" : result.error().what));
    return std::move(*result);
}

Program start_cloud_web(const Bed& bed) {
    return must(start_server(must(nginx("cloud", "cloud", {"80", "[::]:80"})), bed.cloud(), 80));
}

std::string who_answers(const NetNs& ns, const std::string& address) {
    return http_get(ns, {.to = Endpoint::of(address, 80)}).who();
}

}  // namespace

TEST_CASE("bed: clients reach the cloud's addresses over IPv4 and IPv6") {
    for (const bool bridge : {true, false}) {
        for (const bool firewall : {true, false}) {
            CAPTURE(bridge);
            CAPTURE(firewall);
            const auto bed = make_bed({.bridge = bridge, .firewall = firewall});
            const Program web = start_cloud_web(*bed);
            for (const int client : {1, 2}) {
                CHECK(who_answers(bed->client(client), "203.0.113.10") == "cloud");
                CHECK(who_answers(bed->client(client), "2001:db8:c::10") == "cloud");
            }
        }
    }
}

TEST_CASE("bed: an address that the cloud does not own is unreachable until it is given to it") {
    const auto bed = make_bed();
    const Program web = start_cloud_web(*bed);
    CHECK(who_answers(bed->client(1), "203.0.113.99") == "unreachable");
    REQUIRE(bed->give_cloud("203.0.113.99"));
    CHECK(who_answers(bed->client(1), "203.0.113.99") == "cloud");
}

TEST_CASE("bed: the uplink's bytes are counted") {
    const auto bed = make_bed();
    const Program web = start_cloud_web(*bed);
    const std::uint64_t before = must(bed->uplink_bytes());
    const HttpResult big = http_get(bed->client(1), {.to = Endpoint::of("203.0.113.10", 80), .path = "/big"});
    CHECK(big.body.size() == 1024 * 1024);
    CHECK(must(bed->uplink_bytes()) > before + 1024 * 1024);
}

TEST_CASE("client: every way to fail has its name") {
    const auto bed = make_bed({.clients = 1});
    CHECK(who_answers(bed->client(1), "203.0.113.10") == "refused");
    Program web = start_cloud_web(*bed);
    REQUIRE(web.running());
    const HttpRequest request = {.to = Endpoint::of("203.0.113.10", 80), .limit = std::chrono::milliseconds(200)};
    auto kept = must(KeptConnection::open(bed->client(1), request));
    CHECK(kept.get().who() == "cloud");
    CHECK(kept.get().who() == "cloud");

    REQUIRE(ip_batch(bed->hotspot(), "route add blackhole 203.0.113.10/32\n"));
    CHECK(kept.get().who() == "timed out");
    CHECK(http_get(bed->client(1), request).who() == "timed out");
    REQUIRE(ip_batch(bed->hotspot(), "route del blackhole 203.0.113.10/32\n"));

    web.stop(SIGTERM);
    CHECK(who_answers(bed->client(1), "203.0.113.10") == "refused");
}

TEST_CASE("client: a request can come from a chosen port") {
    const auto bed = make_bed({.clients = 1});
    const Program web = start_cloud_web(*bed);
    const Endpoint from{bed->client_address(1), 40'000};
    CHECK(http_get(bed->client(1), {.to = Endpoint::of("203.0.113.10", 80), .from = from}).who() == "cloud");
    CHECK(http_get(bed->client(1), {.to = Endpoint::of("2001:db8:c::10", 80), .from = {{}, 40'000}}).who() == "cloud");
}

TEST_CASE("flow: a server that is killed shows as failures and a gap") {
    const auto bed = make_bed({.clients = 1});
    Program web = start_cloud_web(*bed);
    FlowClient client(bed->client(1), {.request = {.to = Endpoint::of("203.0.113.10", 80)}});
    REQUIRE(client.wait_for("cloud", {}, std::chrono::seconds(5)));
    web.stop(SIGKILL);
    REQUIRE(client.wait_for("refused", {}, std::chrono::seconds(5)));
    const FlowSummary summary = client.stop();
    CAPTURE(summary.text());
    CHECK(summary.cloud > 0);
    CHECK(summary.failed > 0);
    CHECK(summary.cloud + summary.failed + summary.resets == summary.requests);
    CHECK(summary.longest_gap.count() > 0);
    CHECK_FALSE(summary.failures.empty());
}

TEST_CASE("udp: dnsmasq in the cloud answers from the address that was asked") {
    const auto bed = make_bed({.clients = 1});
    const Program dns = must(start_server(must(dnsmasq("cloud", "")), bed->cloud(), 53));
    for (const char* address : {"203.0.113.53", "2001:db8:c::53"}) {
        CAPTURE(address);
        const UdpRequest request = {.to = Endpoint::of(address, 53), .payload = dns_txt_query("who.example")};
        const UdpResult result = udp_query(bed->client(1), request);
        CAPTURE(result.error);
        REQUIRE(result.answered);
        CHECK(dns_txt_answer(result.reply) == "cloud");
        CHECK(result.source == request.to);
        auto flow = must(UdpFlow::open(bed->client(1), request));
        CHECK(flow.query().answered);
        CHECK(flow.query().answered);
    }
    const UdpResult nobody = udp_query(bed->client(1), {.to = Endpoint::of("203.0.113.53", 54), .payload = "?"});
    CHECK_FALSE(nobody.answered);
    CHECK(nobody.error == "Connection refused");
}

TEST_CASE("iperf3: TCP and UDP through the bed are measured") {
    const auto bed = make_bed({.clients = 1});
    const Program server = must(start_server(must(iperf3_server("203.0.113.20")), bed->cloud(), 5201));
    const Endpoint to = Endpoint::of("203.0.113.20", 5201);
    CHECK(must(measure_speed(bed->client(1), to, false, 1)).bits_per_second > 1e6);
    CHECK(must(measure_speed(bed->client(1), to, true, 1)).bits_per_second > 1e6);
}

TEST_CASE("leak: nothing is left of a bed with its servers") {
    const Snapshot before = must(take_snapshot());
    {
        const auto bed = make_bed({.firewall = true});
        const Program web = start_cloud_web(*bed);
        CHECK(who_answers(bed->client(1), "203.0.113.10") == "cloud");
        CHECK_FALSE(difference(before, must(take_snapshot())).empty());
    }
    CHECK(join(must(leaks_since(before, std::chrono::seconds(5))), "\n") == "");
}

TEST_CASE("leak: two looks at the same bed are equal") {
    const auto bed = make_bed();
    const Program web = start_cloud_web(*bed);
    const Snapshot before = must(take_snapshot());
    CHECK(who_answers(bed->client(1), "203.0.113.10") == "cloud");
    CHECK(join(must(leaks_since(before, std::chrono::seconds(5))), "\n") == "");
}

TEST_CASE("leak: each kind of thing is seen") {
    const auto bed = make_bed({.clients = 1});
    const Snapshot before = must(take_snapshot());
    const auto in_hotspot = [&](const Argv& argv) { return run(argv, {.ns = &bed->hotspot()}).success(); };
    REQUIRE(in_hotspot({"ip", "link", "add", "vsleak", "type", "veth", "peer", "name", "vspeer"}));
    REQUIRE(in_hotspot({"tc", "qdisc", "add", "dev", "lan1", "clsact"}));
    REQUIRE(
        in_hotspot({"tc",    "filter", "add", "dev", "lan1",   "ingress", "pref",   "7",        "protocol", "ip", "u32",
                    "match", "u32",    "0",   "0",   "action", "mirred",  "egress", "redirect", "dev",      "wan"}));
    REQUIRE(in_hotspot({"ip", "route", "add", "198.51.100.0/24", "dev", "wan"}));
    REQUIRE(in_hotspot({"ip", "rule", "add", "from", "10.77.0.9", "lookup", "7"}));
    REQUIRE(in_hotspot({"nft", "add", "table", "inet", "leak"}));
    REQUIRE(run({"ip", "netns", "add", "leak"}).success());
    REQUIRE(run({"mkdir", "-p", "/etc/viscum/services", "/sys/fs/bpf/viscum", "/run/viscum"}).success());
    REQUIRE(run({"mount", "-t", "tmpfs", "leak", "/run/viscum"}).success());
    Program left = must(Program::start({.argv = {"sleep", "60"}, .ns = &bed->hotspot()}));
    const auto seen = difference(before, must(take_snapshot()));
    CAPTURE(join(seen, "\n"));
    const auto has = [&seen](const std::string& line) { return std::ranges::find(seen, line) != seen.end(); };
    CHECK(has("+ hotspot: link vsleak: <BROADCAST,MULTICAST> mtu 1500"));
    CHECK(has("+ hotspot: qdisc clsact on lan1"));
    CHECK(has("+ hotspot: network 198.51.100.0/24 dev wan scope link"));
    CHECK(has("+ hotspot: network 32765: from 10.77.0.9 lookup 7"));
    CHECK(has("+ hotspot: nft table inet leak {"));
    CHECK(has("+ leak: link lo: <LOOPBACK> mtu 65536"));
    CHECK(has("+ file /run/netns/leak"));
    CHECK(has("+ directory /etc/viscum/services"));
    CHECK(has("+ directory /sys/fs/bpf/viscum"));
    CHECK(has("+ mount /run/viscum tmpfs"));
    CHECK(has("+ process sleep"));
    CHECK(std::ranges::any_of(seen, [](const std::string& line) {
        return line.starts_with("+ hotspot: filter ") && line.find("mirred") != std::string::npos;
    }));

    left.stop(SIGKILL);
    REQUIRE(in_hotspot({"ip", "link", "del", "vsleak"}));
    REQUIRE(in_hotspot({"tc", "qdisc", "del", "dev", "lan1", "clsact"}));
    REQUIRE(in_hotspot({"ip", "route", "del", "198.51.100.0/24"}));
    REQUIRE(in_hotspot({"ip", "rule", "del", "from", "10.77.0.9"}));
    REQUIRE(in_hotspot({"nft", "delete", "table", "inet", "leak"}));
    REQUIRE(run({"ip", "netns", "del", "leak"}).success());
    REQUIRE(run({"umount", "/run/viscum"}).success());
    REQUIRE(run({"rm", "-r", "/etc/viscum", "/sys/fs/bpf/viscum", "/run/viscum", "/run/mount"}).success());
    CHECK(join(must(leaks_since(before, std::chrono::seconds(5))), "\n") == "");
}
