// SPDX-License-Identifier: GPL-2.0-only
#include "controller/world/classic_grade.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "base/text.h"
#include "netns/addr.h"
#include "netns/conntrack.h"
#include "tcprog/attach.h"
#include "tcprog/loader.h"

namespace viscum {
namespace {

// u32 compares a packet with one filter after the other.
constexpr std::size_t kMaxFilters = 1024;
constexpr std::size_t kMaxKept = 256;
constexpr Millis kTidyEach{5000};
constexpr Millis kCountersHold{100};  // of one report

/// From where services ask for clients' MACs that they serve from any address of an IPv6 prefix: such an address is no
/// source for a question.
const IpAddress& solicits_from() {
    static const IpAddress address = IpAddress::parse("fe80::76:6973").value_or(IpAddress{});
    return address;
}

std::uint16_t mark_of(const Claim& claim, int slot) {
    return claim_mark(claim.prefix, claim.ports.first, claim.ports.last, static_cast<std::uint8_t>(claim.protocol),
                      slot);
}

bool is_of(const StandingFilter& standing, const Claim& claim) {
    return standing.filter.mark >> 1 == mark_of(claim, 0) >> 1;
}

SteeredClaim steered_claim(const Claim& claim, int slot) {
    SteeredClaim steered;
    steered.destination = claim.prefix;
    steered.first_port = claim.ports.first;
    steered.last_port = claim.ports.last;
    steered.protocol = static_cast<std::uint8_t>(claim.protocol);
    steered.mark = mark_of(claim, slot);
    return steered;
}

bool is_link_local(const IpAddress& address) {
    return !address.is_v4() && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
}

}  // namespace

ClassicGrade::ClassicGrade(const Instance& instance, std::string reason, NlSocket socket)
    : instance_(instance.name),
      mark_(u32_instance(instance.name)),
      reason_(std::move(reason)),
      socket_(std::move(socket)) {}

Result<std::unique_ptr<ClassicGrade>> ClassicGrade::open(const Instance& instance, std::string reason) {
    auto socket = NlSocket::open();
    if (!socket) {
        return std::move(socket).error();
    }
    std::unique_ptr<ClassicGrade> grade(new ClassicGrade(instance, std::move(reason), std::move(*socket)));
    const auto links = list_links(grade->socket_);
    if (!links) {
        return links.error();
    }
    if (access(instance.bpf_dir().c_str(), F_OK) == 0) {
        const std::uint32_t handle = filter_handle(instance.name);
        for (const Link& link : *links) {
            for (const auto direction : {Direction::ingress, Direction::egress}) {
                if (auto status = detach_filter(number(link.index), handle, direction); !status) {
                    return std::move(status).error();
                }
            }
        }
        if (auto status = remove_pins(instance.bpf_dir()); !status) {
            return std::move(status).error();
        }
    }
    if (auto status = grade->adopt(*links); !status) {
        return std::move(status).error();
    }
    return grade;
}

Status ClassicGrade::adopt(const std::vector<Link>& links) {
    for (const Link& link : links) {
        auto standing = list_u32(socket_, link.index, mark_);
        if (!standing) {
            return std::move(standing).error();
        }
        for (StandingFilter& one : *standing) {
            const auto kept = kept_flow_of(one.filter);
            if (kept && std::find(kept_.begin(), kept_.end(), *kept) == kept_.end()) {
                kept_.push_back(*kept);
            }
            adopted_.push_back(std::move(one));
        }
    }
    return {};
}

Grade::LinkShape ClassicGrade::link_shape(const std::string& service) const {
    return {mac_.value_or(service_mac(instance_, service)), true, solicits_from()};
}

Status ClassicGrade::look(const NlSocket& socket, const std::vector<LanPort>& ports) {
    ports_.clear();
    for (const LanPort& port : ports) {
        ports_.emplace(port.device, port);
    }
    const auto fits = [this](const LanPort& port) { return port.ethernet && port.mac == mac_; };
    if (std::none_of(ports.begin(), ports.end(), fits)) {
        const auto first = std::find_if(ports.begin(), ports.end(), [](const LanPort& port) { return port.ethernet; });
        mac_ = first == ports.end() ? mac_ : first->mac;
    }
    const auto addresses = list_addresses(socket);
    if (!addresses) {
        return addresses.error();
    }
    networks_.clear();
    for (const DeviceAddress& item : *addresses) {
        const bool of_lan = std::any_of(ports.begin(), ports.end(),
                                        [&](const LanPort& port) { return port.router == item.device && fits(port); });
        const LanNetwork network{IpPrefix::around(item.address, item.length), item.device};
        if (of_lan && !network.prefix.is_single() && !is_link_local(item.address) &&
            std::find(networks_.begin(), networks_.end(), network) == networks_.end()) {
            networks_.push_back(network);
        }
    }
    return {};
}

std::string ClassicGrade::unfit(const LanPort& port) const {
    if (!port.ethernet) {
        return "carries no Ethernet frames";
    }
    if (port.mac != mac_) {
        return cat("the classic grade serves devices of one MAC alone: ", mac_text(*mac_), ", not ",
                   mac_text(port.mac));
    }
    return networks_on(port.router).empty() ? "the router has no address there: the classic grade knows no clients"
                                            : "";
}

std::vector<LanNetwork> ClassicGrade::networks_on(IfIndex router) const {
    std::vector<LanNetwork> out;
    std::copy_if(networks_.begin(), networks_.end(), std::back_inserter(out),
                 [router](const LanNetwork& network) { return network.router == router; });
    return out;
}

std::vector<SteeredClaim> ClassicGrade::steered() const {
    std::vector<SteeredClaim> claims;
    for (const auto& [rule, links] : rules_ ? *rules_ : std::vector<LinkedRule>()) {
        SteeredClaim claim = steered_claim(rule.claim, rule.active);
        const LinkEnd& active = links[static_cast<std::size_t>(rule.active)];
        if (rule.admission == Admission::serve && number(active.device) != 0) {
            claim.to = active.device;
        } else if (rule.closed) {
            claim.to = kNowhere;
        }
        for (const LinkEnd& link : links) {
            if (number(link.device) != 0) {
                claim.links.push_back(link.device);
            }
        }
        claims.push_back(std::move(claim));
    }
    return claims;
}

Result<std::vector<U32Filter>> ClassicGrade::filters_on(const LanPort& port) const {
    auto filters = lan_filters(port.mac, networks_on(port.router), steered(), kept_, solicits_from());
    if (filters.size() > kMaxFilters) {
        return Error{ENOSPC, cat("the claims take ", filters.size(), " filters, and the classic grade has room for ",
                                 kMaxFilters, " on a device")};
    }
    return filters;
}

Status ClassicGrade::apply(const LanPort& port) {
    const auto filters = filters_on(port);
    if (!filters) {
        return filters.error();
    }
    const auto written = apply_u32(socket_, port.device, mark_, *filters);
    return written ? Status{} : Status{written.error()};
}

/// Each device is tried; the first that fails tells why.
Status ClassicGrade::apply_all() {
    Status first;
    for (const IfIndex device : attached_) {
        const auto port = ports_.find(device);
        if (port == ports_.end() || !unfit(port->second).empty()) {
            continue;
        }
        if (auto status = apply(port->second); !status && first && status.error().errno_code != ENODEV) {
            first = std::move(status);
        }
    }
    return first;
}

Result<bool> ClassicGrade::attached(IfIndex device) {
    const auto port = ports_.find(device);
    if (port == ports_.end()) {
        return false;
    }
    const auto standing = list_u32(socket_, device, mark_);
    if (!standing) {
        return standing.error();
    }
    if (!rules_) {
        if (!standing->empty()) {
            attached_.insert(device);  // by an earlier viscumd
        }
        return !standing->empty();
    }
    const auto wanted = filters_on(port->second);
    return attached_.contains(device) && wanted && standing->size() == wanted->size() &&
           std::all_of(standing->begin(), standing->end(), [&](const StandingFilter& one) {
               return std::find(wanted->begin(), wanted->end(), one.filter) != wanted->end();
           });
}

bool ClassicGrade::carries(IfIndex device) {
    const auto standing = list_u32(socket_, device, mark_);
    return standing && !standing->empty();
}

Status ClassicGrade::attach(const LanPort& port) {
    attached_.insert(port.device);
    return apply(port);
}

Status ClassicGrade::detach(IfIndex device) {
    attached_.erase(device);
    const auto written = apply_u32(socket_, device, mark_, {});
    return written || written.error().errno_code == ENODEV ? Status{} : Status{written.error()};
}

Status ClassicGrade::forget(IfIndex device) {
    attached_.erase(device);
    return {};
}

std::vector<U32Filter> ClassicGrade::fence_of(IfIndex link, const WantedBackend& wanted) const {
    std::vector<SteeredClaim> claims;
    for (const Claim& claim : wanted.claims) {
        claims.push_back(steered_claim(claim, 0));
    }
    return fence_filters(link, networks_, claims);
}

Result<bool> ClassicGrade::fenced(const LinkEnd& link) {
    const auto known = fences_.find(link.device);
    if (known == fences_.end()) {
        return false;
    }
    const auto standing = list_u32(socket_, link.device, mark_);
    if (!standing) {
        return standing.error();
    }
    const auto wanted = fence_of(link.device, known->second);
    return standing->size() == wanted.size() &&
           std::all_of(standing->begin(), standing->end(), [&](const StandingFilter& one) {
               return std::find(wanted.begin(), wanted.end(), one.filter) != wanted.end();
           });
}

Status ClassicGrade::fence(const LinkEnd& link, const WantedBackend& wanted) {
    const auto written = apply_u32(socket_, link.device, mark_, fence_of(link.device, wanted));
    if (!written) {
        return written.error();
    }
    fences_[link.device] = wanted;
    return {};
}

Status ClassicGrade::clear(IfIndex link) {
    fences_.erase(link);
    return replace_kept(link, {}) ? apply_all() : Status{};
}

Status ClassicGrade::set_egress(const LinkEnd&, const std::string&, const WantedBackend& wanted) {
    return wanted.egress ? Status{Error{EOPNOTSUPP, "services of the classic grade begin no flows"}} : Status{};
}

Status ClassicGrade::forget_links_but(const std::set<IfIndex>& links) {
    std::set<IfIndex> gone;
    for (const KeptFlow& flow : kept_) {
        if (number(flow.link) != 0 && !links.contains(flow.link)) {
            gone.insert(flow.link);
        }
    }
    for (const IfIndex link : gone) {
        if (auto status = clear(link); !status) {
            return status;
        }
    }
    std::erase_if(fences_, [&](const auto& entry) { return !links.contains(entry.first); });
    return {};
}

bool ClassicGrade::replace_kept(IfIndex link, std::vector<KeptFlow> flows) {
    std::vector<KeptFlow> kept;
    std::copy_if(kept_.begin(), kept_.end(), std::back_inserter(kept),
                 [link](const KeptFlow& flow) { return flow.link != link; });
    for (const KeptFlow& flow : flows) {
        // A flow has one place.
        std::erase_if(kept, [&](const KeptFlow& other) {
            KeptFlow same = other;
            same.link = flow.link;
            return same == flow;
        });
    }
    const std::size_t room = kMaxKept - std::min(kMaxKept, kept.size());
    if (flows.size() > room) {
        not_kept_ += flows.size() - room;
        flows.resize(room);
    }
    kept.insert(kept.end(), flows.begin(), flows.end());
    std::sort(kept.begin(), kept.end());
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
    const bool changed = kept != kept_;
    kept_ = std::move(kept);
    return changed;
}

Status ClassicGrade::keep_open_flows(IfIndex link, const std::vector<OpenFlow>& flows) {
    std::vector<KeptFlow> kept;
    for (const OpenFlow& flow : flows) {
        kept.push_back({flow.client, flow.service, flow.client_port, flow.service_port, IPPROTO_TCP, link});
    }
    return replace_kept(link, std::move(kept)) ? apply_all() : Status{};
}

Result<bool> ClassicGrade::find_cloud_flows(const std::vector<Claim>& claims) {
    std::vector<IpPrefix> destinations;
    for (const Claim& claim : claims) {
        destinations.push_back(claim.prefix);
    }
    std::vector<KeptFlow> flows;
    std::copy_if(kept_.begin(), kept_.end(), std::back_inserter(flows),
                 [](const KeptFlow& flow) { return number(flow.link) == 0; });
    for (const Transport transport : {Transport::tcp, Transport::udp}) {
        const auto tracked = tracked_flows(transport, destinations, kMaxKept);
        if (!tracked) {
            return tracked.error();
        }
        for (const TrackedFlow& flow : *tracked) {
            flows.push_back({flow.source, flow.destination, flow.source_port, flow.destination_port,
                             static_cast<std::uint8_t>(transport), IfIndex{}});
        }
    }
    return replace_kept(IfIndex{}, std::move(flows));
}

Status ClassicGrade::write(const std::vector<LinkedRule>& rules) {
    std::vector<Claim> fresh;
    for (const LinkedRule& linked : rules) {
        const auto before = standing(linked.rule.claim);
        if (linked.rule.admission == Admission::serve && (!before || before->admission != Admission::serve)) {
            fresh.push_back(linked.rule.claim);
        }
    }
    if (const auto found = fresh.empty() ? Result<bool>(false) : find_cloud_flows(fresh); !found) {
        return found.error();
    }
    rules_ = rules;
    adopted_.clear();
    if (auto status = apply_all(); !status || fresh.empty()) {
        return status;
    }
    // Those that began until the filters stood.
    const auto more = find_cloud_flows(fresh);
    if (!more) {
        return more.error();
    }
    return *more ? apply_all() : Status{};
}

std::optional<Grade::Standing> ClassicGrade::standing(const Claim& claim) const {
    if (rules_) {
        const auto known = std::find_if(rules_->begin(), rules_->end(),
                                        [&](const LinkedRule& one) { return one.rule.claim == claim; });
        return known == rules_->end() ? std::nullopt
                                      : std::optional<Standing>({known->rule.admission, known->rule.active});
    }
    const auto left = std::find_if(adopted_.begin(), adopted_.end(),
                                   [&](const StandingFilter& one) { return serves(one.filter) && is_of(one, claim); });
    return left == adopted_.end() ? std::nullopt : std::optional<Standing>({Admission::serve, left->filter.mark & 1});
}

const std::vector<StandingFilter>& ClassicGrade::standing_filters() {
    if (boot_now() - counted_at_ < kCountersHold && counted_at_ != BootTime{}) {
        return counted_;
    }
    counted_.clear();
    std::set<IfIndex> devices = attached_;
    for (const auto& [link, wanted] : fences_) {
        devices.insert(link);
    }
    for (const IfIndex device : devices) {
        if (auto standing = list_u32(socket_, device, mark_)) {
            std::move(standing->begin(), standing->end(), std::back_inserter(counted_));
        }
    }
    counted_at_ = boot_now();
    return counted_;
}

ClaimCounters ClassicGrade::counters(const Claim& claim) {
    ClaimCounters out;
    for (const StandingFilter& one : standing_filters()) {
        if (one.filter.mark == 0 || one.filter.target == kNowhere || !is_of(one, claim)) {
            continue;
        }
        (serves(one.filter) ? out.packets_in : out.packets_out) += one.packets;
        (serves(one.filter) ? out.bytes_in : out.bytes_out) += one.bytes;
    }
    return out;
}

std::vector<std::pair<std::string, std::uint64_t>> ClassicGrade::verdicts() {
    std::vector<std::pair<std::string, std::uint64_t>> out;
    if (not_kept_ != 0) {
        out.emplace_back("not-kept", not_kept_);
    }
    return out;
}

/// Flows of the cloud's that connection tracking has forgotten need no filter any more.
void ClassicGrade::tidy() {
    const bool any = std::any_of(kept_.begin(), kept_.end(), [](const auto& flow) { return number(flow.link) == 0; });
    if (!any || boot_now() - tidied_ < kTidyEach) {
        return;
    }
    tidied_ = boot_now();
    std::vector<IpPrefix> destinations;
    std::vector<KeptFlow> flows;
    for (const KeptFlow& flow : kept_) {
        destinations.push_back({flow.service, flow.service.width()});
    }
    for (const Transport transport : {Transport::tcp, Transport::udp}) {
        const auto tracked = tracked_flows(transport, destinations, SIZE_MAX);
        if (!tracked) {
            return;  // what cannot be seen stays
        }
        for (const KeptFlow& flow : kept_) {
            const TrackedFlow same{flow.client, flow.service, flow.client_port, flow.service_port};
            if (number(flow.link) == 0 && flow.protocol == static_cast<std::uint8_t>(transport) &&
                std::find(tracked->begin(), tracked->end(), same) != tracked->end()) {
                flows.push_back(flow);
            }
        }
    }
    if (replace_kept(IfIndex{}, std::move(flows))) {
        [[maybe_unused]] const auto status = apply_all();  // the next look sees what is missing
    }
}

}  // namespace viscum
