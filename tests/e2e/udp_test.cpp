// SPDX-License-Identifier: GPL-2.0-only
// Datagrams have no connection, so who serves a flow is remembered.
#include "tests/scene/scene.h"

namespace viscum {
namespace {

constexpr std::uint16_t kPort = 7000;

/// tests/e2e/server in the cloud as "cloud", on the port that these tests use.
void start_echo_in_cloud(Scene& scene) {
    const Argv arguments = {"cloud",        "tcp",  "::",  "7000",           "udp",
                            "203.0.113.10", "7000", "udp", "2001:db8:c::10", "7000"};
    scene.start_in_cloud(Server{test_server(arguments), "/tmp/cloud-echo.log"}, kPort);
}

ServiceFile echo_service(std::vector<std::string> claims) {
    for (std::string& claim : claims) {
        claim += " 7000 udp";
    }
    ServiceFile file =
        test_service("echo", std::move(claims), {"local", "udp", "0.0.0.0", "7000", "udp", "2001:db8:c::10", "7000"});
    file.more = "health: { udp: { port: 7000, send: ping, expect: ping } }\n";
    return file;
}

std::string who(const UdpResult& result) {
    return result.answered ? result.reply.substr(0, result.reply.find(' ')) : result.error;
}

}  // namespace

TEST_CASE("udp: datagrams that are fragmented both ways are served") {
    Scene scene;
    scene.deploy(echo_service({"203.0.113.10", "2001:db8:c::10"}));
    for (const char* address : {"203.0.113.10", "2001:db8:c::10"}) {
        for (const std::size_t size : {1'400U, 1'473U, 8'000U, 60'000U}) {
            CAPTURE(address);
            CAPTURE(size);
            const std::string payload(size, 'x');
            const UdpResult result =
                udp_query(scene.bed().client(1), {.to = Endpoint::of(address, kPort), .payload = payload});
            CHECK_MESSAGE(result.answered, result.error);
            CHECK(result.reply == "local " + payload);
        }
    }
    scene.ctl({"remove", "echo"});
    scene.check_no_leak();
}

TEST_CASE("udp: a service with several addresses answers from the one that was asked, fragmented or not") {
    Scene scene;
    ServiceFile file =
        echo_service({"203.0.113.10", "203.0.113.20", "203.0.113.53", "2001:db8:c::10", "2001:db8:c::20"});
    file.command = test_server({"local", "udp", "::", "7000"});
    scene.deploy(file);
    for (const char* address : {"203.0.113.10", "203.0.113.20", "203.0.113.53", "2001:db8:c::10", "2001:db8:c::20"}) {
        for (const std::size_t size : {10U, 8'000U}) {
            CAPTURE(address);
            CAPTURE(size);
            const Endpoint to = Endpoint::of(address, kPort);
            const UdpResult result = udp_query(scene.bed().client(2), {.to = to, .payload = std::string(size, 'x')});
            CHECK_MESSAGE(result.answered, result.error);
            CHECK(result.reply.size() == size + 6);
            CHECK(result.source.text() == to.text());
        }
    }
    scene.ctl({"remove", "echo"});
    scene.check_no_leak();
}

TEST_CASE("udp: a flow that the cloud served when the service came stays with the cloud") {
    Scene scene({.bed = {.firewall = true}});
    start_echo_in_cloud(scene);
    for (const char* address : {"203.0.113.10", "2001:db8:c::10"}) {
        CAPTURE(std::string(address));
        auto old = must(UdpFlow::open(scene.bed().client(1), {.to = Endpoint::of(address, kPort), .payload = "x"}));
        CHECK(who(old.query()) == "cloud");
        scene.deploy(echo_service({"203.0.113.10", "2001:db8:c::10"}));
        auto young = must(UdpFlow::open(scene.bed().client(1), {.to = Endpoint::of(address, kPort), .payload = "x"}));
        for (int time = 0; time < 5; ++time) {
            CHECK(who(old.query()) == "cloud");
            CHECK(who(young.query()) == "local");
        }
        scene.ctl({"remove", "echo"});
        CHECK(who(old.query()) == "cloud");
        CHECK(who(young.query()) == "cloud");
    }
    scene.check_no_leak();
}

TEST_CASE("udp: a flow stays with the version that serves it, and goes on with the next when that is gone") {
    Scene scene;
    start_echo_in_cloud(scene);
    ServiceFile file = echo_service({"203.0.113.10", "2001:db8:c::10"});
    scene.deploy(file);
    const Endpoint to = Endpoint::of("203.0.113.10", kPort);
    auto flow = must(UdpFlow::open(scene.bed().client(1), {.to = to, .payload = "x"}));
    CHECK(who(flow.query()) == "local");
    file.command[1] = "newer";
    scene.deploy(file);
    CHECK(who(flow.query()) == "local");
    CHECK(scene.echo(to) == "newer");
    CHECK(eventually(kLimit, [&] { return !scene.status("echo").updating; }));
    CHECK(who(flow.query()) == "newer");
    scene.ctl({"remove", "echo"});
    scene.check_no_leak();
}

}  // namespace viscum
