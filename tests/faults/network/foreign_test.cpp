// SPDX-License-Identifier: GPL-2.0-only
// Other tools with filters of their own: before ours, in our place, or against ours.
#include <algorithm>

#include "tests/faults/network/faults.h"
#include "tests/faults/network/tables.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr const char* kDropping = "/sys/fs/bpf/dropping";

/// Filters of a device with their handles, whoever they belong to.
std::string filters(Scene& scene, const std::string& device) {
    return in_hotspot(scene, {"tc", "filter", "show", "dev", device, "ingress"}) +
           in_hotspot(scene, {"tc", "filter", "show", "dev", device, "egress"});
}

Argv filter(const std::string& verb, const std::string& pref, Argv rest) {
    Argv argv = {"tc", "filter", verb, "dev", "lan1", "ingress", "pref", pref};
    argv.insert(argv.end(), rest.begin(), rest.end());
    return argv;
}

std::size_t warnings_with(Scene& scene, const std::string& text) {
    const auto said = complaints(scene);
    return static_cast<std::size_t>(
        std::ranges::count_if(said, [&](const auto& line) { return line.find(text) != std::string::npos; }));
}

}  // namespace

TEST_CASE("fault 22: a filter before ours that drops is seen and told of once, and nobody fights it") {
    Scene scene;
    scene.deploy(web_service());
    pin_dropping_program(kDropping);
    const auto flow = steady_flow(scene);
    for (int time = 0; time < 3; ++time) {
        in_hotspot(scene, filter("add", "1", {"bpf", "da", "pinned", kDropping}));
        const std::string with_it = filters(scene, "lan1");
        CHECK(
            eventually(kBack, [&] { return lan_of(scene, "lan1").problem.find("bpf, pref 1)") != std::string::npos; }));
        CHECK(has_lan(scene, "lan1"));
        CHECK(lan_of(scene, "lan2").problem.empty());
        CHECK(http_get(scene.bed().client(1), {.to = kWeb, .limit = 300ms}).outcome == Outcome::timed_out);
        CHECK(filters(scene, "lan1") == with_it);
        in_hotspot(scene, filter("del", "1", {}));
        CHECK(eventually(kBack, [&] { return lan_of(scene, "lan1").problem.empty(); }));
        CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
    }
    CHECK(warnings_with(scene, "lan1: another tool's TC filter comes first (bpf, pref 1)") == 1);
    CHECK(join(judge_log(scene.viscumd().log(), "comes first"), "\n") == "");
    const RunOutput status = scene.ctl({"status"});
    CHECK(status.out.find("comes first") == std::string::npos);
    const FlowSummary seen = flow->stop();
    check_flow("a client of another port", seen);
    CHECK(seen.cloud == 0);
    REQUIRE(unlink(kDropping) == 0);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 22: a filter before ours that redirects is seen, and what it leaves is served") {
    Scene scene;
    scene.deploy(web_service());
    // Only what comes from port 7777 goes to the cloud's side, as another tool wishes.
    in_hotspot(scene, filter("add", "7",
                             {"protocol", "ip", "u32", "match", "ip", "sport", "7777", "0xffff", "action", "mirred",
                              "egress", "redirect", "dev", "lo"}));
    CHECK(eventually(kBack, [&] { return lan_of(scene, "lan1").problem.find("u32, pref 7)") != std::string::npos; }));
    CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
    HttpRequest request{.to = kWeb, .limit = 300ms};
    request.from.port = 7777;
    CHECK(http_get(scene.bed().client(1), request).who() != "local");
    CHECK(scene.ctl({"status"}).out.find("comes first (u32, pref 7)") != std::string::npos);
    in_hotspot(scene, filter("del", "7", {}));
    CHECK(eventually(kBack, [&] { return lan_of(scene, "lan1").problem.empty(); }));
    CHECK(join(judge_log(scene.viscumd().log(), "comes first"), "\n") == "");
    CHECK(complaints(scene).size() == 1);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 22: a filter of another tool in our place is neither taken nor fought over") {
    const std::vector<std::pair<std::string, Argv>> kinds = {
        {"u32", {"protocol", "all", "u32", "match", "u32", "0xffffffff", "0xffffffff", "at", "0", "flowid", "1:1"}},
        {"matchall", {"protocol", "all", "matchall", "classid", "1:1"}},
    };
    for (const auto& [kind, words] : kinds) {
        CAPTURE(kind);
        Scene scene;
        if (!run(filter("add", "86", words), {.ns = &scene.bed().hotspot()}).success()) {
            MESSAGE("this kernel has no filter of kind ", kind);
            continue;
        }
        const std::string before = filters(scene, "lan1");
        scene.deploy(web_service());
        CHECK(scene.web(kWeb, 1) == "cloud");
        CHECK(scene.web(kWeb, 2) == "local");
        const LanReport blocked = lan_of(scene, "lan1");
        CHECK_FALSE(blocked.attached);
        CHECK(blocked.problem.find("another tool") != std::string::npos);
        CHECK(filters(scene, "lan1") == before);
        CHECK(join(judge_log(scene.viscumd().log(), "another tool's TC filter has our priority"), "\n") == "");
        CHECK(complaints(scene).size() == 1);
        in_hotspot(scene, filter("del", "86", {}));
        CHECK(eventually(kLimit, [&] { return scene.web(kWeb, 1) == "local"; }));
        scene.ctl({"remove", "web"});
        scene.check_no_leak();
    }
}

TEST_CASE("fault 22: against a tool that removes our filter again and again, we write twice a second and no more") {
    Scene scene;
    scene.deploy(web_service());
    const auto flow = steady_flow(scene);
    const BootTime begin = boot_now();
    int written = 0;
    while (boot_now() - begin < 3s) {
        written += run(filter("del", "86", {}), {.ns = &scene.bed().hotspot()}).success() ? 1 : 0;
    }
    const auto seconds = std::chrono::duration<double>(boot_now() - begin).count();
    MESSAGE("our filter was removed ", written, " times in ", seconds, " s");
    CHECK(written >= 2);
    CHECK(written <= 2 + 3 * seconds);
    CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
    CHECK(complaints(scene).size() <= 1);
    const FlowSummary seen = flow->stop();
    check_flow("a client of another port", seen);
    CHECK(seen.cloud == 0);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
