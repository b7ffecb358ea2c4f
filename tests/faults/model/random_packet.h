// SPDX-License-Identifier: GPL-2.0-only
// Packets by lot, near what a world claims, owns and has begun: well-formed ones of every kind that the programs have a
// branch for, and mutations of them.
#pragma once

#include <random>
#include <vector>

#include "tests/faults/model/model_world.h"

namespace viscum {

class PacketSource {
public:
    /// `world` and `cookies` must outlive it.
    PacketSource(const World& world, const std::vector<WorldCookie>& cookies, std::uint32_t seed);

    /// A packet, or now and then a change.
    Step next();
    [[nodiscard]] std::uint64_t mutations() const { return mutations_; }

private:
    struct Sent {
        Hook hook = Hook::lan;
        int link = 0;
        Frame frame;
    };

    Step change();
    void put_together(Step& step);
    Sent plain();
    Sent from_client();
    Sent from_service();
    Sent begun_by_service();
    Sent come_back();
    Frame flow_of(const WorldSocket& socket);
    Frame flow_of_rule();
    void dress(Sent& sent);
    void dress_headers(Frame& frame);
    Bytes bytes_of(const Sent& sent);
    Bytes fragment_of(Sent sent);
    Bytes error_about(const Sent& sent);
    Bytes strange(const Sent& sent);
    bool mutate(Bytes& bytes);
    std::uint16_t client_port();

    const World& world_;
    const std::vector<WorldCookie>& cookies_;
    std::mt19937 dice_;
    std::vector<Sent> recent_;
    std::vector<Sent> fragmented_;  // with their first fragments' id
    std::vector<Rule> rules_;
    bool lease_ = true;
    std::uint64_t mutations_ = 0;
};

}  // namespace viscum
