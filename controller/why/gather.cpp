// SPDX-License-Identifier: GPL-2.0-only
#include "controller/why/gather.h"

#include <netinet/tcp.h>

#include <algorithm>

#include "base/text.h"
#include "classic/u32.h"
#include "controller/why/ask_classic.h"
#include "controller/why/made_up.h"
#include "controller/why/service_ns.h"
#include "controller/why/way_in.h"
#include "netns/link.h"
#include "tcprog/attach.h"
#include "tcprog/counters.h"
#include "tcprog/dry_run.h"
#include "tcprog/rule_index.h"

namespace viscum {
namespace {

Result<NamedWay> named(Result<Way> way, const std::vector<Link>& links) {
    if (!way) {
        return std::move(way).error();
    }
    const Link* const link = link_with(links, way->device);
    return NamedWay{*way, link == nullptr ? "" : link->name};
}

bool has_program(const Link& link, const Instance& instance) {
    return carries_filter(number(link.index), filter_handle(instance.name));
}

/// By what viscumd says, or by a look where it says nothing.
bool carries_ours(const Evidence& evidence, const NlSocket& socket, const Link& link, const Instance& instance) {
    if (!evidence.daemon) {
        const auto filters = list_u32(socket, link.index, u32_instance(instance.name));
        return has_program(link, instance) || (filters && !filters->empty());
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
        const auto question = query.source_port ? question_of(query, *query.source_port, TH_SYN) : new_flow(query);
        if (!question) {
            return question.error();
        }
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
        evidence.listening = listening_for(ns, query);
        return answer->verdict == VS_SERVED ? ask_back(evidence, *question, IfIndex{backend->ifindex}) : Status{};
    }

private:
    /// From a port that is made up, of which the datapath knows nothing and no version of the service has a socket.
    Result<Question> new_flow(const FlowQuery& query) {
        for (std::uint16_t port = kFirstMadeUp; port <= kLastMadeUp; ++port) {
            const auto middle = question_of(query, port, TH_ACK);
            if (dry_.knows_flow(middle)) {
                continue;
            }
            if (query.protocol == Protocol::tcp) {
                const auto answer = dry_.from_client(device_, mac_, middle);
                if (!answer) {
                    return answer.error();
                }
                if (answer->verdict == VS_SERVED) {
                    continue;
                }
            }
            return question_of(query, port, TH_SYN);
        }
        return Error{EADDRINUSE, cat("there is a flow from each port from ", kFirstMadeUp, " to ", kLastMadeUp,
                                     " of the client's already: name the port")};
    }

    [[nodiscard]] std::optional<vs_backend> backend_of(const DryRun::Answer& answer) const {
        const auto rule = answer.rule ? dry_.rule(*answer.rule) : std::nullopt;
        const auto backend = rule ? rule->backend[answer.slot.value_or(rule->active & 1)] : vs_backend{};
        return backend.ifindex != 0 ? std::optional(backend) : std::nullopt;
    }

    Status ask_middle(Evidence& evidence) {
        const auto question = question_of(evidence.query, *evidence.query.source_port, TH_ACK);
        const auto answer = dry_.from_client(device_, mac_, question);
        if (!answer) {
            return answer.error();
        }
        evidence.goes_on = ruling_of(dry_, *answer);
        if (const auto backend = backend_of(*answer); backend && answer->verdict == VS_SERVED) {
            evidence.open = has_open(namespace_at(socket_, instance_, backend->nsid), evidence.query);
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
        // The program asks with the protocol alone.
        const Arrival arrival{question.destination, device, static_cast<std::uint8_t>(evidence.query.protocol)};
        const auto back = named(way_to(socket_, question.source, arrival), links_);
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

void ask(Evidence& evidence, const NlSocket& socket, const std::vector<Link>& links, const Link& filtered,
         const Instance& instance) {
    evidence.by_headers = evidence.daemon ? evidence.daemon->grade == "classic" : !has_program(filtered, instance);
    Status status;
    if (evidence.by_headers) {
        status = ask_filters(evidence, socket, links, filtered, instance);
    } else {
        auto dry = DryRun::open(instance.bpf_dir());
        status = dry ? Asking(*std::move(dry), socket, links, instance).fill(evidence, filtered)
                     : Status(std::move(dry).error());
    }
    if (!status) {
        evidence.not_asked = status.error().what;
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
    const Arrival arrival{query.source, evidence.client.way.device, static_cast<std::uint8_t>(query.protocol),
                          query.source_port.value_or(0), query.port};
    auto onward =
        named(arrives ? way_to(*socket, query.destination, arrival) : way_to(*socket, query.destination), *links);
    if (!onward) {
        onward = named(way_to(*socket, query.destination), *links);
    }
    if (!onward) {
        return std::move(onward).error();
    }
    evidence.onward = *std::move(onward);
    if (arrives && evidence.onward.way.kind == Way::Kind::forward && !query.destination.is_v4() &&
        !forwards_ipv6(evidence.client.way.device)) {
        evidence.onward = NamedWay{Way{Way::Kind::dropped}, ""};
    }
    if (auto tables = list_flow_tables()) {
        evidence.flow_tables = *std::move(tables);
    }
    if (!arrives) {
        return evidence;
    }
    const Link* const filtered = find_way_in(
        evidence, *socket, *links, [&](const Link& link) { return carries_ours(evidence, *socket, link, instance); });
    if (filtered == nullptr) {
        return evidence;
    }
    ask(evidence, *socket, *links, *filtered, instance);
    return evidence;
}

}  // namespace viscum
