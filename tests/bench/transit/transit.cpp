// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/transit/transit.h"

#include <algorithm>

#include "base/text.h"
#include "controller/ipc/client.h"
#include "controller/ipc/report.h"
#include "tests/bench/load/tracked.h"
#include "tests/support/http_client.h"

namespace viscum {
namespace {

const std::string kTarget = "203.0.113.200";  // no rule's
const std::string kBackend = "10.99.0.2";
constexpr int kClaimsOfService = 250;      // a service file has room for 256
constexpr int kFiltersOfPriority = 2'000;  // u32 numbers at most 4,095 by itself

/// The address of a rule, all of them different: of 198.18.0.0/16, which is kept for benchmarks.
std::string rule_address(int number) {
    return cat("198.18.", number / 250, ".", 1 + number % 250);
}

int count_of(const std::string& text, std::string_view words) {
    int count = 0;
    for (std::size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + words.size())) {
        ++count;
    }
    return count;
}

Result<int> count_in(const Result<std::string>& text, std::string_view words) {
    return text ? Result<int>(count_of(*text, words)) : Result<int>(text.error());
}

/// Processes that do nothing: their claims are what counts.
std::string service_text(const std::string& name, int first, int end) {
    std::string text = cat("viscum: 1\nname: ", name, "\nintercept:\n");
    for (int number = first; number < end; ++number) {
        text += cat("  - { address: ", rule_address(number), ", port: 80 }\n");
    }
    return text + "run:\n  command: [/bin/sleep, infinity]\nhealth: { process: {} }\n";
}

/// Of the daemon, with one service: that of 10,000 claims takes its time.
Result<DaemonReport> report_of(const Viscumd& viscumd, const std::string& service) {
    auto client = Client::connect(viscumd.instance().socket_path());
    if (!client) {
        return std::move(client).error();
    }
    Request request;
    request.verb = "status";
    request.service = service;
    const auto answer = client->ask(request, [](const Response&) {});
    if (!answer) {
        return answer.error();
    }
    auto report = daemon_report_from_json(answer->report);
    return report ? Result<DaemonReport>(*std::move(report)) : Result<DaemonReport>(Error{0, answer->message});
}

std::string service_name(int first_claim) {
    return cat("s", first_claim / kClaimsOfService);
}

}  // namespace

Result<std::unique_ptr<Transit>> Transit::make(int number, const TransitSpec& spec) {
    auto rig = Rig::make(number, false, {kTarget});
    if (!rig) {
        return std::move(rig).error().in(spec.name);
    }
    std::unique_ptr<Transit> transit(new Transit(number, spec, std::move(*rig)));
    if (auto set = transit->set_up(); !set) {
        return std::move(set).error().in(transit->text());
    }
    return transit;
}

std::string Transit::text() const {
    return spec_.count > 0 ? cat(spec_.name, ", ", spec_.count, " rules") : spec_.name;
}

Status Transit::set_up() {
    if (auto set = set_up_cloud(); !set) {
        return set;
    }
    if (spec_.rules != Rules::none && spec_.rules != Rules::viscum) {
        auto backend = rig_->add_backend();
        if (!backend) {
            return std::move(backend).error();
        }
        backend_ = std::move(*backend);
    }
    Status set;
    switch (spec_.rules) {
        case Rules::none: return {};
        case Rules::viscum: set = set_up_viscum(); break;
        case Rules::u32: set = set_up_u32(); break;
        case Rules::iptables: set = set_up_iptables(); break;
        case Rules::nft_map: set = set_up_map(); break;
    }
    return set ? check_rules() : set;
}

Status Transit::set_up_cloud() {
    const auto web = nginx(cat("cloud-", number_), "cloud", {"80"});
    const auto speed = iperf3_server(kTarget);
    const auto echo = echo_server(kTarget, false);
    for (const auto& [server, port] :
         {std::pair{&web, kWebPort}, std::pair{&speed, kSpeedPort}, std::pair{&echo, kEchoPort}}) {
        if (!*server) {
            return server->error();
        }
        auto program = start_server(**server, rig_->bed().cloud(), port);
        if (!program) {
            return std::move(program).error();
        }
        programs_.push_back(std::move(*program));
    }
    return {};
}

