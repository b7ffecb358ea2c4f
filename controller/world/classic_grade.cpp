// SPDX-License-Identifier: GPL-2.0-only
#include "controller/world/classic_grade.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.h"
#include "netns/addr.h"
#include "tcprog/attach.h"
#include "tcprog/loader.h"

namespace viscum {
namespace {

// u32 compares a packet with one filter after the other.
constexpr std::size_t kMaxFilters = 1024;  // on a device, ...
constexpr std::size_t kMaxOfClaims = kMaxFilters - KeptFlows::kMax;

/// From where services ask for clients' MACs that they serve from any address of an IPv6 prefix: such an address is no
/// source for a question.
const IpAddress& solicits_from() {
    static const IpAddress address = IpAddress::parse("fe80::76:6973").value_or(IpAddress{});
    return address;
}

bool is_link_local(const IpAddress& address) {
    return !address.is_v4() && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
}

}  // namespace

SteeredClaim steered_claim(const Claim& claim, int slot) {
    SteeredClaim steered;
    steered.destination = claim.prefix;
    steered.first_port = claim.ports.first;
    steered.last_port = claim.ports.last;
    steered.protocol = static_cast<std::uint8_t>(claim.protocol);
    steered.mark = claim_mark(claim.prefix, claim.ports.first, claim.ports.last, steered.protocol, slot);
    return steered;
}

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
            if (const auto kept = kept_flow_of(one.filter)) {
                auto flows = kept_.of(kept->link);
                flows.push_back(*kept);
                kept_.replace(kept->link, std::move(flows));
            }
            mac_ = serves(one.filter) ? mac_of(one.filter) : mac_;
            adopted_.push_back(std::move(one));
        }
    }
    return {};
}

Grade::LinkShape ClassicGrade::link_shape(const std::string& service) const {
    return {mac_.value_or(service_mac(instance_, service)), true, false, solicits_from()};
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
    learn_networks(*addresses);
    return {};
}

/// A device that has lost its address of a family keeps its networks until it has others: a LAN that is started anew is
/// without for a moment, and what runs is to go on.
void ClassicGrade::learn_networks(const std::vector<DeviceAddress>& addresses) {
    const auto of_lan = [this](IfIndex device) {
        return std::any_of(ports_.begin(), ports_.end(), [&](const auto& entry) {
            return entry.second.router == device && entry.second.ethernet && entry.second.mac == mac_;
        });
    };
    std::vector<LanNetwork> found;
    for (const DeviceAddress& item : addresses) {
        const LanNetwork network{IpPrefix::around(item.address, item.length), item.device};
        if (of_lan(item.device) && !network.prefix.is_single() && !is_link_local(item.address) &&
            std::find(found.begin(), found.end(), network) == found.end()) {
            found.push_back(network);
        }
    }
    const std::size_t now = found.size();
    for (const LanNetwork& known : networks_) {
        const bool other = std::any_of(
            found.begin(), found.begin() + static_cast<std::ptrdiff_t>(now), [&known](const LanNetwork& network) {
                return network.router == known.router && network.prefix.address.is_v4() == known.prefix.address.is_v4();
            });
        if (!other && of_lan(known.router)) {
            found.push_back(known);
        }
    }
    networks_ = std::move(found);
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
        claim.closed = rule.closed;
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

ClassicGrade::Fitting ClassicGrade::fit(const LanPort& port) const {
    const auto networks = networks_on(port.router);
    auto claims = steered();
    const std::size_t wanted = claims.size();
    auto filters = lan_filters(port.mac, networks, claims, kept_.all(), solicits_from());
    while (filters.size() > kMaxFilters && !claims.empty()) {
        give_last_to_cloud(claims);
        filters = lan_filters(port.mac, networks, claims, kept_.all(), solicits_from());
    }
    return {std::move(filters), wanted - claims.size()};
}

std::string ClassicGrade::shortfall(const LanPort& port) const {
    const std::size_t left_out = fit(port).left_out;
    return left_out == 0 ? ""
                         : cat("there is no room for ", left_out,
                               " of its claims, which the cloud serves: each takes a "
                               "filter for each network of the LAN, a range of ports up to 30, and ",
                               kMaxFilters, " have room");
}

/// On the device that has the most.
std::size_t ClassicGrade::filters_of_claims() const {
    std::size_t most = 0;
    for (const auto& [device, port] : ports_) {
        most = std::max(most, lan_filters(port.mac, networks_on(port.router), steered(), {}, solicits_from()).size());
    }
    return most;
}

Status ClassicGrade::apply(const LanPort& port) {
    const auto written = apply_u32(socket_, port.device, mark_, filters_on(port));
    return written ? Status{} : Status{written.error()};
}

/// Each device is tried; the first that fails tells why.
Status ClassicGrade::apply_all() {
    if (!rules_) {
        return {};  // what an earlier viscumd wrote stays until it is known what is wanted
    }
    Status first_error;
    for (const IfIndex device : attached_) {
        const auto port = ports_.find(device);
        if (port == ports_.end() || !unfit(port->second).empty()) {
            continue;
        }
        auto status = apply(port->second);
        const bool is_gone = !status && status.error().errno_code == ENODEV && !find_link(socket_, device);
        if (!status && first_error && !is_gone) {
            first_error = std::move(status);
        }
    }
    return first_error;
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
    return attached_.contains(device) && stands(*standing, filters_on(port->second));
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
    return fence_filters(link, mac_.value_or(Mac{}), networks_, claims, solicits_from());
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
    return stands(*standing, fence_of(link.device, known->second));
}

Status ClassicGrade::fence(const LinkEnd& link, const WantedBackend& wanted) {
    const auto written = apply_u32(socket_, link.device, mark_, fence_of(link.device, wanted), U32Order::highest_first);
    if (!written) {
        return written.error();
    }
    fences_[link.device] = wanted;
    return {};
}

Status ClassicGrade::clear(IfIndex link) {
    fences_.erase(link);
    return kept_.replace(link, {}) ? apply_all() : Status{};
}

Status ClassicGrade::set_egress(const LinkEnd&, const std::string&, const WantedBackend& wanted) {
    return wanted.egress ? Status{Error{EOPNOTSUPP, "services of the classic grade begin no flows"}} : Status{};
}

Status ClassicGrade::forget_links_but(const std::set<IfIndex>& links) {
    for (const IfIndex link : kept_.links_but(links)) {
        if (auto status = clear(link); !status) {
            return status;
        }
    }
    std::erase_if(fences_, [&](const auto& entry) { return !links.contains(entry.first); });
    return {};
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
    const std::size_t before_them = rules_ ? filters_of_claims() : 0;
    auto earlier = std::exchange(rules_, rules);
    if (const std::size_t needed = filters_of_claims(); needed > kMaxOfClaims && needed > before_them) {
        rules_ = std::move(earlier);
        return Error{ENOSPC, cat("the claims take ", needed, " filters, and the classic grade has room for ",
                                 kMaxOfClaims, " on a device")};
    }
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
    const auto left = std::find_if(adopted_.begin(), adopted_.end(), [&](const StandingFilter& one) {
        return serves(one.filter) && is_of(one.filter, steered_claim(claim, 0));
    });
    return left == adopted_.end() ? std::nullopt : std::optional<Standing>({Admission::serve, left->filter.mark & 1});
}

}  // namespace viscum
