// SPDX-License-Identifier: GPL-2.0-only
// What a claim takes over, and what it leaves alone.
#include "tests/scene/scene.h"

namespace viscum {
namespace {

/// A server of tests/e2e/server in the cloud, as "cloud", for TCP and UDP ports.
void start_servers_in_cloud(Scene& scene, const std::vector<std::string>& ports) {
    Argv arguments = {"cloud"};
    for (const std::string& port : ports) {
        for (const char* protocol : {"tcp", "udp"}) {
            arguments.insert(arguments.end(), {protocol, "::", port});
        }
    }
    const auto port = static_cast<std::uint16_t>(parse_decimal(ports.front(), UINT16_MAX).value_or(0));
    scene.start_in_cloud(Server{test_server(arguments), "/tmp/cloud-servers.log"}, port);
}

void give_cloud(Scene& scene, const std::vector<std::string>& addresses) {
    for (const std::string& address : addresses) {
        must(scene.bed().give_cloud(address));
    }
}

}  // namespace

TEST_CASE("claims: a prefix and a range of ports are served as far as they go, TCP and UDP") {
    Scene scene;
    give_cloud(scene, {"198.51.100.1", "198.51.100.14", "198.51.100.16"});
    start_servers_in_cloud(scene, {"8000", "8100", "8101"});
    const auto file =
        test_service("range", {"198.51.100.0/28 8000-8100", "198.51.100.0/28 8000-8100 udp"},
                     {"local", "tcp", "0.0.0.0", "8000", "tcp", "0.0.0.0", "8100", "tcp", "0.0.0.0", "8101", "udp",
                      "0.0.0.0", "8000", "udp", "0.0.0.0", "8100", "udp", "0.0.0.0", "8101"});
    scene.deploy(file);
    for (const char* inside : {"198.51.100.1", "198.51.100.14"}) {
        for (const auto port : {std::uint16_t{8000}, std::uint16_t{8100}}) {
            CAPTURE(Endpoint::of(inside, port).text());
            CHECK(scene.web(Endpoint::of(inside, port)) == "local");
            CHECK(scene.echo(Endpoint::of(inside, port)) == "local");
        }
        CHECK(scene.web(Endpoint::of(inside, 8101)) == "cloud");
        CHECK(scene.echo(Endpoint::of(inside, 8101)) == "cloud");
    }
    CHECK(scene.web(Endpoint::of("198.51.100.16", 8000)) == "cloud");
    CHECK(scene.echo(Endpoint::of("198.51.100.16", 8000)) == "cloud");
    scene.ctl({"remove", "range"});
    CHECK(scene.web(Endpoint::of("198.51.100.1", 8000)) == "cloud");
    CHECK(scene.echo(Endpoint::of("198.51.100.1", 8000)) == "cloud");
    scene.check_no_leak();
}

TEST_CASE("claims: of `port: any` only the ports that are listened on are served, in both families") {
    Scene scene;
    give_cloud(scene, {"203.0.113.33", "2001:db8:c::33"});
    start_servers_in_cloud(scene, {"1", "7000"});
    const auto file = test_service(
        "all",
        {"203.0.113.32/28 any", "203.0.113.32/28 any udp", "2001:db8:c::30/124 any", "2001:db8:c::30/124 any udp"},
        {"local", "tcp", "::", "7000", "udp", "::", "7000"});
    scene.deploy(file);
    for (const char* address : {"203.0.113.33", "2001:db8:c::33"}) {
        CAPTURE(address);
        // Its health says that it runs, not that it listens.
        CHECK(eventually(kLimit, [&] { return scene.web(Endpoint::of(address, 7000)) == "local"; }));
        CHECK(scene.echo(Endpoint::of(address, 7000)) == "local");
        CHECK(scene.web(Endpoint::of(address, 1)) == "cloud");
        CHECK(scene.echo(Endpoint::of(address, 1)) == "cloud");
    }
    scene.ctl({"remove", "all"});
    scene.check_no_leak();
}

TEST_CASE("claims: a datagram's answer comes from the address of the prefix that was asked") {
    Scene scene;
    const auto file = test_service("any-source", {"203.0.113.32/28 7000 udp", "2001:db8:c::30/124 7000 udp"},
                                   {"local", "udp", "0.0.0.0", "7000", "udp", "2001:db8:c::30", "7000"});
    scene.deploy(file);
    for (const char* address : {"203.0.113.33", "203.0.113.46", "203.0.113.32", "2001:db8:c::30"}) {
        const Endpoint to = Endpoint::of(address, 7000);
        // Its health says that it runs, not that it listens.
        CHECK(eventually(kLimit, [&] { return scene.echo(to) == "local"; }));
        const UdpResult result = udp_query(scene.bed().client(1), {.to = to, .payload = "x"});
        CHECK_MESSAGE(result.answered, to.text(), ": ", result.error);
        CHECK(result.source.text() == to.text());
    }
    scene.ctl({"remove", "any-source"});
    scene.check_no_leak();
}

TEST_CASE("claims: of two services the one with the longer prefix serves") {
    Scene scene;
    give_cloud(scene, {"198.51.100.1", "198.51.100.17"});
    start_servers_in_cloud(scene, {"8000"});
    const Endpoint outer = Endpoint::of("198.51.100.1", 8000);
    const Endpoint inner = Endpoint::of("198.51.100.17", 8000);
    const auto service = [](const std::string& name, const std::string& prefix) {
        return test_service(name, {prefix + " 8000", prefix + " 8000 udp"},
                            {name, "tcp", "0.0.0.0", "8000", "udp", "0.0.0.0", "8000"});
    };
    scene.deploy(service("wide", "198.51.100.0/24"));
    CHECK(scene.web(inner) == "wide");
    scene.deploy(service("narrow", "198.51.100.16/28"));
    CHECK(scene.web(outer) == "wide");
    CHECK(scene.echo(outer) == "wide");
    CHECK(scene.web(inner) == "narrow");
    CHECK(scene.echo(inner) == "narrow");
    scene.ctl({"remove", "narrow"});
    CHECK(scene.web(inner) == "wide");
    CHECK(scene.echo(inner) == "wide");
    scene.ctl({"remove", "wide"});
    CHECK(scene.web(inner) == "cloud");
    CHECK(scene.web(outer) == "cloud");
    scene.check_no_leak();
}

}  // namespace viscum
