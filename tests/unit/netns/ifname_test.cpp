// SPDX-License-Identifier: GPL-2.0-only
#include "netns/ifname.h"

#include <doctest/doctest.h>

#include <set>

#include "base/text.h"

using namespace viscum;

TEST_CASE("ifname: a device's name fits into 15 characters and says whose it is by its first two") {
    const auto name = host_ifname("viscum", "a-service-with-a-very-long-name", 1);
    CHECK(name.size() == 14);
    CHECK(name.starts_with("vs"));
    CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567") == std::string::npos);
}

TEST_CASE(
    "ifname: names stay what they are from one release to the next, or an upgrade would find nothing of its own") {
    CHECK(host_ifname("viscum", "web", 0) == "vsk4dz5hwrkosm");
    CHECK(host_ifname("viscum", "web", 1) == "vs5jez5hwrlosm");
    CHECK(mac_text(service_mac("viscum", "web")) == "a6:a5:5d:4c:77:7a");
}

TEST_CASE("ifname: instance, service and slot each make another device") {
    std::set<std::string> names;
    for (int i = 0; i < 1000; ++i) {
        for (const int slot : {0, 1}) {
            names.insert(host_ifname("viscum", cat("service", i), slot));
            names.insert(host_ifname("other", cat("service", i), slot));
        }
    }
    CHECK(names.size() == 4000);
    CHECK(host_ifname("a", "b-c", 0) != host_ifname("a-b", "c", 0));
}

TEST_CASE("ifname: a service's hardware address is unicast, locally administered, and its own") {
    std::set<Mac> macs;
    for (int i = 0; i < 1000; ++i) {
        const auto mac = service_mac("viscum", cat("service", i));
        CHECK((mac[0] & 0x03) == 0x02);
        macs.insert(mac);
    }
    CHECK(macs.size() == 1000);
    CHECK(mac_text({0x02, 0, 0xab, 9, 0xff, 0x10}) == "02:00:ab:09:ff:10");
}

TEST_CASE("ifname: a namespace is named after its instance and service, and the second slot has a suffix") {
    CHECK(net_ns_name("viscum", "web", 0) == "viscum-web");
    CHECK(net_ns_name("viscum", "web", 1) == "viscum-web.1");
}
