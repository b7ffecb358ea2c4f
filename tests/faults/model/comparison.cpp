// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/model/comparison.h"

#include <arpa/inet.h>
#include <linux/pkt_cls.h>

#include <algorithm>

#include "base/text.h"

namespace viscum {
namespace {

World with_rules(World world, const std::vector<Rule>& rules) {
    world.rules = rules;
    return world;
}

const char* action_text(std::int32_t action) {
    return action == TC_ACT_UNSPEC     ? "pass"
           : action == TC_ACT_SHOT     ? "drop"
           : action == TC_ACT_REDIRECT ? "redirect"
                                       : "another action";
}

bool same_checksum(const Bytes& a, const Bytes& b, std::size_t at) {
    const auto value = [at](const Bytes& frame) { return (frame[at] << 8 | frame[at + 1]) % 0xffff; };
    return value(a) == value(b);
}

bool same_frame(const Bytes& seen, const Expectation& expected) {
    if (seen.size() != expected.frame.size()) {
        return false;
    }
    Bytes exact = expected.frame;
    for (const auto at : expected.checksums) {
        if (!same_checksum(seen, expected.frame, at)) {
            return false;
        }
        exact[at] = seen[at];
        exact[at + 1] = seen[at + 1];
    }
    return exact == seen;
}

vs_flow_key abi_key(const ModelFlowKey& key) {
    vs_flow_key out{};
    out.client = abi_address(key.client);
    out.service = abi_address(key.service);
    out.client_port_be = htons(key.client_port);
    out.service_port_be = htons(key.service_port);
    out.protocol = key.protocol;
    return out;
}

std::string differs(const char* what, std::uint64_t seen, std::uint64_t expected) {
    return cat(what, ": ", seen, " instead of ", expected);
}

}  // namespace

Comparison::Comparison(LiveWorld& live, const std::vector<Rule>& rules)
    : live_(live), rules_(rules), model_(with_rules(live.world(), rules), live.cookies(), live.links()) {}

std::optional<std::string> Comparison::step(const Step& step, Verdicts* counted) {
    if (step.kind != Step::Kind::packet) {
        model_.change(step);
        return live_.change(step) ? std::nullopt : std::optional<std::string>("cannot change the world");
    }
    const Seen seen = live_.run(step);
    if (seen.error != 0) {
        return errno_error("cannot run the program", seen.error).what;
    }
    const Expectation expected = model_.judge(step);
    if (counted != nullptr) {
        (*counted)[expected.verdict] += 1;
    }
    auto difference = compare_packet(step, seen, expected);
    if (!difference) {
        difference = step.hook == Hook::back ? std::nullopt : compare_counters();
    }
    if (!difference && step.hook != Hook::lan) {
        difference = compare_link_counters(step.link);
    }
    const PacketReading reading = read_packet(step.frame, step.segments > 1);
    if (!difference && step.hook == Hook::lan && (reading.tcp() || reading.udp())) {
        const FlowEnds& ends = reading.ends;
        difference =
            compare_flow({ends.source, ends.destination, ends.source_port, ends.destination_port, ends.protocol});
    }
    return difference;
}

std::optional<std::string> Comparison::compare_packet(const Step& step, const Seen& seen,
                                                      const Expectation& expected) const {
    std::string verdicts;
    for (const auto& [verdict, count] : seen.verdicts) {
        verdicts += cat(verdicts.empty() ? "" : " ", verdict_name(verdict), count == 1 ? "" : cat(" x", count));
    }
    const std::string wanted = cat(action_name(expected.action), ": ", verdict_name(expected.verdict));
    const std::string got = cat(action_text(seen.action), ": ", verdicts.empty() ? "no verdict" : verdicts);
    if (got != wanted) {
        return cat("the program says ", got, ", the model ", wanted);
    }
    // A frame that is dropped is nobody's any more.
    if (expected.action != Action::drop && !same_frame(seen.frame, expected)) {
        return cat("after ", got, "\n  the program's  ", hex_dump(seen.frame), "\n  the model's    ",
                   hex_dump(expected.frame), "\n  before         ", hex_dump(step.frame));
    }
    return std::nullopt;
}

std::optional<std::string> Comparison::compare_counters() const {
    for (std::size_t i = 0; i < rules_.size(); ++i) {
        const RuleCounters seen = live_.counters(rules_[i]);
        const ModelCounters& expected = model_.counters()[i];
        const auto name = [&](const char* what) { return cat("rule ", i, ", ", what); };
        const std::vector<std::tuple<const char*, std::uint64_t, std::uint64_t>> pairs{
            {"flows", seen.flows, expected.flows},
            {"packets in", seen.packets_in, expected.packets_in},
            {"bytes in", seen.bytes_in, expected.bytes_in},
            {"packets out", seen.packets_out, expected.packets_out},
            {"bytes out", seen.bytes_out, expected.bytes_out},
            {"flows to the cloud", seen.flows_cloud, expected.flows_cloud}};
        for (const auto& [what, is, should] : pairs) {
            if (is != should) {
                return differs(name(what).c_str(), is, should);
            }
        }
        for (std::size_t reason = 0; reason < VS_REASONS; ++reason) {
            if (seen.cloud[reason] != expected.cloud[reason]) {
                return differs(name(reason_name(reason)).c_str(), seen.cloud[reason], expected.cloud[reason]);
            }
        }
    }
    return std::nullopt;
}

std::optional<std::string> Comparison::compare_link_counters(int link) const {
    const LinkCounters seen = live_.link_counters(link);
    const ModelLinkCounters& expected = model_.link_counters(link);
    if (seen.out != expected.out || seen.out_bytes != expected.out_bytes || seen.in != expected.in ||
        seen.in_bytes != expected.in_bytes) {
        return cat("link ", link, ": ", differs("out", seen.out, expected.out), ", ",
                   differs("in", seen.in, expected.in), ", ", differs("bytes out", seen.out_bytes, expected.out_bytes),
                   ", ", differs("bytes in", seen.in_bytes, expected.in_bytes));
    }
    for (std::size_t i = 0; i < seen.refused.size(); ++i) {
        const auto found = expected.refused.find(static_cast<vs_verdict>(VS_LINK_REASON_FIRST + i));
        const std::uint64_t should = found == expected.refused.end() ? 0 : found->second;
        if (seen.refused[i].second != should) {
            return cat("link ", link, ": ", differs(seen.refused[i].first.c_str(), seen.refused[i].second, should));
        }
    }
    return std::nullopt;
}

std::optional<std::string> Comparison::compare_flow(const ModelFlowKey& key) const {
    const auto seen = live_.flow(abi_key(key));
    const auto expected = model_.flows().find(key);
    const auto text = [](bool any, int owner) {
        return !any ? "nobody's" : owner == VS_LOCAL ? "ours" : "the cloud's";
    };
    const std::string is = text(seen.has_value(), seen ? int{seen->owner} : 0);
    const std::string should =
        text(expected != model_.flows().end(), expected != model_.flows().end() ? int{expected->second.owner} : 0);
    if (is != should) {
        return cat("the flow from ", key.client.text(), " port ", key.client_port, " is ", is, " instead of ", should);
    }
    if (seen && seen->owner == VS_LOCAL &&
        (int{seen->slot} != expected->second.slot || live_.index_of(rules_[expected->second.rule]) != seen->rule)) {
        return cat("the flow from ", key.client.text(), " port ", key.client_port, " has slot ", int{seen->slot},
                   " of rule index ", seen->rule, " instead of slot ", expected->second.slot, " of rule ",
                   expected->second.rule);
    }
    return std::nullopt;
}

std::optional<std::string> Comparison::compare_flows() const {
    for (const auto& [key, flow] : model_.flows()) {
        if (auto difference = compare_flow(key)) {
            return difference;
        }
    }
    const auto count = live_.flow_count();
    return count == model_.flows().size() ? std::nullopt
                                          : std::optional(differs("flows remembered", count, model_.flows().size()));
}

}  // namespace viscum
