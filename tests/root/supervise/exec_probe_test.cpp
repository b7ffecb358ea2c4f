// SPDX-License-Identifier: GPL-2.0-only
// Probes that are commands: beside a real service, in its sandbox.
#include "base/file.h"
#include "base/text.h"
#include "tests/root/supervise/probe_bench.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

/// A bench whose namespace has a service that does nothing.
struct ExecBench : Bench {
    explicit ExecBench(const std::string& user = "") : service({"/bin/sleep", "464646"}) {
        if (!user.empty()) {
            service.as(user).with({{"WORD", "x y"}});
        }
        service.ns = must(NetNs::open("probed"));
        process.emplace(service.launch());
        shim_path = service.spec.shim_path;
        run_dir = service.spec.run_dir;
        REQUIRE(eventually([&] { return probe(exec({"/bin/true"})) == kHealthy; }));  // its sandbox stands
    }
    static HealthSpec exec(std::vector<std::string> command, Millis timeout = 5s) {
        return viscum::with(ExecProbe{std::move(command)}, timeout);
    }
    static HealthSpec shell(const std::string& script, Millis timeout = 5s) {
        return exec({"/bin/sh", "-c", script}, timeout);
    }
    /// Only the service is left of what was started.
    bool only_service() const { return children_of(getpid()) == std::vector<pid_t>{process->pid()}; }

    Run service;
    std::optional<Process> process;
};

TEST_CASE("probe: an exec probe is healthy when its command exits with 0") {
    ExecBench bench;
    CHECK(bench.probe(bench.exec({"/bin/true"})) == kHealthy);
    CHECK(bench.probe(bench.shell("exit 3")) == unhealthy("the health command exited with 3"));
    CHECK(bench.probe(bench.shell("kill -SEGV $$")) == unhealthy("the health command was killed by SIGSEGV"));
    CHECK(bench.probe(bench.exec({"/no/such"})) == unhealthy("cannot run '/no/such': No such file or directory"));
    CHECK(bench.only_service());
    CHECK(bench.prober.pid() == 0);  // there is nothing to parse
}

TEST_CASE("probe: an exec probe runs as the service's user, in its namespace, with its environment") {
    ExecBench bench("nobody");
    CHECK(bench.probe(bench.shell("test $(id -u) = 65534")) == kHealthy);
    CHECK(bench.probe(bench.shell("test \"$WORD\" = 'x y'")) == kHealthy);
    CHECK(bench.probe(bench.shell(cat("test $(readlink /proc/self/ns/net) = net:[", bench.ns.inode(), "]"))) ==
          kHealthy);
}

TEST_CASE("probe: an exec probe of a service that does not run is no health") {
    ExecBench bench;
    REQUIRE(bench.process->kill());
    (void)bench.service.finish(*bench.process);
    const ProbeResult result = bench.probe(bench.exec({"/bin/true"}));
    CHECK(result == unhealthy("cannot run '/bin/true': the service does not run"));
}

TEST_CASE("probe: an exec probe that hangs is killed with what it started, and reaped") {
    ExecBench bench;
    const auto result = bench.probe(bench.shell("sleep 474747 & sleep 474747", 100ms), kAddress, 50ms);
    CHECK(result == unhealthy("no answer within 100ms"));
    CHECK(eventually([] { return processes_with("474747").empty(); }));
    CHECK(bench.until([&] { return bench.only_service(); }));
}

TEST_CASE("probe: what an exec probe leaves behind is killed when it ends") {
    ExecBench bench;
    CHECK(bench.probe(bench.shell("sleep 484848 & exit 0")) == kHealthy);
    CHECK(eventually([] { return processes_with("484848").empty(); }));
}

TEST_CASE("probe: destroying an exec probe cancels it") {
    ExecBench bench;
    for (const auto& spec : {bench.exec({"/bin/sleep", "494949"}), bench.exec({"/no/such"})}) {
        bool called = false;
        auto probe = bench.start(spec, [&](const ProbeResult&) { called = true; });
        probe.reset();
        bench.run_for(50ms);
        CHECK_FALSE(called);
    }
    CHECK(bench.until([&] { return processes_with("494949").empty() && bench.only_service(); }));
}

TEST_CASE("probe: the process probe succeeds once the service's program is executed") {
    ExecBench bench;
    HealthSpec spec;
    CHECK(bench.until([&] { return bench.probe(spec) == kHealthy; }));
}

TEST_CASE("probe: exec probes keep no descriptor") {
    ExecBench bench;
    const auto count = [] { return must(list_directory("/proc/self/fd")).size(); };
    const auto before = count();
    for (int i = 0; i < 20; ++i) {
        CHECK(bench.probe(bench.exec({"/bin/true"})) == kHealthy);
    }
    CHECK(count() == before);
}

}  // namespace
}  // namespace viscum
