// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/soak/stage.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/file.h"
#include "tests/bench/overload/flood.h"
#include "tests/faults/oracle/oracle.h"
#include "tests/support/process_tree.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr Millis kSettled{60'000};
constexpr int kFlooder = 3;
// A lease that ends while viscumd is stopped.
// So long that no client of the soak is interrupted, however slow the machine is.
constexpr const char* kUsual = "restart: { backoff: 10ms, backoff_max: 100ms }\ndrain_timeout: 20s\n";
// UDP has no end of a flow: a version that drains would stay for all of it.
constexpr const char* kUsualUdp = "restart: { backoff: 10ms, backoff_max: 100ms }\ndrain_timeout: 2s\n";

const Endpoint kEcho = Endpoint::of("203.0.113.53", 53);
const Endpoint kEcho6 = Endpoint::of("2001:db8:c::53", 53);
const Endpoint kNet = Endpoint::of("203.0.113.20", 8080);
const Endpoint kBox = Endpoint::of("203.0.113.21", 80);
const Endpoint kTransit = Endpoint::of("203.0.113.99", 80);  // nobody claims it

Scene::Options options() {
    Scene::Options chosen;
    chosen.bed.clients = 4;
    chosen.bed.cloud.insert(chosen.bed.cloud.end(), {"203.0.113.21", "203.0.113.99"});
    chosen.config_lines = Stage::kConfig;
    return chosen;
}

/// The root of "box": one static program.
void make_box() {
    must(make_directory("/srv/box", 0755));
    const auto program = must(read_file("/srv/bin/viscum-test-attacker", 64UL * 1024 * 1024));
    must(write_file_atomically("/srv/box/box", program, 0755));
}

std::size_t count_of(const std::string& directory, const std::string& prefix) {
    const auto names = list_directory(directory);
    return names ? static_cast<std::size_t>(
                       std::ranges::count_if(*names, [&](const std::string& name) { return name.starts_with(prefix); }))
                 : 0;
}

}  // namespace

const std::vector<std::string>& SmallDisks::directories() {
    static const std::vector<std::string> kDirectories = {"/etc/viscum", "/var/lib/viscum", "/run/viscum"};
    return kDirectories;
}

SmallDisks::SmallDisks() {
    const std::vector<const char*> sizes = {"size=256k,mode=0755", "size=256k,mode=0750", "size=4m,mode=0755"};
    for (std::size_t number = 0; number < sizes.size(); ++number) {
        const std::string& directory = directories()[number];
        must(make_directory(directory, 0755));
        REQUIRE(mount("tmpfs", directory.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, sizes[number]) == 0);
    }
}

SmallDisks::~SmallDisks() {
    for (const std::string& directory : directories()) {
        umount2(directory.c_str(), MNT_DETACH);
    }
}

Stage::Stage() : scene_(options()) {
    start_servers();
    make_box();
    // Or it would change with the ports, and with it where clients send: as on routers, it is set.
    must(ip_batch(bed().hotspot(), "link set br-lan address 02:00:00:00:00:01\n"));
    must(FloodSources::add(bed(), kFlooder));
    for (const char* service : kServices) {
        scene_.deploy(file(service));
    }
    known_ = scene_.report();
}

void Stage::start_servers() {
    scene_.start_in_cloud(nginx("peer", "cloud", {"8080", "[::]:8080"}), 8080);
    // Each address by itself: what listens on all of them answers from the one that its route prefers.
    scene_.start_in_cloud(Server{test_server({"cloud", "udp", "203.0.113.53", "53", "udp", "2001:db8:c::53", "53",
                                              "tcp", "203.0.113.53", "53"}),
                                 ""},
                          53);
}

