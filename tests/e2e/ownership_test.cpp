// SPDX-License-Identifier: GPL-2.0-only
// What is ours is kept, what is not ours is left alone.
#include "base/file.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

std::string in_hotspot(Scene& scene, const Argv& argv) {
    return must(output_of(argv, {.ns = &scene.bed().hotspot()}));
}

/// Filters of a device with their handles, whoever they belong to.
std::string filters(Scene& scene, const std::string& device) {
    return in_hotspot(scene, {"tc", "filter", "show", "dev", device, "ingress"}) +
           in_hotspot(scene, {"tc", "filter", "show", "dev", device, "egress"});
}

std::string second_config() {
    return "viscum: 1\nlan: [br-lan]\nclaimable: [203.0.113.0/24, 198.51.100.0/24]\n";
}

}  // namespace

TEST_CASE("ownership: two instances on one router do not touch each other") {
    Scene scene;
    auto second = must(Viscumd::start(scene.bed().hotspot(), {.config = second_config(), .instance = "viscumb"}));
    const Snapshot before = must(take_snapshot());
    scene.deploy(web_service());
    ServiceFile file = web_service("of the second");
    file.claims = {"203.0.113.20 80"};
    file.more = "";
    const Endpoint other = Endpoint::of("203.0.113.20", 80);
    CHECK(second.ctl({"deploy", file.write()}).status == 0);
    CHECK(scene.web() == "local");
    CHECK(scene.web(other) == "local");
    const auto flow = scene.flow(kWeb, 1);
    const auto other_flow = scene.flow(other, 2);
    second.kill();
    CHECK(scene.web(other) == "local");
    must(second.start_again());
    CHECK(second.ctl({"remove", "web"}).status == 0);
    CHECK(scene.web(other) == "cloud");
    CHECK(second.ctl({"deploy", file.write()}).status == 0);
    CHECK(scene.web(other) == "local");
    const FlowSummary seen = flow->stop();
    check_flow("the first instance", seen);
    CHECK(seen.cloud == 0);
    check_flow("the second instance", other_flow->stop());
    scene.ctl({"remove", "web"});
    CHECK(scene.web(other) == "local");
    CHECK(scene.web() == "cloud");
    CHECK(second.ctl({"remove", "web"}).status == 0);
    CHECK(join(must(leaks_since(before, kLimit, viscumd_keeps)), "\n") == "");
}

TEST_CASE("ownership: filters, qdiscs and namespaces of others stay as they are") {
    Scene scene;
    for (const char* hook : {"ingress", "egress"}) {
        in_hotspot(scene, {"tc", "filter", "add", "dev", "lan1", hook, "pref", "60000", "protocol", "ip", "u32",
                           "match", "u32", "0", "0", "flowid", "1:1"});
    }
    in_hotspot(scene, {"tc", "qdisc", "add", "dev", "lan2", "root", "tbf", "rate", "1gbit", "burst", "1mb", "latency",
                       "50ms"});
    const NetNs foreign = must(NetNs::create("viscum-foreign"));
    const std::string before = filters(scene, "lan1");
    const Snapshot snapshot = must(take_snapshot());
    scene.deploy(web_service());
    CHECK(scene.web(kWeb, 1) == "local");
    CHECK(scene.web(kWeb, 2) == "local");
    scene.viscumd().kill();
    must(scene.viscumd().start_again());
    CHECK(scene.web(kWeb, 1) == "local");
    scene.ctl({"remove", "web"});
    CHECK(filters(scene, "lan1") == before);
    auto changes = must(leaks_since(snapshot, kLimit, [](const std::string& line) {
        return line.starts_with("+ file /var/lib/viscum/state.") ||
               line.find("qdisc clsact on lan2") != std::string::npos;
    }));
    CHECK(join(changes, "\n") == "");
    must(remove_net_ns_name("viscum-foreign"));
}

}  // namespace viscum
