// SPDX-License-Identifier: GPL-2.0-only
// viscumd is restarted, killed, and exchanged for one with another layout of its tables: nothing is lost. On the way
// back, which has to be asked for, counters and UDP flows are.
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
    traffic.begin_download();
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

/// Upgrades that are killed on their way, each followed by one that is not, and by a downgrade.
class KilledUpgrades {
public:
    struct Counts {
        int unfinished = 0;  // kills before the upgrade was over
        int halfway = 0;     // and with both layouts' tables there
        int not_completed = 0;
    };
    KilledUpgrades(Scene& scene, Traffic& traffic) : scene_(scene), traffic_(traffic) {}

    void round(bool with_kills) {
        traffic_.check_services();
        scene_.viscumd().kill();
        scene_.viscumd().use_program(kNext);
        // Once, or twice, or three times.
        for (auto kills = with_kills ? 1 + dice_() % 3 : 0; kills > 0; --kills) {
            kill_once();
        }
        complete();
        traffic_.begin_download();
        exchange(scene_, kThis, true, {"--discard-newer"});
        traffic_.forget_counters();
        CHECK(pinned_layouts() == kOwn);
        traffic_.check_tcp();
        CHECK(served(scene_));
        traffic_.begin_udp();
    }
    [[nodiscard]] const Counts& counts() const { return counts_; }

private:
    void kill_once() {
        // Every other one while it makes its tables, which is a small part of the whole.
        const bool at_tables = dice_() % 2 == 0;
        const auto limit = std::max<std::int64_t>((at_tables ? kTableTime : shortest_).count(), 1);
        const auto moment = std::chrono::microseconds(static_cast<std::int64_t>(dice_()) % limit);
        CAPTURE(at_tables);
        CAPTURE(moment.count());
        auto upgrading = must(Program::start(
            {.argv = scene_.viscumd().command_line(), .log_file = "/tmp/viscumd.log", .ns = &scene_.bed().hotspot()}));
        CHECK((!at_tables || eventually(kLimit, [] { return pinned_layouts() != kOwn; })));
        std::this_thread::sleep_for(moment);
        upgrading.stop(SIGKILL);
        counts_.unfinished += pinned_layouts() == kNewer ? 0 : 1;
        counts_.halfway += pinned_layouts() == cat(kOwn, " ", kNewer) ? 1 : 0;
        traffic_.check();
    }

    void complete() {
        const BootTime begun = boot_now();
        const Status started = scene_.viscumd().start_again();
        shortest_ = std::min(shortest_, std::chrono::duration_cast<std::chrono::microseconds>(boot_now() - begun));
        const std::string layouts = pinned_layouts();
        counts_.not_completed += started && layouts == kNewer ? 0 : 1;
        must(started);
        CHECK(layouts == kNewer);
        traffic_.check();
        traffic_.check_services();
        CHECK(served(scene_));
    }

    Scene& scene_;
    Traffic& traffic_;
    std::mt19937 dice_{campaign_seed()};
    std::chrono::microseconds shortest_ = std::chrono::microseconds::max();  // of the starts that were left in peace
    Counts counts_;
};

/// The command that repeats a test case with the same effort and the same dice.
std::string repeated_by(const std::string& test) {
    return cat(effort() == Effort::full ? "VISCUM_FAULTS=full " : "", "VISCUM_TEST_SEED=", campaign_seed(),
               " build/bin/faults_upgrade -tc='", test, "'");
}

/// Back to this tree's viscumd, all services removed, nothing left.
void end(Scene& scene) {
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "echo"});
    scene.check_no_leak();
}

}  // namespace

TEST_CASE(
    "upgrade: restarts, kills and upgrades of viscumd cost no connection, counter or owner, downgrades no TCP "
    "connection") {
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
                 repeated_by("upgrade: restarts*"),
                 {{"restarts / kill -9 / upgrades / downgrades",
                   cat(times(), " / ", 2 * times(), " / ", times(), " / ", times())},
                  {"connections failed or reset", cat(traffic.failed(), " of ", traffic.requests())},
                  {"longest gap without an answer", traffic.longest_gap()}}}));
    end(scene);
}

TEST_CASE("upgrade: a viscumd that is killed at random moments of its upgrade is followed by one that completes it") {
    MESSAGE("VISCUM_TEST_SEED=", campaign_seed());
    const int rounds = effort() == Effort::full ? 200 : 10;
    Scene scene;
    Traffic traffic(scene);
    KilledUpgrades upgrades(scene, traffic);
    for (int round = 0; round < rounds; ++round) {
        CAPTURE(round);
        // Without kills, the first one shows how long it takes.
        upgrades.round(round > 0);
    }
    const KilledUpgrades::Counts& counts = upgrades.counts();
    CHECK(counts.unfinished > 0);
    CHECK(counts.not_completed == 0);
    traffic.finish(cat(rounds, " upgrades that were killed"));
    must(record({"upgrade-kills",
                 "SIGKILL of viscumd at random moments of an upgrade",
                 repeated_by("upgrade: a viscumd that is killed*"),
                 {{"upgrades that were killed, one to three times each", cat(rounds - 1)},
                  {"kills before the upgrade was over", cat(counts.unfinished)},
                  {"kills with both layouts' tables there", cat(counts.halfway)},
                  {"not completed by the next start", cat(counts.not_completed)},
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
