// SPDX-License-Identifier: GPL-2.0-only
// A service's namespace as a test makes it: named, joined with the test's own namespace, and gone with its object.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "netns/addr.h"
#include "netns/link.h"
#include "netns/net_ns.h"
#include "netns/nl_socket.h"

namespace viscum {

/// The value, or the end of the test with the error's words.
template <class T>
T must(Result<T> result) {
    if (!result) {
        FAIL(result.error().what);
    }
    return *std::move(result);
}

inline void must(const Status& status) {
    if (!status) {
        FAIL(status.error().what);
    }
}

/// What `make` returns, made inside `ns`.
template <class Make>
auto made_in(const NetNs& ns, Make make) {
    decltype(make()) made = Error{};
    must(ns.inside([&]() -> Status {
        made = make();
        return {};
    }));
    return must(std::move(made));
}

struct ServiceNet {
    explicit ServiceNet(const std::string& service)
        : name(net_ns_name("test", service, 0)),
          veth{host_ifname("test", service, 0), "eth0", service_mac("test", service), 1500},
          here(must(NlSocket::open())),
          ns(must(NetNs::create(name))),
          inside(made_in(ns, NlSocket::open)),
          near(must(create_veth(here, veth, ns))) {
        must(prepare_peer(inside, veth));
        far = must(find_link(inside, veth.peer_name));
    }
    ~ServiceNet() {
        CHECK(delete_link(here, veth.name));
        CHECK(remove_net_ns_name(name));
    }
    ServiceNet(const ServiceNet&) = delete;
    ServiceNet& operator=(const ServiceNet&) = delete;

    int apply(const OwnedAddresses& wanted) const { return must(apply_addresses(inside, far.index, wanted)); }

    std::string name;
    VethSpec veth;
    NlSocket here;
    NetNs ns;
    NlSocket inside;
    Link near;
    Link far;
};

/// "203.0.113.10", "2001:db8::/64": what can stand alone is a single address, the rest a prefix.
inline OwnedAddresses owned(const std::vector<std::string>& texts) {
    OwnedAddresses addresses;
    for (const auto& text : texts) {
        const auto prefix = IpPrefix::parse(text);
        REQUIRE(prefix);
        if (prefix->is_single()) {
            addresses.single.push_back(prefix->address);
        } else {
            addresses.prefixes.push_back(*prefix);
        }
    }
    return addresses;
}

}  // namespace viscum
