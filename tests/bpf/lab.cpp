// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bpf/lab.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <doctest/doctest.h>
#include <linux/pkt_cls.h>
#include <net/if.h>

#include <algorithm>

#include "base/text.h"
#include "netns/link.h"
#include "netns/nl_socket.h"
#include "tcprog/attach.h"
#include "tests/support/bed.h"

namespace viscum {
namespace {

constexpr const char* kPins = "/sys/fs/bpf/lab";

template <class T>
bool checked(const Result<T>& result) {
    if (!result) {
        FAIL_CHECK(result.error().what);
    }
    return static_cast<bool>(result);
}

Status set_sysctls(const NetNs& ns, bool router) {
    return ns.inside([router]() -> Status {
        std::vector<std::pair<std::string, std::string>> wanted{{"ipv6/conf/all/accept_dad", "0"},
                                                                {"ipv6/conf/default/accept_dad", "0"},
                                                                {"ipv6/conf/default/addr_gen_mode", "1"}};
        if (router) {
            wanted.emplace_back("ipv4/ip_forward", "1");
            wanted.emplace_back("ipv6/conf/all/forwarding", "1");
        }
        for (const auto& [key, value] : wanted) {
            if (auto set = set_net_sysctl(key, value); !set) {
                return set;
            }
        }
        return {};
    });
}

constexpr const char* kRouterLines = R"(
link add lan0 address 02:00:5e:00:00:01 type veth peer name eth0 address 02:00:5e:00:00:02 netns client
link add svc0 type veth peer name eth0 address 02:56:53:00:00:01 netns service
link add svc1 type veth peer name eth0 address 02:56:53:00:00:01 netns service2
address add 10.77.0.1/16 dev lan0
address add 2001:db8:77::1/64 dev lan0 nodad
address add fe80::1/64 dev lan0 nodad
link set lan0 up
link set svc0 up
link set svc1 up
neighbor add 10.77.0.10 lladdr 02:00:5e:00:00:02 dev lan0
neighbor add 10.77.0.99 lladdr 02:00:5e:00:00:02 dev lan0
neighbor add 2001:db8:77::10 lladdr 02:00:5e:00:00:02 dev lan0
neighbor add 2001:db8:77::99 lladdr 02:00:5e:00:00:02 dev lan0
)";

constexpr const char* kClientLines = R"(
link set lo up
address add 10.77.0.10/16 dev eth0
address add 2001:db8:77::10/64 dev eth0 nodad
link set eth0 up
neighbor add 10.77.0.1 lladdr 02:00:5e:00:00:01 dev eth0
neighbor add 2001:db8:77::1 lladdr 02:00:5e:00:00:01 dev eth0
route add default via 10.77.0.1
route add ::/0 via 2001:db8:77::1
)";

constexpr const char* kUplinkLines = R"(
link add wan0 type veth peer name eth0 netns internet
link set svc0 arp off
link set svc1 arp off
address add 192.0.2.1/24 dev wan0
address add 2001:db8:1::1/64 dev wan0 nodad
address add fe80::1/64 dev wan0 nodad
link set wan0 up
route add default via 192.0.2.2
route add ::/0 via 2001:db8:1::2
route add 198.19.0.1/32 dev svc0
route add fd76:6973:6375:6d::1/128 dev svc0
)";

constexpr const char* kInternetLines = R"(
link set lo up
address add 192.0.2.2/24 dev eth0
address add 203.0.113.10/32 dev eth0
address add 203.0.113.200/32 dev eth0
address add 2001:db8:1::2/64 dev eth0 nodad
address add fe80::2/64 dev eth0 nodad
address add 2001:db8:c::10/128 dev eth0 nodad preferred_lft 0
address add 2001:db8:e::200/128 dev eth0 nodad preferred_lft 0
link set eth0 up
route add 198.19.0.0/16 via 192.0.2.1
route add fd76:6973:6375:6d::/64 via 2001:db8:1::1
)";

constexpr const char* kServiceLines = R"(
link set lo up
link set eth0 arp off
address add 203.0.113.10/32 dev eth0
address add 203.0.113.11/32 dev eth0
address add 203.0.113.20/32 dev eth0
address add 203.0.113.21/32 dev eth0
address add 2001:db8:c::10/128 dev eth0 nodad
address add 2001:db8:c::11/128 dev eth0 nodad preferred_lft 0
address add 2001:db8:c::20/128 dev eth0 nodad preferred_lft 0
address add 2001:db8:c::21/128 dev eth0 nodad preferred_lft 0
link set eth0 up
route add local 198.51.100.0/24 dev eth0
route add local 2001:db8:5::/48 dev eth0
route add default dev eth0 src 203.0.113.10
route add ::/0 dev eth0 src 2001:db8:c::10
)";

