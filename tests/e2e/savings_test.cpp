// SPDX-License-Identifier: GPL-2.0-only
// What services save, counted for real: each flow once, whatever happens to viscumd.
#include "base/file.h"
#include "controller/ipc/savings_report.h"
#include "tests/scene/scene.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr const char* kFile = "/var/lib/viscum/savings.today";

SavingsReport savings(const Scene& scene, const Argv& more = {}) {
    Argv arguments{"savings", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto report = savings_report_from_json(scene.ctl(arguments).out);
    REQUIRE(report);
    return *report;
}

SavingsRow total(const Scene& scene) {
    return savings(scene).totals.back();
}

void ask(const Scene& scene, int times, const std::string& expected) {
    for (int time = 0; time < times; ++time) {
        CHECK(scene.web() == expected);
    }
}

/// A line of the service's /etc/hosts: the address of the real cloud, as it sees it.
std::string origin_of(const Scene& scene, const std::string& service) {
    const auto hosts = must(read_file(cat("/proc/", scene.processes_of(service).front(), "/root/etc/hosts"), 65'536));
    for (const std::string& line : split(hosts, '\n')) {
        if (line.ends_with("origin") && line.find(':') == std::string::npos) {
            return line.substr(0, line.find_first_of(" \t"));
        }
    }
    return "";
}

}  // namespace

TEST_CASE("savings: each flow counts once, here or in the cloud, over every end of viscumd") {
    Scene scene;
    CHECK(scene.ctl({"savings"}).out == "nothing was counted in 30 days\n");
    scene.deploy(web_service());
    ask(scene, 20, "local");
    scene.ctl({"drain", "web"});
    ask(scene, 7, "cloud");
    scene.ctl({"resume", "web"});
    const auto check = [&scene](std::uint64_t flows) {
        const SavingsRow row = total(scene);
        CHECK(row.flows == flows);
        CHECK(row.flows_cloud == 7);
        CHECK(total(scene).flows == flows);
        return row;
    };
    const SavingsRow before = check(20);
    std::uint64_t in = 0;
    std::uint64_t out = 0;
    for (const auto& claim : scene.status("web").claims) {
        in += claim.bytes_in;
        out += claim.bytes_out;
    }
    CHECK(before.bytes_in == in);
    CHECK(before.bytes_out == out);
    CHECK(before.kept_bytes == static_cast<std::int64_t>(in + out));
    CHECK(before.uplink_bytes_in == 0);
    CHECK(before.drained_ms > 0);
    CHECK(before.served_ms > 0);
    // Their first packets, and then all others as what the cloud serves.
    REQUIRE(before.cloud.size() == 2);
    CHECK(before.cloud.front() == ReasonCount{"draining", 7});
    CHECK(before.cloud.back().reason == "cloud-flow");

    scene.viscumd().kill();
    ask(scene, 5, "local");
    must(scene.viscumd().start_again());
    check(25);
    scene.viscumd().stop();
    ask(scene, 3, "local");
    must(scene.viscumd().start_again());
    check(28);
    scene.viscumd().stop();
    must(scene.viscumd().start_again());
    check(28);
    // The counters of a machine that starts begin at 0.
    scene.viscumd().stop();
    scene.reboot();
    REQUIRE(eventually(kLimit, [&] { return scene.web() == "local"; }));
    ask(scene, 2, "local");
    CHECK(scene.status("web").claims.front().flows == 3);
    CHECK(total(scene).flows == 31);
    // Those of a service that comes again, too; and its days stay.
    scene.ctl({"remove", "web"});
    CHECK(total(scene).flows == 31);
    CHECK(eventually(kLimit, [] {
        const auto bytes = read_file(kFile, 65'536);
        return bytes && bytes->find("claim web") == std::string::npos && bytes->find("day web") != std::string::npos;
    }));
    scene.viscumd().kill();
    must(scene.viscumd().start_again());
    CHECK(total(scene).flows == 31);
    scene.deploy(web_service("2"));
    ask(scene, 4, "local");
    CHECK(savings(scene, {"web"}).totals.front().flows == 35);
    scene.ctl({"savings", "wep"}, 6);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("savings: what a service fetches itself is no saving") {
    Scene scene({.config_lines = "lan: [br-lan]\ncost_per_gb: 1000 EUR\n"});
    ServiceFile file = web_service();
    file.more += "egress: origin\n";
    scene.deploy(file);
    ask(scene, 3, "local");
    const std::int64_t served = total(scene).kept_bytes;
    CHECK(served > 0);
    {
        const NetNs inside = must(NetNs::open(scene.status("web").namespace_name));
        const Endpoint origin = Endpoint::of(origin_of(scene, "web"), 80);
        CHECK(http_get(inside, {.to = origin, .limit = 2s}).who() == "cloud");
    }
    const SavingsRow row = total(scene);
    CHECK(row.uplink_bytes_in > 0);
    CHECK(row.uplink_bytes_out > 0);
    CHECK(row.kept_bytes ==
          static_cast<std::int64_t>(row.bytes_in + row.bytes_out - row.uplink_bytes_in - row.uplink_bytes_out));
    CHECK(row.kept_bytes < served);
    CHECK(row.saved.starts_with("0.00"));
    CHECK(savings(scene).cost_per_gb == "1000.00 EUR");
    // A viscumd that starts counts none of it again, before and after its first passes.
    for (int start = 0; start < 3; ++start) {
        CHECK(scene.viscumd().stop() == 0);
        must(scene.viscumd().start_again());
        CHECK(total(scene).uplink_bytes_in == row.uplink_bytes_in);
        CHECK(eventually(kLimit, [&] { return scene.status("web").health == "healthy"; }));
        CHECK(total(scene).uplink_bytes_in == row.uplink_bytes_in);
    }
    // The counters of its link go with it, and what they had counted does not.
    scene.ctl({"remove", "web"});
    const SavingsRow after = total(scene);
    CHECK(after.uplink_bytes_in >= row.uplink_bytes_in);
    CHECK(after.uplink_bytes_out >= row.uplink_bytes_out);
    scene.check_no_leak();
}

TEST_CASE("savings: a fail-over has its length, and a number") {
    Scene scene;
    ServiceFile file = web_service();
    file.more =
        "health: { http: { port: 80, path: /healthz }, interval: 500ms }\n"
        "restart: { backoff: 500ms, backoff_max: 1s }\n";
    scene.deploy(file);
    scene.kill_service("web");
    REQUIRE(eventually(kLimit, [&] { return scene.status("web").admission != "serve"; }));
    REQUIRE(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    const SavingsRow row = total(scene);
    CHECK(row.failovers == 1);
    CHECK(row.failover_us > 0);
    CHECK(row.cloud_ms >= 100);
    scene.ctl({"remove", "web"});
}

TEST_CASE("savings: a service whose claims have ended has no outage") {
    Scene scene;
    ServiceFile file = web_service();
    file.more += "until: 2026-01-02T00:00:00Z\n";
    scene.deploy(file);
    REQUIRE(eventually(kLimit, [&] { return scene.status("web").health == "healthy"; }));
    const auto row = total(scene);
    // Each answer counts the time up to it: what was before it was up is all that there will be.
    CHECK(
        eventually(kLimit, [&, looks = 0]() mutable { return total(scene).cloud_ms == row.cloud_ms && ++looks == 3; }));
    CHECK(total(scene).cloud_ms == row.cloud_ms);
    CHECK(row.drained_ms == 0);
    scene.ctl({"remove", "web"});
}

TEST_CASE("savings: a damaged file is set aside, and nothing else is the worse for it") {
    Scene scene;
    scene.deploy(web_service());
    ask(scene, 3, "local");
    scene.viscumd().stop();
    must(write_file_atomically(kFile, "viscum-savings 1 0 0123456789abcdef\nday web 1 1\n", 0640));
    must(scene.viscumd().start_again());
    CHECK(scene.viscumd().log().find("savings: '/var/lib/viscum/savings.today' is not used and is now") !=
          std::string::npos);
    CHECK(read_file(std::string(kFile) + ".damaged", 65'536));
    ask(scene, 4, "local");
    CHECK(total(scene).flows == 4);
    scene.ctl({"remove", "web"});
}

TEST_CASE("savings: the way to the cloud is measured, but not where the uplink is metered") {
    Scene scene({.config_lines = "lan: [br-lan]\nlease: 1s\nmetered: true\n"});
    scene.deploy(web_service());
    ask(scene, 1, "local");
    // Longer than the first handshake would take its time for.
    CHECK(!eventually(18s, [&] { return total(scene).away_count + total(scene).away_failed > 0; }));
    scene.write_config("lan: [br-lan]\nlease: 1s\n");
    kill(scene.viscumd().pid(), SIGHUP);
    // What the first one found may be late on a machine that has much to do, and so may the probe's.
    SavingsRow row;
    REQUIRE(eventually(3 * kLimit, [&] {
        row = total(scene);
        return row.away_count > 0 && row.here_count > 0;
    }));
    CHECK(row.away_count == 1);
    CHECK(row.away_failed == 0);
    CHECK(row.away_min_us > 0);
    CHECK(row.away_mean_us >= row.away_min_us);
    CHECK(row.here_count > 0);
    CHECK(row.here_min_us > 0);
    // It went to the real cloud: by the hotspot's own namespace nothing is served.
    CHECK(row.flows == 1);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("savings: people, tables and programs each get their form") {
    Scene scene({.config_lines = "lan: [br-lan]\ncost_per_gb: 4.50 EUR\n"});
    scene.deploy(web_service());
    ask(scene, 2, "local");
    const std::string text = scene.ctl({"savings", "web", "--days", "7"}).out;
    CHECK(text.starts_with("web, 7 days ("));
    CHECK(text.find("EUR\n") != std::string::npos);
    CHECK(text.find("\ntotal ") != std::string::npos);
    const std::string csv = scene.ctl({"savings", "--csv"}).out;
    CHECK(csv.starts_with("service,day,flows,bytes_in,"));
    CHECK(csv.find("\r\nweb,20") != std::string::npos);
    CHECK(csv.ends_with("\r\n"));
    for (const Argv& wrong : {Argv{"--days", "0"}, {"--days", "401"}, {"--days", "x"}, {"--csv", "--json"}}) {
        Argv arguments{"savings"};
        arguments.insert(arguments.end(), wrong.begin(), wrong.end());
        scene.ctl(arguments, 2);
    }
    scene.ctl({"remove", "web"});
}

}  // namespace viscum
