// SPDX-License-Identifier: GPL-2.0-only
#include "controller/world/socket_grade.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "controller/world/change_over.h"
#include "netns/conntrack.h"
#include "tcprog/attach.h"
#include "tcprog/counters.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxMarked = 4096;  // of entries in vs_lans, which has fewer
constexpr std::size_t kTrackedFlows = 4096;

/// The one place where a claim becomes the rule table's key.
RuleKey rule_key(const Claim& claim) {
    return {claim.prefix, claim.ports.first, claim.ports.last, static_cast<std::uint8_t>(claim.protocol)};
}

Rule to_rule(const LinkedRule& wanted) {
    Rule rule;
    rule.key = rule_key(wanted.rule.claim);
    rule.service = wanted.rule.service;
    for (std::size_t slot = 0; slot < wanted.links.size(); ++slot) {
        rule.backend[slot] = {wanted.links[slot].nsid, number(wanted.links[slot].device)};
    }
    rule.active = static_cast<std::uint8_t>(wanted.rule.active);
    rule.admission = wanted.rule.admission;
    rule.closed = wanted.rule.closed;
    rule.several_addresses = wanted.rule.several;
    return rule;
}

Status done(const Result<int>& written) {
    return written ? Status{} : Status{written.error()};
}

Status done(const Result<Attached>& attached) {
    return attached ? Status{} : Status{attached.error()};
}

/// The preferred source of a family; see WantedBackend.
std::optional<LinkAlias> own_alias(const WantedBackend& wanted, const std::optional<IpAddress>& alias) {
    if (!alias) {
        return std::nullopt;
    }
    const auto owned = std::find_if(wanted.addresses.begin(), wanted.addresses.end(),
                                    [&](const auto& address) { return address.is_v4() == alias->is_v4(); });
    return owned == wanted.addresses.end() ? std::nullopt : std::optional<LinkAlias>({*owned, *alias});
}

LinkEgress entry_of(const WantedBackend& wanted, std::uint32_t nsid, const Mac& mac) {
    const WantedEgress& egress = *wanted.egress;
    LinkEgress entry;
    entry.nsid = nsid;
    entry.mac = mac;
    entry.v4 = own_alias(wanted, egress.alias_v4);
    entry.v6 = own_alias(wanted, egress.alias_v6);
    entry.internet = egress.allowed.internet;
    for (const auto& [owned, alias] : egress.origins) {
        entry.origins.push_back({owned, alias});
    }
    for (const auto& target : egress.allowed.targets) {
        const std::uint16_t port = target.ports.is_single() ? target.ports.first : std::uint16_t{0};
        entry.targets.push_back({target.prefix, port, static_cast<std::uint8_t>(target.protocol)});
    }
    return entry;
}

}  // namespace

SocketGrade::SocketGrade(const Instance& instance, std::unique_ptr<Datapath> datapath)
    : instance_(instance.name),
      filter_handle_(viscum::filter_handle(instance.name)),
      datapath_(std::move(datapath)),
      rules_(RuleTable::adopt(*datapath_)),
      links_(LinkTable::adopt(*datapath_)) {}

Result<std::unique_ptr<SocketGrade>> SocketGrade::open(const Instance& instance, const TableSizes& tables,
                                                       const NlSocket& socket, NewerTables newer) {
    auto datapath = open_datapath(instance.bpf_dir(), {tables.rules, tables.flows, tables.fragments}, newer);
    if (!datapath) {
        return std::move(datapath).error();
    }
    if (auto status = (*datapath)->adopted ? Status{} : try_filters((*datapath)->lan); !status) {
        return std::move(status).error();
    }
    if (auto status = change_over(socket, **datapath, viscum::filter_handle(instance.name)); !status) {
        return std::move(status).error();
    }
    return std::unique_ptr<SocketGrade>(new SocketGrade(instance, std::move(*datapath)));
}

Grade::LinkShape SocketGrade::link_shape(const std::string& service) const {
    return {service_mac(instance_, service), false, true, std::nullopt};
}

std::string SocketGrade::unfit(const LanPort& port) const {
    return port.ethernet ? "" : "carries no Ethernet frames";
}

Result<bool> SocketGrade::attached(IfIndex device) {
    return filter_attached(number(device), filter_handle_, datapath_->lan);
}

bool SocketGrade::carries(IfIndex device) {
    return carries_filter(number(device), filter_handle_);
}

Status SocketGrade::refresh(const LanPort& port) {
    return done(rules_.set_lan_device(number(port.device), port.is_port ? std::optional(port.mac) : std::nullopt));
}

Status SocketGrade::attach(const LanPort& port) {
    if (auto marked = refresh(port); !marked) {
        return marked;
    }
    return done(attach_filter(number(port.device), filter_handle_, datapath_->lan));
}

Status SocketGrade::detach(IfIndex device) {
    auto status = detach_filter(number(device), filter_handle_);
    return status ? forget(device) : status;
}

std::vector<IfIndex> SocketGrade::remembered() const {
    std::vector<IfIndex> devices;
    for (const auto& [index, mark] : datapath_->lans.entries(kMaxMarked)) {
        devices.push_back(IfIndex{index});
    }
    return devices;
}

Status SocketGrade::forget(IfIndex device) {
    return done(rules_.set_lan_device(number(device), std::nullopt));
}

