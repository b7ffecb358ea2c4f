// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/bed.h"

#include "base/text.h"
#include "tests/support/program.h"

namespace viscum {
namespace {

constexpr const char* kFirewall = R"(
table inet fw4 {
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state invalid drop
        ct state established,related accept
        iifname "br-lan" oifname "wan" accept
        iifname "lan*" oifname "wan" accept
    }
    chain input {
        type filter hook input priority filter; policy accept;
        ct state invalid drop
    }
    chain srcnat {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "wan" masquerade
    }
}
)";

/// Addresses are usable at once: no duplicate address detection.
Status set_sysctls(const NetNs& ns, bool forwarding) {
    return ns.inside([forwarding]() -> Status {
        const std::string forward = forwarding ? "1" : "0";
        const std::vector<std::pair<const char*, std::string>> wanted = {
            {"ipv6/conf/all/accept_dad", "0"}, {"ipv6/conf/default/accept_dad", "0"},
            {"ipv6/conf/all/accept_ra", "0"},  {"ipv6/conf/default/accept_ra", "0"},
            {"ipv4/ip_forward", forward},      {"ipv6/conf/all/forwarding", forward},
        };
        for (const auto& [key, value] : wanted) {
            if (auto set = set_net_sysctl(key, value); !set) {
                return set;
            }
        }
        return {};
    });
}

}  // namespace

Status ip_batch(const NetNs& ns, const std::string& lines) {
    const auto done = output_of({"ip", "-batch", "-"}, {.ns = &ns, .input = lines});
    return done ? Status() : Status(done.error());
}

Result<std::unique_ptr<Bed>> Bed::make(const BedOptions& options) {
    std::unique_ptr<Bed> bed(new Bed(options));
    if (auto made = bed->make_namespaces(); !made) {
        return std::move(made).error();
    }
    if (auto joined = bed->join_namespaces(); !joined) {
        return std::move(joined).error();
    }
    if (auto set = bed->set_up_hotspot(); !set) {
        return std::move(set).error();
    }
    if (auto set = bed->set_up_cloud(); !set) {
        return std::move(set).error();
    }
    for (int number = 1; number <= options.clients; ++number) {
        if (auto set = bed->set_up_client(number); !set) {
            return std::move(set).error();
        }
    }
    return bed;
}

Bed::~Bed() {
    for (const Named& named : namespaces_) {
        (void)remove_net_ns_name(named.name);
    }
}

Status Bed::make_namespaces() {
    std::vector<std::string> names = {"hotspot", "cloud"};
    for (int number = 1; number <= options_.clients; ++number) {
        names.push_back(cat("client", number));
    }
    for (const std::string& role : names) {
        const std::string name = options_.prefix + role;
        if (NetNs::open(name)) {
            return Error{EEXIST, cat("a namespace '", name, "' exists")};
        }
        auto ns = NetNs::create(name);
        if (!ns) {
            return std::move(ns).error();
        }
        if (auto set = set_sysctls(*ns, role == "hotspot" || role == "cloud"); !set) {
            return std::move(set).error().in(name);
        }
        namespaces_.push_back({name, std::move(*ns)});
    }
    return {};
}

/// Each veth is born in its namespaces; only names under /run/netns are known to iproute2.
Status Bed::join_namespaces() {
    std::string lines = cat("link add wan type veth peer name wan netns ", options_.prefix, "cloud\n");
    for (int number = 1; number <= options_.clients; ++number) {
        lines +=
            cat("link add lan", number, " type veth peer name eth0 netns ", options_.prefix, "client", number, "\n");
    }
    return ip_batch(hotspot(), lines);
}

