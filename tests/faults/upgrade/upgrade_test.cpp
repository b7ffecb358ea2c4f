// SPDX-License-Identifier: GPL-2.0-only
// viscumd is restarted, killed, and exchanged for one with another layout of its tables, and back: nothing is lost.
#include <algorithm>
#include <thread>

#include "tcprog/abi.h"
#include "tests/faults/oracle/oracle.h"
#include "tests/faults/upgrade/traffic.h"
#include "tests/support/campaign.h"

namespace viscum {
namespace {

constexpr int kRefused = 5;
constexpr std::chrono::microseconds kTableTime{15'000};  // for making tables and taking over, or a little more
const std::string kOwn = cat(VS_ABI);
const std::string kNewer = cat(VS_ABI + 1);

int times() {
    return effort() == Effort::full ? 20 : 4;
}

/// Ends the viscumd that runs, as a package manager or as a crash does, and starts another one.
void exchange(Scene& scene, const std::string& program, bool killed, const Argv& more = {}) {
    killed ? scene.viscumd().kill() : scene.viscumd().stop();
    scene.viscumd().use_program(program);
    must(scene.viscumd().start_again(more));
}

/// New connections of both families are served locally. To be waited for before tables are given up: a connection with
/// the cloud under way then, whose ports the service holds in TIME-WAIT, is not known any more.
bool served(const Scene& scene) {
    return eventually(kLimit, [&] { return scene.web() == "local" && scene.web(kWeb6) == "local"; });
}

/// An older viscumd meets the tables of a newer one.
void check_refused(const Scene& scene, const Viscumd& viscumd, const NetNs& hotspot) {
    const Snapshot before = must(take_snapshot());
    const RunOutput refused = run(viscumd.command_line(), {.ns = &hotspot});
    CHECK(refused.status == kRefused);
    const auto wrong = judge_log(refused.err, "belongs to a newer viscumd");
    CHECK_MESSAGE(wrong.empty(), join(wrong, "\n"));
    CHECK(refused.err.find("--discard-newer") != std::string::npos);
    const auto changed = must(leaks_since(
        before, kLimit, [](const std::string& line) { return line.find("/run/viscum") != std::string::npos; }));
    CHECK_MESSAGE(changed.empty(), join(changed, "\n"));
    CHECK(scene.web() == "local");
}

/// And back: refused, then deliberately.
void downgrade(Scene& scene, Traffic& traffic) {
    CHECK(served(scene));
    scene.viscumd().stop();
    scene.viscumd().use_program(kThis);
    check_refused(scene, scene.viscumd(), scene.bed().hotspot());
    CHECK(pinned_layouts() == kNewer);
    traffic.check();
    must(scene.viscumd().start_again({"--discard-newer"}));
    traffic.forget_counters();
    CHECK(pinned_layouts() == kOwn);
    traffic.check_tcp();
    CHECK(served(scene));
    traffic.begin_udp();
    traffic.check_services();
}

/// Back to this tree's viscumd, all services removed, nothing left.
void end(Scene& scene) {
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "echo"});
    scene.check_no_leak();
}

}  // namespace

TEST_CASE("upgrade: restarts, kills, upgrades and downgrades of viscumd cost no connection, no counter and no owner") {
    Scene scene;
    Traffic traffic(scene);
    for (int time = 0; time < 2 * times(); ++time) {
        CAPTURE(time);
        exchange(scene, kThis, time % 2 == 1);
        traffic.check();
        traffic.check_services();
    }
    for (int time = 0; time < times(); ++time) {
        CAPTURE(time);
        exchange(scene, kNext, time % 2 == 1);
        CHECK(pinned_layouts() == kNewer);
        traffic.check();
        traffic.check_services();
        exchange(scene, kNext, true);
        traffic.check();
        traffic.check_services();
        downgrade(scene, traffic);
    }
    traffic.finish(cat(times(), " restarts, kills, upgrades and downgrades each"));
    must(record({"upgrade",
                 "Restarts, kills, upgrades and downgrades of viscumd, under clients without pause",
                 cat("VISCUM_FAULTS=full VISCUM_TEST_SEED=", campaign_seed(), " build/bin/faults_upgrade"),
                 {{"restarts / kill -9 / upgrades / downgrades",
                   cat(times(), " / ", 2 * times(), " / ", times(), " / ", times())},
                  {"connections failed or reset", cat(traffic.failed(), " of ", traffic.requests())},
                  {"longest gap without an answer", traffic.longest_gap()}}}));
    end(scene);
}

