// SPDX-License-Identifier: GPL-2.0-only
// viscumd's side of viscum-prober: the unprivileged process that asks services and parses what they answer. There is
// one, started with the first question or by prepare(), and again when it ended; it ends with this object, and with
// viscumd however that ends.
//
// A prober that fails is our fault, not the services': a probe that it cannot answer for was not asked.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "controller/prober/protocol.h"

namespace viscum {

struct ProberSpec {
    std::string path;  // viscum-prober
    uid_t uid = 0;     // its own, not 0: no service and nothing else runs as it
    gid_t gid = 0;
    /// Gets a sentence when it ended by itself, or runs with less of a cage than it should: for the log. Called from
    /// the loop. May be empty.
    std::function<void(const std::string&)> tell;
};

class Prober {
public:
    using Id = std::uint64_t;  // 0 is never used, and none is used twice
    using Answered = std::function<void(const ProberAnswer&)>;

    struct Question {
        ProberKind kind = ProberKind::http;
        std::string_view send;    // at most kProberMaxSend bytes
        std::string_view expect;  // at most kProberMaxExpect bytes
        Millis limit{0};
    };

    Prober(EventLoop& loop, ProberSpec spec) : loop_(loop), spec_(std::move(spec)) {}
    ~Prober();
    Prober(const Prober&) = delete;
    Prober& operator=(const Prober&) = delete;

    /// Starts it where it does not run, so that it is ready when the first question comes: about half a millisecond,
    /// the rest is its own time. Idempotent. errno_code EAGAIN where it ended again and again: not before a pause.
    Status prepare();
    /// Asks on `socket`, on which connect(2) was called. `answered` is called from the loop, never from inside this
    /// call: with the end of the probe (ProberCode::lost: the prober ended first), and before it perhaps with
    /// udp_mismatch_so_far. It may ask and cancel. An error: the question could not be asked.
    Result<Id> ask(UniqueFd socket, const Question& question, Answered answered);
    /// No answer comes any more; the socket is closed soon. Unknown ids are accepted.
    void cancel(Id id);
    /// cancel(), of a question whose time is over. False where the prober does not even read what it is asked: then
    /// the lack of an answer says nothing about the service. A prober that goes on like that is ended.
    bool give_up(Id id);

    /// Ends it where nothing is asked: no service needs it for now.
    void rest();
    /// 0 while it does not run.
    [[nodiscard]] pid_t pid() const { return pid_; }

private:
    struct Asked {
        std::vector<char> message;  // until it is sent, with `socket`
        UniqueFd socket;
        Answered answered;
    };

    Status start();
    void stop();
    void end_it(const char* why);
    void ended();
    void read_answers();
    void take(const ProberAnswer& answer);
    void about_itself(const ProberAnswer& answer);
    Status send(Asked& asked) const;
    void send_waiting();
    void note_what_is_read();
    void lose(Id until);
    void tell(const std::string& text);

    EventLoop& loop_;
    ProberSpec spec_;
    UniqueFd channel_;
    UniqueFd pidfd_;
    pid_t pid_ = 0;
    std::map<Id, Asked> asked_;
    std::deque<Id> waiting_;  // for room in the channel; ids that were cancelled since are passed over
    Id next_ = 1;
    std::int64_t owed_ = 0;  // answers: one that is taken over cannot keep this process busy
    Id read_until_ = 1;      // the prober has read all questions before this one
    int silent_ = 0;         // questions that timed out unread since it last said something
    std::string why_;        // it ended, where it said so
    std::string told_;       // last
    BootTime started_{};
    BootTime not_before_{};
    Millis pause_{0};  // after its next end, if that comes soon
};

}  // namespace viscum
