// SPDX-License-Identifier: GPL-2.0-only
// vs_service: how many flows a link may begin, so that no service fills the router's connection tracking.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <doctest/doctest.h>
#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/event_loop.h"
#include "base/text.h"
#include "tests/bpf/lab.h"
#include "tests/support/bed.h"

using namespace viscum;

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kHour = 3600 * kSecond;
constexpr int kFlood = 10'000;

std::uint64_t now_ns() {
    return static_cast<std::uint64_t>(boot_now().count());
}

/// The running test stays on the CPU that it is on: each has a bucket of its own.
struct OneCpu {
    OneCpu() {
        REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(static_cast<std::size_t>(sched_getcpu()), &one);
        REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    }
    ~OneCpu() { sched_setaffinity(0, sizeof before, &before); }
    OneCpu(const OneCpu&) = delete;
    OneCpu& operator=(const OneCpu&) = delete;

    cpu_set_t before{};
};

Frame new_flow(const Outside& side, std::uint8_t protocol, int number) {
    Frame frame = protocol == IPPROTO_TCP ? tcp(side.owned, side.remote, kSyn) : udp(side.owned, side.remote, "odd");
    frame.source_port = static_cast<std::uint16_t>(32'768 + number);
    return frame;
}

Frame with_source(Frame frame, const std::string& source) {
    frame.source = tcp(source, source, 0).source;
    return frame;
}

/// Both links of a lab may begin flows to the internet.
struct Rate {
    Rate() : lab(Lab::make()) {
        REQUIRE(lab);
        REQUIRE(lab->add_internet());
        for (const int slot : {0, 1}) {
            auto egress = lab->egress(slot);
            egress.internet = true;
            REQUIRE(lab->allow(egress, slot) > 0);
        }
    }
    void empty() const { lab->set_full_at(now_ns() + kHour); }
    /// How many new flows go until one is refused, and how many tokens came in meanwhile, at most.
    struct Flood {
        std::uint64_t gone = 0;
        std::uint64_t refilled = 0;
    };
    Flood flood(const Outside& side, std::uint8_t protocol, int first) {
        Flood out;
        const auto begin = now_ns();
        for (int i = first; i < first + kFlood; ++i) {
            const auto text = lab->service(new_flow(side, protocol, i)).text;
            if (text != "pass: egress") {
                CHECK(text == "drop: egress-too-many");
                out.refilled = (now_ns() - begin) / VS_NEW_FLOW_NS + 1;
                return out;
            }
            ++out.gone;
        }
        FAIL_CHECK("no flow was refused");
        return out;
    }
    /// A connection of the service on its way.
    [[nodiscard]] UniqueFd connected(const Outside& side, std::uint16_t own_port) const {
        const auto to = to_sockaddr(Endpoint::of(side.remote, 80));
        auto fd = open_socket(lab->namespace_of(0), SOCK_STREAM, Endpoint::of(side.remote, 80),
                              Endpoint::of(side.owned, own_port));
        REQUIRE(fd);
        const int error = connect(fd->get(), to.get(), to.length);
        REQUIRE((error == 0 || errno == EINPROGRESS));
        return std::move(*fd);
    }

    std::unique_ptr<Lab> lab;
    OneCpu cpu;
};

/// Moves the last packet of a flow that the service began into the past.
void age(const Lab& lab, const Frame& frame, std::uint64_t nanoseconds) {
    const UniqueFd outs(bpf_obj_get(cat("/sys/fs/bpf/lab/v", VS_ABI, "/vs_outs").c_str()));
    REQUIRE(outs);
    vs_out_key key{};
    key.remote = abi_address(frame.destination);
    key.ifindex = lab.link_of(0);
    key.remote_port_be = htons(frame.destination_port);
    key.service_port_be = htons(frame.source_port);
    std::uint64_t last = 0;
    REQUIRE(bpf_map_lookup_elem(outs.get(), &key, &last) == 0);
    last -= nanoseconds;
    REQUIRE(bpf_map_update_elem(outs.get(), &key, &last, BPF_EXIST) == 0);
}

/// Of the bucket that is full last.
std::uint64_t latest_full_at(Lab& lab) {
    const std::uint32_t link = lab.link_of(0);
    std::vector<vs_link_counters> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    REQUIRE(bpf_map_lookup_elem(lab.datapath().link_counters.get(), &link, values.data()) == 0);
    return std::max_element(values.begin(), values.end(),
                            [](const auto& a, const auto& b) { return a.full_at < b.full_at; })
        ->full_at;
}

}  // namespace

