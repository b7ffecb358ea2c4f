// SPDX-License-Identifier: GPL-2.0-only
// The journal: what happened and why, in a file that outlives viscumd and the machine, for `viscumctl events`.
//
//   /var/lib/NAME/events     one JSON object a line (ipc/event.h), appended
//   /var/lib/NAME/events.1   the generation before; each has at most kJournalLimit bytes
//
// What is promised: what an operator changed is on the medium before the request is answered, but for what a script
// asks again and again (30 of a kind and service in a minute); everything else whenever the kernel writes it, so a
// power cut may take the last half a minute. A line that was torn by it is ended by the next one, and readers pass over
// it. Nothing is written where nothing happens, what repeats is folded (folding.h), also over starts of viscumd, and
// what many services tell at once becomes a few lines (crowd.h). What is held back is written when viscumd ends in
// order. Where it cannot be written one warning is logged, and viscumd goes on without.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "controller/daemon/crowd.h"
#include "controller/daemon/failover.h"
#include "controller/daemon/folding.h"
#include "controller/daemon/services.h"
#include "controller/daemon/story.h"
#include "controller/ipc/event.h"

namespace viscum {

inline constexpr std::size_t kJournalLimit = 64UL * 1024;  // bytes of one generation

/// Appends lines, and makes them durable if asked. A generation takes what fits, and becomes the one before where more
/// comes. After an error nothing is in the file of the generation's part that failed, unless its end cannot be cut off
/// either.
Status append_lines(const std::string& path, std::string_view lines, bool durable);

class Journal {
public:
    /// `start_file`, in memory: a start that is held back, for the next viscumd where this one ends without a word.
    /// Reads what was written before; what that tells once more is folded.
    Journal(EventLoop& loop, std::string path, std::string start_file);
    ~Journal() { loop_.cancel(timer_); }
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    /// Something that happened now. `service` "": it concerns viscumd, or the box.
    void note(const std::string& kind, const std::string& service, const std::string& text);
    /// Whether the viscumd that wrote here before ended without a word. False where none did.
    [[nodiscard]] bool ended_without_word() const { return without_word_; }
    /// viscumd started. Where ever more end at once it is folded, as everything else that repeats.
    void tell_start(const std::string& text);
    /// viscumd ends in order: the last that is written.
    void finish(const std::string& text);
    /// The file is another viscumd's: nothing is written any more.
    void give_up() {
        given_up_ = true;
        start_kept_ = false;
    }
    /// After each pass: what it changed. `failovers` are as this pass left them.
    void look(const Services& services, const World& world, const Failovers& failovers);
    void did(const Step& step) { story_.did(step); }

    /// Around a request: who asks for what is done in it, a key's name, or "" for root in person. What is told in it is
    /// written at its end, at once.
    void begin_request(const std::string& key);
    void end_request();
    [[nodiscard]] const std::string& key() const { return key_; }

private:
    void recall();
    void look_at_clock();
    void take(Event event);
    void pass(Event event, bool asked);
    void keep(Event event, bool asked);
    void write(const std::vector<Event>& events, bool durable);
    void write_due();
    void keep_start();
    void await_held();

    EventLoop& loop_;
    std::string path_;
    std::string start_file_;
    Story story_;
    Folding folding_;  // of what happens
    Folding asked_;    // of what operators do
    Crowd crowd_;      // of what happens to services, behind folding_
    std::string key_;
    bool in_request_ = false;
    std::vector<Event> of_request_;
    bool told_ = false;          // that it cannot be written
    bool without_word_ = false;  // the one before ended so
    bool given_up_ = false;
    bool start_kept_ = false;  // in start_file_
    EventLoop::TimerId timer_ = 0;
    std::int64_t clock_offset_ms_ = 0;  // of the wall clock, against the boot clock
};

/// " with the key 'ops'"; empty for root in person.
std::string with_key(const std::string& key);

}  // namespace viscum
