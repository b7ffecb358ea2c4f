// SPDX-License-Identifier: GPL-2.0-only
#include "tests/demo/scenes.h"

#include <signal.h>

#include "base/event_loop.h"
#include "base/text.h"
#include "tests/demo/services.h"
#include "tests/support/process_tree.h"
#include "tests/support/servers.h"
#include "tests/support/udp_client.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

constexpr Millis kSoon{10'000};    // the longest that an answer may take
constexpr std::size_t kKills = 1;  // each may reset the one request that is under way

}  // namespace

Demo::Demo(const Bed& bed, Viscumd& viscumd, Timeline& timeline)
    : bed_(bed),
      viscumd_(viscumd),
      timeline_(timeline),
      user_(bed.client(2), {.request = {.to = kWeb, .limit = kSoon}, .pause = 1ms}) {}

void Demo::http(const std::string& what, const Endpoint& to, const std::string& expected) {
    const HttpResult result = http_get(client(), {.to = to, .limit = kSoon});
    timeline_.line(what, cat(result.who(), ", ", duration_text(result.took)), result.who() == expected);
}

void Demo::dns(const std::string& expected) {
    const UdpResult result = udp_query(client(), {.to = kDns, .payload = dns_txt_query("who.example")});
    const std::string who = result.answered ? dns_txt_answer(result.reply) : result.error;
    const bool ok = who == expected && result.source == kDns;
    timeline_.line("DNS query to 203.0.113.53", cat(who, ", ", duration_text(result.took)), ok);
}

void Demo::speed(const std::string& what, bool udp) {
    const auto result = measure_speed(client(), kSpeed, udp, 1);
    timeline_.line(what, result ? rate_text(result->bits_per_second) : result.error().what, bool(result));
}

void Demo::user_sees(const std::string& what, const std::string& who, BootTime since) {
    const auto record = user_.wait_for(who, since, 20s);
    timeline_.line(what, record ? cat(who, ", ", duration_text(record->end - since)) : cat("not by ", who),
                   record.has_value());
}

void Demo::kept(const std::string& what, KeptConnection& connection, const std::string& expected) {
    const HttpResult result = connection.get();
    timeline_.line(what, cat(result.who(), ", ", duration_text(result.took)), result.who() == expected);
}

bool Demo::ctl(const Argv& arguments) {
    const RunOutput output = viscumd_.ctl(arguments);
    if (!output.success()) {
        timeline_.line(cat("viscumctl ", join(arguments, " ")), cat("exit status ", output.status), false);
        timeline_.note(output.err);
    }
    return output.success();
}

std::optional<ServiceReport> Demo::service(const std::string& name) const {
    const auto report = daemon_report_from_json(viscumd_.ctl({"status", "--json"}).out);
    for (const ServiceReport& one : report ? report->services : std::vector<ServiceReport>()) {
        if (one.name == name) {
            return one;
        }
    }
    return std::nullopt;
}

std::vector<pid_t> Demo::processes_of(const std::string& name) const {
    const auto report = service(name);
    return report && report->pid > 0 ? descendants(static_cast<pid_t>(report->pid)) : std::vector<pid_t>();
}

void Demo::before() {
    timeline_.chapter("Before: everything is in the cloud");
    http("web page over IPv4", kWeb, "cloud");
    http("web page over IPv6", kWeb6, "cloud");
    dns("cloud");
    speed("speed test to the cloud's iperf3, TCP", false);
    auto connection = KeptConnection::open(client(), {.to = kWeb, .limit = kSoon});
    if (connection) {
        old_cloud_ = std::move(*connection);
        kept("client1 opens a connection and keeps it", *old_cloud_, "cloud");
    } else {
        timeline_.line("client1 opens a connection and keeps it", connection.error().what, false);
    }
}

void Demo::deploy() {
    timeline_.chapter("The same services move to the hotspot: viscumctl deploy FILE");
    for (const auto& file : {web_service_file(), dns_service_file(), speed_service_file()}) {
        if (!file) {
            timeline_.line("a service file", file.error().what, false);
            continue;
        }
        const BootTime start = boot_now();
        if (!ctl({"deploy", *file})) {
            continue;
        }
        if (file->find("/web.") != std::string::npos) {
            user_sees("web: from the command to client2's first local answer", "local", start);
        } else {
            const auto name = file->substr(file->rfind('/') + 1);
            timeline_.line(cat(name.substr(0, name.find('.')), ": deployed and healthy"),
                           duration_text(boot_now() - start), true);
        }
    }
    http("web page over IPv4: a new connection", kWeb, "local");
    http("web page over IPv6: a new connection", kWeb6, "local");
    dns("local");
    if (old_cloud_) {
        kept("client1's old connection stays where it began", *old_cloud_, "cloud");
    }
    timeline_.note(cat("$ viscumctl list\n", viscumd_.ctl({"list"}).out));
}

