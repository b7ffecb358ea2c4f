// SPDX-License-Identifier: GPL-2.0-only
// Tables that are full, and a kernel that refuses a table's entry or a program.
#include <signal.h>

#include <algorithm>
#include <cstring>
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

/// A start of viscumd, and what became of it.
struct Start {
    int status = -1;                 // with which it ended by itself, or with SIGTERM once it served
    std::string said;                // its log
    std::vector<std::string> calls;  // of bpf(2), as strace writes them
};

/// viscumd under strace, with `fault` ("error=EPERM:when=3") for its bpf(2); empty: with none.
Start start_with(Scene& scene, const std::string& fault) {
    constexpr const char* kSaid = "/tmp/viscumd.said";
    constexpr const char* kCalls = "/tmp/viscumd.calls";
    unlink(kSaid);
    Argv argv = {"strace", "-o", kCalls, "-s", "64", "-e", "trace=bpf"};
    if (!fault.empty()) {
        argv.insert(argv.end(), {"-e", cat("inject=bpf:", fault)});
    }
    argv.insert(argv.end(), {VISCUM_BIN_DIR "/viscumd", "--shim", VISCUM_BIN_DIR "/viscum-shim"});
    auto strace = must(Program::start({.argv = argv, .log_file = kSaid, .ns = &scene.bed().hotspot()}));
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
    Start start;
    start.status = strace.stop(SIGKILL);
    start.said = must(read_file(kSaid, 1UL << 20));
    for (std::string& line : split(must(read_file(kCalls, 16UL << 20)), '\n')) {
        if (line.starts_with("bpf(")) {
            start.calls.push_back(std::move(line));
        }
    }
    return start;
}

/// The calls by which viscumd loads its programs, counted from 1. libbpf loads others, to see what the kernel knows.
std::vector<std::size_t> loads_in(const Start& start) {
    std::vector<std::size_t> loads;
    for (std::size_t at = 0; at < start.calls.size(); ++at) {
        if (start.calls[at].find("BPF_PROG_LOAD") != std::string::npos &&
            start.calls[at].find("prog_name=\"vs_") != std::string::npos) {
            loads.push_back(at + 1);
        }
    }
    return loads;
}

/// Tables of `rules` places: where those that are pinned have another number, they and the programs are made anew.
void set_rules(Scene& scene, int rules) {
    scene.write_config(cat("lan: [br-lan]\ntables: { rules: ", rules, " }\n"));
}

std::string lan_filter(Scene& scene) {
    return in_hotspot(scene, {"tc", "filter", "show", "dev", "lan1", "ingress"});
}

struct Fault {
    std::string what;  // for start_with()
    int error = 0;
    bool refuses = false;  // a program, for good
};

/// viscumd starts, or says why not and leaves everything as it is: whether it did start.
bool check_start(Scene& scene, const DiskState& saved, const Fault& fault) {
    CAPTURE(fault.what);
    const std::string filter = lan_filter(scene);
    const Start start = start_with(scene, fault.what);
    INFO(start.said);
    const bool started = start.status == 0;
    if (!started) {
        CHECK(start.status == 1);
        CHECK(join(judge_log(start.said, std::strerror(fault.error)), "\n") == "");
        CHECK(lan_filter(scene) == filter);
    }
    if (fault.refuses) {
        CHECK_FALSE(started);
        CHECK(start.said.find("the kernel refuses the BPF programs") != std::string::npos);
    }
    check_state(scene, saved, saved);
    CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    return started;
}

/// The same claims each time; a third version and on is an update.
ServiceFile late_version(int version) {
    ServiceFile file = with_claims("late", 3, 5000);
    file.more = cat("# ", version, "\n");
    return file;
}

/// How many calls of bpf(2) there are while a service is deployed.
std::size_t calls_of_deploy(Scene& scene, const ServiceFile& file) {
    const Injection counted(scene.viscumd().pid(), "bpf:delay_enter=1:when=1+");
    scene.deploy(file);
    return counted.calls();
}

struct Deploy {
    bool done = false;
    std::size_t injected = 0;
};

