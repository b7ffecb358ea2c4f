// SPDX-License-Identifier: GPL-2.0-only
// The examples do what their pages say.
#include "base/file.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

std::string example(const std::string& name) {
    return cat(VISCUM_SOURCE_DIR, "/examples/", name);
}

/// A query for edge.example, type A (RFC 1035, section 4).
const std::string kEdgeQuery(
    "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04"
    "edge\x07"
    "example\x00\x00\x01\x00\x01",
    30);

}  // namespace

TEST_CASE("examples: nginx answers for its addresses") {
    Scene scene;
    must(make_directory("/etc/viscum/files", 0755));
    const auto config = must(read_file(example("nginx/nginx.conf"), 65536));
    must(write_file_atomically("/etc/viscum/files/nginx.conf", config, 0644));
    scene.ctl({"deploy", example("nginx/service.yaml")});
    CHECK(scene.web(kWeb) == "served");
    CHECK(scene.web(kWeb6) == "served");
    scene.ctl({"remove", "nginx"});
    CHECK(scene.web(kWeb) == "cloud");
    must(remove_file("/etc/viscum/files/nginx.conf"));
    must(remove_directory("/etc/viscum/files"));
    scene.check_no_leak();
}

TEST_CASE("examples: iperf3 measures the way to the hotspot") {
    Scene scene;
    scene.ctl({"deploy", example("iperf3/service.yaml")});
    const Endpoint speed = Endpoint::of("203.0.113.20", 5201);
    for (const bool udp : {false, true}) {
        const auto measured = must(measure_speed(scene.bed().client(1), speed, udp, 1));
        CHECK(measured.bits_per_second > 0);
    }
    for (const auto& claim : scene.status("iperf3").claims) {
        const bool asked = claim.claim.starts_with("203.0.113.20");
        CHECK((claim.flows > 0) == asked);
    }
    scene.ctl({"remove", "iperf3"});
    scene.check_no_leak();
}

TEST_CASE("examples: dnsmasq knows edge.example over both families") {
    Scene scene;
    scene.ctl({"deploy", example("dnsmasq/service.yaml")});
    for (const auto& address : {"203.0.113.53", "2001:db8:c::53"}) {
        const auto answer = udp_query(scene.bed().client(1), {.to = Endpoint::of(address, 53), .payload = kEdgeQuery});
        REQUIRE_MESSAGE(answer.answered, answer.error);
        CHECK(answer.source == Endpoint::of(address, 53));
        CHECK(answer.reply.ends_with(std::string("\xcb\x00\x71\x0a", 4)));
    }
    scene.ctl({"remove", "dnsmasq"});
    scene.check_no_leak();
}

TEST_CASE("uninstall: viscumd --uninstall takes an instance away, and refuses while it is served") {
    Scene scene;
    scene.deploy(web_service());
    const Argv uninstall{cat(VISCUM_BIN_DIR, "/viscumd"), "--uninstall"};
    CHECK(run(uninstall, {.ns = &scene.bed().hotspot()}).status == 5);
    CHECK(scene.web() == "local");
    CHECK(scene.viscumd().stop() == 0);
    CHECK(scene.web() == "local");
    CHECK(run(uninstall, {.ns = &scene.bed().hotspot()}).status == 0);
    CHECK(scene.web() == "cloud");
    CHECK(must(net_ns_names("viscum-")).empty());
    CHECK(must(list_directory("/run/viscum")).empty());
    CHECK(must(list_directory("/sys/fs/bpf/viscum")).empty());
    CHECK(run(uninstall, {.ns = &scene.bed().hotspot()}).status == 0);
    // What was stored is served again.
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    scene.ctl({"remove", "web"});
}

}  // namespace viscum
