// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/overload/stage.h"

#include <thread>

#include "base/event_loop.h"
#include "base/file.h"
#include "base/text.h"
#include "controller/ipc/report.h"
#include "tests/bench/measure/must.h"
#include "tests/bench/overload/flood.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

constexpr int kAddresses = 200;  // of each client
constexpr Millis kLimit{20'000};
constexpr const char* kVictim = "victim";

std::string address_of(int client, int number) {
    return cat("10.77.", 20 + client, ".", 1 + number);
}

/// As the tests have it, but with room for all connections of a flood: it is the machine that is to be shared.
Server roomy_nginx(const std::string& name, const std::string& listen) {
    Server server = must(nginx(name, name, {listen}));
    const std::string config = cat("/srv/nginx-", name, "/nginx.conf");
    std::string text = must(read_file(config, 65'536));
    constexpr std::string_view kNarrow = "worker_connections 512;";
    text.replace(text.find(kNarrow), kNarrow.size(), "worker_connections 8192;");
    must(write_file_atomically(config, text, 0644));
    return server;
}

}  // namespace

const Endpoint kUnclaimed = Endpoint::of("203.0.113.53", 80);

Stage::Stage()
    : bed_(must(Bed::make({.clients = 3}))),
      sides_({{"viscum", true, Endpoint::of("203.0.113.20", 80), Endpoint::of("203.0.113.10", 80), "other"},
              {"in the router", false, Endpoint::of("203.0.113.21", 80), Endpoint::of("203.0.113.11", 80),
               "router-other"}}) {
    must(ip_batch(bed_->hotspot(), "link set br-lan address 02:00:00:00:00:01\n"));
    for (const int client : {1, 2}) {
        std::string lines;
        for (int number = 0; number < kAddresses; ++number) {
            lines += cat("address add ", address_of(client, number), "/16 dev eth0\n");
        }
        must(ip_batch(bed_->client(client), lines));
    }
    programs_.push_back(must(start_server(must(nginx("cloud", "cloud", {"80"})), bed_->cloud(), 80)));
    must(FloodSources::add(*bed_, 3));
    viscumd_ =
        must(Viscumd::start(bed_->hotspot(), {.config = "viscum: 1\nclaimable: [203.0.113.0/24]\nlan: [br-lan]\n"}));
    deploy(kVictim, sides_[0].victim);
    deploy(sides_[0].answer, sides_[0].other);
    start_in_router("router-victim", sides_[1].victim);
    start_in_router(sides_[1].answer, sides_[1].other);
}

void Stage::deploy(const std::string& name, const Endpoint& at) {
    const Server server = roomy_nginx(name, "80");
    const std::string file =
        must(write_service(name, cat("viscum: 1\nname: ", name, "\nintercept:\n  - { address: ", at.address.text(),
                                     ", port: 80 }\nrun:\n  command: ['", join(server.command, "', '"),
                                     "']\nlimits: { open_files: 10000 }\n")));
    if (const RunOutput output = viscumd_->ctl({"deploy", file}); output.status != 0) {
        give_up(cat(output.err, viscumd_->log()));
    }
    const BootTime deadline = boot_now() + kLimit;
    while (http_get(client(1), {.to = at}).who() != name) {
        if (boot_now() > deadline) {
            give_up(cat(name, " does not answer\n", viscumd_->log()));
        }
        std::this_thread::sleep_for(5ms);
    }
}

/// The router owns the address.
void Stage::start_in_router(const std::string& name, const Endpoint& at) {
    must(ip_batch(bed_->hotspot(), cat("address add ", at.address.text(), "/32 dev lo\n")));
    programs_.push_back(must(start_server(roomy_nginx(name, at.text()), bed_->hotspot(), 80)));
}

HttpRequest Stage::request(int client, const Endpoint& to) {
    int& used = used_[client - 1];
    if (used == kAddresses) {
        give_up("a client has no address left");
    }
    return {.to = to, .from = Endpoint::of(address_of(client, used++), 0)};
}

std::uint64_t Stage::packets_of_victim() const {
    const auto report = daemon_report_from_json(viscumd_->ctl({"status", "--json"}).out);
    for (const ServiceReport& service : report ? report->services : std::vector<ServiceReport>()) {
        if (service.name == kVictim) {
            return service.claims.front().packets_in;
        }
    }
    give_up("viscumd does not tell what came to the service");
}

}  // namespace viscum
