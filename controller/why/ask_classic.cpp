// SPDX-License-Identifier: GPL-2.0-only
#include "controller/why/ask_classic.h"

#include <netinet/tcp.h>

#include "classic/match.h"
#include "classic/steer.h"
#include "controller/why/claim_text.h"
#include "controller/why/made_up.h"
#include "controller/why/service_ns.h"
#include "controller/why/way_in.h"
#include "tcprog/question.h"

namespace viscum {
namespace {

/// What the filter that decides makes of the packet. What the report says is why there is none that serves it.
Ruling ruling_of(const U32Filter* filter, const FlowQuery& query, const std::optional<DaemonReport>& report) {
    Ruling ruling = report ? ruling_by_report(query, *report) : Ruling{};
    const bool refused = ruling.verdict == "draining" || ruling.verdict == "not-admitted";
    if (filter == nullptr) {
        ruling.verdict = refused || ruling.verdict == "unclaimed" ? ruling.verdict : "not-steered";
    } else if (filter->action == U32Action::leave) {
        ruling.verdict = kept_flow_of(*filter) || !refused ? "cloud-flow" : ruling.verdict;
    } else if (filter->target == kNowhere) {
        ruling.refusal = refused ? ruling.verdict : "not-admitted";
        ruling.verdict = "closed";
    } else {
        ruling.verdict = "served";
    }
    return ruling;
}

}  // namespace

Status ask_filters(Evidence& evidence, const NlSocket& socket, const std::vector<Link>& links, const Link& filtered,
                   const Instance& instance) {
    const auto standing = list_u32(socket, filtered.index, u32_instance(instance.name));
    if (!standing) {
        return standing.error();
    }
    const auto& query = evidence.query;
    const Link* const router = link_with(links, evidence.client.way.device);
    const Mac& mac = router == nullptr ? filtered.mac : router->mac;
    const auto decides = [&](std::uint16_t port) {
        return deciding(*standing, frame_of(question_of(query, port, TH_SYN), mac));
    };
    std::uint16_t port = query.source_port.value_or(kFirstMadeUp);
    const U32Filter* filter = decides(port);
    while (!query.source_port && filter != nullptr && kept_flow_of(*filter) && port < kLastMadeUp) {
        filter = decides(++port);
    }
    evidence.begins = ruling_of(filter, query, evidence.daemon);
    if (evidence.begins->verdict != "served") {
        return {};
    }
    const Link* const link = link_with(links, filter->target);
    const auto ns = link != nullptr && link->peer_nsid ? namespace_at(socket, instance, *link->peer_nsid)
                                                       : Result<NetNs>(Error{ENOENT, "no link of a service's"});
    evidence.listening = listening_for(ns, query);
    if (query.source_port && query.protocol == Protocol::tcp && has_open(ns, query).value_or(false)) {
        evidence.goes_on = evidence.begins;
        evidence.open = true;
    }
    // The filters ask nobody.
    if (evidence.listening && !claims_without_listener({query.claim()}, *evidence.listening).empty()) {
        evidence.begins->verdict = "no-listener";
    }
    return {};
}

}  // namespace viscum
