// SPDX-License-Identifier: GPL-2.0-only
// A service hangs, in one way or another: it takes connections and does not answer them.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/faults/service/neighbour.h"
#include "tests/support/campaign.h"
#include "tests/support/sandbox.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

// What the service's file says, and what is promised by it.
constexpr Millis kInterval{500};
constexpr Millis kTimeout{500};
constexpr int kFall = 2;
constexpr int kRise = 6;
constexpr Millis kPromised = kFall * kInterval + kTimeout;
constexpr Millis kWithdrawn = 5 * kPromised;                 // the machine may be slow
constexpr Millis kRises = (kRise - 1) * kInterval * 9 / 10;  // at least; pauses are spread by 10 %

ServiceFile hanging_service() {
    ServiceFile file = web_service();
    file.more = cat("health: { http: { port: 80, path: /healthz }, interval: ", kInterval.count(),
                    "ms, timeout: ", kTimeout.count(), "ms, fall: ", kFall, ", rise: ", kRise,
                    " }\nrestart: { backoff: 10ms, backoff_max: 100ms }\n");
    return file;
}

/// A control group of version 2 that freezes what is in it; for as long as this object lives.
class Freezer {
public:
    Freezer() {
        for (const char* mount : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"}) {
            if (access(cat(mount, "/cgroup.controllers").c_str(), F_OK) == 0) {
                root_ = mount;
                // On a machine of version 2 alone the service's own group is the one.
                const std::string own = cat(root_, "/viscum/web.0");
                made_ = access(own.c_str(), F_OK) != 0;
                group_ = made_ ? cat(root_, "/freezer") : own;
                break;
            }
        }
        usable_ = !group_.empty() && (!made_ || mkdir(group_.c_str(), 0755) == 0) &&
                  access(cat(group_, "/cgroup.freeze").c_str(), W_OK) == 0;
    }
    Freezer(const Freezer&) = delete;
    Freezer& operator=(const Freezer&) = delete;
    ~Freezer() {
        if (made_ && !group_.empty()) {
            rmdir(group_.c_str());
        }
    }
    [[nodiscard]] bool usable() const { return usable_; }
    void freeze(const std::vector<pid_t>& processes) const {
        move(processes, group_);
        put(cat(group_, "/cgroup.freeze"), "1");
    }
    void thaw(const std::vector<pid_t>& processes) const {
        put(cat(group_, "/cgroup.freeze"), "0");
        move(processes, root_);
    }

private:
    static void put(const std::string& path, const std::string& text) {
        const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
        CHECK_MESSAGE((file && write(file.get(), text.data(), text.size()) > 0), path, ": ", errno);
    }
    void move(const std::vector<pid_t>& processes, const std::string& to) const {
        for (const pid_t process : made_ ? processes : std::vector<pid_t>()) {
            put(cat(to, "/cgroup.procs"), std::to_string(process));
        }
    }

    std::string root_;
    std::string group_;
    bool made_ = false;
    bool usable_ = false;
};