TEST_CASE("egress: new flows of a link stop when its bucket is empty, are counted so, and go on as it fills again") {
    for (const auto& side : kOutsides) {
        for (const std::uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP}) {
            CAPTURE(side.owned);
            CAPTURE(int{protocol});
            Rate rate;
            auto flood = rate.flood(side, protocol, 0);
            CHECK(flood.gone >= VS_NEW_FLOWS);
            CHECK(flood.gone <= VS_NEW_FLOWS + flood.refilled);
            CHECK(rate.lab->refused("too-many") == 1);
            CHECK(rate.lab->link_counters().out == flood.gone);
            // As after an hour, and as two seconds after it was empty.
            rate.lab->set_full_at(now_ns() - kHour);
            flood = rate.flood(side, protocol, kFlood);
            CHECK(flood.gone >= VS_NEW_FLOWS);
            CHECK(flood.gone <= VS_NEW_FLOWS + flood.refilled);
            rate.lab->set_full_at(now_ns() + (VS_NEW_FLOWS - 128) * VS_NEW_FLOW_NS);
            flood = rate.flood(side, protocol, 2 * kFlood);
            CHECK(flood.gone >= 128);
            CHECK(flood.gone <= 128 + flood.refilled);
            CHECK(rate.lab->refused("too-many") == 3);
        }
    }
}

TEST_CASE("egress: while one link's bucket is empty, another link begins flows") {
    const Rate rate;
    rate.empty();
    for (const auto& side : kOutsides) {
        for (const std::uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP}) {
            const Frame frame = new_flow(side, protocol, 0);
            CHECK(rate.lab->service(frame).text == "drop: egress-too-many");
            CHECK(rate.lab->service(frame, 1).text == "pass: egress");
        }
    }
    CHECK(rate.lab->refused("too-many") == 4);
    CHECK(rate.lab->link_counters().out == 0);
    CHECK(rate.lab->link_counters(1).out == 4);
}

