// SPDX-License-Identifier: GPL-2.0-only
// What becomes of services and LAN devices, told in events: what was seen after one pass over the kernel is compared
// with what is seen after the next. Pure; what a look costs much to find out is asked for only where it is told.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "controller/daemon/first_sign.h"
#include "controller/ipc/event.h"
#include "controller/plan/plan.h"
#include "controller/supervise/fsm.h"
#include "controller/world/world.h"

namespace viscum {

/// One service's version that is to get new flows, after a pass.
struct ServiceNow {
    int slot = 0;
    RunState state = RunState::down;
    int starts = 0;  // of its process, by this viscumd
    bool process = false;
    bool healthy = false;
    bool served = false;     // the kernel's rules give new flows to it
    bool held_down = false;  // it went down too often
    bool drained = false;    // by the operator
    bool removed = false;    // it goes
    std::optional<FirstSign::Sign> sign;
    OnFailure on_failure = OnFailure::cloud;
    std::vector<std::string> ended;    // claims, where others of its claims go on
    std::function<std::string()> end;  // "killed by SIGKILL"
    std::function<std::string()> why;  // it is not up and healthy
};

class Story {
public:
    /// What happened since the last look; nothing at the first one. Their time is left open.
    std::vector<Event> look(const std::map<std::string, ServiceNow>& services, BootTime now);
    /// The same of LAN devices.
    std::vector<Event> look(const std::vector<LanDevice>& devices);
    /// Services whose files stand and that are not served, and why.
    std::vector<Event> look(const std::map<std::string, std::string>& unserved);
    /// A step that was just done. What stood and has to be made again was removed by another tool; each is told once,
    /// at the next look.
    void did(const Step& step);

private:
    struct Seen {
        ServiceNow now;
        BootTime down_since{};  // zero: it is healthy, or was never
        BootTime away_since{};  // since when its new flows have not been served here; zero: they are, or never were
    };
    void tell_run(const std::string& name, Seen& seen, const ServiceNow& is, BootTime now, std::vector<Event>& out);
    void tell_flows(const std::string& name, Seen& seen, const ServiceNow& is, BootTime now, std::vector<Event>& out);

    std::optional<std::map<std::string, Seen>> services_;
    std::optional<std::map<std::string, LanDevice>> devices_;
    std::map<std::string, std::string> unserved_;
    std::vector<Step> mended_;
};

/// "0.04 ms", "3.2 ms", "1.4 s", "5m 3s".
std::string took_text(BootTime time);

}  // namespace viscum
