// SPDX-License-Identifier: GPL-2.0-only
// vs_return: answers to what a service began come back, translated, and nobody else reaches it by its alias.
#include <doctest/doctest.h>

#include "base/text.h"
#include "tests/bpf/lab.h"
#include "tests/support/bed.h"

using namespace viscum;

namespace {

struct Type {
    std::uint8_t type;
    std::uint8_t code;
};

const std::vector<Type>& errors_of(const Outside& side) {
    static const std::vector<Type> v4{{3, 4}, {3, 1}, {11, 0}, {12, 0}};
    static const std::vector<Type> v6{{2, 0}, {1, 4}, {3, 0}, {4, 0}};
    return side.owned == kService4 ? v4 : v6;
}

Endpoint bound_to(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) == 0);
    return from_sockaddr(storage);
}

/// A socket of the service on its way to `to` (SYN-SENT; a datagram socket is connected).
struct Outgoing {
    Outgoing(const Lab& lab, int type, const std::string& from, const std::string& destination, std::uint16_t port) {
        const auto to = Endpoint::of(destination, port);
        auto socket = open_socket(lab.namespace_of(0), type, to, Endpoint::of(from, 0));
        REQUIRE(socket);
        fd = std::move(*socket);
        const auto address = to_sockaddr(to);
        const int error = connect(fd.get(), address.get(), address.length);
        REQUIRE((error == 0 || errno == EINPROGRESS));
        local = bound_to(fd.get()).port;
    }
    UniqueFd fd;
    std::uint16_t local = 0;
};

/// A lab whose service may begin flows to the internet and to its origins. Nothing is attached: what its sockets send
/// is lost, and what comes back is written by the test.
struct Back {
    Back() : lab(Lab::make()) {
        REQUIRE(lab);
        REQUIRE(lab->add_internet());
        auto egress = lab->egress();
        egress.internet = true;
        for (const auto& side : kOutsides) {
            egress.origins.push_back({tcp(side.owned, side.owned, 0).source, tcp(side.origin, side.origin, 0).source});
        }
        REQUIRE(lab->allow(egress) > 0);
    }
    /// Of the service's view of a frame: what comes on the wire.
    static Frame outside(const Outside& side, Frame frame) {
        const Frame addresses = tcp(side.origin, side.alias, 0);
        if (frame.source == addresses.source) {
            frame.source = tcp(side.owned, side.owned, 0).source;
        }
        frame.destination = addresses.destination;
        return frame;
    }
    /// Whether the answer is delivered as the service expects it, checksums included.
    void check_delivered(const Outside& side, Frame seen) {
        const auto outcome = lab->back(outside(side, seen));
        seen.to_mac = kServiceMac;
        CHECK(outcome.text == "pass: returned");
        CHECK(outcome.frame == build(seen));
        CHECK(checksums_right(outcome.frame));
    }

    std::unique_ptr<Lab> lab;
};

Frame answer(const Outside& side, const std::string& remote, std::uint8_t protocol, std::uint16_t from,
             std::uint16_t to) {
    Frame frame = protocol == IPPROTO_TCP ? tcp(remote, side.owned, kSyn | kAck) : udp(remote, side.owned, "answer");
    frame.source_port = from;
    frame.destination_port = to;
    return frame;
}

}  // namespace

TEST_CASE("return: an answer to a connection that the service began is delivered, from an origin too") {
    Back back;
    for (const auto& side : kOutsides) {
        for (const auto& remote : {side.remote, side.origin}) {
            CAPTURE(remote);
            const Outgoing socket(*back.lab, SOCK_STREAM, side.owned, remote, 443);
            Frame frame = answer(side, remote, IPPROTO_TCP, 443, socket.local);
            for (const int flags : {kSyn | kAck, int{kAck}, kAck | kPsh, int{kRst}, kRst | kAck, kFin | kAck}) {
                frame.flags = flags;
                frame.payload.assign(static_cast<std::size_t>(flags), 'r');
                back.check_delivered(side, frame);
            }
        }
    }
    CHECK(back.lab->link_counters().in == 24);
}

