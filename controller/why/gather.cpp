// SPDX-License-Identifier: GPL-2.0-only
#include "controller/why/gather.h"

#include <netinet/tcp.h>

#include <algorithm>

#include "base/text.h"
#include "controller/why/claim_text.h"
#include "netns/link.h"
#include "tcprog/attach.h"
#include "tcprog/counters.h"
#include "tcprog/dry_run.h"
#include "tcprog/rule_index.h"

namespace viscum {
namespace {

constexpr std::uint16_t kFirstPort = 61'000;  // of a client's that is made up: above what Linux chooses by itself
constexpr std::uint16_t kLastPort = 61'999;

const Link* link_with(const std::vector<Link>& links, IfIndex index) {
    const auto found = std::ranges::find(links, index, &Link::index);
    return found == links.end() ? nullptr : &*found;
}

Result<NamedWay> named(Result<Way> way, const std::vector<Link>& links) {
    if (!way) {
        return std::move(way).error();
    }
    const Link* const link = link_with(links, way->device);
    return NamedWay{*way, link == nullptr ? "" : link->name};
}

/// The device or port that carries our filter, by what viscumd says, or by a look where it says nothing.
const Link* filtered_link(const Evidence& evidence, const std::vector<Link>& links, const Instance& instance) {
    const auto carries = [&](const Link& link) {
        if (!evidence.daemon) {
            return carries_filter(number(link.index), filter_handle(instance.name));
        }
        return std::ranges::any_of(evidence.daemon->lan,
                                   [&](const auto& lan) { return lan.attached && lan.device == link.name; });
    };
    const IfIndex device = evidence.client.way.device;
    const auto found = std::ranges::find_if(
        links, [&](const Link& link) { return (link.index == device || link.master == device) && carries(link); });
    return found == links.end() ? nullptr : &*found;
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
std::vector<Listening> listening_at(const NlSocket& socket, const Instance& instance, std::uint32_t nsid,
                                    Protocol protocol) {
    const auto names = net_ns_names(instance.name + "-");
    for (const auto& name : names ? *names : std::vector<std::string>()) {
        const auto ns = NetNs::open(name);
        const auto id = ns ? known_net_ns_id(socket, *ns) : Result<std::optional<std::uint32_t>>(ns.error());
        if (id && *id == nsid) {
            auto found = listening_in(*ns, protocol == Protocol::udp);
            return found ? *std::move(found) : std::vector<Listening>();
        }
    }
    return {};
}

/// The socket grade: its programs are asked.
class Asking {
public:
    Asking(DryRun dry, const NlSocket& socket, const std::vector<Link>& links, const Instance& instance)
        : dry_(std::move(dry)), socket_(socket), links_(links), instance_(instance) {}

    Status fill(Evidence& evidence, const Link& filtered) {
        const Link* const router = link_with(links_, evidence.client.way.device);
        const Mac mac = router == nullptr ? filtered.mac : router->mac;
        const std::uint32_t device = number(filtered.index);
        Question question = question_of(evidence.query);
        if (evidence.query.source_port && evidence.query.protocol == Protocol::tcp) {
            question.tcp_flags = TH_ACK;
            const auto answer = dry_.from_client(device, mac, question);
            if (!answer) {
                return answer.error();
            }
            evidence.goes_on = ruling_of(dry_, *answer);
        }
        question.tcp_flags = TH_SYN;
        const auto answer = dry_.from_client(device, mac, question);
        if (!answer) {
            return answer.error();
        }
        evidence.begins = ruling_of(dry_, *answer);
        const auto rule = answer->rule ? dry_.rule(*answer->rule) : std::nullopt;
        if (!rule) {
            return {};
        }
        const auto& backend = rule->backend[answer->slot.value_or(rule->active & 1)];
        evidence.listening = listening_at(socket_, instance_, backend.nsid, evidence.query.protocol);
        return answer->verdict == VS_SERVED ? ask_back(evidence, question, IfIndex{backend.ifindex}) : Status{};
    }

private:
    [[nodiscard]] Question question_of(const FlowQuery& query) const {
        Question question{query.source, query.destination, query.source_port.value_or(kFirstPort), query.port,
                          static_cast<std::uint8_t>(query.protocol)};
        // Of a datagram that is made up nothing may be known yet.
        while (!query.source_port && question.source_port < kLastPort && dry_.knows_flow(question)) {
            ++question.source_port;
        }
        return question;
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
        return {};
    }

    DryRun dry_;
    const NlSocket& socket_;
    const std::vector<Link>& links_;
    const Instance& instance_;
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
    const Link* const filtered =
        evidence.client.way.kind == Way::Kind::forward ? filtered_link(evidence, *links, instance) : nullptr;
    if (filtered == nullptr) {
        return evidence;
    }
    evidence.filter_device = filtered->name;
    if (evidence.daemon && evidence.daemon->grade == "classic") {
        ask_report(evidence);
    } else {
        ask_programs(evidence, *socket, *links, *filtered, instance);
    }
    return evidence;
}

}  // namespace viscum
