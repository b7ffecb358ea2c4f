// SPDX-License-Identifier: GPL-2.0-only
// What is known of one packet's way. Values alone: gather.h finds them out, explain.h makes sentences of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/ipc/report.h"
#include "controller/spec/service_spec.h"
#include "controller/why/flow_query.h"
#include "controller/world/listening.h"
#include "netns/flow_tables.h"
#include "netns/route.h"

namespace viscum {

/// What the datapath says of one packet.
struct Ruling {
    std::string verdict{};         // a name of tcprog/counters.h: "served", "no-listener", …
    std::string refusal{};         // where the verdict is "closed": what it would be otherwise
    std::optional<Claim> claim{};  // by which it was decided
    int slot = 0;                  // of the version that gets it
    bool operator==(const Ruling&) const = default;
};

/// A way of the kernel's, and the name of its device.
struct NamedWay {
    Way way;
    std::string device;
    bool operator==(const NamedWay&) const = default;
};

/// Of a bridge by which the client is reached, and which carries no filter of ours itself: its ports do.
struct BridgeKnowledge {
    std::string bridge;
    std::string port;                    // behind which the client is; empty: nobody knows now
    bool vlans = false;                  // it tells VLANs apart: whether the client's frames are tagged nobody knows
    std::vector<std::string> without{};  // ports without our filter
    bool operator==(const BridgeKnowledge&) const = default;
};

struct Evidence {
    FlowQuery query;
    NamedWay client;            // by which the router reaches the source: what it sends comes in there
    std::string filter_device;  // that carries our filter: `client`'s device, or a port of it; empty: none does
    std::optional<BridgeKnowledge> bridge;
    NamedWay onward;  // the packet's own, where it is not taken

    std::optional<Ruling> begins;   // a packet that begins the flow
    std::optional<Ruling> goes_on;  // TCP, where the query names a port: a packet in the middle of that connection
    std::optional<bool> open;       // of `goes_on`: not what is left of one that is closed; none: it could not be seen
    std::optional<Ruling> reply;    // the service's answer to `begins`
    std::optional<NamedWay> back;   // the way of `reply`, where the kernel tells it
    std::string not_asked;          // why the datapath could not be asked

    bool by_headers = false;                          // the classic grade was asked, whose filters know no sockets
    std::optional<std::vector<Listening>> listening;  // with the version that gets new flows; none: it cannot be seen
    std::vector<FlowTable> flow_tables;
    std::optional<DaemonReport> daemon;  // none: `daemon_problem` says why
    std::string daemon_problem;
};

}  // namespace viscum
