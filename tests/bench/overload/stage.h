// SPDX-License-Identifier: GPL-2.0-only
// Where a flood is measured: two nginx as services of Viscum, two in the router's own namespace, one in the cloud.
// Those that nobody asks cost nothing.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/bed.h"
#include "tests/support/http_client.h"
#include "tests/support/servers.h"
#include "tests/support/viscumd.h"

namespace viscum {

extern const Endpoint kUnclaimed;  // of the cloud

/// Two servers, by the way that they are reached.
struct Side {
    std::string name;
    bool ours;
    Endpoint victim;
    Endpoint other;
    std::string answer;  // of the other
};

/// Everything that goes wrong here is the end.
class Stage {
public:
    Stage();

    /// Ours first.
    [[nodiscard]] const std::vector<Side>& sides() const { return sides_; }
    /// 1 or 2.
    [[nodiscard]] const NetNs& client(int number) const { return bed_->client(number); }
    [[nodiscard]] const NetNs& flooder() const { return bed_->client(3); }
    /// From an address of the client's that no spell had before: no port waits.
    [[nodiscard]] HttpRequest request(int client, const Endpoint& to);
    /// What clients sent to the service that is flooded, ever.
    [[nodiscard]] std::uint64_t packets_of_victim() const;

private:
    void deploy(const std::string& name, const Endpoint& at);
    void start_in_router(const std::string& name, const Endpoint& at);

    std::unique_ptr<Bed> bed_;
    std::vector<Program> programs_;
    std::optional<Viscumd> viscumd_;
    std::vector<Side> sides_;
    int used_[2] = {0, 0};  // addresses
};

}  // namespace viscum
