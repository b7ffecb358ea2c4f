// SPDX-License-Identifier: GPL-2.0-only
#include "controller/why/gather.h"

#include <netinet/tcp.h>

#include <algorithm>

#include "base/text.h"
#include "controller/why/claim_text.h"
#include "controller/why/way_in.h"
#include "netns/link.h"
#include "netns/sock_diag.h"
#include "tcprog/attach.h"
#include "tcprog/counters.h"
#include "tcprog/dry_run.h"
#include "tcprog/rule_index.h"

namespace viscum {
namespace {

constexpr std::uint16_t kFirstPort = 61'000;  // of a client's that is made up: above what Linux chooses by itself
constexpr std::uint16_t kLastPort = 61'999;

Result<NamedWay> named(Result<Way> way, const std::vector<Link>& links) {
    if (!way) {
        return std::move(way).error();
    }
    const Link* const link = link_with(links, way->device);
    return NamedWay{*way, link == nullptr ? "" : link->name};
}

/// By what viscumd says, or by a look where it says nothing.
bool carries_ours(const Evidence& evidence, const Link& link, const Instance& instance) {
    if (!evidence.daemon) {
        return carries_filter(number(link.index), filter_handle(instance.name));
    }
    return std::ranges::any_of(evidence.daemon->lan,
                               [&](const auto& lan) { return lan.attached && lan.device == link.name; });
}

Ruling ruling_of(const DryRun& dry, const DryRun::Answer& answer) {
    Ruling ruling;
    ruling.verdict = verdict_name(answer.verdict);
    ruling.refusal = answer.refusal ? verdict_name(*answer.refusal) : "";
    ruling.slot = answer.slot.value_or(0);
    if (const auto claim = answer.rule ? dry.claim(*answer.rule) : std::nullopt) {
        ruling.claim = Claim{{from_abi(claim->addr), claim->length},
                             {claim->first_port, claim->last_port},
                             static_cast<Protocol>(claim->protocol)};
    }
    return ruling;
}

/// Where its own rules lead, by the number that the router's namespace knows a service's by.
Result<NetNs> namespace_at(const NlSocket& socket, const Instance& instance, std::uint32_t nsid) {
    const auto names = net_ns_names(instance.name + "-");
    for (const auto& name : names ? *names : std::vector<std::string>()) {
        auto ns = NetNs::open(name);
        const auto id = ns ? known_net_ns_id(socket, *ns) : Result<std::optional<std::uint32_t>>(ns.error());
        if (id && *id == nsid) {
            return ns;
        }
    }
    return Error{ENOENT, cat("no namespace of ", instance.name, "'s has the number ", nsid)};
}

/// Whether a socket that takes a packet of the flow is more than what TIME_WAIT leaves.
std::optional<bool> is_open_in(const Result<NetNs>& ns, const FlowQuery& query) {
    auto found = Result<bool>(Error{ENOENT, ""});
    const auto looked = ns ? ns->inside([&]() -> Status {
        const auto diag = SockDiag::open();
        found =
            diag
                ? diag->has_connection({{query.destination, query.port}, {query.source, query.source_port.value_or(0)}})
                : Result<bool>(diag.error());
        return {};
    })
                           : Status(ns.error());
    return looked && found ? std::optional(*found) : std::nullopt;
}

/// The socket grade: its programs are asked.
class Asking {
public:
    Asking(DryRun dry, const NlSocket& socket, const std::vector<Link>& links, const Instance& instance)
        : dry_(std::move(dry)), socket_(socket), links_(links), instance_(instance) {}

    Status fill(Evidence& evidence, const Link& filtered) {
        const Link* const router = link_with(links_, evidence.client.way.device);
        mac_ = router == nullptr ? filtered.mac : router->mac;
        device_ = number(filtered.index);
        const auto& query = evidence.query;
        if (query.source_port && query.protocol == Protocol::tcp) {
            if (auto status = ask_middle(evidence); !status) {
                return status;
            }
        }
        auto question = query.source_port ? question_of(query, *query.source_port) : new_flow(query);
        if (!question) {
            return std::move(question).error();
        }
        question->tcp_flags = TH_SYN;
        const auto answer = dry_.from_client(device_, mac_, *question);
        if (!answer) {
            return answer.error();
        }
        evidence.begins = ruling_of(dry_, *answer);
        const auto backend = backend_of(*answer);
        if (!backend) {
            return {};
        }
        const auto ns = namespace_at(socket_, instance_, backend->nsid);
        auto listening =
            ns ? listening_in(*ns, query.protocol == Protocol::udp) : Result<std::vector<Listening>>(ns.error());
        if (listening) {
            evidence.listening = *std::move(listening);
        }
        return answer->verdict == VS_SERVED ? ask_back(evidence, *question, IfIndex{backend->ifindex}) : Status{};
    }

private:
    static Result<Question> question_of(const FlowQuery& query, std::uint16_t port) {
        return Question{query.source, query.destination, port, query.port, static_cast<std::uint8_t>(query.protocol)};
    }

