// SPDX-License-Identifier: GPL-2.0-only
// A service that wants more than its share gets its share, and says so; what it leaves behind goes with it. Nobody
// else notices.
#include <signal.h>

#include <algorithm>

#include "base/file.h"
#include "tests/faults/service/neighbour.h"
#include "tests/support/process_tree.h"

namespace viscum {
namespace {

constexpr std::size_t kProcesses = 24;
constexpr int kNewProcesses = 20;

/// Those that have ended and that nobody has waited for.
std::size_t zombies(const std::vector<pid_t>& processes) {
    std::size_t count = 0;
    for (const pid_t process : processes) {
        const auto stat = read_file(cat("/proc/", process, "/stat"), 4096);
        const auto behind_name = stat ? stat->rfind(") ") : std::string::npos;
        count += behind_name != std::string::npos && (*stat)[behind_name + 2] == 'Z' ? 1U : 0U;
    }
    return count;
}

}  // namespace

TEST_CASE("fault 6: a service whose memory ran out is ended, started again after a while, and says why") {
    Scene scene;
    if (!can_limit(scene)) {
        return;
    }
    Neighbour neighbour(scene);
    scene.deploy(greedy_service("limits: { memory: 32M }\nrestart: { backoff: 1s }\n"));
    CHECK_FALSE(groups().empty());
    ask(scene, "/eat");
    CHECK(eventually(kLimit, [&] { return scene.status("greedy").state == "backoff"; }));
    const std::string why = "killed by SIGKILL: out of memory (limit 32M)";
    CHECK(scene.status("greedy").reason.starts_with(why));
    CHECK(scene.web(kBad) == "cloud");
    CHECK(eventually(kLimit, [&] { return scene.web(kBad) == "ready"; }));
    const ServiceReport report = scene.status("greedy");
    CHECK(report.restarts > 0);
    CHECK(report.last_exit == why);
    CHECK(report.oom_kills > 0);
    CHECK(std::ranges::find(report.limits, "memory 32M") != report.limits.end());
    mentions(scene.ctl({"status", "greedy"}).out, "out of memory (limit 32M)");
    mentions(scene.ctl({"status", "greedy", "--json"}).out, R"("last_exit":"killed by SIGKILL: out of memory)");
    check_log(scene, cat("'greedy' ended: ", why));
    neighbour.check();
    check_end(scene, {"web", "greedy"});
}

TEST_CASE("fault 7: a fork bomb gets as many processes as it may have, is counted, and goes with its service") {
    Scene scene;
    if (!can_limit(scene)) {
        return;
    }
    Neighbour neighbour(scene);
    scene.deploy(greedy_service(cat("limits: { pids: ", kProcesses, " }\n")));
    ask(scene, "/fork");
    CHECK(eventually(kLimit, [&] { return scene.status("greedy").forks_refused > 0; }));
    const auto processes = scene.processes_of("greedy");
    CHECK(processes.size() > 10);
    CHECK(processes.size() <= kProcesses);
    CHECK(scene.status("greedy").pids <= kProcesses);
    CHECK(http_get(scene.bed().client(1), {.to = kBad}).body == "denied EAGAIN\n");
    mentions(scene.ctl({"status", "greedy"}).out, "24");
    for (int number = 0; number < kNewProcesses; ++number) {
        CHECK(run({"true"}).success());
    }
    neighbour.check();
    check_end(scene, {"web", "greedy"});
    for (const pid_t process : processes) {
        CHECK(parent_of(process) == 0);
    }
}

TEST_CASE("fault 8: what a service leaves behind is reaped when it ends, and ends with it when it stays") {
    Scene scene;
    set_mood("good");
    const ServiceFile file = moody_service("restart: { policy: never }\n", true);
    std::vector<pid_t> processes;
    SUBCASE("it is stopped") {
        scene.deploy(file);
        // Itself and the one that stays; of the 50 others nothing is left, not even a zombie.
        CHECK(eventually(kLimit, [&] { return scene.processes_of("moody").size() == 2; }));
        processes = scene.processes_of("moody");
        CHECK(zombies(processes) == 0);
    }
    SUBCASE("it is killed") {
        scene.deploy(file);
        CHECK(eventually(kLimit, [&] { return scene.processes_of("moody").size() == 2; }));
        processes = scene.processes_of("moody");
        scene.kill_service("moody");
        CHECK(eventually(kLimit, [&] { return scene.status("moody").state == "failed"; }));
        CHECK(parent_of(processes.back()) == 0);
    }
    check_end(scene, {"moody"});
    for (const pid_t process : processes) {
        CHECK(kill(process, 0) < 0);
    }
}

}  // namespace viscum
