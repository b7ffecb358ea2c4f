// SPDX-License-Identifier: GPL-2.0-only
// The whole way of a service's network, and that nothing of it stays.
#include <doctest/doctest.h>
#include <poll.h>

#include <memory>

#include "base/event_loop.h"
#include "base/file.h"
#include "base/text.h"
#include "netns/conntrack.h"
#include "netns/sock_diag.h"
#include "tests/root/netns/service_net.h"
#include "tests/support/endpoint.h"
#include "tests/support/leak.h"

using namespace viscum;
using namespace std::chrono_literals;

namespace {

std::size_t open_descriptors() {
    return must(list_directory("/proc/self/fd")).size();
}

std::vector<std::string> link_names(const NlSocket& socket) {
    std::vector<std::string> names;
    for (const auto& link : must(list_links(socket))) {
        names.push_back(link.name);
    }
    return names;
}

}  // namespace

TEST_CASE("netns: ten services come and go, and no link, name, mount or descriptor is left") {
    const auto here = must(NlSocket::open());
    must(NetNs::create("test-first"));  // makes the directory of names, which stays
    must(remove_net_ns_name("test-first"));
    const auto before = must(take_snapshot());
    const auto descriptors = open_descriptors();
    const auto links = link_names(here);
    const auto names = must(net_ns_names(""));
    {
        std::vector<std::unique_ptr<ServiceNet>> services;
        for (int i = 0; i < 10; ++i) {
            services.push_back(std::make_unique<ServiceNet>(cat("come", i)));
            services.back()->apply(owned({cat("203.0.113.", i), cat("2001:db8::", i)}));
            CHECK(must(made_in(services.back()->ns, SockDiag::open).tcp_listeners()).empty());
        }
        CHECK(link_names(here).size() == links.size() + 10);
        CHECK(must(net_ns_names("test-come")).size() == 10);
        CHECK_FALSE(create_veth(here, {services[0]->veth.name, "eth0", {}, 1500}, services[1]->ns));
        CHECK_FALSE(create_veth(here, {"vsmore", "eth0", {}, 1500}, services[1]->ns));
        CHECK_FALSE(NetNs::create("a/b"));
    }
    CHECK(open_descriptors() == descriptors);
    CHECK(link_names(here) == links);
    CHECK(must(net_ns_names("")) == names);
    CHECK(must(leaks_since(before, 5s)) == std::vector<std::string>{});
}

TEST_CASE("netns: a pair goes with its namespace") {
    const auto here = must(NlSocket::open());
    auto watch = must(NlWatch::open(NlWatch::Groups::router));
    const VethSpec veth{host_ifname("test", "gone", 0), "eth0", service_mac("test", "gone"), 1500};
    {
        const auto ns = must(NetNs::create("test-gone"));
        must(create_veth(here, veth, ns));
        must(remove_net_ns_name("test-gone"));
    }
    for (int pieces = 0; pieces < 100 && find_link(here, veth.name); ++pieces) {
        REQUIRE(wait_for_socket(watch.fd(), POLLIN, boot_now() + 5s));
        watch.drain();
    }
    const auto found = find_link(here, veth.name);
    REQUIRE_FALSE(found);
    CHECK(found.error().errno_code == ENODEV);
}
