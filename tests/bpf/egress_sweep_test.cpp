// SPDX-License-Identifier: GPL-2.0-only
// Cut and changed frames through the programs of the link: what leaves or comes back is what a plain reading allows,
// and nothing but addresses and checksums is changed in it.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "base/text.h"
#include "tests/bpf/base_frames.h"
#include "tests/bpf/sweep.h"
#include "tests/support/bed.h"
#include "tests/support/campaign.h"

using namespace viscum;

namespace {

constexpr std::uint16_t kOwnPort = 50'000;

IpAddress address(const std::string& text) {
    return IpAddress::parse(text).value();
}

/// Frames of flows that the service began: out is as it sends them, back is as the router forwards the answers.
std::vector<NamedFrame> frames_of(const Outside& side, bool out) {
    std::vector<NamedFrame> frames;
    const auto add = [&](const std::string& name, const Bytes& bytes) { frames.push_back({name, bytes}); };
    const bool v4 = side.owned == kService4;
    for (const bool origin : {false, true}) {
        const auto name = cat(v4 ? "IPv4" : "IPv6", out ? ", out" : ", back", origin ? ", origin: " : ": ");
        const auto& own = out ? side.owned : side.alias;
        const auto& remote = !origin ? side.remote : out ? side.origin : side.owned;
        const auto way = [out](const Frame& frame) { return out ? frame : turned(frame); };
        Frame segment = tcp(own, remote, out ? kSyn : kAck | kPsh);
        Frame datagram = udp(own, remote, std::string(100, 'd'));
        segment.source_port = datagram.source_port = kOwnPort;
        add(name + "segment", build(way(segment)));
        segment.flags = kFin | kAck;
        segment.payload.assign(7, 's');
        add(name + "segment with data", build(way(segment)));
        add(name + "datagram", build(way(datagram)));
        const auto parts = build_fragments(way(datagram), origin ? 7 : 8, 48);
        add(name + "first fragment", parts[0]);
        add(name + "later fragment", parts[1]);
        const auto of_uplink = out ? turned(segment) : segment;
        add(name + "too big, TCP", icmp_error(of_uplink, v4 ? 3 : 2, v4 ? 4 : 0));
        add(name + "unreachable, UDP", icmp_error(out ? turned(datagram) : datagram, v4 ? 3 : 1, v4 ? 3 : 4));
        if (v4) {
            segment.ip_options = 8;
        } else {
            segment.extensions = {{IPPROTO_HOPOPTS, 0, 0}, {IPPROTO_DSTOPTS, 1, 0}};
        }
        add(name + "with more headers", build(way(segment)));
    }
    return frames;
}

struct Change {
    std::size_t first = 0;
    std::size_t last = 0;  // exclusive
};

/// Where a program may write: MACs, addresses, checksums, and those of a packet that an ICMP error quotes.
std::vector<Change> writable(const Bytes& frame) {
    const bool v4 = frame[12] == 0x08;
    const std::size_t header = v4 ? frame[14] % 16 * std::size_t{4} : 40;
    std::vector<Change> out{{0, 6}, v4 ? Change{24, 34} : Change{22, 54}};
    const std::uint8_t protocol = v4 ? frame[23] : frame[20];
    const std::size_t l4 = 14 + header;
    if (!v4 && (protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_DSTOPTS ||
                protocol == IPPROTO_ROUTING)) {
        out.push_back({l4, frame.size()});  // the headers end where the program says
    } else if (protocol == IPPROTO_TCP) {
        out.push_back({l4 + 16, l4 + 18});
    } else if (protocol == IPPROTO_UDP) {
        out.push_back({l4 + 6, l4 + 8});
    } else {
        const std::size_t quoted = l4 + 8;
        out.push_back({l4 + 2, l4 + 4});
        out.push_back(v4 ? Change{quoted + 10, quoted + 20} : Change{quoted + 8, quoted + 40});
    }
    return out;
}

bool is_only_translated(const Bytes& before, const Bytes& after) {
    if (before.size() != after.size()) {
        return false;
    }
    const auto changes = writable(before);
    for (std::size_t i = 0; i < before.size(); ++i) {
        const bool allowed = std::any_of(changes.begin(), changes.end(),
                                         [i](const Change& change) { return i >= change.first && i < change.last; });
        if (before[i] != after[i] && !allowed) {
            return false;
        }
    }
    return true;
}

bool is_on_uplink(const IpAddress& at) {
    return IpPrefix::parse("192.0.2.0/24")->contains(at) || IpPrefix::parse("2001:db8:1::/64")->contains(at);
}

/// What RFC 6890 and RFC 4291 leave to the internet, read as text.
bool is_internet(const IpAddress& at) {
    if (!at.is_v4()) {
        return IpPrefix::parse("2000::/3")->contains(at) && !IpPrefix::parse("2002::/16")->contains(at) &&
               !IpPrefix::parse("2001:db8:77::/64")->contains(at);
    }
    const std::vector<std::string> special{"0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10", "127.0.0.0/8",
                                           "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",  "192.168.0.0/16",
                                           "198.18.0.0/15",  "224.0.0.0/3"};
    return std::none_of(special.begin(), special.end(),
                        [&at](const std::string& text) { return IpPrefix::parse(text)->contains(at); });
}

struct LinkSweep {
    LinkSweep() : lab(Lab::make()) {
        REQUIRE(lab);
        REQUIRE(lab->add_internet());
        auto egress = lab->egress();
        egress.internet = true;
        for (const auto& side : kOutsides) {
            egress.origins.push_back({address(side.owned), address(side.origin)});
        }
        REQUIRE(lab->allow(egress) > 0);
        // The service's connections to both, on their way.
        for (const auto& side : kOutsides) {
            for (const auto& remote : {side.remote, side.origin}) {
                for (const auto& [type, port] : {std::pair{SOCK_STREAM, 80}, std::pair{SOCK_DGRAM, 53}}) {
                    const auto to = Endpoint::of(remote, static_cast<std::uint16_t>(port));
                    sockets.push_back(connected(type, Endpoint::of(side.owned, kOwnPort), to));
                }
            }
        }
    }
    [[nodiscard]] UniqueFd connected(int type, const Endpoint& from, const Endpoint& to) const {
        UniqueFd fd;
        const auto done = lab->namespace_of(0).inside([&]() -> Status {
            fd.reset(socket(to.address.is_v4() ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            const int on = 1;
            setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
            setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
            const auto own = to_sockaddr(from);
            const auto other = to_sockaddr(to);
            if (bind(fd.get(), own.get(), own.length) != 0 ||
                (connect(fd.get(), other.get(), other.length) != 0 && errno != EINPROGRESS)) {
                return errno_error("cannot connect");
            }
            return {};
        });
        REQUIRE(done);
        return fd;
    }

    void check_out(const Bytes& frame, const std::string& name) {
        if (!can_be_run(frame)) {
            return;
        }
        ++frames;
        lab->set_full_at(0);  // a sweep judges what may go, not how often
        const auto outcome = lab->service(frame);
        if (outcome.text.starts_with("drop: ")) {
            return;
        }
        ++taken;
        const Reading sent = read_frame(frame);
        const Reading left = read_frame(outcome.frame);
        const auto& side = kOutsides[sent.source.is_v4() ? 0 : 1];
        const bool origin = sent.destination == address(side.origin);
        const bool right = outcome.text == "pass: egress" &&
                           (sent.kind == Reading::Kind::transport || sent.kind == Reading::Kind::later_fragment) &&
                           (sent.kind == Reading::Kind::later_fragment || sent.source == address(side.owned)) &&
                           (origin || sent.kind == Reading::Kind::later_fragment ||
                            (is_internet(sent.destination) && !is_on_uplink(sent.destination))) &&
                           (sent.kind != Reading::Kind::transport ||
                            (left.source == address(side.alias) &&
                             left.destination == (origin ? address(side.owned) : sent.destination)));
        judge(right, frame, outcome, name);
    }

    void check_back(const Bytes& frame, const std::string& name) {
        if (!can_be_run(frame)) {
            return;
        }
        ++frames;
        const auto outcome = lab->back(frame);
        if (outcome.text.starts_with("drop: ")) {
            return;
        }
        ++taken;
        const Reading came = read_frame(frame);
        const auto& side = kOutsides[came.source.is_v4() ? 0 : 1];
        const bool later = came.kind == Reading::Kind::later_fragment;
        const bool known = came.source == address(side.remote) || came.source == address(side.owned);
        const bool flow = came.destination == address(side.alias) && came.destination_port == kOwnPort &&
                          came.source_port == (came.protocol == IPPROTO_TCP ? 80 : 53);
        const bool begins = came.kind == Reading::Kind::transport && came.protocol == IPPROTO_TCP &&
                            (came.flags & (kSyn | kAck)) == kSyn;
        judge(outcome.text == "pass: returned" && came.kind != Reading::Kind::other && !begins &&
                  (later || (known && flow)),
              frame, outcome, name);
    }

    void judge(bool right, const Bytes& frame, const Outcome& outcome, const std::string& name) const {
        if (!right) {
            FAIL_CHECK(cat("let through: ", name, ": ", outcome.text, ": ", hex_dump(frame)));
        } else if (!is_only_translated(frame, outcome.frame) ||
                   (has_plain_headers(frame) && checksums_right(frame) != checksums_right(outcome.frame))) {
            FAIL_CHECK(cat("damaged: ", name, ": ", hex_dump(frame), " -> ", hex_dump(outcome.frame)));
        }
    }

    static bool has_plain_headers(const Bytes& frame) {
        const bool v4 = frame[12] == 0x08;
        const std::uint8_t protocol = v4 ? frame[23] : frame[20];
        const bool fragment = v4 && ((frame[20] & 0x3f) | frame[21]) != 0;
        return !fragment && (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP ||
                             protocol == IPPROTO_ICMPV6);
    }

    void check(const Bytes& frame, const std::string& name, bool out) {
        if (out) {
            check_out(frame, name);
        } else {
            check_back(frame, name);
        }
    }

    std::unique_ptr<Lab> lab;
    std::vector<UniqueFd> sockets;
    int frames = 0;
    int taken = 0;
};

}  // namespace

TEST_CASE("egress: every frame that sweeps start from goes through whole, but those with headers that may not") {
    LinkSweep sweep;
    for (const auto& side : kOutsides) {
        for (const bool out : {true, false}) {
            for (const auto& frame : frames_of(side, out)) {
                const auto& name = frame.name;
                CAPTURE(name);
                const auto text = out ? sweep.lab->service(frame.bytes).text : sweep.lab->back(frame.bytes).text;
                const bool error =
                    name.find("too big") != std::string::npos || name.find("unreach") != std::string::npos;
                const bool refused =
                    out && (error || (side.owned == kService4 && name.find("more") != std::string::npos));
                CHECK(text.starts_with("drop: ") == refused);
            }
        }
    }
}

TEST_CASE("fault 29: egress: no frame that is cut at any byte leaves or comes back that may not, or is damaged") {
    for (const bool out : {true, false}) {
        LinkSweep sweep;  // a datagram that leaves begins a flow that may be answered
        for (const auto& side : kOutsides) {
            for (const auto& [name, bytes] : frames_of(side, out)) {
                for (std::size_t size = 14; size <= bytes.size(); ++size) {
                    sweep.check({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)},
                                cat(name, ", ", size, " bytes"), out);
                }
            }
        }
        MESSAGE(sweep.frames << " frames, " << sweep.taken << " taken");
        CHECK(sweep.taken > 0);
    }
}

TEST_CASE("fault 29: egress: no frame with a flipped bit leaves or comes back that may not, or is damaged") {
    for (const bool out : {true, false}) {
        LinkSweep sweep;  // a datagram that leaves begins a flow that may be answered
        for (const auto& side : kOutsides) {
            for (const auto& [name, bytes] : frames_of(side, out)) {
                for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
                    Bytes flipped = bytes;
                    flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ 1U << bit % 8);
                    sweep.check(flipped, cat(name, ", bit ", bit), out);
                }
            }
        }
        MESSAGE(sweep.frames << " frames, " << sweep.taken << " taken");
        CHECK(sweep.taken > 0);
    }
}

TEST_CASE("fault 29: egress: no random change makes a frame that leaves or comes back and may not, or is damaged") {
    const std::uint32_t seed = campaign_seed();
    MESSAGE("seed " << seed);
    std::mt19937 random(seed);
    for (const bool out : {true, false}) {
        LinkSweep sweep;
        auto frames = frames_of(kOutsides[0], out);
        const auto more = frames_of(kOutsides[1], out);
        frames.insert(frames.end(), more.begin(), more.end());
        for (int round = 0; round < 10'000; ++round) {
            Bytes bytes = frames[random() % frames.size()].bytes;
            for (auto changes = random() % 6; changes > 0; --changes) {
                bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
            }
            if (random() % 4 == 0) {
                bytes.resize(14 + random() % 100, static_cast<std::uint8_t>(random()));
            }
            sweep.check(bytes, cat("seed ", seed, ", round ", round), out);
        }
        CHECK(sweep.taken > 0);
    }
}
