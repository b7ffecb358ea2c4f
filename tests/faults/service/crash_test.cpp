// SPDX-License-Identifier: GPL-2.0-only
// The local service is killed, and nobody notices: the cloud answers what it cannot.
#include <signal.h>

#include <iomanip>
#include <map>
#include <set>
#include <sstream>

#include "tests/faults/service/neighbour.h"
#include "tests/support/campaign.h"
#include "tests/support/process_tree.h"

namespace viscum {
namespace {

// The first two quick falls of a run are answered by a start at once, the third would hold the service down.
constexpr int kKillsOfEach = 2;

int kills_to_do() {
    return effort() == Effort::full ? 100 : 10;
}

/// The run's shim and the number of its start.
std::pair<std::int64_t, std::uint64_t> start_of(const ServiceReport& report) {
    return {report.pid, report.restarts};
}

ServiceFile crashing_service(const std::string& restart) {
    ServiceFile file = web_service();
    file.more = cat("health: { http: { port: 80, path: /healthz }, interval: 2s, timeout: 2s, fall: 3 }\n",
                    "restart: ", restart, "\n");
    return file;
}

struct Kill {
    BootTime when{};
    BootTime back{};  // it was healthy again, or a little earlier
};

/// Kills the service, or the pid 1 that it runs under, and waits until viscumd has started it again and it is healthy.
Kill kill_and_await(const Scene& scene, const std::string& service, bool init = false) {
    const ServiceReport before = scene.status(service);
    const auto processes = scene.processes_of(service);
    REQUIRE_FALSE(processes.empty());
    const pid_t victim = init ? static_cast<pid_t>(before.pid) : processes.front();
    const BootTime when = boot_now();
    REQUIRE(kill(victim, SIGKILL) == 0);
    CHECK(eventually(kLimit, [&] {
        const ServiceReport now = scene.status(service);
        return start_of(now) != start_of(before) && now.health == "healthy";
    }));
    return {when, boot_now()};
}

/// From each kill to the end of the first answer of the cloud to a request that began after it, in ms; by the kill's
/// number. One that was not seen (the service was back before the client's next request) has none.
std::multimap<std::size_t, double> failover_times(const std::vector<FlowRecord>& records,
                                                  const std::vector<Kill>& kills) {
    std::multimap<std::size_t, double> times;
    for (std::size_t number = 0; number < kills.size(); ++number) {
        const auto [when, back] = kills[number];
        const auto found = std::ranges::find_if(records, [&](const FlowRecord& record) {
            return record.start >= when && record.start < back && record.who == "cloud";
        });
        if (found != records.end()) {
            times.emplace(number, std::chrono::duration<double, std::milli>(found->end - when).count());
        }
    }
    return times;
}

/// LOG: one line for each kill, which says who was killed, and no other.
void check_kills_told(const std::string& log, int kills, int of_init) {
    int services = 0;
    int inits = 0;
    std::string strangers;
    for (const LogLine& line : log_lines(log)) {
        if (line.text.starts_with("'web' ended: killed by SIGKILL")) {
            ++services;
        } else if (line.text.starts_with("'web' ended: ended together with its shim")) {
            ++inits;
        } else if (line.level == "warning" || line.level == "error") {
            strangers += cat(line.text, '\n');
        }
    }
    CHECK(services == kills - of_init);
    CHECK(inits == of_init);
    CHECK(strangers == "");
}

std::string ms(std::chrono::nanoseconds time) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(1) << std::chrono::duration<double, std::milli>(time).count() << " ms";
    return text.str();
}

void record_crashes(const FlowSummary& v4, const FlowSummary& v6, const std::multimap<std::size_t, double>& times) {
    std::set<std::size_t> seen;
    std::vector<double> all;
    for (const auto& [kill, time] : times) {
        seen.insert(kill);
        all.push_back(time);
    }
    CHECK_FALSE(seen.empty());
    must(record(
        {"failover-crash",
         cat("A service is killed, ", kills_to_do(), " times"),
         cat(effort() == Effort::full ? "VISCUM_FAULTS=full " : "", "build/bin/faults_service -tc='fault 1: over*'"),
         {{"kills that a client saw", cat(seen.size(), " of ", kills_to_do())},
          {"from such a kill to the cloud's answer, p50 / p99", p50_p99_ms(all)},
          {"requests", std::to_string(v4.requests + v6.requests)},
          {"failed", std::to_string(v4.failed + v6.failed)},
          {"in flight at a kill, and reset", std::to_string(v4.resets + v6.resets)},
          {"longest gap", ms(std::max(v4.longest_gap, v6.longest_gap))}}}));
}

}  // namespace

TEST_CASE("fault 1: over many kills of a service or its init every request is answered, locally or by the cloud") {
    Scene scene;
    scene.deploy(crashing_service("{ backoff: 50ms, backoff_max: 100ms }"));
    const DiskState disk = must(read_disk_state(scene.viscumd().instance()));
    const auto v4 = scene.flow(kWeb, 1);
    const auto v6 = scene.flow(kWeb6, 2);
    std::vector<Kill> kills;
    int inits = 0;
    for (int number = 0; number < kills_to_do(); ++number) {
        if (number > 0 && number % kKillsOfEach == 0) {
            scene.ctl({"restart", "web"});
        }
        const bool init = number % 3 == 1;
        inits += init ? 1 : 0;
        kills.push_back(kill_and_await(scene, "web", init));
    }
    CHECK(v4->wait_for("local", boot_now(), kLimit));
    CHECK(v6->wait_for("local", boot_now(), kLimit));
    std::multimap<std::size_t, double> times;
    std::vector<FlowSummary> summaries;
    // A client has one request under way at the instant of a kill.
    for (const auto& flow : {v4.get(), v6.get()}) {
        const FlowSummary seen = flow->stop();
        check_flow("kills", seen, kills.size());
        CHECK(seen.local > 0);
        CHECK(seen.cloud > 0);
        times.merge(failover_times(flow->records(), kills));
        summaries.push_back(seen);
    }
    record_crashes(summaries[0], summaries[1], times);
    check_kills_told(scene.viscumd().log(), kills_to_do(), inits);
    CHECK(join(judge_state(must(read_disk_state(scene.viscumd().instance())), disk, disk), "\n") == "");
    check_end(scene, {"web"});
}

TEST_CASE(
    "fault 1: a service that falls again and again waits longer each time, and is left to the cloud for a while") {
    Scene scene;
    scene.deploy(crashing_service("{ backoff: 300ms }"));
    const auto flow = scene.flow();
    const BootTime killed = boot_now();
    scene.kill_service("web");
    ServiceReport fallen;
    CHECK(eventually(kLimit, [&] { return (fallen = scene.status("web")).state == "backoff"; }));
    CHECK(fallen.reason == "killed by SIGKILL; started again after a pause; new flows go to the cloud");
    CHECK(flow->wait_for("cloud", killed, kLimit));
    CHECK(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    check_log(scene, "'web' ended: killed by SIGKILL");
    kill_and_await(scene, "web");
    kill_and_await(scene, "web");
    const ServiceReport held = scene.status("web");
    CHECK(held.admission == "drain");
    mentions(held.reason, "held down");
    CHECK(scene.web() == "cloud");
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    check_flow("held down", flow->stop(), 3);
    check_end(scene, {"web"});
}

}  // namespace viscum
