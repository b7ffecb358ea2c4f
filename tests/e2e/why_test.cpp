// SPDX-License-Identifier: GPL-2.0-only
// `viscumctl why` says what then happens: each answer is compared with a real packet.
#include "controller/ipc/json.h"
#include "netns/link.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

struct Said {
    std::string outcome;
    std::string verdict;
    std::string service;
    std::string says;
    std::string because;  // "ABOUT: SAYS" a line
    std::string next;
};

std::string text_of(const JsonValue* value) {
    const auto* text = value == nullptr ? nullptr : std::get_if<std::string>(&value->value);
    return text == nullptr ? "" : *text;
}

Said why(const Scene& scene, const std::string& source, const std::string& destination) {
    const auto document = must(parse_json(scene.ctl({"why", source, destination, "--json"}).out));
    Said said{text_of(document.member("outcome")),
              text_of(document.member("verdict")),
              text_of(document.member("service")),
              text_of(document.member("says")),
              "",
              ""};
    for (const auto& remark : std::get<JsonValue::List>(document.member("because")->value)) {
        said.because += cat(text_of(remark.member("about")), ": ", text_of(remark.member("says")), "\n");
    }
    for (const auto& command : std::get<JsonValue::List>(document.member("next")->value)) {
        said.next += cat(text_of(&command), "\n");
    }
    return said;
}

bool has(const std::string& text, const std::string& part) {
    const bool found = text.find(part) != std::string::npos;
    if (!found) {
        MESSAGE(text);
    }
    return found;
}

bool is_socket_grade(const Scene& scene) {
    return scene.report().grade == "socket";
}

}  // namespace

