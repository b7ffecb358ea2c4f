// SPDX-License-Identifier: GPL-2.0-only
// ICMP errors go to the namespace that owns the flow that they are about; all other ICMP goes to the cloud.
#include <doctest/doctest.h>

#include "tests/bpf/lab.h"
#include "tests/bpf/raw_client.h"

using namespace viscum;

namespace {

struct Type {
    std::uint8_t type;
    std::uint8_t code;
};

const std::vector<Type>& errors_of(const Family& family) {
    static const std::vector<Type> v4{{3, 4}, {3, 1}, {11, 0}, {12, 0}};
    static const std::vector<Type> v6{{2, 0}, {1, 4}, {3, 0}, {4, 0}};
    return family.client == kClient4 ? v4 : v6;
}

}  // namespace

TEST_CASE("bpf: an ICMP error about a served connection goes to its namespace, about any other to the cloud") {
    for (const auto& family : kFamilies) {
        const auto lab = Lab::make();
        REQUIRE(lab);
        REQUIRE(lab->attach());
        auto rule = lab->rule(family.service, 80);
        REQUIRE(lab->apply({rule}) > 0);
        const auto listener = listen_tcp(lab->namespace_of(0), family.service, 80);
        const auto client = RawClient::open(lab->client());
        REQUIRE(client);
        RawConnection connection(*client, tcp(family.client, family.service, kSyn));
        REQUIRE(connection.connect());
        const Frame ours = turned(connection.next());
        Frame foreign = ours;
        foreign.destination_port = 40001;
        Frame unclaimed = ours;
        unclaimed.source_port = 81;
        for (const auto& [type, code] : errors_of(family)) {
            CAPTURE(int{type});
            CHECK(lab->lan(icmp_error(ours, type, code)).text == "redirect: icmp-served");
            CHECK(lab->lan(icmp_error(foreign, type, code)).text == "pass: cloud-flow");
            CHECK(lab->lan(icmp_error(unclaimed, type, code)).text == "pass: unclaimed");
            Bytes other_host = icmp_error(ours, type, code);
            other_host[5] ^= 1;
            CHECK(lab->lan(other_host).text == "pass: other-host");
        }
        CHECK(lab->lan(icmp_error(ours, 5, 0)).text == "pass: unclaimed");
        rule.admission = Admission::drain;
        REQUIRE(lab->apply({rule}) == 1);
        const auto& [type, code] = errors_of(family)[0];
        CHECK(lab->lan(icmp_error(ours, type, code)).text == "redirect: icmp-served");
        rule.admission = Admission::off;
        REQUIRE(lab->apply({rule}) == 1);
        CHECK(lab->lan(icmp_error(ours, type, code)).text == "pass: unclaimed");
    }
}

TEST_CASE("bpf: an ICMP error about a served UDP flow goes to its namespace, about the cloud's to the cloud") {
    for (const auto& family : kFamilies) {
        const auto lab = Lab::make();
        REQUIRE(lab);
        REQUIRE(lab->apply({lab->rule(family.service, 53, IPPROTO_UDP)}) > 0);
        const Frame clouds = udp(family.client, family.service);
        Frame ours = clouds;
        ours.source_port = 40001;
        CHECK(lab->lan(clouds).text == "pass: no-listener");
        const auto socket = bind_udp(lab->namespace_of(0), family.service, 53);
        CHECK(lab->lan(ours).text == "redirect: served");
        for (const auto& [type, code] : errors_of(family)) {
            CHECK(lab->lan(icmp_error(turned(ours), type, code)).text == "redirect: icmp-served");
            CHECK(lab->lan(icmp_error(turned(clouds), type, code)).text == "pass: cloud-flow");
        }
    }
}

TEST_CASE("bpf: an ICMP error that lies about whom it is for is left alone") {
    for (const auto& family : kFamilies) {
        const auto lab = Lab::make();
        REQUIRE(lab);
        REQUIRE(lab->apply({lab->rule(family.service, 53, IPPROTO_UDP)}) > 0);
        const auto socket = bind_udp(lab->namespace_of(0), family.service, 53);
        const Frame ours = udp(family.client, family.service);
        CHECK(lab->lan(ours).text == "redirect: served");
        const auto& [type, code] = errors_of(family)[0];
        Bytes error = icmp_error(turned(ours), type, code);
        error[family.client == kClient4 ? 33 : 53] ^= 1;  // its own destination
        CHECK(lab->lan(error).text == "pass: unclaimed");
        error = icmp_error(ours, type, code);  // about what the client sent, to the client
        CHECK(lab->lan(error).text == "pass: unclaimed");
    }
}

TEST_CASE("bpf: path MTU discovery reaches a served connection's socket") {
    for (const auto& family : kFamilies) {
        const auto lab = Lab::make();
        REQUIRE(lab);
        REQUIRE(lab->attach());
        REQUIRE(lab->apply({lab->rule(family.service, 80)}) > 0);
        const auto listener = listen_tcp(lab->namespace_of(0), family.service, 80);
        const auto client = RawClient::open(lab->client());
        REQUIRE(client);
        Frame syn = tcp(family.client, family.service, kSyn);
        syn.mss = 1440;
        RawConnection connection(*client, syn);
        CAPTURE(family.client);
        REQUIRE(connection.connect());
        REQUIRE(wait_for_socket(listener.get(), 1, boot_now() + std::chrono::seconds(2)));
        const UniqueFd accepted(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        REQUIRE(accepted);
        const std::string data(4000, 'x');
        REQUIRE(send(accepted.get(), data.data(), data.size(), 0) == static_cast<ssize_t>(data.size()));
        const auto segment = client->receive([](const Reading& reading) { return reading.payload > 0; });
        REQUIRE(segment);
        const Reading sent = read_frame(*segment);
        Frame lost = turned(connection.next());
        lost.sequence = sent.sequence;
        lost.flags = kAck;
        lost.payload.assign(64, 'x');
        REQUIRE(client->send(icmp_error(lost, errors_of(family)[0].type, errors_of(family)[0].code)));
        const int level = family.client == kClient4 ? int{IPPROTO_IP} : int{IPPROTO_IPV6};
        const int option = family.client == kClient4 ? IP_MTU : IPV6_MTU;
        int mtu = 0;
        const auto deadline = boot_now() + std::chrono::seconds(2);
        while (mtu != 1280 && boot_now() < deadline) {
            socklen_t size = sizeof mtu;
            REQUIRE(getsockopt(accepted.get(), level, option, &mtu, &size) == 0);
        }
        CHECK(mtu == 1280);
    }
}