/// A deploy under `fault` is done, or refused whole, with the old one in place. Then it is done without.
Deploy deploy_with(Scene& scene, const ServiceFile& file, const std::string& fault) {
    CAPTURE(fault);
    const DiskState before = disk(scene);
    const ServiceReport old = scene.status(file.name);
    const std::size_t logged = scene.viscumd().log().size();
    const std::string path = file.write();
    RunOutput output;
    Deploy deploy;
    {
        const Injection full(scene.viscumd().pid(), fault);
        output = scene.viscumd().ctl({"deploy", path});
        deploy.injected = full.injected();
    }
    deploy.done = output.status == 0;
    CHECK((deploy.done || (deploy.injected > 0 && output.status == 4)));
    const auto said = complaints(scene, logged);
    // Each call, and the deploy.
    CHECK_MESSAGE(said.size() <= deploy.injected + (deploy.done ? 0 : 1), join(said, "\n"));
    check_deployed(scene, before, file, deploy.done);
    if (!deploy.done) {
        CHECK(eventually(kLimit, [&] {
            const ServiceReport now = scene.status(file.name);
            return now.pid == old.pid && now.admission == old.admission;
        }));
    }
    scene.deploy(file);
    CHECK(scene.status(file.name).admission == "serve");
    CHECK(eventually(kLimit, [&] { return !scene.status(file.name).updating; }));
    return deploy;
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
    int version = 0;
    const std::size_t total = calls_of_deploy(scene, late_version(++version));
    REQUIRE(total > 0);
    const std::size_t points = effort() == Effort::full ? 120 : 4;
    std::size_t injected = 0;
    int refusals = 0;
    for (const std::string& error : errors) {
        for (const std::size_t point : draw(total, points, dice)) {
            // Each other one is the service's first version.
            if (version % 2 == 0) {
                scene.ctl({"remove", "late"});
            }
            const Deploy deploy =
                deploy_with(scene, late_version(++version), cat("bpf:error=", error, ":when=", point + 1));
            injected += deploy.injected;
            refusals += deploy.done ? 0 : 1;
        }
    }
    MESSAGE(total, " calls of bpf(2) in a deploy; ", injected, " of them refused, and ", refusals, " deploys");
    CHECK(injected > 0);
    scene.ctl({"remove", "late"});
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
    {
        const Injection full(scene.viscumd().pid(), "bpf:error=E2BIG:when=1+");
        const RunOutput deployed = scene.viscumd().ctl({"deploy", late, "--wait", "2s"});
        CHECK_MESSAGE(deployed.status == 4, scene.viscumd().log());
        CHECK(full.injected() > 0);
    }
    CHECK(eventually(kLimit, [&] { return scene.status("late").name.empty(); }));
    const auto said = complaints(scene);
    CHECK_MESSAGE(said.size() <= 4, join(said, "\n"));
    check_state(scene, before, before);
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
    const DiskState saved = disk(scene);
    scene.viscumd().kill();
    int rules = 64;
    set_rules(scene, rules);
    const Start clean = start_with(scene, "");
    CHECK(clean.status == 0);
    const std::vector<std::size_t> loads = loads_in(clean);
    REQUIRE(loads.size() == 3);
    std::mt19937 dice(campaign_seed());
    MESSAGE("VISCUM_TEST_SEED=", campaign_seed());
    // A kernel that refuses a program however often it is tried, and then one call that fails, whichever it is: that
    // may leave some of the new tables, and the next start then makes fewer calls.
    const std::vector<int> errors = {EPERM, E2BIG, ENOMEM, EINVAL};
    std::vector<Fault> faults;
    const auto add = [&](std::size_t call, bool refuses) {
        const int error = errors[dice() % errors.size()];
        faults.push_back({cat("error=", error, ":when=", call, refuses ? "+" : ""), error, refuses});
    };
    for (const std::size_t load : loads) {
        add(load, true);
    }
    for (const std::size_t point : draw(clean.calls.size(), effort() == Effort::full ? 120 : 6, dice)) {
        add(point + 1, false);
    }
    int refusals = 0;
    for (const Fault& fault : faults) {
        set_rules(scene, ++rules);
        refusals += check_start(scene, saved, fault) ? 0 : 1;
    }
    MESSAGE(clean.calls.size(), " calls of bpf(2) in a start; ", faults.size(), " starts with a fault, ", refusals,
            " refused");
    CHECK(refusals >= 3);
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