/// Hangs the service, sees it withdrawn, lets it go on, sees it back. Returns how long it took to withdraw it, in ms.
double hang_once(const Scene& scene, const std::function<void()>& hang, const std::function<void()>& go_on) {
    const BootTime begun = boot_now();
    hang();
    CHECK(eventually(kWithdrawn, [&] { return scene.status("web").admission == "drain"; }));
    const auto took = std::chrono::duration<double, std::milli>(boot_now() - begun).count();
    const ServiceReport hung = scene.status("web");
    CHECK(hung.state == "up");
    CHECK(hung.health == "unhealthy");
    mentions(hung.reason, "no answer within 500ms");
    CHECK(scene.web() == "cloud");
    CHECK(scene.web(kWeb6) == "cloud");
    const BootTime gone_on = boot_now();
    go_on();
    // It answers again, and has to go on doing so for a while.
    CHECK(eventually(kLimit, [&] {
        const ServiceReport now = scene.status("web");
        return now.admission == "drain" && now.reason.find("no answer") == std::string::npos;
    }));
    CHECK(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    CHECK(boot_now() - gone_on >= kRises);
    CHECK(scene.web() == "local");
    return took;
}

struct HangFigures {
    std::string part;
    std::string title;
    std::string test;
};

/// Hangs the service again and again, each time in a fresh version, which is not held down. FLOW and LOG.
void check_hangs(Scene& scene, const HangFigures& figures, const std::function<void()>& hang,
                 const std::function<void()>& go_on) {
    const auto flow = scene.flow();
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    const bool full = effort() == Effort::full;
    std::vector<double> times;
    for (int number = 0; number < (full ? 10 : 1); ++number) {
        scene.ctl({"restart", "web"});
        times.push_back(hang_once(scene, hang, go_on));
    }
    const FlowSummary seen = flow->stop();
    check_flow("hangs", seen);
    check_log(scene, "'web' is unhealthy: no answer within 500ms");
    must(record({figures.part,
                 cat(figures.title, ", ", times.size(), " times; interval 500 ms, timeout 500 ms, fall 2"),
                 cat(full ? "VISCUM_FAULTS=full " : "", "build/bin/faults_service -tc='", figures.test, "'"),
                 {{"withdrawn after, p50 / p99", p50_p99_ms(times)},
                  {"promised", cat(kPromised.count(), " ms")},
                  {"requests", std::to_string(seen.requests)},
                  {"failed or reset", std::to_string(seen.failed + seen.resets)}}}));
}

/// How often the service has written of a connection that ended in this mood.
std::size_t served_in(const Scene& scene, const std::string& mood) {
    std::size_t count = 0;
    for (const std::string& line : split(scene.ctl({"logs", "moody"}).out, '\n')) {
        count += line.find(cat(mood, " ")) != std::string::npos ? 1U : 0U;
    }
    return count;
}

}  // namespace

TEST_CASE("fault 2: a service that is stopped is withdrawn in time, and comes back by its rises when it goes on") {
    Scene scene;
    scene.deploy(hanging_service());
    check_hangs(
        scene, {"failover-hang", "A service is stopped", "fault 2: a service that is stopped*"},
        [&] { scene.signal_service("web", SIGSTOP); }, [&] { scene.signal_service("web", SIGCONT); });
    check_end(scene, {"web"});
}

TEST_CASE("fault 2: a service that is frozen is withdrawn in time, and comes back by its rises when it is thawed") {
    Scene scene;
    scene.deploy(hanging_service());
    {
        const Freezer freezer;
        if (!freezer.usable()) {
            return skip("no control group of version 2 that could be frozen");
        }
        std::vector<pid_t> processes;
        const auto freeze = [&] {
            processes = scene.processes_of("web");
            freezer.freeze(processes);
        };
        check_hangs(scene, {"failover-freeze", "A service is frozen", "fault 2: a service that is frozen*"}, freeze,
                    [&] { freezer.thaw(processes); });
    }
    check_end(scene, {"web"});
}

TEST_CASE("fault 3: one that takes connections and never answers, or a byte at a time, is withdrawn by an HTTP probe") {
    Scene scene;
    Neighbour neighbour(scene);
    set_mood("good");
    for (const char* mood : {"silent", "drip", "half"}) {
        CAPTURE(mood);
        set_mood("good");
        scene.deploy(moody_service(eager_probe()));
        CHECK(scene.web(kBad) == "local");
        set_mood(mood);
        CHECK(becomes_unhealthy(scene, "moody"));
        mentions(scene.status("moody").reason, "no answer within 200ms");
        CHECK(scene.web(kBad) == "cloud");
        scene.ctl({"remove", "moody"});
    }
    check_log(scene, "'moody' is unhealthy: no answer within 200ms");
    neighbour.check();
    check_end(scene, {"web"});
}

TEST_CASE("fault 3: a TCP probe is blind to a program that takes connections and never answers, as documented") {
    Scene scene;
    set_mood("good");
    scene.deploy(moody_service(eager_probe("tcp: { port: 80 }")));
    set_mood("silent");
    // Many more than take it down where they fail.
    CHECK(eventually(kLimit, [&] { return served_in(scene, "silent") >= 6; }));
    const ServiceReport blind = scene.status("moody");
    CHECK(blind.health == "healthy");
    CHECK(blind.admission == "serve");
    CHECK(http_get(scene.bed().client(1), {.to = kBad, .limit = 500ms}).who() == "timed out");
    check_end(scene, {"moody"});
}

}  // namespace viscum
