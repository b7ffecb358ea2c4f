// SPDX-License-Identifier: GPL-2.0-only
// What others take away comes back, and what is theirs stays.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "base/file.h"
#include "tcprog/abi.h"
#include "tests/faults/network/faults.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr const char* kForeign =
    "table inet foreign {\n chain forward {\n type filter hook forward priority 0\n }\n}\n";
constexpr int kTries = 3;
constexpr int kFullTries = 30;

/// One kind of damage, and how it shows that it is mended.
struct Damage {
    std::string what;
    std::vector<Argv> commands;  // in the hotspot's namespace
    Argv probe;                  // says the same as before once it is mended; empty: the service answers again
    std::string input{};         // for the last command
};

/// What shows that a kind of damage is mended.
class Probe {
public:
    /// What is good now must be so before it is damaged.
    Probe(Scene& scene, const Damage& damage) : scene_(scene), argv_(damage.probe) {
        if (argv_.empty()) {
            REQUIRE(eventually(kLimit, [this] { return answers(kLimit); }));
        } else {
            good_ = in_hotspot(scene_, argv_);
            REQUIRE(good_ != "");
        }
    }
    /// Waits for it; false after kBack. A SYN that was lost is sent again after a second: the first tries end before,
    /// so that it costs little of the clock, and the last ones give a slow machine its time.
    [[nodiscard]] bool is_back() const {
        Millis patience{50};
        return eventually(kBack, [&] {
            if (!argv_.empty()) {
                return said_in_hotspot(scene_, argv_) == good_ + "0";
            }
            const bool back = answers(patience);
            patience = std::min(2 * patience, Millis(2'000));
            return back;
        });
    }

private:
    [[nodiscard]] bool answers(Millis limit) const {
        return http_get(scene_.bed().client(1), {.to = kWeb, .limit = limit}).who() == "local";
    }

    Scene& scene_;
    const Argv& argv_;
    std::string good_;
};

/// Where one kind of damage is done again and again: how long it lasted, in milliseconds.
class Repairs {
public:
    Repairs(Scene& scene, FlowClient& client, Snapshot before)
        : scene_(scene), client_(client), before_(std::move(before)) {}

    void of(const Damage& damage) {
        CAPTURE(damage.what);
        const int tries = effort() == Effort::full ? kFullTries : kTries;
        std::vector<double> took;
        const Probe probe(scene_, damage);
        for (int time = 0; time < tries; ++time) {
            for (const Argv& command : damage.commands) {
                must(output_of(command, {.ns = &scene_.bed().hotspot(),
                                         .input = &command == &damage.commands.back() ? damage.input : ""}));
            }
            const BootTime since = boot_now();
            CHECK(probe.is_back());
            took.push_back(std::chrono::duration<double, std::milli>(boot_now() - since).count());
            // One SYN that is lost is sent again: not one in each damage of a row, for longer than any client waits.
            CHECK(client_.wait_for("local", boot_now(), kBack));
            // All of it: a look takes too long to be the clock.
            const bool look = time == 0;
            CHECK(join(look ? must(leaks_since(before_, kBack, comes_and_goes)) : std::vector<std::string>(), "\n") ==
                  "");
        }
        CHECK(eventually(kBack, [&] { return served(scene_.bed().client(1)); }));
        all_.insert(all_.end(), took.begin(), took.end());
        figures_.emplace_back(cat(damage.what, ": back after, p50 / p99"), p50_p99_ms(took));
    }

    void record_all() {
        figures_.emplace_back("all of them: tries; p50 / p99", cat(all_.size(), "; ", p50_p99_ms(all_)));
        must(record({.part = "repair",
                     .title = "What another tool removed",
                     .repeat = cat(effort() == Effort::full ? "VISCUM_FAULTS=full " : "",
                                   "ctest -R 'fault 21: what another tool removes'"),
                     .values = figures_}));
        for (const auto& [what, value] : figures_) {
            MESSAGE(what, ": ", value);
        }
    }

private:
    Scene& scene_;
    FlowClient& client_;
    Snapshot before_;
    std::vector<double> all_;
    std::vector<std::pair<std::string, std::string>> figures_;
};

/// Foreign things beside ours, on every kind of thing that is ours.
void put_foreign(Scene& scene) {
    in_hotspot(scene, {"tc", "qdisc", "add", "dev", "lan2", "root", "tbf", "rate", "1gbit", "burst", "1mb", "latency",
                       "50ms"});
    for (const char* hook : {"ingress", "egress"}) {
        in_hotspot(scene, {"tc", "filter", "add", "dev", "lan2", hook, "pref", "60000", "protocol", "ip", "u32",
                           "match", "u32", "0", "0", "flowid", "1:1"});
    }
    must(ip_batch(scene.bed().hotspot(),
                  "route add 198.51.100.0/24 via 192.0.2.2\nrule add from 10.77.99.0/24 lookup 99 pref 999\n"
                  "route add default via 192.0.2.2 table 99\n"));
    must(output_of({"nft", "-f", "-"}, {.ns = &scene.bed().hotspot(), .input = kForeign}));
}

void take_foreign(Scene& scene) {
    in_hotspot(scene, {"tc", "qdisc", "del", "dev", "lan2", "root"});
    for (const char* hook : {"ingress", "egress"}) {
        in_hotspot(scene, {"tc", "filter", "del", "dev", "lan2", hook, "pref", "60000"});
    }
    must(ip_batch(scene.bed().hotspot(), "route del 198.51.100.0/24\nrule del pref 999\nroute flush table 99\n"));
    in_hotspot(scene, {"nft", "delete", "table", "inet", "foreign"});
}

/// A service that begins flows, for its masquerade and its aliases.
ServiceFile beginner() {
    ServiceFile file = test_service("net", {"203.0.113.20 80", "2001:db8:c::20 80"},
                                    {"net", "tcp", "203.0.113.20", "80", "tcp", "2001:db8:c::20", "80"});
    file.more = "egress: internet\nrestart: { backoff: 10ms, backoff_max: 100ms }\n";
    return file;
}

/// What is damaged again and again lies down for longer than its probes would bear, and is no worse for it.
ServiceFile patient_web() {
    ServiceFile file = web_service();
    file.more = "health: { http: { port: 80, path: /healthz }, interval: 500ms, timeout: 500ms, fall: 10 }\n";
    return file;
}

std::vector<Damage> damages(const std::string& web, const std::string& net) {
    const auto filters = [](const std::string& device, const char* hook = "ingress") {
        return Argv{"tc", "filter", "show", "dev", device, hook};
    };
    const Argv table = {"nft", "--stateless", "list", "table", "inet", "viscum"};
    const Argv way = {"nsenter", "--net=/run/netns/viscum-web", "ip", "-o", "address", "show", "dev", "eth0", "scope",
                      "global"};
    return {
        {"a LAN device's clsact", {{"tc", "qdisc", "del", "dev", "lan1", "clsact"}}, filters("lan1")},
        {"a LAN device's filter", {{"tc", "filter", "del", "dev", "lan1", "ingress", "pref", "86"}}, filters("lan1")},
        {"the fence", {{"tc", "qdisc", "del", "dev", web, "clsact"}}, filters(web)},
        {"the guard of the way back", {{"tc", "filter", "del", "dev", net, "egress"}}, filters(net, "egress")},
        {"the masquerade", {{"nft", "delete", "table", "inet", "viscum"}}, table},
        {"nft flush ruleset", {{"nft", "-f", "-"}}, table, cat("flush ruleset\n", kForeign)},
        {"IPv4 routes to aliases", {{"ip", "route", "flush", "proto", "86"}}, {"ip", "route", "show"}},
        {"IPv6 routes to aliases", {{"ip", "-6", "route", "flush", "proto", "86"}}, {"ip", "-6", "route", "show"}},
        {"the namespace's name", {{"ip", "netns", "del", "viscum-web"}}, {"ip", "-n", "viscum-web", "link", "show"}},
        {"the service's addresses", {{"ip", "-n", "viscum-web", "address", "flush", "dev", "eth0"}}, way},
        {"the service's IPv4 routes", {{"ip", "-n", "viscum-web", "route", "flush", "table", "main"}}, {}},
        {"the service's IPv6 routes",
         {{"ip", "-n", "viscum-web", "-6", "route", "flush", "table", "main"}},
         {"ip", "-n", "viscum-web", "-6", "route", "show"}},
        {"the service's link", {{"ip", "link", "del", web}}, {}},
        {"the link, set down here", {{"ip", "link", "set", web, "down"}}, {}},
        {"the link, set down there", {{"ip", "-n", "viscum-web", "link", "set", "eth0", "down"}}, {}},
    };
}

}  // namespace

TEST_CASE("fault 21: what another tool removes is back at once, and what is its own stays") {
    Scene scene;
    scene.deploy(beginner());
    scene.deploy(patient_web());  // its link is made anew, and filters are listed in the order of devices
    put_foreign(scene);
    const ServiceReport before = scene.status("web");
    const DiskState saved = disk(scene);
    const auto flow = steady_flow(scene);
    Repairs repairs(scene, *flow, must(take_snapshot()));
    for (const Damage& damage : damages(before.link, scene.status("net").link)) {
        repairs.of(damage);
        CHECK(scene.status("web").pid == before.pid);
    }
    repairs.record_all();
    check_flow("a client through all of it", flow->stop());
    CHECK(scene.status("web").restarts == 0);
    CHECK(join(complaints(scene), "\n") == "");
    check_state(scene, saved, saved);
    take_foreign(scene);
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "net"});
    scene.check_no_leak();
}