TEST_CASE("return: a segment of no connection that the service began is dropped") {
    Back back;
    for (const auto& side : kOutsides) {
        Lab& lab = *back.lab;
        const Outgoing socket(lab, SOCK_STREAM, side.owned, side.remote, 443);
        const Frame right = Back::outside(side, answer(side, side.remote, IPPROTO_TCP, 443, socket.local));
        REQUIRE(lab.back(right).text == "pass: returned");
        const auto before = lab.refused("unasked");
        for (const int flags : {int{kSyn}, kSyn | kEce | kCwr, kSyn | kPsh}) {
            Frame frame = right;
            frame.flags = flags;
            CHECK(lab.back(frame).text == "drop: return-unasked");
        }
        Frame frame = right;
        frame.source_port = 444;
        CHECK(lab.back(frame).text == "drop: return-unasked");
        frame = right;
        frame.destination_port ^= 1;
        CHECK(lab.back(frame).text == "drop: return-unasked");
        frame = right;
        frame.source = tcp(side.owned, side.owned, 0).source;  // the origin's answer, to what was asked elsewhere
        CHECK(lab.back(frame).text == "drop: return-unasked");
        CHECK(lab.refused("unasked") == before + 6);
        frame = right;
        frame.destination = tcp(side.owned, side.owned, 0).source;
        CHECK(lab.back(frame).text == "drop: return-other");
        CHECK(lab.back(right, 1).text == "drop: return-other");  // a link without entry
    }
}

TEST_CASE("return: a service's listeners and bound sockets are out of reach at the alias, whatever is sent") {
    Back back;
    for (std::size_t i = 0; i < kOutsides.size(); ++i) {
        const auto& side = kOutsides[i];
        Lab& lab = *back.lab;
        const auto listener = listen_tcp(lab.namespace_of(0), kFamilies[i].any, 8080);
        const auto socket = bind_udp(lab.namespace_of(0), kFamilies[i].any, 8080);
        for (const auto& client : {kFamilies[i].client, side.remote, side.owned}) {
            for (const int flags : {int{kSyn}, int{kAck}, kSyn | kAck, kAck | kPsh, int{kFin}, int{kRst}, 0}) {
                Frame frame = tcp(client, side.alias, flags);
                frame.destination_port = 8080;
                CHECK(lab.back(frame).text == "drop: return-unasked");
            }
            Frame datagram = udp(client, side.alias);
            datagram.destination_port = 8080;
            CHECK(lab.back(datagram).text == "drop: return-unasked");
            CHECK(lab.back(icmp_echo_request(client, side.alias)).text == "drop: return-unasked");
        }
    }
}

