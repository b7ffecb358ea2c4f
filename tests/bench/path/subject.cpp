// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/path/subject.h"

#include <thread>

#include "base/event_loop.h"
#include "base/file.h"
#include "base/text.h"
#include "controller/ipc/report.h"
#include "tests/bench/load/tracked.h"

namespace viscum {
namespace {

const std::string kService = "203.0.113.10";
const std::string kTransit = "203.0.113.53";  // nobody takes it from the cloud
const std::string kBackend = "10.99.0.2";
const std::string kLoopback = "127.0.0.1";
constexpr Millis kAnswersWithin{10'000};
constexpr std::uint64_t kUplinkNoise = 40;  // packets: neighbours and routers that announce themselves

IpAddress address_of(const std::string& text) {
    return Endpoint::of(text, 0).address;
}

std::string claims_of(std::uint16_t port, bool tcp, bool udp) {
    std::string lines;
    for (const auto& [wanted, protocol] : {std::pair{tcp, "tcp"}, std::pair{udp, "udp"}}) {
        lines += wanted ? cat("  - { address: ", kService, ", port: ", port, ", protocol: ", protocol, " }\n") : "";
    }
    return lines;
}

/// What its web server answers.
std::string answer_of(int number) {
    return cat("way-", number);
}

Result<Server> web_server(int number, const std::string& listen) {
    return nginx(answer_of(number), answer_of(number), {listen});
}

Result<DaemonReport> report_of(const Viscumd& viscumd) {
    const RunOutput output = viscumd.ctl({"status", "--json"});
    auto report = daemon_report_from_json(output.out);
    return report ? Result<DaemonReport>(*std::move(report))
                  : Result<DaemonReport>(Error{0, cat("viscumctl status: ", output.status, ": ", output.err)});
}

}  // namespace

Result<std::unique_ptr<Subject>> Subject::make(int number, const SubjectSpec& spec) {
    auto rig = Rig::make(number, spec.router_rules, {kService, kTransit});
    if (!rig) {
        return std::move(rig).error().in(spec.name);
    }
    std::unique_ptr<Subject> subject(new Subject(spec, std::move(*rig)));
    subject->number_ = number;
    if (auto set = subject->set_up(); !set) {
        return std::move(set).error().in(spec.name);
    }
    return subject;
}

Status Subject::set_up() {
    // The real cloud answers as well: whom a case did not take, it would be seen to have served.
    const auto cloud = nginx(cat("cloud-", number_), "cloud", {"80"});
    if (!cloud) {
        return cloud.error();
    }
    auto started = start_server(*cloud, rig_->bed().cloud(), kWebPort);
    if (!started) {
        return std::move(started).error();
    }
    programs_.push_back(std::move(*started));
    switch (spec_.way) {
        case Way::viscum: return set_up_viscum(number_);
        case Way::routed:
        case Way::nft:
        case Way::iptables: return set_up_backend();
        case Way::own:
        case Way::boxed:
        case Way::haproxy:
        case Way::socat: break;
    }
    if (auto given = ip_batch(rig_->hotspot(), cat("address add ", kService, "/32 dev lo\n")); !given) {
        return given;
    }
    if (spec_.way == Way::boxed) {
        return set_up_boxed();
    }
    if (auto running = start_servers(rig_->hotspot(), spec_.way == Way::own ? kService : kLoopback); !running) {
        return running;
    }
    return spec_.way == Way::haproxy ? set_up_haproxy() : spec_.way == Way::socat ? set_up_socat() : Status();
}

Status Subject::start_servers(const NetNs& ns, const std::string& address) {
    const auto web = web_server(number_, cat(address, ":", kWebPort));
    const auto speed = iperf3_server(address);
    const auto tcp = echo_server(address, false);
    for (const auto& [server, port] :
         {std::pair{&web, kWebPort}, std::pair{&speed, kSpeedPort}, std::pair{&tcp, kEchoPort}}) {
        if (!*server) {
            return server->error();
        }
        auto program = start_server(**server, ns, port);
        if (!program) {
            return std::move(program).error();
        }
        programs_.push_back(std::move(*program));
    }
    const auto udp = echo_server(address, true);
    auto program = Program::start({udp->command, udp->log_file, &ns});
    if (!program) {
        return std::move(program).error();
    }
    programs_.push_back(std::move(*program));
    return {};
}

Status Subject::set_up_boxed() {
    auto groups = Cgroups::open("bench");
    if (!groups) {
        return std::move(groups).error();
    }
    groups_ = std::make_unique<Cgroups>(std::move(*groups));
    // As in a service's own namespace: it listens on port 80, and is not root.
    const auto set = rig_->hotspot().inside(
        [] { return set_net_sysctl("ipv4/ip_unprivileged_port_start", std::to_string(kWebPort)); });
    if (!set) {
        return set;
    }
    // The web server last, which is waited for.
    const std::pair<const char*, Result<Server>> servers[] = {
        {"speed.0", iperf3_server(kService)},
        {"echo.0", echo_server(kService, false)},
        {"echo-udp.0", echo_server(kService, true)},
        {"web.0", web_server(number_, cat(kService, ":", kWebPort))},
    };
    for (const auto& [name, server] : servers) {
        if (!server) {
            return server.error();
        }
        ServiceSpec spec;
        spec.run.command = server->command;
        auto started = Sandboxed::start(*groups_, name, spec, rig_->hotspot());
        if (!started) {
            return std::move(started).error();
        }
        boxed_.push_back(std::move(*started));
    }
    if (auto begun = rig_->begin_case(); !begun) {
        return begun;
    }
    for (const BootTime limit = boot_now() + kAnswersWithin;;) {
        auto answered = expect_answer(rig_->client(), address_of(kService), answer_of(number_));
        if (answered || boot_now() > limit) {
            const auto log = boxed_.back().log();
            return answered ? answered : std::move(answered).error().in(log ? *log : "");
        }
        std::this_thread::sleep_for(Millis(20));
    }
}

/// One service for each program, as they come; each claims its ports of one address.
Status Subject::set_up_viscum(int number) {
    const std::string instance = cat("viscum", number);
    auto viscumd = Viscumd::start(
        rig_->hotspot(), {.config = "viscum: 1\nclaimable: [203.0.113.0/24]\nlan: [br-lan]\n", .instance = instance});
    if (!viscumd) {
        return std::move(viscumd).error();
    }
    viscumd_ = std::move(*viscumd);
    struct Service {
        const char* name;
        Result<Server> server;
        std::string claims;
        bool probed;  // iperf3 and sockperf would take a probe for a client
    };
    const Service services[] = {
        {"web", web_server(number, cat(kWebPort)), claims_of(kWebPort, true, false), true},
        {"speed", iperf3_server(kService), claims_of(kSpeedPort, true, true), false},
        {"echo", echo_server(kService, false), claims_of(kEchoPort, true, false), false},
        {"echo-udp", echo_server(kService, true), claims_of(kEchoPort, false, true), false},
    };
    for (const auto& [name, server, claims, probed] : services) {
        if (!server) {
            return server.error();
        }
        const auto file =
            write_service(cat(instance, "-", name),
                          cat("viscum: 1\nname: ", name, "\nintercept:\n", claims, "run:\n  command: ['",
                              join(server->command, "', '"), "']\n", probed ? "" : "health: { process: {} }\n"));
        if (!file) {
            return file.error();
        }
        if (const RunOutput output = viscumd_->ctl({"deploy", *file}); !output.success()) {
            return Error{0, cat("deploy ", name, ": ", output.out, output.err, viscumd_->log())};
        }
    }
    const auto names = net_ns_names(instance);
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        const auto ns = NetNs::open(name);
        if (auto set = ns ? use_reno(*ns) : Status(ns.error()); !set) {
            return set;
        }
    }
    return spec_.router_rules ? check_that_router_tracks() : Status();
}

/// That nothing is tracked says something only where the router tracks at all.
Status Subject::check_that_router_tracks() {
    if (auto begun = rig_->begin_case(); !begun) {
        return begun;
    }
    if (auto answered = expect_answer(rig_->client(), address_of(kTransit), "cloud"); !answered) {
        return answered;
    }
    const auto count = tracked_count(rig_->hotspot());
    return count && *count > 0 ? Status() : Status(Error{0, "the router's rules track nothing"});
}

Status Subject::set_up_backend() {
    auto backend = rig_->add_backend();
    if (!backend) {
        return std::move(backend).error();
    }
    backend_ = std::move(*backend);
    if (spec_.way != Way::routed) {
        if (auto set = set_up_rules(); !set) {
            return set;
        }
        return start_servers(*backend_, kBackend);
    }
    if (auto given = ip_batch(*backend_, cat("address add ", kService, "/32 dev lo\n")); !given) {
        return given;
    }
    if (auto routed = ip_batch(rig_->hotspot(), cat("route add ", kService, "/32 via ", kBackend, "\n")); !routed) {
        return routed;
    }
    return start_servers(*backend_, kService);
}

Status Subject::set_up_rules() {
    if (spec_.way == Way::iptables) {
        const auto added = output_of({"iptables-nft", "-t", "nat", "-A", "PREROUTING", "-d", kService, "-j", "DNAT",
                                      "--to-destination", kBackend},
                                     {.ns = &rig_->hotspot()});
        return added ? Status() : Status(added.error());
    }
    return load_nft(rig_->hotspot(),
                    cat("table ip path {\n"
                        "    counter taken { }\n"
                        "    chain prerouting {\n"
                        "        type nat hook prerouting priority dstnat; policy accept;\n"
                        "        ip daddr ",
                        kService, " counter name taken dnat to ", kBackend,
                        "\n"
                        "    }\n"
                        "}\n",
                        // As fw4 lets port redirections in.
                        spec_.router_rules ? "add rule inet fw4 forward ct status dnat accept\n" : ""));
}

Status Subject::set_up_haproxy() {
    const auto program = installed_program("haproxy");
    if (!program) {
        return program.error();
    }
    std::string config =
        "global\n    maxconn 4000\ndefaults\n    mode tcp\n    timeout connect 5s\n    timeout client 60s\n"
        "    timeout server 60s\n";
    for (const std::uint16_t port : {kWebPort, kSpeedPort, kEchoPort}) {
        config +=
            cat("listen p", port, "\n    bind ", kService, ":", port, "\n    server here ", kLoopback, ":", port, "\n");
    }
    const std::string file = cat("/tmp/haproxy-", number_, ".cfg");
    if (auto wrote = write_file_atomically(file, config, 0644); !wrote) {
        return wrote;
    }
    auto started = Program::start({{*program, "-db", "-f", file}, file + ".log", &rig_->hotspot()});
    if (!started) {
        return std::move(started).error();
    }
    programs_.push_back(std::move(*started));
    return {};
}

Status Subject::set_up_socat() {
    const auto program = installed_program("socat");
    if (!program) {
        return program.error();
    }
    for (const std::uint16_t port : {kWebPort, kSpeedPort}) {
        const std::string listen = cat("TCP4-LISTEN:", port, ",bind=", kService, ",fork,reuseaddr,backlog=511");
        auto started = Program::start(
            {{*program, listen, cat("TCP4:", kLoopback, ":", port)}, "/tmp/socat.log", &rig_->hotspot()});
        if (!started) {
            return std::move(started).error();
        }
        programs_.push_back(std::move(*started));
    }
    return {};
}

bool Subject::takes(Load load) const {
    const bool web = load == Load::connections || load == Load::requests;
    if (spec_.held > 0) {
        return web;
    }
    switch (spec_.way) {
        case Way::haproxy: return !is_udp(load);
        // A process for each connection: no more than that is to be shown.
        case Way::socat: return load == Load::connections || load == Load::one_stream || load == Load::streams;
        default: return true;
    }
}

Result<Loaded> Subject::measure(Load load, Scale scale) {
    if (auto begun = rig_->begin_case(); !begun) {
        return std::move(begun).error().in(spec_.name);
    }
    if (auto held = hold_connections(); !held) {
        return std::move(held).error().in(spec_.name);
    }
    if (auto answered = expect_answer(rig_->client(), address_of(kService), answer_of(number_)); !answered) {
        return std::move(answered).error().in(spec_.name);
    }
    const auto before = evidence();
    const auto loaded = put_load(load, rig_->client(), address_of(kService), scale);
    const auto after = evidence();
    const auto tracked = tracked_count(rig_->hotspot());
    for (const Error* error : {before ? nullptr : &before.error(), loaded ? nullptr : &loaded.error(),
                               after ? nullptr : &after.error(), tracked ? nullptr : &tracked.error()}) {
        if (error != nullptr) {
            return Error{error->errno_code, cat(spec_.name, ": ", error->what)};
        }
    }
    tracked_ = *tracked;
    if (auto checked = check(*loaded, *before, *after); !checked) {
        return std::move(checked).error().in(cat(spec_.name, ", ", name_of(load)));
    }
    return loaded;
}

Status Subject::hold_connections() {
    if (spec_.held == 0) {
        return {};
    }
    const auto before = kernel_memory();
    if (auto added = add_tracked(rig_->hotspot(), spec_.held, address_of(kService), address_of(kBackend)); !added) {
        return added;
    }
    const auto after = kernel_memory();
    if (!before || !after) {
        return before ? after.error() : before.error();
    }
    // Later ones take the room that the first have left.
    bytes_per_connection_ =
        held_before_ ? 0
                     : (static_cast<double>(*after) - static_cast<double>(*before)) / static_cast<double>(spec_.held);
    held_before_ = true;
    return {};
}

Result<Subject::Evidence> Subject::evidence() const {
    Evidence evidence;
    const auto wan = device_packets(rig_->hotspot(), "wan");
    if (!wan) {
        return wan.error();
    }
    evidence.uplink = wan->received + wan->sent;
    if (viscumd_) {
        const auto report = report_of(*viscumd_);
        if (!report) {
            return report.error();
        }
        for (const ServiceReport& service : report->services) {
            for (const ClaimReport& claim : service.claims) {
                evidence.flows += claim.flows;
                evidence.packets += claim.packets_in;
                evidence.cloud += claim.flows_cloud;
            }
        }
    }
    if (backend_) {
        const auto srv = device_packets(rig_->hotspot(), "srv");
        if (!srv) {
            return srv.error();
        }
        evidence.packets = srv->sent;
    }
    if (spec_.way == Way::nft || spec_.way == Way::iptables) {
        const auto taken =
            spec_.way == Way::nft ? nft_counter(rig_->hotspot(), "taken") : iptables_counter(rig_->hotspot(), "DNAT");
        if (!taken) {
            return taken.error();
        }
        evidence.flows = *taken;
    }
    return evidence;
}

Status Subject::check(const Loaded& loaded, const Evidence& before, const Evidence& after) const {
    const bool translates = spec_.way == Way::nft || spec_.way == Way::iptables;
    const bool counts_flows = translates || spec_.way == Way::viscum;
    if (counts_flows && after.flows - before.flows < loaded.flows) {
        return Error{0, cat("only ", after.flows - before.flows, " of ", loaded.flows, " flows were taken")};
    }
    if ((backend_ || viscumd_) && after.packets - before.packets < loaded.packets) {
        return Error{0, cat("only ", after.packets - before.packets, " of ", loaded.packets, " packets were taken")};
    }
    if (after.cloud != before.cloud) {
        return Error{0, cat(after.cloud - before.cloud, " flows were given to the cloud")};
    }
    if (after.uplink - before.uplink > kUplinkNoise) {
        return Error{0, cat(after.uplink - before.uplink, " packets passed the uplink")};
    }
    if (translates ? tracked_ < spec_.held + 1 : tracked_ != 0) {
        return Error{0, cat(tracked_, " connections are tracked")};
    }
    return {};
}

}  // namespace viscum
