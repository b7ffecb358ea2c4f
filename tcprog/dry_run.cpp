// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/dry_run.h"

#include <bpf/bpf.h>
#include <netinet/in.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "tcprog/bpf_map.h"
#include "tcprog/counters.h"
#include "tcprog/loader.h"
#include "tcprog/percpu.h"
#include "tcprog/pins.h"
#include "tcprog/rule_index.h"

namespace viscum {
namespace {

// Read by the programs and written by viscumd alone: used as they are.
constexpr std::array<const char*, 8> kShared{"vs_config", "vs_filter", "vs_exact", "vs_prefix",
                                             "vs_port",   "vs_lans",   "vs_links", "vs_egress"};
constexpr std::uint32_t kOwnFlows = 1024;  // room of our own tables; a smaller LRU forgets at once what it was told

Result<UniqueFd> open_pin(const std::string& dir, const char* name) {
    UniqueFd fd = pinned(cat(version_dir(dir), '/', name));
    if (!fd) {
        return errno_error(cat("cannot open '", version_dir(dir), '/', name, "'"));
    }
    return fd;
}

Result<std::uint32_t> entries_of(int fd) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (const int error = bpf_obj_get_info_by_fd(fd, &info, &size); error != 0) {
        return errno_error("cannot read a BPF map", error);
    }
    return info.max_entries;
}

vs_flow_key flow_key_of(const Question& question) {
    vs_flow_key key{};
    key.client = abi_address(question.source);
    key.service = abi_address(question.destination);
    key.client_port_be = htons(question.source_port);
    key.service_port_be = htons(question.destination_port);
    key.protocol = question.protocol;
    return key;
}

template <class Value>
std::optional<Value> find(int fd, std::uint32_t index) {
    Value value{};
    return bpf_map_lookup_elem(fd, &index, &value) == 0 ? std::optional(value) : std::nullopt;
}

/// The values of a per-CPU array at `index`, or zeros.
template <class Value>
std::vector<Value> per_cpu(int fd, std::uint32_t index) {
    std::vector<Value> values(possible_cpus());
    if (bpf_map_lookup_elem(fd, &index, values.data()) != 0) {
        std::ranges::fill(values, Value{});
    }
    return values;
}

template <class Value>
Status clear(int fd, std::uint32_t count) {
    const std::vector<Value> zeros(possible_cpus());
    for (std::uint32_t index = 0; index < count; ++index) {
        if (const int error = bpf_map_update_elem(fd, &index, zeros.data(), BPF_ANY); error != 0) {
            return errno_error("cannot clear counters", error);
        }
    }
    return {};
}

/// The reason for which a rule has refused a packet; nothing where it has not.
std::optional<vs_verdict> refusal_in(const std::vector<vs_counters>& values) {
    for (const auto& counters : values) {
        for (std::size_t reason = 0; reason < VS_REASONS; ++reason) {
            if (counters.cloud[reason] != 0) {
                return static_cast<vs_verdict>(VS_REASON_FIRST + reason);
            }
        }
    }
    return std::nullopt;
}

bool has_passed(const vs_counters& counters) {
    return counters.packets_in != 0 || counters.packets_out != 0;
}

}  // namespace

int DryRun::map(const char* name) const {
    return bpf_map__fd(bpf_object__find_map_by_name(object_.get(), name));
}

Status DryRun::take_maps() {
    for (const char* name : kShared) {
        auto fd = open_pin(dir_, name);
        if (!fd) {
            return std::move(fd).error();
        }
        if (const int error = bpf_map__reuse_fd(bpf_object__find_map_by_name(object_.get(), name), fd->get());
            error != 0) {
            return errno_error(cat("cannot use map '", name, "'"), error);
        }
    }
    for (const auto& [name, place] : {std::pair("vs_rules", &rules_), {"vs_claims", &claims_}, {"vs_flows", &flows_}}) {
        auto fd = open_pin(dir_, name);
        if (!fd) {
            return std::move(fd).error();
        }
        *place = *std::move(fd);
    }
    const auto count = entries_of(rules_.get());
    if (!count) {
        return count.error();
    }
    rule_count_ = *count;
    for (const char* name : {"vs_rules", "vs_counters", "vs_claims"}) {
        bpf_map__set_max_entries(bpf_object__find_map_by_name(object_.get(), name), rule_count_);
    }
    for (const char* name : {"vs_flows", "vs_sources", "vs_fragments", "vs_outs"}) {
        bpf_map__set_max_entries(bpf_object__find_map_by_name(object_.get(), name), kOwnFlows);
    }
    return {};
}

Result<DryRun> DryRun::open(const std::string& dir) {
    keep_libbpf_words();
    auto object = open_object();
    if (!object) {
        return std::move(object).error();
    }
    DryRun out(dir, *std::move(object));
    if (auto status = out.take_maps(); !status) {
        return std::move(status).error();
    }
    bpf_program__set_autoload(bpf_object__find_program_by_name(out.object_.get(), "vs_return"), false);
    if (const int error = bpf_object__load(out.object_.get()); error != 0) {
        return libbpf_failure("the kernel refuses the BPF programs", error);
    }
    return out;
}