TEST_CASE("upgrade: a viscumd that is killed at random moments of its upgrade is followed by one that completes it") {
    const std::uint32_t seed = campaign_seed();
    MESSAGE("VISCUM_TEST_SEED=", seed);
    std::mt19937 dice(seed);
    const auto below = [&dice](std::int64_t limit) {
        return std::chrono::microseconds(static_cast<std::int64_t>(dice()) % std::max<std::int64_t>(limit, 1));
    };
    const int rounds = effort() == Effort::full ? 200 : 10;
    Scene scene;
    Traffic traffic(scene);
    auto shortest = std::chrono::microseconds::max();  // of the starts so far that were left in peace
    int unfinished = 0;
    int halfway = 0;
    for (int round = 0; round < rounds; ++round) {
        CAPTURE(round);
        traffic.check_services();
        scene.viscumd().kill();
        scene.viscumd().use_program(kNext);
        // Once, or twice, or three times.
        for (int kills = round == 0 ? 0 : 1 + static_cast<int>(dice() % 3); kills > 0; --kills) {
            // Every other one while it makes its tables, which is a small part of the whole.
            const bool at_tables = dice() % 2 == 0;
            const auto moment = below(at_tables ? kTableTime.count() : shortest.count());
            CAPTURE(at_tables);
            CAPTURE(moment.count());
            auto upgrading = must(Program::start({.argv = scene.viscumd().command_line(),
                                                  .log_file = "/tmp/viscumd.log",
                                                  .ns = &scene.bed().hotspot()}));
            CHECK((!at_tables || eventually(kLimit, [] { return pinned_layouts() != kOwn; })));
            std::this_thread::sleep_for(moment);
            upgrading.stop(SIGKILL);
            unfinished += pinned_layouts() == kNewer ? 0 : 1;
            halfway += pinned_layouts() == cat(kOwn, " ", kNewer) ? 1 : 0;
            traffic.check();
        }
        const BootTime begun = boot_now();
        must(scene.viscumd().start_again());
        shortest = std::min(shortest, std::chrono::duration_cast<std::chrono::microseconds>(boot_now() - begun));
        CHECK(pinned_layouts() == kNewer);
        traffic.check();
        traffic.check_services();
        CHECK(served(scene));
        exchange(scene, kThis, true, {"--discard-newer"});
        traffic.forget_counters();
        CHECK(pinned_layouts() == kOwn);
        traffic.check_tcp();
        CHECK(served(scene));
        traffic.begin_udp();
    }
    CHECK(unfinished > 0);
    traffic.finish(cat(rounds, " upgrades that were killed"));
    must(record({"upgrade-kills",
                 "SIGKILL of viscumd at random moments of an upgrade",
                 cat("VISCUM_FAULTS=full VISCUM_TEST_SEED=", seed, " build/bin/faults_upgrade"),
                 {{"upgrades that were killed, one to three times each", cat(rounds - 1)},
                  {"kills before the upgrade was over", cat(unfinished)},
                  {"kills with both layouts' tables there", cat(halfway)},
                  {"not completed by the next start", "0"},
                  {"connections failed or reset", cat(traffic.failed(), " of ", traffic.requests())},
                  {"longest gap without an answer", traffic.longest_gap()}}}));
    end(scene);
}

TEST_CASE("upgrade: --uninstall takes older tables away, refuses newer ones, and takes them away where it is told to") {
    Scene scene;
    scene.deploy(web_service());
    scene.viscumd().kill();
    const auto uninstall = [&](const std::string& program, const Argv& more) {
        scene.viscumd().use_program(program);
        Argv argv = scene.viscumd().command_line({"--uninstall"});
        argv.insert(argv.end(), more.begin(), more.end());
        return run(argv, {.ns = &scene.bed().hotspot()});
    };
    CHECK(uninstall(kNext, {}).status == 0);
    CHECK(pinned_layouts() == "");
    CHECK(scene.web() == "cloud");

    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    scene.viscumd().kill();
    const RunOutput refused = uninstall(kThis, {});
    CHECK(refused.status == kRefused);
    const auto wrong = judge_log(refused.err, "belongs to a newer viscumd");
    CHECK_MESSAGE(wrong.empty(), join(wrong, "\n"));
    CHECK(pinned_layouts() == kNewer);
    CHECK(scene.web() == "local");
    CHECK(uninstall(kThis, {"--discard-newer"}).status == 0);
    CHECK(pinned_layouts() == "");
    CHECK(scene.web() == "cloud");

    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