Status Transit::set_up_viscum() {
    const std::string instance = cat("viscum", number_);
    auto viscumd = Viscumd::start(rig_->hotspot(), {.config = "viscum: 1\nclaimable: [198.18.0.0/16]\nlan: [br-lan]\n"
                                                              "tables: { rules: 16384 }\n",
                                                    .instance = instance});
    if (!viscumd) {
        return std::move(viscumd).error();
    }
    viscumd_ = std::move(*viscumd);
    for (int first = 0; first < spec_.count; first += kClaimsOfService) {
        const std::string name = service_name(first);
        const auto file = write_service(cat(instance, "-", name),
                                        service_text(name, first, std::min(spec_.count, first + kClaimsOfService)));
        if (!file) {
            return file.error();
        }
        if (const RunOutput output = viscumd_->ctl({"deploy", *file}); !output.success()) {
            return Error{0, cat("deploy ", name, ": ", output.out, output.err, viscumd_->log())};
        }
    }
    return {};
}

/// A filter for each rule, on the device where Viscum has its one.
Status Transit::set_up_u32() const {
    std::string lines = "qdisc add dev lan1 clsact\n";
    for (int number = 0; number < spec_.count; ++number) {
        lines += cat("filter add dev lan1 ingress protocol ip pref ", 100 + number / kFiltersOfPriority,
                     " u32 match ip dst ", rule_address(number),
                     "/32 match ip protocol 6 0xff match ip dport 80 0xffff action mirred egress redirect dev srv\n");
    }
    const auto loaded = output_of({"tc", "-batch", "-"}, {.ns = &rig_->hotspot(), .input = lines});
    return loaded ? Status() : Status(loaded.error());
}

Status Transit::set_up_iptables() const {
    std::string lines = "*nat\n";
    for (int number = 0; number < spec_.count; ++number) {
        lines += cat("-A PREROUTING -d ", rule_address(number), "/32 -p tcp --dport 80 -j DNAT --to-destination ",
                     kBackend, "\n");
    }
    lines += cat("-A PREROUTING -d ", kTarget, "/32\nCOMMIT\n");  // only counts
    const auto loaded = output_of({"iptables-nft-restore"}, {.ns = &rig_->hotspot(), .input = lines});
    return loaded ? Status() : Status(loaded.error());
}

/// One rule, which asks a map.
Status Transit::set_up_map() const {
    std::string elements;
    for (int number = 0; number < spec_.count; ++number) {
        elements += cat(number == 0 ? "" : ",\n", rule_address(number), " . 80 : ", kBackend);
    }
    return load_nft(rig_->hotspot(), cat("table ip transit {\n"
                                         "    counter passed { }\n"
                                         "    map rules { type ipv4_addr . inet_service : ipv4_addr; elements = { ",
                                         elements,
                                         " } }\n"
                                         "    chain prerouting {\n"
                                         "        type nat hook prerouting priority dstnat; policy accept;\n"
                                         "        ip protocol tcp dnat to ip daddr . tcp dport map @rules\n"
                                         "        counter name passed\n"
                                         "    }\n"
                                         "}\n"));
}

/// As many as there should be; and a client that asks for the last of them is taken.
Status Transit::check_rules() {
    const auto count = count_rules();
    if (!count || *count != spec_.count) {
        return count ? Status(Error{0, cat("there are ", *count, " rules")}) : Status(count.error());
    }
    if (auto begun = rig_->begin_case(); !begun) {
        return begun;
    }
    const auto before = evidence();
    const auto last = Endpoint::of(rule_address(spec_.count - 1), kWebPort);
    (void)http_get(rig_->client(), {.to = last, .limit = std::chrono::milliseconds(100)});
    const auto after = evidence();
    if (!before || !after) {
        return before ? after.error() : before.error();
    }
    return after->matched > before->matched ? Status() : Status(Error{0, "the last rule takes nothing"});
}