    /// From a port that is made up, of which the datapath knows nothing and no version of the service has a socket.
    Result<Question> new_flow(const FlowQuery& query) {
        for (std::uint16_t port = kFirstPort; port <= kLastPort; ++port) {
            auto question = question_of(query, port);
            if (dry_.knows_flow(*question)) {
                continue;
            }
            if (query.protocol == Protocol::udp) {
                return question;
            }
            question->tcp_flags = TH_ACK;
            const auto answer = dry_.from_client(device_, mac_, *question);
            if (!answer) {
                return answer.error();
            }
            if (answer->verdict != VS_SERVED) {
                return question;
            }
        }
        return Error{EADDRINUSE, cat("there is a flow from each port from ", kFirstPort, " to ", kLastPort,
                                     " of the client's already: name the port")};
    }

    [[nodiscard]] std::optional<vs_backend> backend_of(const DryRun::Answer& answer) const {
        const auto rule = answer.rule ? dry_.rule(*answer.rule) : std::nullopt;
        return rule ? std::optional(rule->backend[answer.slot.value_or(rule->active & 1)]) : std::nullopt;
    }

    Status ask_middle(Evidence& evidence) {
        auto question = question_of(evidence.query, *evidence.query.source_port);
        question->tcp_flags = TH_ACK;
        const auto answer = dry_.from_client(device_, mac_, *question);
        if (!answer) {
            return answer.error();
        }
        evidence.goes_on = ruling_of(dry_, *answer);
        if (const auto backend = backend_of(*answer); backend && answer->verdict == VS_SERVED) {
            evidence.open = is_open_in(namespace_at(socket_, instance_, backend->nsid), evidence.query);
        }
        return {};
    }

    Status ask_back(Evidence& evidence, const Question& question, IfIndex device) {
        const Link* const link = link_with(links_, device);
        if (link == nullptr) {
            return {};
        }
        const auto answer = dry_.from_service(number(device), link->mac, question.turned(TH_SYN | TH_ACK));
        if (!answer) {
            return answer.error();
        }
        evidence.reply = ruling_of(dry_, *answer);
        const auto back = named(way_to(socket_, question.source, Arrival{question.destination, device}), links_);
        if (back && back->way.kind == Way::Kind::forward) {
            evidence.back = *back;
        }
        return {};
    }

    DryRun dry_;
    const NlSocket& socket_;
    const std::vector<Link>& links_;
    const Instance& instance_;
    Mac mac_{};                 // of the router, where the packet comes in
    std::uint32_t device_ = 0;  // by which it does
};

void ask_programs(Evidence& evidence, const NlSocket& socket, const std::vector<Link>& links, const Link& filtered,
                  const Instance& instance) {
    auto dry = DryRun::open(instance.bpf_dir());
    const auto status = dry ? Asking(*std::move(dry), socket, links, instance).fill(evidence, filtered)
                            : Status(std::move(dry).error());
    if (!status) {
        evidence.not_asked = status.error().what;
    }
}

/// The classic grade has no programs: what its filters do follows from the rules that viscumd reports.
void ask_report(Evidence& evidence) {
    evidence.begins = ruling_by_report(evidence.query, *evidence.daemon);
    for (const auto& service : evidence.daemon->services) {
        const auto owns = [&](const auto& claim) {
            return evidence.begins->claim && claim.claim == evidence.begins->claim->text();
        };
        const auto ns = std::ranges::any_of(service.claims, owns) ? NetNs::open(service.namespace_name)
                                                                  : Result<NetNs>(Error{ENOENT, ""});
        if (auto found = ns ? listening_in(*ns, evidence.query.protocol == Protocol::udp)
                            : Result<std::vector<Listening>>(ns.error())) {
            evidence.listening = *std::move(found);
        }
    }
}

}  // namespace

Result<Evidence> gather(const Instance& instance, const FlowQuery& query, std::optional<DaemonReport> daemon) {
    const auto socket = NlSocket::open();
    if (!socket) {
        return socket.error();
    }
    const auto links = observe_whole([&] { return list_links(*socket); });
    if (!links) {
        return links.error();
    }
    Evidence evidence;
    evidence.query = query;
    evidence.daemon = std::move(daemon);
    auto client = named(way_to(*socket, query.source), *links);
    if (!client) {
        return std::move(client).error();
    }
    evidence.client = *std::move(client);
    // A rule of the router's may ask where it came in; where the kernel does not take that question, without it.
    const bool arrives = evidence.client.way.kind == Way::Kind::forward;
    auto onward = named(arrives ? way_to(*socket, query.destination, Arrival{query.source, evidence.client.way.device})
                                : way_to(*socket, query.destination),
                        *links);
    if (!onward) {
        onward = named(way_to(*socket, query.destination), *links);
    }
    if (!onward) {
        return std::move(onward).error();
    }
    evidence.onward = *std::move(onward);
    if (auto tables = list_flow_tables()) {
        evidence.flow_tables = *std::move(tables);
    }
    if (!arrives) {
        return evidence;
    }
    const Link* const filtered = find_way_in(evidence, *socket, *links,
                                             [&](const Link& link) { return carries_ours(evidence, link, instance); });
    if (filtered == nullptr) {
        return evidence;
    }
    if (evidence.daemon && evidence.daemon->grade == "classic") {
        ask_report(evidence);
    } else {
        ask_programs(evidence, *socket, *links, *filtered, instance);
    }
    return evidence;
}

}  // namespace viscum