ServiceFile Stage::file(const std::string& service) const {
    const auto found = versions_.find(service);
    const std::string version = cat("# ", found == versions_.end() ? 0 : found->second, "\n");
    if (service == "web") {
        const Server server = must(nginx("web", "web", {"80", "[::]:80"}));
        return {service,
                {"203.0.113.10 80", "2001:db8:c::10 80"},
                server.command,
                cat("health: { http: { port: 80, path: /healthz }, interval: 500ms, timeout: 500ms, fall: 2 }\n",
                    kUsual, version)};
    }
    if (service == "echo") {
        ServiceFile echo = test_service(service, {"203.0.113.53 53 udp", "2001:db8:c::53 53 udp"},
                                        {"echo", "udp", "203.0.113.53", "53", "udp", "2001:db8:c::53", "53"});
        echo.more = cat("health: { udp: { port: 53, send: x, expect: echo }, interval: 500ms, timeout: 500ms }\n",
                        kUsualUdp, version);
        return echo;
    }
    if (service == "net") {
        ServiceFile net = test_service(service, {"203.0.113.20 8080"}, {"net", "tcp", "203.0.113.20", "8080"});
        net.more = cat("egress: internet\n", kUsual, version);
        return net;
    }
    return {service,
            {"203.0.113.21 80"},
            {"/box", "obey"},
            cat("  rootfs: /srv/box\nlimits: { memory: 32M, pids: 24 }\n", kUsual, version)};
}

std::string Stage::next_file(const std::string& service) {
    ++versions_[service];
    return file(service).write();
}

bool Stage::command(const Argv& argv) {
    return run(argv, {.ns = &bed().hotspot()}).success();
}

ServiceReport Stage::known(const std::string& service) {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(known_.services, service, &ServiceReport::name);
    return found == known_.services.end() ? ServiceReport{} : *found;
}

std::optional<Answer> Stage::ask_status() {
    const RunOutput output = viscumd().ctl({"status", "--json"}, 30s);
    const auto report = daemon_report_from_json(output.out);
    if (output.status != 0 || !report) {
        return Answer{Outcome::failed, cat("viscumctl status ends with ", output.status, ": ", output.err)};
    }
    const std::lock_guard lock(mutex_);
    known_ = *report;
    return Answer{Outcome::answered, "viscumd"};
}

void Stage::start_load() {
    const NetNs& one = bed().client(1);
    const NetNs& two = bed().client(2);
    const std::vector<std::string> web = {"web", "cloud"};
    load_.start({"web, IPv4", {"web", "client1"}, web, true}, 2ms, fresh(one, kWeb));
    load_.start({"web, IPv6", {"web", "client2"}, web, true}, 2ms, fresh(two, kWeb6));
    load_.start({"web, client on a shaky port", {"web", "client4"}, web}, 10ms, fresh(bed().client(kUnlucky), kWeb));
    load_.start({"web, kept connections, IPv4", {"web", "client1"}, web}, 100ms, kept(one, kWeb));
    load_.start({"web, kept connections, IPv6", {"web", "client2"}, web}, 100ms, kept(two, kWeb6));
    load_.start({"web, slow downloads", {"web", "client2"}, {"whole"}}, 50ms, slow_download(two, kWeb));
    load_.start({"echo, UDP flows", {"echo", "client1"}, {"echo", "cloud"}}, 20ms, datagram(one, kEcho, 50));
    load_.start({"echo, UDP, new ports, IPv6", {"echo", "client2"}, {"echo", "cloud"}}, 20ms, datagram(two, kEcho6, 1));
    load_.start({"net", {"net", "client1"}, {"net", "cloud"}, true}, 20ms, fresh(one, kNet));
    // What its own steps make it say.
    load_.start({"box", {"box", "client2"}, {"ready", "cloud", "denied", "DONE"}, true}, 20ms, fresh(two, kBox));
    load_.start({"transit", {"client1"}, {"cloud"}}, 10ms, fresh(one, kTransit));
    load_.start({"egress of net", {"egress"}, {"cloud"}}, 50ms, [this]() -> std::optional<Answer> {
        const auto inside = NetNs::open(known("net").namespace_name);
        return inside ? fresh(*inside, kTransit)() : std::nullopt;
    });
    load_.start({"viscumctl status", {"control"}, {"viscumd"}}, 300ms, [this] { return ask_status(); });
}

