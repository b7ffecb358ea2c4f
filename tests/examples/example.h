// SPDX-License-Identifier: GPL-2.0-only
// An example of examples/, deployed as its page says, in a scene of its own.
#pragma once

#include <string>
#include <vector>

#include "tests/scene/scene.h"

namespace viscum {

class Example {
public:
    /// Deploys nothing yet. `name` is that of the folder.
    explicit Example(std::string name, const Scene::Options& options = {});

    [[nodiscard]] Scene& scene() { return scene_; }
    [[nodiscard]] Bed& bed() { return scene_.bed(); }
    /// Of a file in the folder.
    [[nodiscard]] std::string path(const std::string& file) const;
    /// Copies a file of the folder to /etc/viscum/files, under the same name.
    void install(const std::string& file) const;
    /// Deploys a service file of the folder, and waits until it is healthy.
    void deploy(const std::string& file = "service.yaml") const;

    /// Bytes over the hotspot's wan device so far, both directions.
    [[nodiscard]] std::uint64_t uplink_bytes() { return must(scene_.bed().uplink_bytes()); }
    void uplink_down();
    /// With the addresses and routes that went with it.
    void uplink_up();
    /// Both directions of the uplink carry `rate` ("8mbit") from now on.
    void slow_uplink(const std::string& rate);

    /// Removes these services and what was installed, and fails where anything is left.
    void end(const std::vector<std::string>& services);

private:
    std::string name_;
    Scene scene_;
    bool slowed_ = false;
};

/// What comes back for `request` until the server closes; empty where there was no connection within `limit`.
std::string exchange(const NetNs& ns, const Endpoint& to, const std::string& request, Millis limit = kLimit);

/// The first of these programs that is not installed, and the test says that it is skipped; empty where all are.
std::string lacks(const std::vector<std::string>& programs);

/// "1.0 MB", "812 bytes", "nothing": of 1000, as uplinks are sold.
std::string amount(std::uint64_t bytes);

}  // namespace viscum
