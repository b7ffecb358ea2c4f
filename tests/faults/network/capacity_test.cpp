// SPDX-License-Identifier: GPL-2.0-only
// Tables that are full, and a kernel that refuses a table's entry or a program.
#include <signal.h>

#include <algorithm>
#include <random>

#include "base/file.h"
#include "tests/faults/network/faults.h"
#include "tests/support/process_tree.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

/// So many claims of one address, from a port on.
ServiceFile with_claims(const std::string& name, int count, int first_port) {
    std::vector<std::string> claims;
    for (int port = first_port; port < first_port + count; ++port) {
        claims.push_back(cat("203.0.113.20 ", port));
    }
    return test_service(name, std::move(claims), {name, "tcp", "203.0.113.20", std::to_string(first_port)});
}

/// The deploy is refused and changes nothing at all; what it said.
std::string refused(Scene& scene, const ServiceFile& file, int expected) {
    const Snapshot before = must(take_snapshot());
    const DiskState saved = disk(scene);
    const RunOutput output = scene.deploy(file, expected);
    CHECK(join(must(leaks_since(before, kLimit,
                                [](const std::string& line) { return comes_and_goes(line) || viscumd_keeps(line); })),
               "\n") == "");
    check_state(scene, saved, saved);
    return output.err;
}

void check_undisturbed(const std::string& what, FlowClient& flow) {
    const FlowSummary seen = flow.stop();
    check_flow(what, seen);
    CHECK(seen.cloud == 0);
}

constexpr const char* kRefused = "/tmp/viscumd.refused";

/// viscumd under strace: how it ended by itself, or with SIGTERM once it listened.
int start_with(Scene& scene, const std::string& fault) {
    auto strace = must(Program::start(
        {.argv = {"strace", "-f", "-o", "/dev/null", "-e", cat("trace=", fault.substr(0, fault.find(':'))), "-e",
                  cat("inject=", fault), VISCUM_BIN_DIR "/viscumd", "--shim", VISCUM_BIN_DIR "/viscum-shim"},
         .log_file = kRefused,
         .ns = &scene.bed().hotspot()}));
    // A table that could not be copied is written again, and the service probed.
    CHECK(eventually(kLimit, [&] {
        return strace.ended_within(1ms) || (scene.viscumd().ctl({"list"}).status != 3 && scene.web() == "local");
    }));
    if (strace.running()) {
        const auto below = descendants(strace.pid());
        REQUIRE_FALSE(below.empty());
        kill(below.front(), SIGTERM);  // viscumd; what it started goes on
    }
    CHECK(strace.ended_within(kLimit));
    return strace.stop(SIGKILL);
}

}  // namespace

