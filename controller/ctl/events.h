// SPDX-License-Identifier: GPL-2.0-only
// `viscumctl events`: the journal that viscumd writes (daemon/journal.h), read where it lies, so that it also tells
// what became of a viscumd that is dead.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "controller/ctl/commands.h"
#include "controller/ipc/event.h"

namespace viscum {

struct EventsOptions {
    std::string service{};          // "": all, and what concerns viscumd and the box
    std::size_t lines = 100;        // of the past
    std::optional<Millis> since{};  // no older ones
    bool follow = false;            // also what comes, until SIGINT or SIGTERM
};

int events(const Session& session, const EventsOptions& options);

/// Cuts bytes into events as they come. What is no whole event, as after a power cut, is passed over.
class EventReader {
public:
    explicit EventReader(std::function<void(Event)> out) : out_(std::move(out)) {}
    void read(std::string_view bytes);

private:
    std::function<void(Event)> out_;
    std::string line_;
    bool too_long_ = false;
};

/// "2026-01-02 03:04:05Z  plates  it is unhealthy: …", with no byte that moves a terminal.
std::string render_event(const Event& event, bool colour);

}  // namespace viscum
