// SPDX-License-Identifier: GPL-2.0-only
// What the datapath would do with a packet now, without a trace of the question: the same programs once more, over the
// very rules, tries, lease and sockets that are in use (BPF_PROG_TEST_RUN), but with flows and counters of their own.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "tcprog/abi.h"
#include "tcprog/object.h"
#include "tcprog/question.h"

namespace viscum {

class DryRun {
public:
    /// Loads the programs over the maps that are pinned under `dir`; what is made for it is gone with this object.
    /// Needs CAP_SYS_ADMIN, and no viscumd. errno_code ENOENT: nothing of this build's layout is pinned there.
    static Result<DryRun> open(const std::string& dir);

    struct Answer {
        vs_verdict verdict = VS_UNCLAIMED;
        std::optional<std::uint32_t> rule;  // by which it was decided
        std::optional<vs_verdict> refusal;  // why that rule does not serve it: also where the verdict is VS_CLOSED
        std::optional<int> slot;            // the backend that would get it
        bool operator==(const Answer&) const = default;
    };

    /// A packet of a client that comes in by `device`, for the router's own MAC there, in the calling thread's
    /// namespace. What is known of its flow counts.
    Result<Answer> from_client(std::uint32_t device, const std::array<std::uint8_t, 6>& mac, const Question& question);
    /// What a service sends by `link`, the router's end of it. What from_client() asked before counts: so a datagram
    /// can be answered whose flow there is not yet.
    Result<Answer> from_service(std::uint32_t link, const std::array<std::uint8_t, 6>& mac, const Question& question);

    /// As the kernel has them; nullopt: no such rule.
    [[nodiscard]] std::optional<vs_rule> rule(std::uint32_t index) const;
    [[nodiscard]] std::optional<vs_claim> claim(std::uint32_t index) const;
    /// Whether anything is known of a UDP flow: then its packets are no new ones.
    [[nodiscard]] bool knows_flow(const Question& question) const;

private:
    explicit DryRun(std::string dir, BpfObject object) : dir_(std::move(dir)), object_(std::move(object)) {}
    Status take_maps();
    [[nodiscard]] int map(const char* name) const;
    Status refresh(const Question& question);
    Result<Answer> run(const char* program, std::uint32_t device, const std::array<std::uint8_t, 6>& mac,
                       const Question& question);
    Result<std::optional<int>> serving_slot(std::uint32_t device, const std::array<std::uint8_t, 6>& mac,
                                            const Question& question, std::uint32_t index);

    std::string dir_;
    BpfObject object_;
    UniqueFd rules_, claims_, flows_;  // those in use
    std::uint32_t rule_count_ = 0;
};

}  // namespace viscum