Result<bool> SocketGrade::fenced(const LinkEnd& link) {
    return filter_attached(number(link.device), filter_handle_, datapath_->service);
}

Status SocketGrade::fence(const LinkEnd& link, const WantedBackend&) {
    return done(attach_filter(number(link.device), filter_handle_, datapath_->service));
}

Status SocketGrade::clear(IfIndex link) {
    return done(links_.apply(number(link), std::nullopt));
}

Status SocketGrade::set_egress(const LinkEnd& link, const std::string& service, const WantedBackend& wanted) {
    const std::uint32_t device = number(link.device);
    if (!wanted.egress) {
        auto status = clear(link.device);
        return status ? detach_filter(device, filter_handle_, Direction::egress) : status;
    }
    // The way back is guarded before there is one.
    const auto attached = attach_filter(device, filter_handle_, datapath_->vs_return, Direction::egress);
    if (!attached) {
        return attached.error();
    }
    return done(links_.apply(device, entry_of(wanted, link.nsid, service_mac(instance_, service))));
}

Result<bool> SocketGrade::egress_in_place(const LinkEnd& link) {
    return filter_attached(number(link.device), filter_handle_, datapath_->vs_return, Direction::egress);
}

Status SocketGrade::forget_links_but(const std::set<IfIndex>& links) {
    for (const std::uint32_t device : links_.links()) {
        if (links.contains(IfIndex{device})) {
            continue;
        }
        if (auto status = clear(IfIndex{device}); !status) {
            return status;
        }
    }
    return {};
}

std::vector<std::pair<std::string, std::uint64_t>> SocketGrade::egress_counters(IfIndex link) const {
    std::vector<std::pair<std::string, std::uint64_t>> out;
    const LinkCounters counted = links_.counters(number(link));
    for (const auto& [name, packets] : {std::pair("out", counted.out), std::pair("in", counted.in)}) {
        if (packets != 0) {
            out.emplace_back(name, packets);
        }
    }
    out.insert(out.end(), counted.refused.begin(), counted.refused.end());
    return out;
}

std::optional<EgressBytes> SocketGrade::egress_bytes(IfIndex link) const {
    const LinkCounters counted = links_.counters(number(link));
    return counted.known ? std::optional(EgressBytes{number(link), counted.in_bytes, counted.out_bytes}) : std::nullopt;
}

Status SocketGrade::write(const std::vector<LinkedRule>& rules) {
    std::vector<Rule> table;
    table.reserve(rules.size());
    for (const auto& rule : rules) {
        table.push_back(to_rule(rule));
    }
    return done(rules_.apply(table));
}

std::optional<Grade::Standing> SocketGrade::standing(const Claim& claim) const {
    const auto index = rules_.index_of(rule_key(claim));
    const auto rule = index ? datapath_->rules.find(*index) : std::nullopt;
    return rule ? std::optional<Standing>({static_cast<Admission>(rule->admission), rule->active & 1}) : std::nullopt;
}

Status SocketGrade::keep_tracked_flows(const std::vector<Claim>& claims) {
    std::vector<IpPrefix> destinations;
    for (const auto& claim : claims) {
        destinations.push_back(claim.prefix);
    }
    const auto tracked = tracked_flows(Transport::udp, destinations, kTrackedFlows);
    if (!tracked) {
        return tracked.error();
    }
    std::vector<CloudFlow> flows;
    for (const auto& flow : *tracked) {
        const bool claimed = std::any_of(claims.begin(), claims.end(), [&](const Claim& claim) {
            return claim.prefix.contains(flow.destination) && claim.ports.first <= flow.destination_port &&
                   flow.destination_port <= claim.ports.last;
        });
        if (claimed) {
            flows.push_back({flow.source, flow.destination, flow.source_port, flow.destination_port});
        }
    }
    return rules_.keep_with_cloud(flows);
}

ClaimCounters SocketGrade::counters(const Claim& claim) {
    ClaimCounters out;
    const auto index = rules_.index_of(rule_key(claim));
    if (!index) {
        return out;
    }
    const auto counted = read_counters(*datapath_, *index);
    if (!counted) {
        out.known = false;
        return out;
    }
    out.flows = counted->flows;
    out.packets_in = counted->packets_in;
    out.bytes_in = counted->bytes_in;
    out.packets_out = counted->packets_out;
    out.bytes_out = counted->bytes_out;
    out.flows_cloud = counted->flows_cloud;
    for (std::size_t reason = 0; reason < counted->cloud.size(); ++reason) {
        if (counted->cloud[reason] != 0) {
            out.cloud.emplace_back(reason_name(reason), counted->cloud[reason]);
        }
    }
    return out;
}

std::vector<std::pair<std::string, std::uint64_t>> SocketGrade::verdicts() {
    std::vector<std::pair<std::string, std::uint64_t>> out;
    if (const auto verdicts = read_verdicts(*datapath_)) {
        for (std::size_t i = 0; i < verdicts->size(); ++i) {
            if ((*verdicts)[i] != 0) {
                out.emplace_back(verdict_name(i), (*verdicts)[i]);
            }
        }
    }
    return out;
}

void SocketGrade::retire(const std::vector<Link>& links) {
    if (std::exchange(first_look_, false)) {
        remove_classic(links, instance_);
    }
    retire_earlier(links, *datapath_, filter_handle_);
}

}  // namespace viscum