TEST_CASE("return: a datagram is delivered to a connected socket, and to others from whom they have sent to") {
    Back back;
    for (std::size_t i = 0; i < kOutsides.size(); ++i) {
        const auto& side = kOutsides[i];
        Lab& lab = *back.lab;
        for (const auto& remote : {side.remote, side.origin}) {
            CAPTURE(remote);
            {
                const Outgoing socket(lab, SOCK_DGRAM, side.owned, remote, 53);
                back.check_delivered(side, answer(side, remote, IPPROTO_UDP, 53, socket.local));
                const Frame other = answer(side, remote, IPPROTO_UDP, 54, socket.local);
                CHECK(lab.back(Back::outside(side, other)).text == "drop: return-unasked");
            }
            const auto socket = bind_udp(lab.namespace_of(0), kFamilies[i].any, 50'000);
            const Frame frame = answer(side, remote, IPPROTO_UDP, 53, 50'000);
            CHECK(lab.back(Back::outside(side, frame)).text == "drop: return-unasked");
            CHECK(lab.service(turned(frame)).text == "pass: egress");
            back.check_delivered(side, frame);
            Frame other = frame;
            other.source_port = 54;
            CHECK(lab.back(Back::outside(side, other)).text == "drop: return-unasked");
        }
    }
}

TEST_CASE("return: a UDP checksum of zero stays zero") {
    Back back;
    const auto& side = kOutsides[0];
    for (const auto& remote : {side.remote, side.origin}) {
        const Outgoing socket(*back.lab, SOCK_DGRAM, side.owned, remote, 53);
        Bytes bytes = build(Back::outside(side, answer(side, remote, IPPROTO_UDP, 53, socket.local)));
        bytes[40] = bytes[41] = 0;
        const auto outcome = back.lab->back(bytes);
        CHECK(outcome.text == "pass: returned");
        CHECK(outcome.frame[40] == 0);
        CHECK(outcome.frame[41] == 0);
        CHECK(checksums_right(outcome.frame));
    }
}

TEST_CASE("return: fragments follow the first one, and none comes without it") {
    Back back;
    for (const auto& side : kOutsides) {
        for (const auto& remote : {side.remote, side.origin}) {
            const Outgoing socket(*back.lab, SOCK_DGRAM, side.owned, remote, 53);
            Frame seen = answer(side, remote, IPPROTO_UDP, 53, socket.local);
            seen.to_mac = kServiceMac;
            seen.payload.assign(150, 'f');
            Frame came = Back::outside(side, seen);
            const std::uint32_t id = remote == side.origin ? 3 : 4;
            const auto sent = build_fragments(came, id, 64);
            const auto expected = build_fragments(seen, id, 64);
            CHECK(back.lab->back(sent[1]).text == "drop: return-unasked");
            for (std::size_t i = 0; i < sent.size(); ++i) {
                const auto outcome = back.lab->back(sent[i]);
                CHECK(outcome.text == "pass: returned");
                CHECK(outcome.frame == expected[i]);
            }
            came.source_port = 54;
            const auto unasked = build_fragments(came, id + 10, 64);
            CHECK(back.lab->back(unasked[0]).text == "drop: return-unasked");
            CHECK(back.lab->back(unasked[1]).text == "drop: return-unasked");
        }
    }
}

TEST_CASE("return: an ICMP error about what the service began is delivered, with both packets translated") {
    Back back;
    for (const auto& side : kOutsides) {
        for (const auto& remote : {side.remote, side.origin}) {
            for (const int type : {int{SOCK_STREAM}, int{SOCK_DGRAM}}) {
                const Outgoing socket(*back.lab, type, side.owned, remote, 443);
                const auto protocol = static_cast<std::uint8_t>(type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP);
                Frame seen = turned(answer(side, remote, protocol, 443, socket.local));
                Frame wire = turned(Back::outside(side, turned(seen)));
                // What is quoted keeps the checksum that it had; nobody looks at it.
                for (const auto& error : errors_of(side)) {
                    CAPTURE(remote);
                    CAPTURE(int{error.type});
                    const auto outcome = back.lab->back(icmp_error(wire, error.type, error.code));
                    CHECK(outcome.text == "pass: returned");
                    CHECK(checksums_right(outcome.frame));
                    const Bytes expected = icmp_error(seen, error.type, error.code);
                    REQUIRE(outcome.frame.size() == expected.size());
                    const std::size_t header = side.owned == kService4 ? 20 : 40;
                    const std::size_t quoted = 14 + header + 8;
                    // Both IP headers, the quoted one's checksum included.
                    CHECK(Bytes(outcome.frame.begin() + 14, outcome.frame.begin() + 14 + long(header)) ==
                          Bytes(expected.begin() + 14, expected.begin() + 14 + long(header)));
                    CHECK(Bytes(outcome.frame.begin() + long(quoted), outcome.frame.begin() + long(quoted + header)) ==
                          Bytes(expected.begin() + long(quoted), expected.begin() + long(quoted + header)));
                    CHECK(std::equal(kServiceMac.begin(), kServiceMac.end(), outcome.frame.begin()));
                }
            }
        }
    }
}

TEST_CASE("return: an ICMP error from the origin itself comes from the origin's alias") {
    Back back;
    for (const auto& side : kOutsides) {
        const Outgoing socket(*back.lab, SOCK_DGRAM, side.owned, side.origin, 443);
        const Frame seen = turned(answer(side, side.origin, IPPROTO_UDP, 443, socket.local));
        const Frame wire = turned(Back::outside(side, turned(seen)));
        Bytes error = icmp_error(wire, errors_of(side)[1].type, errors_of(side)[1].code);
        // From the cloud instead of a router: exchange the source and mend the checksums.
        const bool v4 = side.owned == kService4;
        const std::size_t at = v4 ? 26 : 22;
        const std::size_t width = v4 ? 4 : 16;
        Frame again = tcp(side.owned, side.alias, 0);
        again.protocol = static_cast<std::uint8_t>(v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
        again.payload.assign(error.begin() + long(v4 ? 34 : 54), error.end());
        if (!v4) {
            again.payload[2] = again.payload[3] = 0;
        }
        error = build(again);
        REQUIRE(checksums_right(error));
        const auto outcome = back.lab->back(error);
        CHECK(outcome.text == "pass: returned");
        CHECK(checksums_right(outcome.frame));
        const Frame origin = tcp(side.origin, side.owned, 0);
        CHECK(std::equal(origin.source.wire(), origin.source.wire() + width, outcome.frame.begin() + long(at)));
    }
}

TEST_CASE("return: an ICMP error about nothing that the service began, or that contradicts itself, is dropped") {
    Back back;
    for (const auto& side : kOutsides) {
        Lab& lab = *back.lab;
        const Outgoing socket(lab, SOCK_STREAM, side.owned, side.remote, 443);
        const Frame wire = turned(Back::outside(side, answer(side, side.remote, IPPROTO_TCP, 443, socket.local)));
        const auto& [type, code] = errors_of(side)[0];
        REQUIRE(lab.back(icmp_error(wire, type, code)).text == "pass: returned");
        Frame other = wire;
        other.source_port ^= 1;
        CHECK(lab.back(icmp_error(other, type, code)).text == "drop: return-unasked");
        other = wire;
        other.protocol = IPPROTO_UDP;
        CHECK(lab.back(icmp_error(other, type, code)).text == "drop: return-unasked");
        Bytes lie = icmp_error(wire, type, code);
        lie[side.owned == kService4 ? 14 + 20 + 8 + 15 : 14 + 40 + 8 + 23] ^= 1;  // who sent what is quoted
        CHECK(lab.back(lie).text == "drop: return-unasked");
        CHECK(lab.back(icmp_error(turned(wire), type, code)).text == "drop: return-other");
        CHECK(lab.back(icmp_error(wire, 5, 0)).text == "drop: return-unasked");  // redirect; unassigned in ICMPv6
    }
}

TEST_CASE("return: what is no IP packet to an alias is dropped, and counted apart") {
    Back back;
    Frame frame = tcp(kClient4, kOutsides[0].alias, kAck);
    frame.tags = {0x8100};
    CHECK(back.lab->back(frame).text == "drop: return-other");
    Bytes bytes = build(tcp(kClient4, kOutsides[0].alias, kAck));
    bytes[12] = 0x08;
    bytes[13] = 0x06;
    CHECK(back.lab->back(bytes).text == "drop: return-other");
    CHECK(back.lab->back(udp(kClient4, "198.19.0.2")).text == "drop: return-other");
    CHECK(back.lab->back(udp("fe80::1", "ff02::16")).text == "drop: return-other");
    CHECK(back.lab->refused("unasked") == 0);
}
