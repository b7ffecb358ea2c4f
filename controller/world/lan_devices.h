// SPDX-License-Identifier: GPL-2.0-only
// The devices that `lan:` names: found among the router's links, made ready, and given our filter. A bridge stands for
// its ports. Devices are known by their number, so that a renamed one is still the same.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/plan/state.h"
#include "controller/world/grade.h"
#include "controller/world/world.h"
#include "netns/link.h"
#include "netns/nl_socket.h"

namespace viscum {

class LanDevices {
public:
    /// `grade` must outlive this object.
    explicit LanDevices(Grade& grade) : grade_(grade) {}

    void set_patterns(const std::vector<std::string>& patterns) { patterns_ = patterns; }

    /// Compares with the router's links; `own` are the ends of services' links, which are never meant. Forgets what the
    /// programs know of devices that are gone.
    Status observe(const NlSocket& socket, const std::vector<Link>& links, const std::set<std::string>& own);
    void add_to(Actual& actual) const;

    // Steps of the plan; a device that has gone meanwhile is success.
    Status prepare(const std::string& name);
    Status attach(const std::string& name);
    Status detach(const std::string& name);

    [[nodiscard]] std::vector<LanDevice> list() const;
    /// The smallest of the devices' MTUs; 1,500 where there is none.
    [[nodiscard]] std::uint32_t mtu() const;

private:
    struct Device {
        LanPort port;
        std::string bridge;
        std::uint32_t mtu = 0;
        bool wanted = false;  // named by `lan:`; otherwise it only still carries our filter
        bool attached = false;
        bool prepared = false;
        std::string unfit;  // why it cannot be served; empty: it can
        std::string problem;
        bool operator==(const Device&) const = default;
    };
    using Numbered = std::map<std::uint32_t, Device>;
    [[nodiscard]] Device describe(const Link& link, const std::vector<Link>& links) const;
    [[nodiscard]] Numbered meant(const std::vector<Link>& links, const std::set<std::string>& own);
    Status look_at(const NlSocket& socket, Device& device);
    Numbered::iterator find(const std::string& name);
    Status forget_gone(const Numbered& seen);

    Grade& grade_;
    std::vector<std::string> patterns_;
    Numbered devices_;
    bool first_look_ = true;
};

}  // namespace viscum