TEST_CASE("egress: flows that run go on while the bucket is empty, and answers to clients too") {
    for (std::size_t i = 0; i < kOutsides.size(); ++i) {
        const auto& side = kOutsides[i];
        const auto& family = kFamilies[i];
        const Rate rate;
        Lab& lab = *rate.lab;
        const Frame datagram = new_flow(side, IPPROTO_UDP, 0);
        REQUIRE(lab.service(datagram).text == "pass: egress");
        const auto socket = rate.connected(side, 50'000);
        REQUIRE(lab.apply({lab.rule(family.service, 53, IPPROTO_UDP)}) > 0);
        const auto server = bind_udp(lab.namespace_of(0), family.service, 53);
        const Frame question = udp(family.client, family.service);
        REQUIRE(lab.lan(question).text == "redirect: served");
        rate.empty();
        CHECK(lab.service(datagram).text == "pass: egress");
        CHECK(lab.back(turned(with_source(datagram, side.alias))).text == "pass: returned");
        Frame segment = tcp(side.owned, side.remote, kAck);
        segment.source_port = 50'000;
        for (const int flags : {int{kAck}, kAck | kPsh, kFin | kAck, int{kRst}}) {
            segment.flags = flags;
            CHECK(lab.service(segment).text == "pass: egress");
        }
        segment.flags = kSyn;
        CHECK(lab.service(segment).text == "drop: egress-too-many");
        CHECK(lab.service(turned(question)).text == "redirect: replied");
    }
}

TEST_CASE("egress: a segment that no socket of the service sent is a new flow, and a reset never one") {
    const Rate rate;
    for (const auto& side : kOutsides) {
        Frame segment = tcp(side.owned, side.remote, kAck);
        for (const int flags : {int{kAck}, kAck | kPsh, kFin | kAck, kSyn | kAck, 0}) {
            segment.flags = flags;
            rate.lab->set_full_at(0);
            CHECK(rate.lab->service(segment).text == "pass: egress");
            rate.empty();
            CHECK(rate.lab->service(segment).text == "drop: egress-too-many");
        }
        segment.flags = kRst;
        CHECK(rate.lab->service(segment).text == "pass: egress");
    }
}

TEST_CASE("egress: a UDP flow that was silent for a minute is a new one") {
    const Rate rate;
    for (const auto& side : kOutsides) {
        const Frame frame = new_flow(side, IPPROTO_UDP, 0);
        rate.lab->set_full_at(0);
        REQUIRE(rate.lab->service(frame).text == "pass: egress");
        rate.empty();
        age(*rate.lab, frame, VS_UDP_IDLE_NS - 5 * kSecond);
        CHECK(rate.lab->service(frame).text == "pass: egress");
        age(*rate.lab, frame, VS_UDP_IDLE_NS);
        CHECK(rate.lab->service(frame).text == "drop: egress-too-many");
        rate.lab->set_full_at(0);
        CHECK(rate.lab->service(frame).text == "pass: egress");
    }
}

TEST_CASE("egress: a datagram for which there is no token begins nothing: neither the next one nor an answer passes") {
    const Rate rate;
    rate.empty();
    for (const auto& side : kOutsides) {
        Frame frame = new_flow(side, IPPROTO_UDP, 0);
        CHECK(rate.lab->service(frame).text == "drop: egress-too-many");
        CHECK(rate.lab->service(frame).text == "drop: egress-too-many");
        CHECK(rate.lab->back(turned(with_source(frame, side.alias))).text == "drop: return-unasked");
        frame.payload.assign(150, 'f');
        const auto parts = build_fragments(frame, 5, 64);
        CHECK(rate.lab->service(parts[0]).text == "drop: egress-too-many");
        CHECK(rate.lab->service(parts[1]).text == "drop: fence-source");
    }
}

TEST_CASE("egress: what is refused for another reason costs no token") {
    const Rate rate;
    for (std::size_t i = 0; i < kOutsides.size(); ++i) {
        const auto& side = kOutsides[i];
        const auto soon = now_ns() + kSecond;  // not empty
        rate.lab->set_full_at(soon);
        CHECK(rate.lab->service(tcp(side.owned, kFamilies[i].client, kSyn)).text == "drop: egress-private");
        CHECK(rate.lab->service(udp(side.owned, kFamilies[i].client)).text == "drop: egress-private");
        CHECK(rate.lab->service(tcp(side.alias, side.remote, kSyn)).text == "drop: egress-not-owned");
        CHECK(latest_full_at(*rate.lab) == soon);
        CHECK(rate.lab->service(new_flow(side, IPPROTO_TCP, 0)).text == "pass: egress");
        CHECK(latest_full_at(*rate.lab) > soon);
        rate.empty();
        CHECK(rate.lab->service(tcp(side.owned, kFamilies[i].client, kSyn)).text == "drop: egress-private");
    }
}

TEST_CASE("egress: a real flood of datagrams leaves as the bucket allows, and a connection begun before it goes on") {
    for (const auto& side : kOutsides) {
        const Rate rate;
        Lab& lab = *rate.lab;
        REQUIRE(lab.attach());
        const auto listener = listen_tcp(lab.internet(), side.remote, 80);
        const auto connection = rate.connected(side, 50'000);
        REQUIRE(wait_for_socket(listener.get(), POLLIN, boot_now() + std::chrono::seconds(3)));
        const UniqueFd accepted(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        REQUIRE(accepted);
        const auto flood = open_socket(lab.namespace_of(0), SOCK_DGRAM, Endpoint::of(side.remote, 1), {});
        REQUIRE(flood);
        const auto begin = now_ns();
        const auto before = lab.link_counters().out;
        for (int port = 1; port <= kFlood; ++port) {
            const auto to = to_sockaddr(Endpoint::of(side.remote, static_cast<std::uint16_t>(port)));
            sendto(flood->get(), "flood", 5, 0, to.get(), to.length);
        }
        const auto cpus = static_cast<std::uint64_t>(libbpf_num_possible_cpus());
        const auto out = lab.link_counters().out - before;
        CHECK(out >= VS_NEW_FLOWS - 1);  // the connection had a token, of this CPU's bucket where it ran on the same
        CHECK(out <= cpus * (VS_NEW_FLOWS + (now_ns() - begin) / VS_NEW_FLOW_NS + 1) + 1);
        CHECK(lab.refused("too-many") > 0);
        rate.empty();
        REQUIRE(send(connection.get(), "on", 2, MSG_NOSIGNAL) == 2);
        REQUIRE(wait_for_socket(accepted.get(), POLLIN, boot_now() + std::chrono::seconds(3)));
    }
}
