// SPDX-License-Identifier: GPL-2.0-only
// The demonstration's scenes, in the order in which they are to be played.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/ipc/report.h"
#include "tests/demo/timeline.h"
#include "tests/support/bed.h"
#include "tests/support/flow_client.h"
#include "tests/support/http_client.h"
#include "tests/support/viscumd.h"

namespace viscum {

class Demo {
public:
    /// Client 2 begins to ask.
    Demo(const Bed& bed, Viscumd& viscumd, Timeline& timeline);

    void before();
    void deploy();
    void measure();
    void crash();
    void hang();
    void crash_of_the_daemon();
    void maintenance();
    void remove();
    /// `uplink_at_start`: what had gone over the uplink before.
    void account(std::uint64_t uplink_at_start);

private:
    [[nodiscard]] const NetNs& client() const { return bed_.client(1); }
    void http(const std::string& what, const Endpoint& to, const std::string& expected);
    void dns(const std::string& expected);
    void speed(const std::string& what, bool udp);
    /// The time from `since` until client 2, who asks all the time, had an answer by `who`.
    void user_sees(const std::string& what, const std::string& who, std::chrono::nanoseconds since);
    void kept(const std::string& what, KeptConnection& connection, const std::string& expected);
    bool ctl(const Argv& arguments);
    [[nodiscard]] std::optional<ServiceReport> service(const std::string& name) const;
    [[nodiscard]] std::uint64_t local_bytes() const;
    [[nodiscard]] std::vector<pid_t> processes_of(const std::string& name) const;

    const Bed& bed_;
    Viscumd& viscumd_;
    Timeline& timeline_;
    FlowClient user_;
    std::optional<KeptConnection> old_cloud_;
    std::uint64_t served_locally_ = 0;
};

}  // namespace viscum