void Demo::measure() {
    timeline_.chapter("A speed test at the edge, which no longer measures the uplink");
    speed("iperf3 on the hotspot, TCP", false);
    speed("iperf3 on the hotspot, UDP", true);
}

void Demo::crash() {
    timeline_.chapter("The local web server crashes (SIGKILL)");
    const auto processes = processes_of("web");
    if (processes.empty()) {
        timeline_.line("find the web server's process", "none", false);
        return;
    }
    const BootTime start = boot_now();
    kill(processes.front(), SIGKILL);
    user_sees("killed: the next connections are answered by the cloud", "cloud", start);
    user_sees("started again: back on the hotspot", "local", boot_now());
}

void Demo::hang() {
    timeline_.chapter("The local web server hangs (SIGSTOP): it listens, but answers nobody");
    const auto processes = processes_of("web");
    const BootTime start = boot_now();
    for (const pid_t pid : processes) {
        kill(pid, SIGSTOP);
    }
    HttpResult result;
    while (result.who() != "cloud" && boot_now() - start < 20s) {
        result = http_get(client(), {.to = kWeb, .limit = 100ms});
    }
    const bool in_time = result.who() == "cloud" && !processes.empty();
    timeline_.line(cat("withdrawn by its health probe (promised: ", duration_text(kWithdrawnWithin), " and a request)"),
                   cat(result.who(), ", ", duration_text(boot_now() - start)), in_time);
    const BootTime continued = boot_now();
    for (const pid_t pid : processes) {
        kill(pid, SIGCONT);
    }
    user_sees("continued (SIGCONT), healthy again: back on the hotspot", "local", continued);
    if (old_cloud_) {
        kept("client1's old connection, all the while", *old_cloud_, "cloud");
    }
}

void Demo::crash_of_the_daemon() {
    timeline_.chapter("viscumd itself is killed (SIGKILL)");
    viscumd_.kill();
    http("no viscumd: services go on", kWeb, "local");
    const BootTime start = boot_now();
    const auto started = viscumd_.start_again();
    const auto report = service("web");
    const bool adopted = started && report && report->state == "up";
    timeline_.line("started again: it adopts what runs", adopted ? duration_text(boot_now() - start) : "not adopted",
                   adopted);
    http("and nobody noticed", kWeb, "local");
}

void Demo::maintenance() {
    timeline_.chapter("Maintenance: viscumctl drain web, viscumctl resume web");
    auto connection = KeptConnection::open(client(), {.to = kWeb, .limit = kSoon});
    BootTime start = boot_now();
    if (ctl({"drain", "web"})) {
        user_sees("drained: new connections go to the cloud", "cloud", start);
    }
    if (connection) {
        kept("a connection that is open finishes on the hotspot", *connection, "local");
    }
    start = boot_now();
    if (ctl({"resume", "web"})) {
        user_sees("resumed", "local", start);
    }
}

void Demo::remove() {
    timeline_.chapter("After: viscumctl remove NAME");
    served_locally_ = local_bytes();
    const BootTime start = boot_now();
    for (const char* name : {"web", "dns", "speed"}) {
        ctl({"remove", name});
    }
    user_sees("web: answered by the cloud again", "cloud", start);
    dns("cloud");
    if (old_cloud_) {
        kept("client1's old connection never moved", *old_cloud_, "cloud");
    }
}

void Demo::account(std::uint64_t uplink_at_start) {
    const auto uplink = bed_.uplink_bytes();
    const FlowSummary seen = user_.stop();
    timeline_.chapter("What it was good for");
    timeline_.line(cat("client2 asked ", seen.requests, " times: without an answer"),
                   cat(seen.failed, ", and ", seen.resets, " reset"), seen.failed == 0 && seen.resets <= kKills);
    timeline_.note(join(seen.failures, "\n"));
    if (seen.resets > 0) {
        timeline_.note("a reset is the request that nginx was just answering when it was killed");
    }
    timeline_.line("its longest time without an answer: while the service hung", duration_text(seen.longest_gap), true);
    timeline_.line("bytes that went over the uplink",
                   uplink ? bytes_text(*uplink - uplink_at_start) : uplink.error().what, bool(uplink));
    timeline_.line("bytes that were kept off the uplink", bytes_text(served_locally_), served_locally_ > 0);
}

std::uint64_t Demo::local_bytes() const {
    const auto report = daemon_report_from_json(viscumd_.ctl({"status", "--json"}).out);
    std::uint64_t bytes = 0;
    for (const ServiceReport& one : report ? report->services : std::vector<ServiceReport>()) {
        for (const ClaimReport& claim : one.claims) {
            bytes += claim.bytes_in + claim.bytes_out;
        }
    }
    return bytes;
}

}  // namespace viscum
