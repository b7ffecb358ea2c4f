// SPDX-License-Identifier: GPL-2.0-only
// A world made real in a lab: rules in the maps, sockets in namespaces, and the programs to run packets through.
// Nothing is attached and nothing is delivered, so what packets change is in the maps alone, and reset() takes it back.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tcprog/counters.h"
#include "tests/bpf/lab.h"
#include "tests/faults/model/model_world.h"

namespace viscum {

/// What a program did with a packet.
struct Seen {
    int error = 0;  // BPF_PROG_TEST_RUN refused it
    std::int32_t action = 0;
    Bytes frame;
    std::vector<std::pair<std::size_t, std::uint64_t>> verdicts;  // that grew, and by how much
};

class LiveWorld {
public:
    /// The world of that seed in a new lab. nullptr, and the running test failed, where it cannot be made. Sockets that
    /// stand in each other's way are left out of world().
    static std::unique_ptr<LiveWorld> make(std::uint32_t seed);
    ~LiveWorld();
    LiveWorld(const LiveWorld&) = delete;
    LiveWorld& operator=(const LiveWorld&) = delete;

    [[nodiscard]] const World& world() const { return world_; }
    [[nodiscard]] const std::vector<WorldCookie>& cookies() const { return cookies_; }
    [[nodiscard]] std::array<std::uint32_t, 2> links() const { return {lab_->link_of(0), lab_->link_of(1)}; }

    /// As in the beginning, with other rules where they are given: nothing remembered, nothing counted.
    bool reset(const std::vector<Rule>& rules);
    Seen run(const Step& packet);
    bool change(const Step& change);

    [[nodiscard]] RuleCounters counters(const Rule& rule) const { return lab_->counters(rule); }
    [[nodiscard]] LinkCounters link_counters(int link) const;
    [[nodiscard]] std::optional<vs_flow> flow(const vs_flow_key& key) const { return lab_->datapath().flows.find(key); }
    [[nodiscard]] std::size_t flow_count() const { return lab_->datapath().flows.entries(100'000).size(); }
    [[nodiscard]] std::optional<std::uint32_t> index_of(const Rule& rule) const;

private:
    LiveWorld() = default;
    bool set_up();
    bool open_sockets();
    bool prepare_token(const Step& packet);
    [[nodiscard]] Verdicts read_verdicts_at_once() const;

    World world_;
    std::unique_ptr<Lab> lab_;
    std::vector<UniqueFd> sockets_;
    std::vector<WorldCookie> cookies_;
    std::vector<UniqueFd> memories_;  // the maps that programs alone write
    std::array<LinkCounters, 2> before_;
    std::array<int, 2> tokens_{};  // that are surely left
    Verdicts last_{};
};

}  // namespace viscum