TEST_CASE("fault 21: without the router's rules nobody is answered, and with them all is as before") {
    Scene scene;
    scene.deploy(web_service());
    const Snapshot before = must(take_snapshot());
    // Its SYNs are sent again until there is a way.
    const auto flow = steady_flow(scene);
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    in_hotspot(scene, {"ip", "rule", "flush"});
    in_hotspot(scene, {"ip", "-6", "rule", "flush"});
    CHECK(http_get(scene.bed().client(1), {.to = kWeb, .limit = 300ms}).who() != "local");
    must(ip_batch(scene.bed().hotspot(), "rule add lookup main pref 32766\nrule add lookup default pref 32767\n"));
    in_hotspot(scene, {"ip", "-6", "rule", "add", "lookup", "main", "pref", "32766"});
    CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
    CHECK(flow->wait_for("local", boot_now(), kLimit));
    const FlowSummary seen = flow->stop();
    check_flow("a client through it", seen);
    CHECK(seen.cloud == 0);
    CHECK(join(must(leaks_since(before, kBack, comes_and_goes)), "\n") == "");
    CHECK(join(complaints(scene), "\n") == "");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 21: tables and programs whose pins are removed are pinned again, and it is said") {
    Scene scene;
    scene.deploy(web_service());
    const auto flow = steady_flow(scene);
    const Snapshot before = must(take_snapshot());
    const std::string directory = scene.viscumd().instance().bpf_dir();
    std::filesystem::remove_all(directory);
    CHECK(join(must(leaks_since(before, kBack, comes_and_goes)), "\n") == "");
    std::filesystem::remove(cat(directory, "/v", VS_ABI, "/vs_rules"));
    CHECK(join(must(leaks_since(before, kBack, comes_and_goes)), "\n") == "");
    CHECK(join(judge_log(scene.viscumd().log(), "pins"), "\n") == "");
    // What is pinned is what counts packets: the next viscumd adopts it, and its filters are the same.
    const std::string filter = in_hotspot(scene, {"tc", "filter", "show", "dev", "lan1", "ingress"});
    scene.viscumd().kill();
    must(scene.viscumd().start_again());
    CHECK(in_hotspot(scene, {"tc", "filter", "show", "dev", "lan1", "ingress"}) == filter);
    const FlowSummary seen = flow->stop();
    check_flow("a client while pins are removed", seen);
    CHECK(seen.cloud == 0);
    // Without a viscumd to do it, the next one makes them anew, and takes the others' place: the cloud answers until
    // the service was probed.
    const auto later = steady_flow(scene);
    scene.viscumd().kill();
    std::filesystem::remove_all(directory);
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return served(scene.bed().client(1)); }));
    check_flow("a client while tables are made anew", later->stop());
    const auto leaks = must(leaks_since(before, kBack, [](const auto& line) {
        return is_descriptor(line) || line.find(": filter ") != std::string::npos;
    }));
    CHECK(join(leaks, "\n") == "");
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 21: a control socket and a lock that are removed are made again") {
    Scene scene;
    scene.deploy(web_service());
    const auto flow = steady_flow(scene);
    const Snapshot before = must(take_snapshot());
    const Instance& instance = scene.viscumd().instance();
    std::filesystem::remove(instance.socket_path());
    CHECK(eventually(kBack, [&] { return scene.viscumd().ctl({"status"}).success(); }));
    std::filesystem::remove(instance.lock_file());
    CHECK(eventually(kBack, [&] { return access(instance.lock_file().c_str(), F_OK) == 0; }));
    const RunOutput second = run({VISCUM_BIN_DIR "/viscumd"}, {.ns = &scene.bed().hotspot()});
    CHECK(second.status == 5);
    CHECK(join(must(leaks_since(before, kBack, comes_and_goes)), "\n") == "");
    const FlowSummary seen = flow->stop();
    check_flow("a client while run files are removed", seen);
    CHECK(seen.cloud == 0);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 21: what another tool changed while no viscumd ran is back once one does") {
    Scene scene;
    scene.deploy(web_service());
    const ServiceReport before = scene.status("web");
    const Snapshot snapshot = must(take_snapshot());
    const std::vector<Argv> changes = {
        {"tc", "qdisc", "del", "dev", "lan1", "clsact"},
        {"ip", "link", "del", before.link},
        {"ip", "-n", "viscum-web", "address", "add", "203.0.113.99/32", "dev", "eth0"},
        {"ip", "netns", "del", "viscum-web"},
    };
    for (const Argv& change : changes) {
        CAPTURE(join(change, " "));
        scene.viscumd().kill();
        must(output_of(change, {.ns = &scene.bed().hotspot()}));
        must(scene.viscumd().start_again());
        CHECK(join(must(leaks_since(snapshot, kBack, is_descriptor)), "\n") == "");
        CHECK(eventually(kBack, [&] { return served(scene.bed().client(1)); }));
        CHECK(scene.status("web").pid == before.pid);
    }
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("fault 20: a port that joins later is served, and so is one that was made anew") {
    Scene scene;
    scene.deploy(web_service());
    {
        const NetNs guest = must(NetNs::create("guest"));
        for (int time = 0; time < 2; ++time) {
            must(ip_batch(scene.bed().hotspot(),
                          "link add lan9 type veth peer name eth0 netns guest\nlink set lan9 master br-lan up\n"));
            must(ip_batch(guest,
                          "link set lo up\nlink set eth0 up\naddress add 10.77.0.99/16 dev eth0\n"
                          "address add 2001:db8:77::99/64 dev eth0 nodad\n"
                          "route add default via 10.77.0.1\nroute add default via 2001:db8:77::1\n"));
            CHECK(eventually(kBack, [&] { return served(guest); }));
            must(ip_batch(scene.bed().hotspot(), "link del lan9\n"));
        }
        must(remove_net_ns_name("guest"));
    }
    CHECK(eventually(kBack, [&] { return !has_lan(scene, "lan9"); }));
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

}  // namespace viscum
