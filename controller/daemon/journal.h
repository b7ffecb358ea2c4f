// SPDX-License-Identifier: GPL-2.0-only
// The journal: what happened and why, in a file that outlives viscumd and the machine, for `viscumctl events`.
//
//   /var/lib/NAME/events     one JSON object a line (ipc/event.h), appended
//   /var/lib/NAME/events.1   the generation before; each has at most kJournalLimit bytes
//
// What is promised: what an operator changed is on the medium before the request is answered, but for what a script
// asks again and again (30 of a kind and service in a minute); everything else whenever the kernel writes it, so a
// power cut may take the last half a minute. A line that was torn by it is ended by the next one, and readers pass over
// it. Nothing is written where nothing happens, and what repeats is folded (folding.h). Where it cannot be written one
// warning is logged, and viscumd goes on without.
#pragma once

#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "controller/daemon/folding.h"
#include "controller/daemon/services.h"
#include "controller/daemon/story.h"
#include "controller/ipc/event.h"

namespace viscum {

inline constexpr std::size_t kJournalLimit = 64UL * 1024;  // bytes of one generation

/// Appends lines, and makes them durable if asked. A file that would grow over the limit becomes the generation before
/// first. After an error nothing of them is in the file, unless its end cannot be cut off either.
Status append_lines(const std::string& path, const std::string& lines, bool durable);

/// Whether the viscumd that wrote the end of this file ended without a word. False where there is no file.
bool ended_without_word(const std::string& path);

class Journal {
public:
    Journal(EventLoop& loop, std::string path);
    ~Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    /// Something that happened now. `service` "": it concerns viscumd, or the box.
    void note(const std::string& kind, const std::string& service, const std::string& text);
    /// After each pass: what it changed.
    void look(const Services& services, const World& world);
    void did(const Step& step) { story_.did(step); }

    /// Around a request: who asks for what is done in it, a key's name, or "" for root in person. What is told in it is
    /// written at its end, at once.
    void begin_request(const std::string& key);
    void end_request();
    [[nodiscard]] const std::string& key() const { return key_; }

private:
    void take(Event event);
    void write(const std::vector<Event>& events, bool durable);
    void await_held();
    void keep(Event event, bool asked);

    EventLoop& loop_;
    std::string path_;
    Story story_;
    Folding folding_;  // of what happens
    Folding asked_;    // of what operators do
    std::string key_;
    bool in_request_ = false;
    std::vector<Event> of_request_;
    bool told_ = false;  // that it cannot be written
    EventLoop::TimerId timer_ = 0;
    std::int64_t clock_offset_ms_ = 0;  // of the wall clock, against the boot clock
};

/// " with the key 'ops'"; empty for root in person.
std::string with_key(const std::string& key);

}  // namespace viscum
