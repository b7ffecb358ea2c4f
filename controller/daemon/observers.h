// SPDX-License-Identifier: GPL-2.0-only
// Those who may look: a second socket, for the group of viscum-exporter, that answers `list` and `status` and refuses
// every other verb before it looks at anything else (docs/adr/0016). It shares nothing with the control socket but the
// loop, where each turn gives it no more than one request of each of its clients.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/instance.h"
#include "controller/ipc/server.h"

namespace viscum {

class Observers {
public:
    /// `report` makes the JSON of the whole report. It is asked at most once in kFresh, however many ask.
    Observers(EventLoop& loop, const Instance& instance, std::function<std::string()> report);

    /// Opens the door where the group exists and it is not open; where it is, puts back what another tool removed.
    /// What goes wrong is told once.
    void look();
    static constexpr Millis kFresh{100};

private:
    Status open();
    void answer(ClientId client, const Request& request);

    EventLoop& loop_;
    Instance instance_;
    std::function<std::string()> make_report_;
    std::unique_ptr<Server> server_;
    std::string report_;
    BootTime made_{};
    std::string told_;
};

}  // namespace viscum
