// SPDX-License-Identifier: GPL-2.0-only
// A second opinion on every packet: the verdict table of docs/architecture.md as plain code, with maps of its own.
//
// It knows a world as values and what it was shown before. Out of its reach is what depends on time: flows that were
// silent for 60 s, fragments that came 30 s late, buckets that fill again, and what the bounded tables push out. The
// campaign keeps away from these. What it is silent about:
// - checksums of what is not translated: a frame with a wrong one is the receiver's to drop;
// - the order of IPv6 extension headers, and what lies behind the ports: likewise.
#pragma once

#include <map>
#include <set>

#include "tests/faults/model/model_world.h"
#include "tests/faults/model/packet_reading.h"

namespace viscum {

enum class Action { pass, redirect, drop };
const char* action_name(Action action);

struct Expectation {
    vs_verdict verdict = VS_UNCLAIMED;
    Action action = Action::pass;
    Bytes frame;  // afterwards
    /// Where checksums stand in it that were changed: 0 and 0xffff are the same there.
    std::vector<std::size_t> checksums;
};

/// What a rule has counted.
struct ModelCounters {
    std::uint64_t flows = 0, packets_in = 0, bytes_in = 0, packets_out = 0, bytes_out = 0, flows_cloud = 0;
    std::array<std::uint64_t, VS_REASONS> cloud{};
};

struct ModelLinkCounters {
    std::uint64_t out = 0, out_bytes = 0, in = 0, in_bytes = 0;
    std::map<vs_verdict, std::uint64_t> refused;
};

struct ModelFlowKey {
    IpAddress client, service;
    std::uint16_t client_port = 0, service_port = 0;
    std::uint8_t protocol = 0;
    auto operator<=>(const ModelFlowKey&) const = default;
};
struct ModelFlow {
    vs_owner owner = VS_CLOUD;
    std::size_t rule = 0;  // these two: of local ones
    int slot = 0;
};

class VerdictModel {
public:
    /// `links`: the interfaces of the two links, as rules name them.
    VerdictModel(const World& world, std::vector<WorldCookie> cookies, std::array<std::uint32_t, 2> links);

    Expectation judge(const Step& packet);
    void change(const Step& change);

    [[nodiscard]] const std::vector<ModelCounters>& counters() const { return counters_; }
    [[nodiscard]] const ModelLinkCounters& link_counters(int link) const {
        return link_counters_[static_cast<std::size_t>(link)];
    }
    [[nodiscard]] const std::map<ModelFlowKey, ModelFlow>& flows() const { return flows_; }

private:
    struct FragmentKey {
        IpAddress source, destination;
        std::uint32_t id = 0;
        std::uint8_t protocol = 0;  // IPv6 counts ids for both addresses alone
        auto operator<=>(const FragmentKey&) const = default;
    };
    struct FragmentWay {
        std::size_t rule = 0;
        std::optional<int> slot;  // none: dropped
        IpAddress source;         // of a reply
    };
    enum class Found { nothing, listener, cookie, time_wait, flow };
    struct Decision {
        std::optional<int> slot;
        vs_verdict refusal = VS_CLOUD_FLOW;
        bool is_new = false;
    };
    /// The packet at hand.
    struct Packet {
        const Step& step;
        PacketReading reading;
        std::uint64_t segments = 1;
        std::uint64_t bytes = 0;  // from the IP header on
    };

    // model_lan.cpp
    Expectation lan(const Packet& packet);
    Expectation lan_fragment(const Packet& packet);
    Expectation lan_icmp(const Packet& packet);
    Decision decide_tcp(const Packet& packet, std::size_t rule);
    Decision decide_segment(const Packet& packet, const Rule& rule, bool cookies) const;
    Decision decide_udp(const Packet& packet, std::size_t rule);
    [[nodiscard]] std::optional<vs_verdict> against_new(const Rule& rule) const;
    [[nodiscard]] bool is_for_others(const Bytes& frame) const;
    [[nodiscard]] bool is_for_router(const Bytes& frame) const;
    Expectation into_namespace(const Packet& packet, vs_verdict verdict) const;

    // model_service.cpp
    Expectation service(const Packet& packet);
    Expectation service_fragment(const Packet& packet);
    Expectation service_tcp(const Packet& packet);
    Expectation service_udp(const Packet& packet);
    Expectation reply(const Packet& packet, std::size_t rule, const IpAddress& source);
    Expectation egress(const Packet& packet, vs_verdict otherwise);
    Expectation send_egress(const Packet& packet, const LinkEgress& entry);
    [[nodiscard]] std::optional<vs_verdict> against_egress(const Packet& packet, const LinkEgress& entry) const;
    [[nodiscard]] bool begins_outside(const Packet& packet) const;

    // model_return.cpp
    Expectation back(const Packet& packet);
    Expectation deliver(const Packet& packet, const LinkEgress& entry, const LinkAlias& own, const FlowEnds* quoted);
    [[nodiscard]] bool is_asked(int link, const FlowEnds& flow) const;

    // verdict_model.cpp
    [[nodiscard]] std::optional<std::size_t> find_rule(const IpAddress& address, std::uint16_t port,
                                                       std::uint8_t protocol) const;
    [[nodiscard]] std::optional<int> link_of(const RuleBackend& backend) const;
    [[nodiscard]] bool is_backend(const Rule& rule, int link) const;
    /// A TCP segment to the service, as its namespace would see it.
    [[nodiscard]] Found find_tcp(int link, const FlowEnds& ends) const;
    [[nodiscard]] bool has_listener(int link, const IpAddress& address, std::uint16_t port) const;
    [[nodiscard]] bool finishes_cookie(int link, const PacketReading& reading) const;
    [[nodiscard]] bool has_datagram(int link, const FlowEnds& ends, bool connected_only) const;
    static FragmentKey fragment_key(const PacketReading& reading);
    static Expectation expect(const Packet& packet, vs_verdict verdict, Action action);
    Expectation refuse_link(const Packet& packet, vs_verdict verdict);
    [[nodiscard]] const std::optional<LinkEgress>& entry_of(int link) const {
        return world_.egress[static_cast<std::size_t>(link)];
    }

    World world_;
    std::vector<WorldCookie> cookies_;
    std::array<std::uint32_t, 2> links_;
    std::vector<ModelCounters> counters_;
    std::array<ModelLinkCounters, 2> link_counters_;
    std::map<ModelFlowKey, ModelFlow> flows_;
    /// Which address of several a client asked: (client, its port, the service's port, link).
    std::map<std::tuple<IpAddress, std::uint16_t, std::uint16_t, int>, IpAddress> asked_;
    std::map<FragmentKey, FragmentWay> from_clients_;
    std::map<FragmentKey, FragmentWay> replies_;  // `slot`: the link
    std::map<FragmentKey, int> begun_;            // of flows of the service's own, by link; and what came back
    std::map<FragmentKey, int> returned_;
    /// UDP flows that a service began: (link, remote, its port, the service's port).
    std::set<std::tuple<int, IpAddress, std::uint16_t, std::uint16_t>> outs_;
};

// What both directions of a link write (translation.cpp).

/// Exchanges an address within a packet, and makes its checksums as right or wrong as they were.
void exchange_address(Expectation* out, const PacketReading& reading, bool source, const IpAddress& to);
/// The addresses of the packet that an ICMP error quotes, and the checksums over them.
void exchange_quoted(Expectation* out, const PacketReading& reading, const IpAddress& source,
                     const IpAddress& destination);

}  // namespace viscum
