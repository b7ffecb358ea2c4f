// SPDX-License-Identifier: GPL-2.0-only
// The journal: what happened and why, in a file that outlives viscumd and the machine, for `viscumctl events`.
//
//   /var/lib/NAME/events     one JSON object a line (ipc/event.h), appended
//   /var/lib/NAME/events.1   the generation before; each has at most kJournalLimit bytes
//
// What is promised: an operator's change is on the medium before note() returns; everything else whenever the kernel
// writes it, so a power cut may take the last half a minute. A line that was torn by it is ended by the next one, and
// readers pass over it. Nothing is written where nothing happens, and what repeats is folded (folding.h). Where it
// cannot be written one warning is logged, and viscumd goes on without.
#pragma once

#include <string>

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

    /// Who asks for what is done from now on: a key's name, or "" for root in person.
    void asked_with(const std::string& key) { key_ = key; }
    [[nodiscard]] const std::string& key() const { return key_; }

private:
    void take(Event event);
    void write(const std::vector<Event>& events, bool durable);
    void await_held();

    EventLoop& loop_;
    std::string path_;
    Story story_;
    Folding folding_;  // of what happens
    Folding asked_;    // of what operators do
    std::string key_;
    bool told_ = false;  // that it cannot be written
    EventLoop::TimerId timer_ = 0;
    std::int64_t clock_offset_ms_ = 0;  // of the wall clock, against the boot clock
};

/// " with the key 'ops'"; empty for root in person.
std::string with_key(const std::string& key);

}  // namespace viscum
