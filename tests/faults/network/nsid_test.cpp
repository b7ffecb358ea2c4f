// SPDX-License-Identifier: GPL-2.0-only
// The numbers by which the router knows namespaces are the kernel's to give, and to give again to another.
#include <signal.h>

#include <algorithm>

#include "netns/link.h"
#include "tests/faults/network/faults.h"
#include "tests/support/process_tree.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

const Endpoint kA = Endpoint::of("203.0.113.10", 80);
const Endpoint kB = Endpoint::of("203.0.113.20", 80);

/// Listens on all addresses: in the wrong namespace it would answer for the other's as well.
ServiceFile service(const std::string& name, const Endpoint& at) {
    const Server server = must(nginx(name, name, {"80"}));
    ServiceFile file{name, {cat(at.address.text(), " 80")}, server.command};
    file.more = quick_health();
    return file;
}

/// The number by which the router knows a namespace.
std::uint32_t id_of(Scene& scene, const NetNs& ns) {
    std::uint32_t id = 0;
    must(scene.bed().hotspot().inside([&]() -> Status {
        const auto socket = NlSocket::open();
        if (!socket) {
            return socket.error();
        }
        const auto found = net_ns_id(*socket, ns);
        id = found ? *found : 0;
        return found ? Status{} : Status{found.error()};
    }));
    return id;
}

std::uint32_t id_of(Scene& scene, const std::string& service) {
    return id_of(scene, must(NetNs::open(cat("viscum-", service))));
}

/// Everybody was answered, and never by the other service. So many connections ended with the service under them.
void check_never(const std::string& what, FlowClient& flow, const std::string& own, std::size_t resets = 0) {
    const FlowSummary seen = flow.stop();
    std::size_t wrong = 0;
    std::size_t right = 0;
    for (const FlowRecord& record : flow.records()) {
        const bool answered = record.outcome == Outcome::answered;
        right += answered && record.who == own ? 1U : 0U;
        wrong += answered && record.who != own && record.who != "cloud" ? 1U : 0U;
    }
    MESSAGE(what, ": ", right, " requests answered by their service, ", wrong, " by the other");
    CHECK(right > 0);
    CHECK(wrong == 0);
    check_flow(what, seen, resets);
}

void kill_shims() {
    for (const pid_t pid : descendants(1)) {
        const auto name = run({"cat", cat("/proc/", pid, "/comm")}).out;
        if (name == "viscum-shim\n") {
            kill(pid, SIGKILL);
        }
    }
}

}  // namespace

TEST_CASE("fault 26: two services whose namespaces swap their ids never answer for each other") {
    Scene scene;
    scene.deploy(service("a", kA));
    scene.deploy(service("b", kB));
    const std::uint32_t first = id_of(scene, "a");
    const std::uint32_t second = id_of(scene, "b");
    const auto to_a = steady_flow(scene, kA, 1);
    const auto to_b = steady_flow(scene, kB, 2);
    // The lowest free id is given first.
    scene.ctl({"remove", "a"});
    scene.ctl({"remove", "b"});
    const auto gone = [&](std::uint32_t id) {
        return in_hotspot(scene, {"ip", "netns", "list-id"}).find(cat("nsid ", id, " ")) == std::string::npos;
    };
    CHECK(eventually(kLimit, [&] { return gone(first) && gone(second); }));
    scene.deploy(service("b", kB));
    scene.deploy(service("a", kA));
    CHECK(id_of(scene, "b") == first);
    CHECK(id_of(scene, "a") == second);
    CHECK(scene.web(kA) == "a");
    CHECK(scene.web(kB) == "b");
    check_never("clients of a", *to_a, "a");
    check_never("clients of b", *to_b, "b");
    CHECK(join(complaints(scene), "\n") == "");
    scene.ctl({"remove", "a"});
    scene.ctl({"remove", "b"});
    scene.check_no_leak();
}

TEST_CASE("fault 26: an id that changed hands while no viscumd ran leads nobody astray") {
    Scene scene;
    scene.deploy(service("a", kA));
    scene.deploy(service("b", kB));
    const std::uint32_t first = id_of(scene, "a");
    const Snapshot before = must(take_snapshot());
    const auto to_a = steady_flow(scene, kA, 1);
    const auto to_b = steady_flow(scene, kB, 2);
    scene.viscumd().kill();
    kill_shims();
    for (const char* name : {"viscum-a", "viscum-b"}) {
        must(remove_net_ns_name(name));
    }
    CHECK(eventually(kLimit, [&] {
        return in_hotspot(scene, {"ip", "netns", "list-id"}).find(cat("nsid ", first, " ")) == std::string::npos;
    }));
    // Somebody else's namespace has a's id now, and a listener in it that would take what is a's.
    const NetNs foreign = must(NetNs::create("foreign"));
    must(ip_batch(scene.bed().hotspot(),
                  "link add theirs type veth peer name eth0 netns foreign\nlink set theirs up\n"));
    must(ip_batch(foreign, "link set lo up\nlink set eth0 up\naddress add 203.0.113.10/32 dev eth0\n"));
    CHECK(id_of(scene, foreign) == first);
    auto server = must(start_server(must(nginx("wrong", "wrong", {"80"})), foreign, 80));
    CHECK(http_get(scene.bed().client(1), {.to = kA, .limit = 500ms}).who() != "wrong");
    CHECK(http_get(scene.bed().client(1), {.to = kB, .limit = 500ms}).who() != "wrong");
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.web(kA) == "a" && scene.web(kB) == "b"; }));
    // The one that was open when its service was killed.
    check_never("clients of a", *to_a, "a", 1);
    check_never("clients of b", *to_b, "b", 1);
    CHECK(id_of(scene, foreign) == first);
    CHECK(join(complaints(scene), "\n") == "");
    server.stop(SIGTERM);
    must(ip_batch(scene.bed().hotspot(), "link del theirs\n"));
    must(remove_net_ns_name("foreign"));
    const auto leaks = must(leaks_since(
        before, kBack, [](const std::string& line) { return is_descriptor(line) || comes_and_goes(line); }));
    CHECK(join(leaks, "\n") == "");
    scene.ctl({"remove", "a"});
    scene.ctl({"remove", "b"});
    scene.check_no_leak();
}

TEST_CASE("fault 26: a namespace whose links are all made anew is followed") {
    Scene scene;
    scene.deploy(service("a", kA));
    scene.deploy(service("b", kB));
    const auto to_a = steady_flow(scene, kA, 1);
    const auto to_b = steady_flow(scene, kB, 2);
    for (int time = 0; time < 5; ++time) {
        for (const char* name : {"a", "b"}) {
            in_hotspot(scene, {"ip", "link", "del", scene.status(name).link});
            in_hotspot(scene, {"ip", "netns", "del", cat("viscum-", name)});
        }
        // The names as well: what is served does not need them.
        CHECK(eventually(kBack, [&] {
            return NetNs::open("viscum-a") && NetNs::open("viscum-b") && scene.web(kA) == "a" && scene.web(kB) == "b";
        }));
    }
    check_never("clients of a", *to_a, "a");
    check_never("clients of b", *to_b, "b");
    CHECK(join(complaints(scene), "\n") == "");
    scene.ctl({"remove", "a"});
    scene.ctl({"remove", "b"});
    scene.check_no_leak();
}

}  // namespace viscum
