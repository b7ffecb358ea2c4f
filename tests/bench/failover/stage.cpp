// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/failover/stage.h"

#include <thread>

#include "base/event_loop.h"
#include "base/text.h"
#include "tests/bench/measure/must.h"
#include "tests/support/process_tree.h"
#include "tests/support/servers.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

constexpr int kNetworks = 4;
constexpr int kHosts = 250;
constexpr Millis kLimit{20'000};

std::string address_of(int number) {
    return cat("10.77.", 20 + number / kHosts, ".", 1 + number % kHosts);
}

}  // namespace

Stage::Stage() : bed_(must(Bed::make({.clients = 2}))) {
    must(ip_batch(bed_->hotspot(), "link set br-lan address 02:00:00:00:00:01\n"));
    std::string lines;
    for (int number = 0; number < kNetworks * kHosts; ++number) {
        lines += cat("address add ", address_of(number), "/16 dev eth0\n");
    }
    must(ip_batch(bed_->client(1), lines));
    cloud_ = must(start_server(must(nginx("cloud", "cloud", {"80"})), bed_->cloud(), 80));
    viscumd_ =
        must(Viscumd::start(bed_->hotspot(), {.config = "viscum: 1\nclaimable: [203.0.113.0/24]\nlan: [br-lan]\n"}));
}

void Stage::deploy(const Local& local) {
    const Server server = must(nginx(local.name, "local", {"80"}, local.master));
    ctl({"deploy", must(write_service(local.name, cat("viscum: 1\nname: ", local.name, "\nintercept:\n  - { address: ",
                                                      local.address, ", port: 80 }\nrun:\n  command: ['",
                                                      join(server.command, "', '"), "']\n", local.more)))});
    await(local, "local");
}

void Stage::restart(const Local& local) {
    ctl({"restart", local.name});
    await(local, "local");
}

void Stage::await(const Local& local, const std::string& who) {
    const BootTime deadline = boot_now() + kLimit;
    std::string seen;
    while ((seen = http_get(bed_->client(2), {.to = Endpoint::of(local.address, 80), .limit = 1s}).who()) != who) {
        if (boot_now() > deadline) {
            give_up(cat(local.name, " is answered by '", seen, "' and not by '", who, "'\n", viscumd_->log()));
        }
        std::this_thread::sleep_for(5ms);
    }
}

void Stage::ctl(const Argv& arguments) const {
    if (const RunOutput output = viscumd_->ctl(arguments); output.status != 0) {
        give_up(cat("viscumctl ", join(arguments, " "), ": ", output.err, output.out, viscumd_->log()));
    }
}

std::vector<pid_t> Stage::processes_of(const Local& local) const {
    const auto report = daemon_report_from_json(viscumd_->ctl({"status", "--json"}).out);
    for (const ServiceReport& service : report ? report->services : std::vector<ServiceReport>()) {
        const auto processes =
            service.name == local.name ? descendants(static_cast<pid_t>(service.pid)) : std::vector<pid_t>();
        if (!processes.empty()) {
            return processes;
        }
    }
    give_up(cat(local.name, " has no process"));
}

HttpRequest Stage::from_fresh_address(const Local& local) {
    if (addresses_ == kNetworks * kHosts) {
        give_up("the client has no address left");
    }
    return {.to = Endpoint::of(local.address, 80), .from = Endpoint::of(address_of(addresses_++), 0)};
}

void await_count(const FlowClient& flow, std::size_t count) {
    const BootTime deadline = boot_now() + kLimit;
    while (flow.records().size() < count) {
        if (boot_now() > deadline) {
            give_up(cat("a client has not made ", count, " connections in time"));
        }
        std::this_thread::sleep_for(10ms);
    }
}

}  // namespace viscum
