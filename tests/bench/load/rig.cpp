// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/load/rig.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "tests/bench/load/tracked.h"
#include "tests/support/http_client.h"
#include "tests/support/program.h"

namespace viscum {
namespace {

std::vector<std::string> words_of(const std::string& line) {
    std::vector<std::string> words;
    for (std::string& word : split(line, ' ')) {
        if (!word.empty()) {
            words.push_back(std::move(word));
        }
    }
    return words;
}

/// Where the kernel has no such key there is nothing to be set.
Status set_where_known(const NetNs& ns, const std::string& key, const std::string& value) {
    return ns.inside([&]() -> Status {
        const auto set = set_net_sysctl(key, value);
        return set || set.error().errno_code == ENOENT ? Status() : set;
    });
}

}  // namespace

Result<std::unique_ptr<Rig>> Rig::make(int number, bool firewall, const std::vector<std::string>& cloud) {
    const std::string prefix = cat("r", number, "-");
    auto bed = Bed::make({.clients = 1, .firewall = firewall, .cloud = cloud, .prefix = prefix});
    if (!bed) {
        return std::move(bed).error();
    }
    std::unique_ptr<Rig> rig(new Rig(std::move(*bed), prefix));
    if (auto set = set_where_known(rig->hotspot(), "bridge/bridge-nf-call-iptables", "0"); !set) {
        return std::move(set).error();
    }
    // A bridge without a MAC of its own takes another one where ports come or go.
    if (auto set = ip_batch(rig->hotspot(), "link set br-lan address 02:00:00:00:00:01\n"); !set) {
        return std::move(set).error();
    }
    for (const NetNs* ns : {&rig->hotspot(), &rig->client(), &rig->bed().cloud()}) {
        if (auto set = use_reno(*ns); !set) {
            return std::move(set).error();
        }
    }
    return rig;
}

Status Rig::begin_case() {
    std::string lines = address_.empty() ? "" : cat("address del ", address_, "/32 dev eth0\n");
    ++cases_;
    address_ = cat("10.77.", 1 + cases_ / 250, ".", 1 + cases_ % 250);
    lines += cat("address add ", address_, "/32 dev eth0\nroute replace default via 10.77.0.1 src ", address_, "\n");
    if (auto set = ip_batch(client(), lines); !set) {
        return set;
    }
    return forget_tracked(hotspot());
}

Result<NetNs> Rig::add_backend() const {
    auto ns = NetNs::create(prefix_ + "backend");
    if (!ns) {
        return ns;
    }
    const auto joined = ip_batch(hotspot(), cat("link add srv type veth peer name eth0 netns ", prefix_,
                                                "backend\n"
                                                "address add 10.99.0.1/30 dev srv\n"
                                                "link set srv up\n"));
    if (!joined) {
        return joined.error();
    }
    const auto set = ip_batch(*ns,
                              "link set lo up\n"
                              "address add 10.99.0.2/30 dev eth0\n"
                              "link set eth0 up\n"
                              "route add default via 10.99.0.1\n");
    if (!set) {
        return set.error();
    }
    const auto chosen = use_reno(*ns);
    return chosen ? std::move(ns) : Result<NetNs>(chosen.error());
}

Status use_reno(const NetNs& ns) {
    return set_where_known(ns, "ipv4/tcp_congestion_control", "reno");
}

Result<DevicePackets> device_packets(const NetNs& ns, const std::string& device) {
    const auto text = output_of({"cat", "/proc/net/dev"}, {.ns = &ns});
    if (!text) {
        return text.error();
    }
    for (const std::string& line : split(*text, '\n')) {
        const auto words = words_of(line);
        if (words.size() > 10 && words[0] == device + ":") {
            return DevicePackets{parse_decimal(words[2], UINT64_MAX).value_or(0),
                                 parse_decimal(words[10], UINT64_MAX).value_or(0)};
        }
    }
    return Error{ENODEV, cat("no device ", device)};
}

Status expect_answer(const NetNs& client, const IpAddress& to, const std::string& who) {
    const HttpResult result = http_get(client, {.to = {to, kWebPort}});
    return result.who() == who ? Status()
                               : Status(Error{0, cat(to.text(), " is answered by '", result.who(), "', not by '", who,
                                                     "' ", result.error)});
}

Result<std::uint64_t> nft_counter(const NetNs& ns, const std::string& name) {
    const auto text = output_of({"nft", "--json", "list", "counters"}, {.ns = &ns});
    if (!text) {
        return text.error();
    }
    const auto all = nlohmann::json::parse(*text, nullptr, false);
    for (const auto& one : all.value("nftables", nlohmann::json::array())) {
        if (one.contains("counter") && one["counter"].value("name", "") == name) {
            return one["counter"].value("packets", std::uint64_t{0});
        }
    }
    return Error{ENOENT, cat("nft has no counter ", name)};
}

Result<std::uint64_t> iptables_counter(const NetNs& ns, const std::string& words) {
    const auto text = output_of({"iptables-nft", "-t", "nat", "-vnxL", "PREROUTING"}, {.ns = &ns});
    if (!text) {
        return text.error();
    }
    Result<std::uint64_t> found = Error{ENOENT, cat("iptables has no rule with ", words)};
    for (const std::string& line : split(*text, '\n')) {
        if (line.find(words) != std::string::npos) {
            found = parse_decimal(words_of(line).front(), UINT64_MAX).value_or(0);
        }
    }
    return found;
}

Status load_nft(const NetNs& ns, const std::string& rules) {
    const auto loaded = output_of({"nft", "-f", "-"}, {.ns = &ns, .input = rules});
    return loaded ? Status() : Status(loaded.error());
}

}  // namespace viscum