TEST_CASE("fault 25: a service that does not fit into the tables is refused whole, and the others stay") {
    Scene scene({.config_lines = "lan: [br-lan]\ntables: { rules: 16 }\n"});
    scene.deploy(web_service());  // two claims
    const auto flow = steady_flow(scene);
    const std::string why = "17 claims do not fit into the table of 16 rules: raise 'tables: {rules: N}'";
    CHECK(refused(scene, with_claims("large", 15, 1000), 5).find(why) != std::string::npos);
    // To the last place.
    scene.deploy(with_claims("fits", 14, 1000));
    CHECK(refused(scene, with_claims("late", 1, 5000), 5).find(why) != std::string::npos);
    // An update that needs more places than there are.
    CHECK(refused(scene, with_claims("fits", 15, 1000), 5).find(why) != std::string::npos);
    CHECK(scene.status("fits").admission == "serve");
    scene.ctl({"remove", "fits"});
    scene.deploy(with_claims("late", 1, 5000));
    check_undisturbed("a service beside a full table", *flow);
    scene.ctl({"remove", "late"});
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 25: an egress that does not fit into the tables is refused whole, and the others stay") {
    Scene scene({.config_lines = "lan: [br-lan]\ntables: { rules: 64 }\n"});
    scene.deploy(web_service());
    const auto flow = steady_flow(scene);
    // Of such tables the links and their targets have 16 places, and 256.
    std::string targets;
    for (int target = 0; target < 16; ++target) {
        targets += cat(target == 0 ? "" : ", ", "\"192.0.2.", 100 + target, ":53/udp\"");
    }
    const auto beginner = [&](int number, const std::string& version) {
        ServiceFile file = with_claims(cat("net", number), 1, 2000 + number);
        file.more = cat("egress: [", targets, "]\n# ", version, "\n");
        return file;
    };
    for (int number = 0; number < 16; ++number) {
        scene.deploy(beginner(number, "1"));
    }
    CHECK(refused(scene, beginner(16, "1"), 4).find("16 links with 'egress'") != std::string::npos);
    // An update stands beside the version before.
    const ServiceReport before = scene.status("net3");
    CHECK(refused(scene, beginner(3, "2"), 4).find("16 links with 'egress'") != std::string::npos);
    CHECK(scene.status("net3").pid == before.pid);
    CHECK(scene.status("net3").admission == "serve");
    scene.ctl({"remove", "net3"});
    scene.deploy(beginner(16, "1"));
    check_undisturbed("a service beside full tables", *flow);
    for (int number = 0; number <= 16; ++number) {
        scene.ctl({"remove", cat("net", number)}, number == 3 ? 6 : 0);
    }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 25: where the kernel refuses a table's entry, a deploy is refused whole, and the old one stays") {
    if (!have_strace()) {
        return;
    }
    Scene scene;
    scene.deploy(web_service());
    const std::uint32_t seed = campaign_seed();
    MESSAGE("VISCUM_TEST_SEED=", seed);
    std::mt19937 dice(seed);
    const auto flow = steady_flow(scene);
    const std::vector<std::string> errors = {"E2BIG", "EPERM", "ENOMEM"};
    const std::size_t points = effort() == Effort::full ? 120 : 4;
    for (const std::string& error : errors) {
        for (const std::size_t point : draw(120, points, dice)) {
            const std::string fault = cat("bpf:error=", error, ":when=", point + 1);
            CAPTURE(fault);
            const DiskState before = disk(scene);
            const std::size_t logged = scene.viscumd().log().size();
            const ServiceFile file = with_claims("late", 3, 5000);
            RunOutput deployed;
            std::size_t injected = 0;
            {
                const Injection full(scene.viscumd().pid(), fault);
                deployed = scene.viscumd().ctl({"deploy", file.write()});
                injected = full.injected();
            }
            CHECK((deployed.status == 0 || (injected > 0 && deployed.status == 4)));
            const auto said = complaints(scene, logged);
            CHECK_MESSAGE(said.size() <= injected, join(said, "\n"));
            check_state(scene, before, disk(scene));
            if (deployed.status != 0) {
                CHECK(scene.status("late").admission != "serve");
            }
            scene.deploy(file);
            CHECK(scene.status("late").admission == "serve");
            scene.ctl({"remove", "late"});
        }
    }
    CHECK(scene.status("web").admission == "serve");
    check_flow("a service beside one whose entries are refused", flow->stop());
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 25: a kernel that refuses every entry refuses the deploy, and what is served goes on") {
    if (!have_strace()) {
        return;
    }
    Scene scene;
    scene.deploy(web_service());
    const DiskState before = disk(scene);
    const std::string late = with_claims("late", 1, 5000).write();
    const auto flow = steady_flow(scene);
    for (const std::string error : {"E2BIG"}) {
        CAPTURE(error);
        const std::size_t logged = scene.viscumd().log().size();
        {
            const Injection full(scene.viscumd().pid(), cat("bpf:error=", error, ":when=1+"));
            const RunOutput deployed = scene.viscumd().ctl({"deploy", late, "--wait", "2s"});
            CHECK_MESSAGE(deployed.status == 4, scene.viscumd().log());
            CHECK(full.injected() > 0);
        }
        CHECK(eventually(kLimit, [&] { return scene.status("late").name.empty(); }));
        const auto said = complaints(scene, logged);
        CHECK_MESSAGE(said.size() <= 4, join(said, "\n"));
        check_state(scene, before, before);
    }
    check_undisturbed("a service while nothing can be written", *flow);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 25: programs that the kernel refuses to load leave those that run") {
    if (!have_strace()) {
        return;
    }
    Scene scene;
    scene.deploy(web_service());
    const auto flow = steady_flow(scene);
    const std::string filter = in_hotspot(scene, {"tc", "filter", "show", "dev", "lan1", "ingress"});
    const DiskState saved = disk(scene);
    scene.viscumd().kill();
    // Tables of another size, so that all programs are loaded anew.
    scene.write_config("lan: [br-lan]\ntables: { rules: 64 }\n");
    std::mt19937 dice(campaign_seed());
    MESSAGE("VISCUM_TEST_SEED=", campaign_seed());
    const std::vector<std::string> errors = {"EPERM", "E2BIG", "ENOMEM", "EINVAL"};
    const std::size_t points = effort() == Effort::full ? 60 : 6;
    std::size_t refusals = 0;
    for (const std::size_t point : draw(60, points, dice)) {
        const std::string fault = cat("bpf:error=", errors[point % errors.size()], ":when=", point + 1);
        CAPTURE(fault);
        const int status = start_with(scene, fault);
        refusals += status != 0 ? 1U : 0U;
        CAPTURE(status);
        CHECK((status == 0 || status == 1 || status == 2 || status == 5));  // it can do without that call, or says why
        check_state(scene, saved, saved);
        const bool goes_on = eventually(kLimit, [&] { return scene.web() == "local"; });
        CHECK_MESSAGE(goes_on, must(read_file(kRefused, 1UL << 20)));
    }
    MESSAGE(points, " starts with a fault, ", refusals, " refused");
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return served(scene.bed().client(1)); }));
    check_flow("a client while viscumd cannot start", flow->stop());
    scene.viscumd().kill();
    scene.write_config("lan: [br-lan]\n");
    must(scene.viscumd().start_again());
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