std::string action_text(std::uint32_t action) {
    switch (static_cast<std::int32_t>(action)) {
        case TC_ACT_UNSPEC: return "pass";
        case TC_ACT_SHOT: return "drop";
        case TC_ACT_REDIRECT: return "redirect";
        default: return cat("action ", static_cast<std::int32_t>(action));
    }
}

/// What the stacks' own multicast (MLD) is counted as, where the programs are attached.
bool is_background(std::size_t verdict) {
    return verdict == VS_UNCLAIMED || verdict == VS_FENCE_PROTOCOL || verdict == VS_RETURN_OTHER;
}

UniqueFd bound_socket(const NetNs& ns, int type, const Endpoint& at, bool dual_stack) {
    UniqueFd fd;
    const auto opened = ns.inside([&]() -> Status {
        fd.reset(socket(at.address.is_v4() ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0));
        const int on = 1;
        const int v6_only = dual_stack ? 0 : 1;
        setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (!at.address.is_v4()) {
            setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
        }
        const auto address = to_sockaddr(at);
        if (bind(fd.get(), address.get(), address.length) != 0 || (type == SOCK_STREAM && listen(fd.get(), 64) != 0)) {
            return errno_error(cat("cannot listen on ", at.text()));
        }
        return {};
    });
    return checked(opened) ? std::move(fd) : UniqueFd();
}

}  // namespace

std::unique_ptr<Lab> Lab::make(const DatapathSizes& sizes) {
    std::unique_ptr<Lab> lab(new Lab());
    return lab->set_up_network() && lab->set_up_datapath(sizes) ? std::move(lab) : nullptr;
}

Lab::~Lab() {
    const auto socket = NlSocket::open();
    for (const char* device : {"lan0", "svc0", "svc1", "wan0"}) {
        if (socket) {
            checked(delete_link(*socket, device));
        }
    }
    for (const char* name : {"client", "service", "service2", "internet"}) {
        checked(remove_net_ns_name(name));
    }
    checked(remove_pins(kPins));
}

bool Lab::set_up_network() {
    auto router = NetNs::current();
    auto client = NetNs::create("client");
    auto service = NetNs::create("service");
    auto service2 = NetNs::create("service2");
    if (!checked(router) || !checked(client) || !checked(service) || !checked(service2)) {
        return false;
    }
    for (const NetNs* ns : {&*client, &*service, &*service2}) {
        if (!checked(set_sysctls(*ns, false))) {
            return false;
        }
    }
    const auto socket = NlSocket::open();
    if (!checked(set_sysctls(*router, true)) || !checked(ip_batch(*router, kRouterLines)) ||
        !checked(ip_batch(*client, kClientLines)) || !checked(ip_batch(*service, kServiceLines)) ||
        !checked(ip_batch(*service2, kServiceLines)) || !checked(socket)) {
        return false;
    }
    const auto nsid = net_ns_id(*socket, *service);
    const auto nsid2 = net_ns_id(*socket, *service2);
    if (!checked(nsid) || !checked(nsid2)) {
        return false;
    }
    lan_ = if_nametoindex("lan0");
    backend_ = {RuleBackend{*nsid, if_nametoindex("svc0")}, RuleBackend{*nsid2, if_nametoindex("svc1")}};
    client_.emplace(std::move(*client));
    service_.emplace(std::move(*service));
    service2_.emplace(std::move(*service2));
    return true;
}

bool Lab::add_internet() {
    const auto router = NetNs::current();
    auto internet = NetNs::create("internet");
    if (!checked(router) || !checked(internet) || !checked(set_sysctls(*internet, false)) ||
        !checked(ip_batch(*router, kUplinkLines)) || !checked(ip_batch(*internet, kInternetLines))) {
        return false;
    }
    internet_.emplace(std::move(*internet));
    return true;
}

bool Lab::set_up_datapath(const DatapathSizes& sizes) {
    auto datapath = open_datapath(kPins, sizes);
    if (!checked(datapath)) {
        return false;
    }
    datapath_ = std::move(*datapath);
    table_.emplace(RuleTable::adopt(*datapath_));
    links_.emplace(LinkTable::adopt(*datapath_));
    return checked(table_->set_lease(std::nullopt));
}

Rule Lab::rule(const std::string& prefix, std::uint16_t first_port, std::uint16_t last_port,
               std::uint8_t protocol) const {
    Rule out;
    out.key = {IpPrefix::parse(prefix).value_or(IpPrefix{}), first_port, last_port, protocol};
    out.service = "lab";
    out.backend[0] = backend_[0];
    out.admission = Admission::serve;
    return out;
}

std::vector<Rule> Lab::usual_rules(const Family& family) const {
    return {rule(family.service, 80), rule(family.service, 53, IPPROTO_UDP)};
}