Result<int> Transit::count_rules() const {
    const RunOptions here{.ns = &rig_->hotspot()};
    switch (spec_.rules) {
        case Rules::none: return 0;
        case Rules::u32: return count_in(output_of({"tc", "filter", "show", "dev", "lan1", "ingress"}, here), "mirred");
        case Rules::iptables:
            return count_in(output_of({"iptables-nft", "-t", "nat", "-S", "PREROUTING"}, here), "-j DNAT");
        case Rules::nft_map:
            return count_in(output_of({"nft", "list", "map", "ip", "transit", "rules"}, here), " : 10.");
        case Rules::viscum: break;
    }
    int count = 0;
    for (int first = 0; first < spec_.count; first += kClaimsOfService) {
        const auto report = report_of(*viscumd_, service_name(first));
        if (!report) {
            return report.error();
        }
        for (const ServiceReport& service : report->services) {
            count += static_cast<int>(
                std::ranges::count_if(service.claims, [](const auto& claim) { return claim.admission == "serve"; }));
        }
    }
    return count;
}

Result<Transit::Evidence> Transit::evidence() const {
    Evidence evidence;
    const auto wan = device_packets(rig_->hotspot(), "wan");
    if (!wan) {
        return wan.error();
    }
    evidence.uplink = wan->sent;
    if (viscumd_) {
        const auto report = report_of(*viscumd_, service_name(0));
        if (!report) {
            return report.error();
        }
        for (const ReasonCount& verdict : report->verdicts) {
            evidence.passed += verdict.reason == "unclaimed" ? verdict.packets : 0;
            evidence.matched += verdict.reason == "no-listener" ? verdict.packets : 0;
        }
    }
    if (backend_) {
        const auto srv = device_packets(rig_->hotspot(), "srv");
        if (!srv) {
            return srv.error();
        }
        evidence.matched = srv->sent;
    }
    if (translates()) {
        const auto passed = spec_.rules == Rules::nft_map ? nft_counter(rig_->hotspot(), "passed")
                                                          : iptables_counter(rig_->hotspot(), kTarget);
        if (!passed) {
            return passed.error();
        }
        evidence.passed = *passed;
    }
    return evidence;
}

Result<Loaded> Transit::measure(Load load, Scale scale) {
    if (auto begun = rig_->begin_case(); !begun) {
        return std::move(begun).error().in(text());
    }
    const IpAddress target = Endpoint::of(kTarget, 0).address;
    if (auto answered = expect_answer(rig_->client(), target, "cloud"); !answered) {
        return std::move(answered).error().in(text());
    }
    const auto before = evidence();
    const auto loaded = put_load(load, rig_->client(), target, scale);
    const auto after = evidence();
    for (const Error* error :
         {before ? nullptr : &before.error(), loaded ? nullptr : &loaded.error(), after ? nullptr : &after.error()}) {
        if (error != nullptr) {
            return Error{error->errno_code, cat(text(), ": ", error->what)};
        }
    }
    if (auto checked = check(*loaded, *before, *after); !checked) {
        return std::move(checked).error().in(cat(text(), ", ", name_of(load)));
    }
    return loaded;
}

Status Transit::check(const Loaded& loaded, const Evidence& before, const Evidence& after) const {
    if (after.uplink - before.uplink < loaded.packets) {
        return Error{0, cat("only ", after.uplink - before.uplink, " of ", loaded.packets, " packets left")};
    }
    const std::uint64_t met = after.passed - before.passed;
    if (viscumd_ && met < loaded.packets) {
        return Error{0, cat("only ", met, " of ", loaded.packets, " packets were seen")};
    }
    if (translates() && met < loaded.flows) {
        return Error{0, cat("only ", met, " of ", loaded.flows, " flows went through the rules")};
    }
    const auto tracked = tracked_count(rig_->hotspot());
    if (!tracked || (*tracked > 0) != translates()) {
        return Error{0, cat(tracked ? *tracked : 0, " connections are tracked")};
    }
    // The device behind "srv" has its own announcements.
    return !backend_ && after.matched != before.matched ? Status(Error{0, "a rule took packets"}) : Status();
}

}  // namespace viscum