std::optional<vs_rule> DryRun::rule(std::uint32_t index) const {
    return find<vs_rule>(rules_.get(), index);
}

std::optional<vs_claim> DryRun::claim(std::uint32_t index) const {
    return find<vs_claim>(claims_.get(), index);
}

bool DryRun::knows_flow(const Question& question) const {
    const vs_flow_key key = flow_key_of(question);
    vs_flow flow{};
    return bpf_map_lookup_elem(flows_.get(), &key, &flow) == 0;
}

/// Rules and this flow, as they are at this instant.
Status DryRun::refresh(const Question& question) {
    if (auto status = carry_map(rules_.get(), map("vs_rules"), Carry::all); !status) {
        return status;
    }
    const vs_flow_key key = flow_key_of(question);
    vs_flow flow{};
    const bool known = bpf_map_lookup_elem(flows_.get(), &key, &flow) == 0;
    const int error =
        known ? bpf_map_update_elem(map("vs_flows"), &key, &flow, BPF_ANY) : bpf_map_delete_elem(map("vs_flows"), &key);
    return error == 0 || error == -ENOENT ? Status{} : Status{errno_error("cannot write to a BPF map", error)};
}

Result<DryRun::Answer> DryRun::run(const char* program, std::uint32_t device, const std::array<std::uint8_t, 6>& mac,
                                   const Question& question) {
    if (auto status = clear<__u64>(map("vs_verdicts"), VS_VERDICTS); !status) {
        return std::move(status).error();
    }
    if (auto status = clear<vs_counters>(map("vs_counters"), rule_count_); !status) {
        return std::move(status).error();
    }
    const auto frame = frame_of(question, mac);
    std::vector<std::uint8_t> out(frame.size() + 64);
    __sk_buff context{};
    context.ifindex = device;
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = frame.data();
    options.data_size_in = static_cast<__u32>(frame.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<__u32>(out.size());
    options.ctx_in = &context;
    options.ctx_size_in = sizeof context;
    const int fd = bpf_program__fd(bpf_object__find_program_by_name(object_.get(), program));
    if (const int error = bpf_prog_test_run_opts(fd, &options); error != 0) {
        return errno_error(cat("cannot ask ", program), error);
    }
    Answer answer;
    for (std::uint32_t verdict = 0; verdict < VS_VERDICTS; ++verdict) {
        const auto values = per_cpu<__u64>(map("vs_verdicts"), verdict);
        if (std::ranges::any_of(values, [](__u64 packets) { return packets != 0; })) {
            answer.verdict = static_cast<vs_verdict>(verdict);
        }
    }
    for (std::uint32_t index = 0; index < rule_count_ && !answer.rule; ++index) {
        const auto values = per_cpu<vs_counters>(map("vs_counters"), index);
        answer.refusal = refusal_in(values);
        if (answer.refusal || std::ranges::any_of(values, has_passed)) {
            answer.rule = index;
        }
    }
    return answer;
}

/// Asked once more without the active backend: what is served then has its socket in the other one.
Result<std::optional<int>> DryRun::serving_slot(std::uint32_t device, const std::array<std::uint8_t, 6>& mac,
                                                const Question& question, std::uint32_t index) {
    const auto rule = this->rule(index);
    if (!rule) {
        return std::optional<int>();
    }
    const int active = rule->active & 1;
    if (question.protocol == IPPROTO_UDP) {
        const vs_flow_key key = flow_key_of(question);
        vs_flow flow{};
        const bool known = bpf_map_lookup_elem(map("vs_flows"), &key, &flow) == 0;
        return std::optional<int>(known ? flow.slot & 1 : active);
    }
    if (rule->backend[1 - active].ifindex == 0) {
        return std::optional<int>(active);
    }
    vs_rule without = *rule;
    without.backend[active] = {};
    if (const int error = bpf_map_update_elem(map("vs_rules"), &index, &without, BPF_ANY); error != 0) {
        return errno_error("cannot write to a BPF map", error);
    }
    const auto again = run("vs_lan", device, mac, question);
    bpf_map_update_elem(map("vs_rules"), &index, &*rule, BPF_ANY);
    if (!again) {
        return again.error();
    }
    return std::optional<int>(again->verdict == VS_SERVED ? 1 - active : active);
}

Result<DryRun::Answer> DryRun::from_client(std::uint32_t device, const std::array<std::uint8_t, 6>& mac,
                                           const Question& question) {
    if (auto status = refresh(question); !status) {
        return std::move(status).error();
    }
    auto answer = run("vs_lan", device, mac, question);
    if (answer && answer->verdict == VS_SERVED && answer->rule) {
        const auto slot = serving_slot(device, mac, question, *answer->rule);
        if (!slot) {
            return slot.error();
        }
        answer->slot = *slot;
    }
    return answer;
}

Result<DryRun::Answer> DryRun::from_service(std::uint32_t link, const std::array<std::uint8_t, 6>& mac,
                                            const Question& question) {
    return run("vs_service", link, mac, question);
}

}  // namespace viscum
