// SPDX-License-Identifier: GPL-2.0-only
// Follows the system calls of one process by ptrace(2), in order, and strikes at one of them: the process is killed
// there, or the call fails without being carried out. strace can number the calls of a name only, and follows all
// children alike.
//
// A tracer has a thread of its own, as ptrace demands, which sleeps until the process stops. What is followed:
// - the process itself. Its children run free;
// - or, where Options::child is set, its first child whose program has that name. All others run free.
#pragma once

#include <sys/types.h>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "tests/support/program.h"

namespace viscum {

struct Syscall {
    std::size_t number = 0;  // in the order of all calls, from 1
    std::string name;        // "openat"
    std::size_t nth = 0;     // of the calls of that name, from 1
    std::string path{};      // its path argument, where it has one
    std::array<std::uint64_t, 6> arguments{};
    /// Negative: -errno. nullopt: it never came back, or has not yet.
    std::optional<std::int64_t> result{};

    /// "openat 12"
    [[nodiscard]] std::string text() const;
};

struct SyscallStrike {
    enum class Kind : std::uint8_t {
        kill,        // SIGKILL before the call is carried out
        kill_after,  // SIGKILL once it was
        fail,        // it is not carried out, and fails with `error`
    };
    Kind kind = Kind::kill;
    std::string name{};   // of the call; empty: `nth` counts all calls
    std::size_t nth = 0;  // from 1
    int error = 0;        // an errno
};

class SyscallTracer {
public:
    struct Options {
        std::optional<SyscallStrike> strike{};
        /// The name that the child's program goes by: that of the process, or the end of the path in its argv[0].
        std::string child{};
        /// Calls of the child count from its birth, not only from its execve on. Then the first child that is born is
        /// taken to be the one. Where it executes another program what it did is forgotten, and the next one's turn
        /// comes; a strike before that hits it all the same.
        bool from_birth = false;
        /// The name of the program that starts the child, where that is not the one that is traced but a child of it
        /// ("viscum-shim", for what a service's process does before it is executed). It is not followed itself.
        std::string parent{};
        /// Once struck it is let go, as by stop(): its end is its parent's alone to see. A tracer is told of an end
        /// first, and until it has looked a parent that does not wait finds no end. Not with kill_after.
        bool then_free = false;
    };
    /// Whether there is a way to change system calls on this architecture.
    static bool possible();

    /// `pid` must be a child of this process, with one thread. What waits in a call that cannot be restarted
    /// (epoll_wait) gets EINTR there once, which is not counted. Returns once all that comes is counted.
    static Result<std::unique_ptr<SyscallTracer>> seize(pid_t pid, const Options& options);
    /// Starts a program; calls count from its execve on, which is not counted itself. It ends with this object.
    static Result<std::unique_ptr<SyscallTracer>> start(const Program::Spec& spec, const Options& options);

    ~SyscallTracer();
    SyscallTracer(const SyscallTracer&) = delete;
    SyscallTracer& operator=(const SyscallTracer&) = delete;

    /// Lets go of everything that lives; nothing is counted any more. Idempotent.
    void stop();

    /// So far. Calls that are no calls of the kernel's (an exec's end) are no part of it.
    [[nodiscard]] std::vector<Syscall> calls() const;
    /// The latest one, which may be under way; nullopt: there was none.
    [[nodiscard]] std::optional<Syscall> last() const;
    /// Where it struck; nullopt: the call has not come.
    [[nodiscard]] std::optional<Syscall> struck() const;
    /// Waits until the followed process has ended; true where it has within `limit`.
    [[nodiscard]] bool ended_within(std::chrono::milliseconds limit) const;
    /// The process that is followed; 0: there is none yet.
    [[nodiscard]] pid_t pid() const;
    /// Of start(): waits for its end; as RunOutput::status, 137 where it had to be killed after `limit`.
    int wait(std::chrono::milliseconds limit);

private:
    /// A process that is attached.
    struct Tracee {
        bool followed = false;
        bool failing = false;  // its call is to fail: the result is still to be written
        bool held = false;     // it stays stopped until all others are let go, and is then let go with `signal`
        int signal = 0;
    };

    explicit SyscallTracer(const Options& options) : options_(options) {}
    Status begin(pid_t pid, bool running);
    void work(pid_t pid, bool running, std::promise<Status>& attached);
    Status attach(pid_t pid, bool running);
    bool turn();
    void died(pid_t pid);
    void stopped(pid_t pid, int status);
    void born(pid_t pid);
    void executed(pid_t pid);
    void at_call(pid_t pid, Tracee& tracee);
    void entered(pid_t pid, Tracee& tracee, std::uint64_t number, const std::uint64_t* arguments);
    void left(pid_t pid, Tracee& tracee, std::int64_t result);
    [[nodiscard]] bool is_struck(const Syscall& call) const;
    void follow(pid_t pid);
    void hold(Tracee& tracee, int signal);
    void release_held();
    void go_on(pid_t pid, int signal);
    void let_go(pid_t pid, int signal);

    const Options options_;
    std::thread thread_;
    pid_t root_ = 0;      // seized or started
    pid_t program_ = 0;   // of start(), until it was reaped
    bool alone_ = false;  // the root is dead: only what is followed is waited for

    mutable std::mutex mutex_;
    mutable std::condition_variable news_;
    std::map<pid_t, Tracee> tracees_;
    std::vector<Syscall> calls_;
    std::map<std::string, std::size_t> counts_;
    std::optional<Syscall> struck_;
    pid_t followed_ = 0;
    pid_t parent_ = 0;       // goes by Options::parent
    bool over_ = false;      // what was followed has ended
    bool stopping_ = false;  // stop() was called
    bool done_ = false;      // the thread has nothing left to do
};

}  // namespace viscum
