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

    /// At the start and on SIGHUP: opens the door where the group exists, and shuts it where that is gone or has
    /// another number. What goes wrong is told once. Not more often: who looks an account up may ask the network
    /// (nsswitch.conf).
    void look();
    /// Puts back what another tool removed of an open door.
    void mend();

    static constexpr Millis kFresh{100};

private:
    Status follow_group();
    Status open();
    Status put_back();
    void tell(const Status& status);
    void answer(ClientId client, const Request& request);

    EventLoop& loop_;
    Instance instance_;
    std::function<std::string()> make_report_;
    std::unique_ptr<Server> server_;
    gid_t group_ = 0;
    std::string report_;
    BootTime made_{};
    std::string told_;
};

}  // namespace viscum
