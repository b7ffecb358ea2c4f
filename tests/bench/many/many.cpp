// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/many/many.h"

#include <algorithm>

#include "base/text.h"
#include "controller/ipc/report.h"
#include "tests/bench/measure/must.h"
#include "tests/support/http_client.h"

namespace viscum {
namespace {

constexpr std::size_t kAddresses = 250;
constexpr std::uint16_t kFirstPort = 8'000;
constexpr Millis kLimit{240'000};
constexpr Millis kAnswerWithin{2'000};
constexpr std::size_t kShown = 2'000;
constexpr const char* kConfig =
    "viscum: 1\n"
    "lan: [br-lan]\n"
    "claimable: [198.51.100.0/24, 203.0.113.0/24]\n"
    "tables: { rules: 4096 }\n"
    "log_level: warn\n";

Endpoint endpoint_of(std::size_t number) {
    return Endpoint::of(cat("198.51.100.", 1 + number % kAddresses),
                        static_cast<std::uint16_t>(kFirstPort + number / kAddresses));
}

std::string health_of(ProbeKind probe, std::uint16_t port) {
    switch (probe) {
        case ProbeKind::process: return "health: { process: {} }\n";
        case ProbeKind::tcp: return cat("health: { tcp: { port: ", port, " } }\n");
        case ProbeKind::http: return cat("health: { http: { port: ", port, " } }\n");
    }
    return {};
}

}  // namespace

double ms_since(BootTime start) {
    return static_cast<double>((boot_now() - start).count()) / 1e6;
}

Many::Many(ProbeKind probe) : probe_(probe), bed_(must(Bed::make({.clients = 1}))) {
    viscumd_ = must(Viscumd::start(bed_->hotspot(), {.config = kConfig}));
}

std::string Many::file_of(std::size_t number, int version) const {
    const Endpoint at = endpoint_of(number);
    return must(write_service(
        name_of(number), cat("viscum: 1\nname: ", name_of(number), "\nintercept:\n  - { address: ", at.address.text(),
                             ", port: ", at.port, " }\nrun:\n  command: [/srv/bin/viscum-bench-listener, \"", at.port,
                             "\"]\n", "  env: { VERSION: \"", version, "\" }\n", health_of(probe_, at.port))));
}

double Many::ask(const Argv& arguments) {
    const BootTime start = boot_now();
    const RunOutput done = viscumd_->ctl(arguments, kLimit);
    const double took = ms_since(start);
    if (!done.success()) {
        // Of many files the last lines are the answer.
        give_up(cat("viscumctl ", arguments.front(), " ended with ", done.status, ": ",
                    done.err.substr(done.err.size() - std::min(done.err.size(), kShown))));
    }
    return took;
}

double Many::deploy(std::size_t from, std::size_t until) {
    double took = 0;
    while (from < until) {
        Argv arguments{"deploy", "--wait", "200s"};
        for (const std::size_t end = std::min(until, from + kBatch); from < end; ++from) {
            arguments.push_back(file_of(from, 0));
        }
        took += ask(arguments);
    }
    return took;
}

double Many::deploy_one(std::size_t number, int version) {
    return ask({"deploy", file_of(number, version)});
}

double Many::remove_one(std::size_t number) {
    return ask({"remove", name_of(number)});
}

void Many::check(std::size_t number, bool served) const {
    const std::string who = http_get(bed_->client(1), {.to = endpoint_of(number), .limit = kAnswerWithin}).who();
    if ((who == "local") != served) {
        give_up(cat("a client of ", name_of(number), served ? ", which is served," : ", which is not served,",
                    " was answered so: ", who));
    }
}

void Many::check_all_up(std::size_t count) const {
    const RunOutput listed = viscumd_->ctl({"list", "--json"});
    const auto report = daemon_report_from_json(listed.out);
    if (!report) {
        give_up(
            cat("viscumctl list --json ended with ", listed.status, ": ", listed.out.substr(0, kShown), listed.err));
    }
    const auto up = std::ranges::count_if(report->services, [](const ServiceReport& service) {
        return service.state == "up" && service.admission == "serve" && service.pid != 0;
    });
    if (static_cast<std::size_t>(up) != count || report->services.size() != count) {
        give_up(cat(up, " of ", report->services.size(), " services are up, of ", count, " that were deployed"));
    }
}

}  // namespace viscum