int Lab::apply(const std::vector<Rule>& rules) {
    const auto writes = table_->apply(rules);
    return checked(writes) ? *writes : -1;
}

LinkEgress Lab::egress(int slot) const {
    const auto alias = [](const Outside& side) {
        return LinkAlias{IpAddress::parse(side.owned).value_or(IpAddress{}),
                         IpAddress::parse(side.alias).value_or(IpAddress{})};
    };
    LinkEgress out;
    out.nsid = backend(slot).nsid;
    out.v4 = alias(kOutsides[0]);
    out.v6 = alias(kOutsides[1]);
    out.mac = kServiceMac;
    return out;
}

int Lab::allow(const std::optional<LinkEgress>& egress, int slot) {
    const auto writes = links_->apply(link_of(slot), egress);
    return checked(writes) ? *writes : -1;
}

std::uint64_t Lab::refused(const std::string& reason) const {
    for (const auto& [name, packets] : link_counters().refused) {
        if (name == reason) {
            return packets;
        }
    }
    FAIL_CHECK("no such reason: " << reason);
    return 0;
}

void Lab::set_full_at(std::uint64_t boot_ns, int slot) const {
    const std::uint32_t link = link_of(slot);
    std::vector<vs_link_counters> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    REQUIRE(bpf_map_lookup_elem(datapath_->link_counters.get(), &link, values.data()) == 0);
    for (auto& value : values) {
        value.full_at = boot_ns;
    }
    REQUIRE(bpf_map_update_elem(datapath_->link_counters.get(), &link, values.data(), BPF_EXIST) == 0);
}

Verdicts Lab::verdicts() const {
    const auto verdicts = read_verdicts(*datapath_);
    return checked(verdicts) ? *verdicts : Verdicts{};
}

RuleCounters Lab::counters(const Rule& rule) const {
    const auto index = table_->index_of(rule.key);
    REQUIRE(index);
    const auto counters = read_counters(*datapath_, *index);
    return checked(counters) ? *counters : RuleCounters{};
}

Outcome Lab::run(const BpfProgram& program, std::uint32_t ifindex, const Bytes& frame) {
    __sk_buff context{};
    context.ifindex = ifindex;
    Bytes out(frame.size() + 64);
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = frame.data();
    options.data_size_in = static_cast<__u32>(frame.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<__u32>(out.size());
    options.ctx_in = &context;
    options.ctx_size_in = sizeof context;
    const auto before = verdicts();
    if (const int error = bpf_prog_test_run_opts(program.fd.get(), &options); error != 0) {
        FAIL_CHECK(errno_error("cannot run the program", error).what);
        return {};
    }
    out.resize(options.data_size_out);
    const auto after = verdicts();
    std::uint64_t total = 0;
    std::size_t counted = after.size();
    for (std::size_t i = 0; i < after.size(); ++i) {
        total += after[i] - before[i];
        if (after[i] != before[i] && (counted == after.size() || !is_background(i))) {
            counted = i;
        }
    }
    if (attached_ ? total == 0 : total != 1) {
        FAIL_CHECK(cat(total, " verdicts for frame ", hex_dump(frame)));
    }
    return {cat(action_text(options.retval), ": ", verdict_name(counted)), std::move(out)};
}

Outcome Lab::lan(const Bytes& frame) {
    Outcome outcome = run(datapath_->lan, lan_, frame);
    if (outcome.frame != frame) {
        FAIL_CHECK(cat("damaged: ", outcome.text, " ", hex_dump(frame), " -> ", hex_dump(outcome.frame)));
    }
    return outcome;
}

Outcome Lab::service(const Bytes& frame, int slot) {
    return run(datapath_->service, link_of(slot), frame);
}

bool Lab::attach() {
    attached_ = true;
    const auto handle = filter_handle("lab");
    return checked(attach_filter(lan_, handle, datapath_->lan)) &&
           checked(attach_filter(link_of(0), handle, datapath_->service)) &&
           checked(attach_filter(link_of(1), handle, datapath_->service)) &&
           checked(attach_filter(link_of(0), handle, datapath_->vs_return, Direction::egress)) &&
           checked(attach_filter(link_of(1), handle, datapath_->vs_return, Direction::egress));
}

UniqueFd listen_tcp(const NetNs& ns, const std::string& address, std::uint16_t port) {
    return bound_socket(ns, SOCK_STREAM, Endpoint::of(address, port), false);
}

UniqueFd bind_udp(const NetNs& ns, const std::string& address, std::uint16_t port) {
    return bound_socket(ns, SOCK_DGRAM, Endpoint::of(address, port), false);
}

UniqueFd listen_dual_stack(const NetNs& ns, std::uint16_t port) {
    return bound_socket(ns, SOCK_STREAM, Endpoint::of("::", port), true);
}

}  // namespace viscum
