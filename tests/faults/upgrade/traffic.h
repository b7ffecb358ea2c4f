// SPDX-License-Identifier: GPL-2.0-only
// What is under way while viscumd is exchanged: clients without pause, connections and a download that stay open, and
// UDP flows of both owners.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "tests/scene/scene.h"

namespace viscum {

extern const std::string kThis;  // the viscumd of this tree
extern const std::string kNext;  // the one with the next layout of the tables

/// A download of /big in small portions, over one connection with a small window.
class Download {
public:
    explicit Download(Scene& scene);
    /// A part of it; begins again at the end.
    void read_some();
    /// Nothing: all is well.
    [[nodiscard]] const std::string& problem() const { return problem_; }

private:
    void begin();

    Scene& scene_;
    UniqueFd fd_;
    std::size_t left_ = 0;
    std::string problem_;
};

/// The services "web" (kWeb, kWeb6) and "echo" (UDP), and who uses them. The cloud answers for both as well.
class Traffic {
public:
    explicit Traffic(Scene& scene);

    /// Everything that stays is still answered by whom it was: the kept connections, the download, the UDP flows.
    void check();
    /// The TCP part of that: where UDP flows are forgotten.
    void check_tcp();
    /// The download once more, with the local service. To be called before tables are given up, once new connections
    /// are served: it may have begun with the cloud while viscumd was away.
    void begin_download() { download_.emplace(scene_); }
    /// A flow of the local service's, and one that was given to the cloud: without connection tracking vs_flows alone
    /// knows of it.
    void begin_udp();
    /// Both services' processes are the ones of the beginning, and no counter went back since the last call.
    void check_services();
    /// Ends all. FLOW: no request failed, none was reset.
    void finish(const std::string& what);
    [[nodiscard]] std::size_t requests() const { return requests_; }
    [[nodiscard]] std::size_t failed() const { return failed_; }
    [[nodiscard]] std::string longest_gap() const;
    /// The counters begin anew: where the tables were given up.
    void forget_counters() { before_ = DaemonReport{}; }

private:
    Scene& scene_;
    std::unique_ptr<FlowClient> v4_;
    std::unique_ptr<FlowClient> v6_;
    std::optional<KeptConnection> kept_;
    std::optional<KeptConnection> kept6_;
    std::optional<Download> download_;
    std::optional<UdpFlow> local_;
    std::optional<UdpFlow> cloud_;
    std::int64_t web_ = 0;
    std::int64_t echo_ = 0;
    DaemonReport before_;
    std::size_t requests_ = 0;
    std::size_t failed_ = 0;
    std::chrono::nanoseconds gap_{};
};

/// The versions of the layout that have pins.
std::string pinned_layouts();

}  // namespace viscum
