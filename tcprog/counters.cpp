// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/counters.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <vector>

#include "tcprog/percpu.h"

namespace viscum {
namespace {

constexpr std::array<const char*, VS_RETURN_OTHER + 1> kNames{"unclaimed",
                                                              "not-ip",
                                                              "vlan",
                                                              "truncated",
                                                              "malformed",
                                                              "extension-header",
                                                              "fragment",
                                                              "other-host",
                                                              "no-listener",
                                                              "draining",
                                                              "not-admitted",
                                                              "lease-expired",
                                                              "cloud-flow",
                                                              "served",
                                                              "icmp-served",
                                                              "closed",
                                                              "replied",
                                                              "fence-protocol",
                                                              "fence-source",
                                                              "fence-new-flow",
                                                              "fence-refusal",
                                                              "fence-no-route",
                                                              "fence-too-long",
                                                              "egress",
                                                              "egress-not-allowed",
                                                              "egress-private",
                                                              "egress-no-route",
                                                              "egress-not-owned",
                                                              "egress-too-many",
                                                              "return-unasked",
                                                              "returned",
                                                              "return-other"};

}  // namespace

Result<RuleCounters> read_counters(const Datapath& datapath, std::uint32_t rule) {
    std::vector<vs_counters> per_cpu(possible_cpus());
    if (const int error = bpf_map_lookup_elem(datapath.counters.get(), &rule, per_cpu.data()); error != 0) {
        return errno_error("cannot read counters", error);
    }
    RuleCounters sum;
    for (const auto& one : per_cpu) {
        sum.flows += one.flows;
        sum.packets_in += one.packets_in;
        sum.bytes_in += one.bytes_in;
        sum.packets_out += one.packets_out;
        sum.bytes_out += one.bytes_out;
        sum.flows_cloud += one.flows_cloud;
        for (std::size_t reason = 0; reason < VS_REASONS; ++reason) {
            sum.cloud[reason] += one.cloud[reason];
        }
    }
    return sum;
}

Status clear_counters(const Datapath& datapath, std::uint32_t rule) {
    const std::vector<vs_counters> zeros(possible_cpus());
    if (const int error = bpf_map_update_elem(datapath.counters.get(), &rule, zeros.data(), BPF_ANY); error != 0) {
        return errno_error("cannot clear counters", error);
    }
    return {};
}

Result<Verdicts> read_verdicts(const Datapath& datapath) {
    Verdicts sum{};
    for (std::uint32_t verdict = 0; verdict < VS_VERDICTS; ++verdict) {
        std::vector<std::uint64_t> per_cpu(possible_cpus());
        if (const int error = bpf_map_lookup_elem(datapath.verdicts.get(), &verdict, per_cpu.data()); error != 0) {
            return errno_error("cannot read verdicts", error);
        }
        for (const auto one : per_cpu) {
            sum[verdict] += one;
        }
    }
    return sum;
}

const char* verdict_name(std::size_t verdict) {
    return verdict < kNames.size() ? kNames[verdict] : "";
}

}  // namespace viscum