std::vector<std::string> Stage::disk_problems() {
    const auto disk = read_disk_state(viscumd().instance());
    if (!disk) {
        return {disk.error().what};
    }
    std::vector<std::string> problems = disk->broken;
    for (const char* service : kServices) {
        const auto found = disk->services.find(service);
        if (found == disk->services.end() || found->second != file(service).text()) {
            problems.push_back(cat("the stored file of '", service, "' is not the one that was deployed last"));
        }
    }
    return problems;
}

std::string Stage::not_served(const DaemonReport& report) {
    for (const char* name : kServices) {
        const auto service = std::ranges::find(report.services, name, &ServiceReport::name);
        if (service == report.services.end() || service->state != "up" || service->health != "healthy" ||
            service->admission != "serve" || service->updating || service->drained) {
            return service == report.services.end() ? cat(name, " is not there") : to_json(*service);
        }
    }
    const auto attached = std::ranges::count_if(report.lan, &LanReport::attached);
    if (attached != std::ssize(bed().lan_devices())) {
        return cat(attached, " LAN devices have the filter");
    }
    for (const auto& [what, seen] : std::map<std::string, std::size_t>{
             {"namespaces", count_of("/run/netns", "viscum-")}, {"runs", count_of("/run/viscum/runs", "")}}) {
        if (seen != kServices.size()) {
            return cat(seen, " ", what);
        }
    }
    for (int client = 1; client <= kUnlucky; ++client) {
        for (const Endpoint& to : {kWeb, kWeb6}) {
            if (const std::string who = scene_.web(to, client); who != "web") {
                return cat("client", client, " asks ", to.text(), ", and is answered: ", who);
            }
        }
    }
    for (const auto& [to, who] : std::map<Endpoint, std::string>{{kNet, "net"}, {kBox, "ready"}, {kTransit, "cloud"}}) {
        if (const std::string seen = scene_.web(to); seen != who) {
            return cat(to.text(), " is answered: ", seen);
        }
    }
    for (const Endpoint& to : {kEcho, kEcho6}) {
        if (const std::string seen = scene_.echo(to); seen != "echo") {
            return cat(to.text(), " is answered: ", seen);
        }
    }
    const auto inside = NetNs::open(scene_.status("net").namespace_name);
    const std::string seen = inside ? http_get(*inside, {.to = kTransit}).who() : inside.error().what;
    return seen == "cloud" ? "" : cat("net asks the cloud, and is answered: ", seen);
}

/// Deploys it where it is not as wanted, and clears what the nemesis' kills have earned it.
void Stage::bring_back(const std::string& service) {
    RunOutput output;
    const bool deployed = eventually(kSettled, [&] {
        output = viscumd().ctl({"deploy", file(service).write()});
        return output.status == 0;
    });
    CHECK_MESSAGE(deployed, output.err, viscumd().log());
    if (scene_.status(service).drained) {
        (void)viscumd().ctl({"resume", service});
    }
    const ServiceReport report = scene_.status(service);
    const bool denies = service == "box" && scene_.web(kBox) != "ready";
    if (denies || report.state == "failed" || report.reason.find("held down") != std::string::npos) {
        (void)viscumd().ctl({"restart", service});
    }
}

std::vector<std::string> Stage::settle() {
    std::vector<std::string> problems;
    if (!viscumd().running()) {
        if (runs_) {
            problems.emplace_back("viscumd ended by itself");
        }
        if (auto started = viscumd().start_again(); !started) {
            problems.push_back(started.error().what);
        }
    }
    runs_ = true;
    for (const char* service : kServices) {
        bring_back(service);
    }
    std::string missing;
    if (!eventually(kSettled, [&] { return (missing = not_served(scene_.report())).empty(); })) {
        problems.push_back(cat("after all was undone: ", missing));
    }
    std::ranges::move(disk_problems(), std::back_inserter(problems));
    return problems;
}

Sample Stage::sample() {
    return take_sample(viscumd().pid());
}

void Stage::remove_all() {
    for (const char* service : kServices) {
        // What a foreign tool cut off may be open at the service for ever.
        scene_.ctl({"remove", service, "--wait", "1s"});
    }
    must(FloodSources::remove(bed()));
}

}  // namespace viscum