Status Bed::set_up_hotspot() {
    std::string lines =
        "link set lo up\n"
        "link set wan up\n"
        "address add 192.0.2.1/24 dev wan\n"
        "address add 2001:db8:1::1/64 dev wan nodad\n"
        "route add default via 192.0.2.2\n"
        "route add default via 2001:db8:1::2\n";
    if (options_.bridge) {
        lines += "link add br-lan type bridge forward_delay 0 stp_state 0 mcast_snooping 0\n";
        lines += "link set br-lan up\n";
        lines += cat("address add ", lan_address(0, 1, false), " dev br-lan\n");
        lines += cat("address add ", lan_address(0, 1, true), " dev br-lan nodad\n");
    }
    for (int number = 1; number <= options_.clients; ++number) {
        const std::string device = cat("lan", number);
        if (options_.bridge) {
            lines += cat("link set ", device, " master br-lan\n");
        } else {
            lines += options_.one_mac ? cat("link set ", device, " address 02:00:5e:00:53:01\n") : "";
            lines += cat("address add ", lan_address(number, 1, false), " dev ", device, "\n");
            lines += cat("address add ", lan_address(number, 1, true), " dev ", device, " nodad\n");
        }
        lines += cat("link set ", device, " up\n");
    }
    if (auto set = ip_batch(hotspot(), lines); !set || !options_.firewall) {
        return set;
    }
    const auto loaded = output_of({"nft", "-f", "-"}, {.ns = &hotspot(), .input = kFirewall});
    return loaded ? Status() : Status(loaded.error());
}

Status Bed::set_up_client(int number) {
    const int network = options_.bridge ? 0 : number;
    const int host = options_.bridge ? 10 + number : 10;
    const auto gateway = [&](bool v6) { return split(lan_address(network, 1, v6), '/').front(); };
    return ip_batch(client(number), cat("link set lo up\n"
                                        "link set eth0 up\n"
                                        "address add ",
                                        lan_address(network, host, false), " dev eth0\n", "address add ",
                                        lan_address(network, host, true), " dev eth0 nodad\n", "route add default via ",
                                        gateway(false), "\n", "route add default via ", gateway(true), "\n"));
}

Status Bed::set_up_cloud() {
    std::string lines =
        "link set lo up\n"
        "link set wan up\n"
        "address add 192.0.2.2/24 dev wan\n"
        "address add 2001:db8:1::2/64 dev wan nodad\n"
        "route add 10.77.0.0/16 via 192.0.2.1\n"
        "route add 2001:db8:77::/48 via 2001:db8:1::1\n";
    if (auto set = ip_batch(cloud(), lines); !set) {
        return set;
    }
    for (const std::string& address : options_.cloud) {
        if (auto given = give_cloud(address); !given) {
            return given;
        }
    }
    return {};
}

Status Bed::give_cloud(const std::string& address) {
    const auto parsed = IpAddress::parse(address);
    if (!parsed) {
        return Error{EINVAL, cat("'", address, "' is no address")};
    }
    return ip_batch(
        cloud(), cat("address add ", address, "/", parsed->width(), " dev lo", parsed->is_v4() ? "" : " nodad", "\n"));
}

std::string Bed::lan_address(int network, int host, bool v6) const {
    if (v6) {
        return network == 0 ? cat("2001:db8:77::", host, "/64") : cat("2001:db8:77:", network, "::", host, "/64");
    }
    return cat("10.77.", network, ".", host, network == 0 ? "/16" : "/24");
}

IpAddress Bed::client_address(int number, bool v6) const {
    const std::string text = options_.bridge ? lan_address(0, 10 + number, v6) : lan_address(number, 10, v6);
    return IpAddress::parse(split(text, '/').front()).value_or(IpAddress{});
}

std::vector<std::string> Bed::lan_devices() const {
    std::vector<std::string> names;
    for (int number = 1; number <= options_.clients; ++number) {
        names.push_back(cat("lan", number));
    }
    return names;
}

Result<std::uint64_t> Bed::uplink_bytes() const {
    const auto text = output_of({"cat", "/proc/net/dev"}, {.ns = &hotspot()});
    if (!text) {
        return text.error();
    }
    for (const std::string& line : split(*text, '\n')) {
        std::vector<std::string> fields;
        for (std::string& field : split(line, ' ')) {
            if (!field.empty()) {
                fields.push_back(std::move(field));
            }
        }
        if (fields.size() > 9 && fields[0] == "wan:") {
            return parse_decimal(fields[1], UINT64_MAX).value_or(0) + parse_decimal(fields[9], UINT64_MAX).value_or(0);
        }
    }
    return Error{ENODEV, "no device wan"};
}

}  // namespace viscum