TEST_CASE("why: a packet's fate is foretold, in both families, while the service comes and goes") {
    Scene scene;
    const std::vector<std::pair<bool, std::string>> families{{false, "203.0.113.10:80"}, {true, "[2001:db8:c::10]:80"}};
    const auto client = [&](bool v6) { return scene.bed().client_address(1, v6).text(); };
    CHECK(why(scene, client(false), "203.0.113.10:80/tcp").outcome == "unseen");
    scene.deploy(web_service());
    for (const auto& [v6, to] : families) {
        const auto served = why(scene, client(v6), to + "/tcp");
        CHECK(served.outcome == "served");
        CHECK(served.verdict == "served");
        CHECK(served.service == "web");
        CHECK(has(served.because, "way in: it comes in by br-lan"));
        CHECK(has(served.because, cat("claim: ", to, "/tcp, by web")));
        CHECK(has(served.because, "listener: "));
        const bool is_asked = is_socket_grade(scene);  // the classic grade has no program that could be
        CHECK((!is_asked || has(served.because, "answer: goes straight back by br-lan")));
        CHECK(scene.web(v6 ? kWeb6 : kWeb) == "local");
        CHECK(why(scene, client(v6), v6 ? "[2001:db8:c::10]:81" : "203.0.113.10:81").outcome == "unclaimed");
    }
    scene.ctl({"drain", "web"});
    for (const auto& [v6, to] : families) {
        const auto drained = why(scene, client(v6), to);
        CHECK(drained.outcome == "cloud");
        CHECK(drained.verdict == "draining");
        CHECK(has(drained.because, "onward: the router sends it on by wan"));
        CHECK(has(drained.next, "viscumctl resume web"));
        CHECK(scene.web(v6 ? kWeb6 : kWeb) == "cloud");
    }
    scene.ctl({"resume", "web"});
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("why: a program that listens elsewhere is named, with where it does") {
    Scene scene;
    auto file = test_service("echo", {"203.0.113.20 7"}, {"local", "tcp", "203.0.113.20", "9"});
    file.more = "health: { process: {} }\n";
    scene.deploy(file);
    // The classic grade knows no sockets: there the client is refused.
    const auto real = http_get(scene.bed().client(1), {.to = Endpoint::of("203.0.113.20", 7)});
    const auto said = why(scene, scene.bed().client_address(1).text(), "203.0.113.20:7/tcp");
    CHECK(said.outcome == (is_socket_grade(scene) ? "cloud" : "dropped"));
    CHECK((is_socket_grade(scene) || real.outcome == Outcome::refused));
    CHECK(said.verdict == "no-listener");
    CHECK(has(said.because, "203.0.113.20:9/tcp"));
    CHECK(has(said.next, "viscumctl logs echo"));
}

TEST_CASE("why: who is no client is told so") {
    Scene scene;
    scene.deploy(web_service());
    const auto router = why(scene, "10.77.0.1", "203.0.113.10:80/tcp");
    CHECK(router.outcome == "unseen");
    CHECK(has(router.says, "the router's own"));
    CHECK(has(router.because, "onward: the router sends it on by wan"));
    const auto beyond = why(scene, "203.0.113.20", "203.0.113.10:80/tcp");
    CHECK(beyond.outcome == "unseen");
    CHECK(has(beyond.says, "wan"));
    CHECK(has(beyond.says, "no device of `lan:`"));
}

TEST_CASE("why: a client behind another router of the LAN is served by the one grade, and not by the other") {
    Scene scene;
    scene.deploy(web_service());
    const auto router = scene.bed().client_address(1).text();
    must(ip_batch(scene.bed().client(1), "link set lo up\naddress add 10.99.0.5/32 dev lo\n"));
    must(ip_batch(scene.bed().hotspot(), cat("route add 10.99.0.0/24 via ", router, "\n")));
    const auto who = http_get(scene.bed().client(1), {.to = kWeb, .from = Endpoint::of("10.99.0.5", 0)}).who();
    const auto said = why(scene, "10.99.0.5", "203.0.113.10:80");
    CHECK(has(said.because, "way in: it comes in by br-lan (its port lan1)"));
    if (is_socket_grade(scene)) {
        CHECK(said.outcome == "served");
        CHECK(who == "local");
    } else {
        CHECK(said.outcome == "cloud");
        CHECK(said.verdict == "not-steered");
        CHECK(has(said.because, cat("way in: it is behind another router of the LAN, ", router)));
        CHECK(who == "cloud");
    }
}

TEST_CASE("why: what stands in the kernel counts where no viscumd runs") {
    Scene scene;
    scene.deploy(web_service());
    CHECK(scene.viscumd().stop() == 0);
    for (const bool v6 : {false, true}) {
        CHECK(scene.web(v6 ? kWeb6 : kWeb) == "local");
        const auto said =
            why(scene, scene.bed().client_address(1, v6).text(), v6 ? "[2001:db8:c::10]:80" : "203.0.113.10:80");
        CHECK(said.outcome == "served");
        CHECK(has(said.because, "listener: "));
        CHECK(has(said.because, "no viscumd runs"));
    }
    CHECK(why(scene, scene.bed().client_address(1).text(), "203.0.113.10:81").outcome == "unclaimed");
}

TEST_CASE("why: the classic grade's filters are asked, flow by flow") {
    Scene scene;
    scene.deploy(web_service());
    if (is_socket_grade(scene)) {
        return;
    }
    const auto client = scene.bed().client_address(1).text();
    auto open = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb, .from = {IpAddress{}, 61'000}}));
    REQUIRE(open.get().who() == "local");
    CHECK(has(why(scene, client + ":61000", "203.0.113.10:80").says, "is open here, with web"));
    CHECK(has(why(scene, client + ":61001", "203.0.113.10:80").says, "a new connection"));
    scene.ctl({"drain", "web"});
    CHECK(has(why(scene, client + ":61000", "203.0.113.10:80").says, "is open here"));
    CHECK(why(scene, client, "203.0.113.10:80").verdict == "draining");
    CHECK(open.get().who() == "local");
    scene.ctl({"remove", "web", "--wait", "0s"});
    auto file = web_service();
    file.more += "on_failure: drop\n";
    scene.deploy(file);
    scene.ctl({"drain", "web"});
    const auto closed = why(scene, client, "203.0.113.10:80");
    CHECK(closed.outcome == "dropped");
    CHECK(has(closed.says, "must not leave the site"));
}

TEST_CASE("why: of a bridge's ports it is the client's own that counts") {
    Scene scene({.config_lines = "lan: [lan1]\n"});
    scene.deploy(web_service());
    CHECK(scene.web(kWeb, 1) == "local");
    CHECK(scene.web(kWeb, 2) == "cloud");
    const auto first = why(scene, scene.bed().client_address(1).text(), "203.0.113.10:80");
    CHECK(first.outcome == "served");
    CHECK(has(first.because, "way in: it comes in by br-lan (its port lan1)"));
    const auto second = why(scene, scene.bed().client_address(2).text(), "203.0.113.10:80");
    CHECK(second.outcome == "unseen");
    CHECK(has(second.says, "is behind lan2, a port of br-lan, which is no device of `lan:`"));
    CHECK(scene.web(kWeb6, 2) == "cloud");
    const auto six = why(scene, scene.bed().client_address(2, true).text(), "[2001:db8:c::10]:80");
    CHECK(has(six.says, "is behind lan2, a port of br-lan"));
    // The router has forgotten it, or never heard of it.
    must(ip_batch(scene.bed().hotspot(), "neigh flush dev br-lan\n"));
    const auto silent = why(scene, scene.bed().client_address(2).text(), "203.0.113.10:80");
    CHECK(has(silent.because, "by which port the router does not know now. The answer is that of lan1"));
    CHECK(has(silent.because, "on lan2 is none"));
}

TEST_CASE("why: a bridge that tells VLANs apart, and a device of one of its VLANs, leave something unknown") {
    Scene scene;
    scene.deploy(web_service());
    if (!ip_batch(scene.bed().hotspot(), "link set br-lan type bridge vlan_filtering 1\n")) {
        MESSAGE("SKIPPED: needs a kernel whose bridges tell VLANs apart");
        return;
    }
    CHECK(scene.web() == "local");
    const auto client = scene.bed().client_address(1).text();
    const auto said = why(scene, client, "203.0.113.10:80");
    CHECK(said.outcome == "served");
    CHECK(has(said.because, "way in: br-lan tells VLANs apart: the answer is for frames that its port gets untagged"));
    if (!ip_batch(scene.bed().hotspot(), "link add link br-lan name br-lan.10 type vlan id 10\n")) {
        MESSAGE("SKIPPED: needs a kernel with VLAN devices");
        return;
    }
    must(ip_batch(scene.bed().hotspot(), "link set br-lan.10 up\naddress add 10.78.0.1/24 dev br-lan.10\n"));
    const auto tagged = why(scene, "10.78.0.10", "203.0.113.10:80");
    CHECK(has(tagged.because, "way in: br-lan tells VLANs apart"));
    CHECK(has(tagged.because, "way in: it comes in by br-lan, each of whose ports carries our filter"));
}

TEST_CASE("why: an open connection is told from one that began with the cloud, and no question leaves a trace") {
    Scene scene;
    scene.deploy(web_service());
    if (!is_socket_grade(scene)) {
        return;
    }
    const auto client = scene.bed().client_address(1).text();
    auto open = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb, .from = {IpAddress{}, 40'123}}));
    CHECK(open.get().who() == "local");
    const auto before = scene.status("web");
    const auto here = why(scene, client + ":40123", "203.0.113.10:80/tcp");
    CHECK(here.outcome == "served");
    CHECK(has(here.says, "is open here, with web"));
    const auto other = why(scene, client + ":1234", "203.0.113.10:80/tcp");
    CHECK(other.outcome == "served");
    CHECK(has(other.because, "connection: none of "));
    CHECK(scene.status("web").claims == before.claims);
    CHECK(open.get().who() == "local");

    // Without viscumd, too.
    CHECK(scene.viscumd().stop() == 0);
    const auto alone = why(scene, client, "203.0.113.10:80/tcp");
    CHECK(alone.outcome == "served");
    CHECK(has(alone.because, "no viscumd runs"));
}

TEST_CASE("why: a connection that is closed is not open, though its socket still takes what comes of it") {
    Scene scene;
    scene.deploy(web_service());
    if (!is_socket_grade(scene)) {
        return;
    }
    const auto client = scene.bed().client_address(1).text();
    HttpRequest request{.to = kWeb, .from = {IpAddress{}, 40'124}};
    request.to_the_end = true;  // nginx closes first
    REQUIRE(http_get(scene.bed().client(1), request).who() == "local");
    const auto said = why(scene, client + ":40124", "203.0.113.10:80/tcp");
    CHECK(has(said.says, "a new connection from"));
    CHECK(has(said.because, cat("connection: that of ", client, ":40124 is closed")));
}

TEST_CASE(
    "why: a new connection is not taken for one that the client has, and the question gives no namespace a number") {
    Scene scene;
    scene.deploy(web_service());
    if (!is_socket_grade(scene)) {
        return;
    }
    const auto client = scene.bed().client_address(1).text();
    auto open = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb, .from = {IpAddress{}, 61'000}}));
    REQUIRE(open.get().who() == "local");
    scene.ctl({"drain", "web"});
    CHECK(why(scene, client, "203.0.113.10:80/tcp").verdict == "draining");
    CHECK(why(scene, client + ":61000", "203.0.113.10:80/tcp").verdict == "served");

    // A name that sorts before the service's, and a namespace that the router knows nothing of.
    const auto name = cat(scene.report().instance, "-a");
    const auto stranger = must(NetNs::create(name));
    scene.ctl({"resume", "web"});
    CHECK(has(why(scene, client, "203.0.113.10:80/tcp").because, "listener: "));
    must(scene.bed().hotspot().inside([&]() -> Status {
        CHECK_FALSE(must(known_net_ns_id(must(NlSocket::open()), stranger)));
        return {};
    }));
    must(remove_net_ns_name(name));
}

TEST_CASE("why: the answer goes by the way that the router's rules give, and is told so") {
    Scene scene;
    scene.deploy(web_service());
    if (!is_socket_grade(scene)) {
        return;
    }
    const auto client = scene.bed().client_address(1).text();
    must(ip_batch(scene.bed().hotspot(),
                  cat("rule add from 203.0.113.10 lookup 100\nroute add ", client, " dev wan table 100\n")));
    CHECK(has(why(scene, client, "203.0.113.10:80/tcp").because, "answer: goes straight back by wan"));
    must(ip_batch(scene.bed().hotspot(), "rule del from 203.0.113.10 lookup 100\n"));
    CHECK(has(why(scene, client, "203.0.113.10:80/tcp").because, "answer: goes straight back by br-lan"));
}

TEST_CASE("why: where the router forwards no IPv6 it is told so") {
    Scene scene;
    scene.deploy(web_service());
    const std::string client = scene.bed().client_address(1, true).text();
    CHECK(has(why(scene, client, "[2001:db8:c::10]:81").because, "onward: the router sends it on by wan"));
    must(scene.bed().hotspot().inside([] { return set_net_sysctl("ipv6/conf/all/forwarding", "0"); }));
    CHECK(has(why(scene, client, "[2001:db8:c::10]:81").because, "onward: the router does not forward it"));
    must(scene.bed().hotspot().inside([] { return set_net_sysctl("ipv6/conf/all/forwarding", "1"); }));
    scene.ctl({"remove", "web"});
}

TEST_CASE("why: what may not leave the site is dropped, and what is no question is refused") {
    Scene scene;
    auto file = web_service();
    file.more += "on_failure: drop\n";
    scene.deploy(file);
    scene.ctl({"drain", "web"});
    if (is_socket_grade(scene)) {
        const auto said = why(scene, scene.bed().client_address(1).text(), "203.0.113.10:80/tcp");
        CHECK(said.outcome == "dropped");
        CHECK(has(said.says, "must not leave the site"));
    }
    scene.ctl({"why", "10.77.0.10", "203.0.113.10"}, 2);
    scene.ctl({"why", "10.77.0.10", "203.0.113.10:0/tcp"}, 2);
    scene.ctl({"why", "10.77.0.10", "203.0.113.10:80/icmp"}, 2);
    scene.ctl({"why", "10.77.0.10", "[2001:db8:c::10]:80/tcp"}, 2);
    scene.ctl({"why", "nobody", "203.0.113.10:80/tcp"}, 2);
}

}  // namespace viscum
