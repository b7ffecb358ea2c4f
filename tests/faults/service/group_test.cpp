// SPDX-License-Identifier: GPL-2.0-only
// Somebody else has a hand in the services' control groups: viscumd says so, goes on, and does not spin.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "tests/faults/service/neighbour.h"
#include "tests/support/sandbox.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kMostWakeUps = 100;  // a second; it is two, and those of probes and of viscumctl
constexpr Millis kMostComputed{300};         // in all
constexpr Millis kLookedOn{2'000};

/// Those of "greedy": "/sys/fs/cgroup/memory/viscum/greedy.0".
std::vector<std::string> groups_of_greedy() {
    auto all = groups();
    std::erase_if(all, [](const std::string& path) { return !path.ends_with("/viscum/greedy.0"); });
    return all;
}

bool put(const std::string& path, const std::string& text) {
    const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return file && write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

/// Moves the processes of a group to the root of its hierarchy, and removes it.
bool take_away(const std::string& group, const std::vector<pid_t>& processes) {
    const std::string root = group.substr(0, group.find("/viscum/"));
    for (const pid_t process : processes) {
        if (!put(root + "/cgroup.procs", std::to_string(process))) {
            return false;
        }
    }
    return rmdir(group.c_str()) == 0;
}

/// How often viscumd went to sleep of its own accord.
std::uint64_t wake_ups(pid_t viscumd) {
    const auto status = must(read_file(cat("/proc/", viscumd, "/status"), 8192));
    constexpr std::string_view kName = "\nvoluntary_ctxt_switches:\t";
    const auto at = status.find(kName) + kName.size();
    return parse_decimal(status.substr(at, status.find('\n', at) - at), UINT64_MAX).value_or(UINT64_MAX);
}

/// Time of the processor that viscumd has used.
Millis processor_time(pid_t viscumd) {
    const auto stat = must(read_file(cat("/proc/", viscumd, "/stat"), 8192));
    // What follows the name, which may hold anything: utime and stime are the 12th and 13th of it.
    const auto words = split(stat.substr(stat.rfind(')') + 2), ' ');
    REQUIRE(words.size() > 12);
    const auto ticks =
        parse_decimal(words[11], UINT64_MAX).value_or(0) + parse_decimal(words[12], UINT64_MAX).value_or(0);
    return Millis(static_cast<std::int64_t>(ticks) * 1'000 / sysconf(_SC_CLK_TCK));
}

/// From here on viscumd does not spin: a loop that never sleeps shows as time of the processor, one that sleeps for an
/// instant as wake-ups.
class Idleness {
public:
    explicit Idleness(Scene& scene)
        : viscumd_(scene.viscumd().pid()),
          begun_(boot_now()),
          woken_(wake_ups(viscumd_)),
          used_(processor_time(viscumd_)) {}

    /// Looks on for some time, in which nobody asks it anything.
    void check() const {
        (void)eventually(kLookedOn, [] { return false; });
        const auto took = std::chrono::duration_cast<Millis>(boot_now() - begun_);
        const std::uint64_t woken = wake_ups(viscumd_) - woken_;
        const Millis used = processor_time(viscumd_) - used_;
        MESSAGE("viscumd woke up ", woken, " times in ", took.count(), " ms, and computed for ", used.count(), " ms");
        CHECK(woken * 1'000 < kMostWakeUps * static_cast<std::uint64_t>(took.count()));
        CHECK(used < kMostComputed);
    }

private:
    pid_t viscumd_;
    BootTime begun_;
    std::uint64_t woken_;
    Millis used_;
};

}  // namespace

TEST_CASE("fault 36: a group that another tool removes is told of, and is there again with the next start") {
    Scene scene;
    if (!can_limit(scene)) {
        return;
    }
    Neighbour neighbour(scene);
    scene.deploy(greedy_service("limits: { memory: 64M, pids: 64 }\n"));
    const Idleness idleness(scene);
    for (const std::string& group : groups_of_greedy()) {
        if (!take_away(group, scene.processes_of("greedy"))) {
            skip(cat("nobody can take '", group, "' away here"));
            return;
        }
    }
    const auto limit = [&](const std::string& text) {
        const auto limits = scene.status("greedy").limits;
        return std::ranges::find(limits, text) != limits.end();
    };
    CHECK(eventually(kLimit, [&] { return limit("memory 64M (not kept: its group was removed)"); }));
    idleness.check();
    CHECK(limit("pids 64 (not kept: its group was removed)"));
    CHECK(scene.web(kBad) == "ready");
    CHECK(scene.status("greedy").state == "up");
    scene.viscumd().kill();
    must(scene.viscumd().start_again());
    CHECK(limit("memory 64M (not kept: its group was removed)"));
    scene.ctl({"restart", "greedy"});
    CHECK(limit("memory 64M"));
    CHECK(limit("pids 64"));
    CHECK(scene.web(kBad) == "ready");
    neighbour.check();
    check_end(scene, {"web", "greedy"});
}

TEST_CASE("fault 36: a group that is not empty delays the end of its service alone, which is told, until it is") {
    Scene scene;
    if (!can_limit(scene)) {
        return;
    }
    Neighbour neighbour(scene);
    scene.deploy(greedy_service("limits: { memory: 64M, pids: 64 }\n"));
    // What viscumd finds in a service's group it ends; what is in a group of somebody else's it does not touch.
    const std::string group = groups_of_greedy().front();
    const std::string inner = group + "/foreign";
    REQUIRE(mkdir(inner.c_str(), 0755) == 0);
    auto inside = must(Program::start({.argv = {"sleep", "600"}}));
    auto deeper = must(Program::start({.argv = {"sleep", "600"}}));
    if (!put(group + "/cgroup.procs", std::to_string(inside.pid())) ||
        !put(inner + "/cgroup.procs", std::to_string(deeper.pid()))) {
        rmdir(inner.c_str());
        skip("no process can be moved into a group here");
        return;
    }
    const std::string why = cat("cannot remove the control group '", group, "', in which there is another group");
    const Idleness idleness(scene);
    const RunOutput removal = scene.viscumd().ctl({"remove", "greedy"}, kLimit);
    CHECK(removal.status == 1);
    CHECK(removal.err.find(cat("cannot be taken down yet: ", why)) != std::string::npos);
    CHECK(inside.ended_within(kLimit));
    CHECK(inside.stop(SIGKILL) == 137);
    CHECK(eventually(kLimit, [&] { return scene.status("greedy").reason.find(why) != std::string::npos; }));
    idleness.check();
    CHECK(scene.status("greedy").state == "stopping");
    CHECK(scene.web(kBad) == "cloud");
    CHECK(deeper.running());
    check_log(scene, cat("'greedy' cannot be taken down yet: ", why));
    CHECK(deeper.stop(SIGKILL) == 137);
    CHECK(rmdir(inner.c_str()) == 0);
    CHECK(eventually(kLimit, [&] { return scene.report().services.size() == 1; }));
    neighbour.check();
    check_end(scene, {"web"});
}

}  // namespace viscum
