// SPDX-License-Identifier: GPL-2.0-only
// A service's process tree under viscum-shim, which is pid 1 of a pid namespace of its own and outlives viscumd.
//
// Everything about a run lives in its run directory, and nothing of it is a process id: the shim holds a POSIX write
// lock on `lock` from before it starts the service until it ends, and F_GETLK tells any later viscumd who that is. The
// lock goes with the process, so it is never stale. launch() returns when the lock is held, and until then the shim
// dies with its parent: whenever viscumd is killed, a run directory whose lock nobody holds has no shim.
//
//   DIR/lock     write-locked by the shim; its second byte only until the sandbox stands
//   DIR/exit     written by the shim at its end, by rename: "exited N", "signaled N" or "failed TEXT" (exec failed)
//   DIR/spec     the service file that this run was made from, verbatim (the daemon's)
//   DIR/sandbox  the instructions by which the shim made the service's sandbox; DIR/seccomp its filter
//   DIR/env      the service's environment, each variable ended by a NUL
//
// In the shim's own mount namespace DIR is where the private tmpfs was mounted that holds what the service may write.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "controller/sandbox/sandbox.h"
#include "netns/net_ns.h"

namespace viscum {

struct LaunchSpec {
    std::string name;                      // the service's, for the process title and the log
    std::vector<std::string> command;      // command[0] is looked up in PATH of `env` within the root if it has no '/'
    std::vector<std::string> env;          // "NAME=value", as execve takes it
    Sandbox sandbox;                       // also kept in the run directory, for enter()
    std::string run_dir;                   // exists, private to root
    std::string log_file;                  // its directory exists
    std::uint64_t log_bytes = 256 * 1024;  // bound of the log, at least 16 KiB: two generations of half this size
    std::string shim_path;                 // viscum-shim
};

/// How a run ended.
struct ExitStatus {
    enum class Kind { exited, signaled, failed, unknown };  // unknown: the shim itself was killed
    Kind kind = Kind::unknown;
    int value = 0;     // exit status or signal
    std::string text;  // of `failed`: "cannot run '/usr/sbin/x': No such file or directory"
    bool operator==(const ExitStatus&) const = default;
    /// "exited with 1", "killed by SIGKILL", …
    [[nodiscard]] std::string describe() const;
    [[nodiscard]] bool success() const { return kind == Kind::exited && value == 0; }
};

struct EnterSpec;

/// A running shim, by pidfd: no pid that could be reused is ever signalled.
class Process {
public:
    /// Starts a shim in `ns`, in new pid, mount, ipc and uts namespaces, with descriptors 0-2 only. It makes the
    /// sandbox before it starts the service; what cannot be made shows as ExitStatus::failed.
    /// Removes a stale DIR/exit first. Returns before the service runs; a failed exec shows as ExitStatus::failed.
    /// errno_code EAGAIN where a shim runs in this directory already: adopt that.
    static Result<Process> launch(const LaunchSpec& spec, const NetNs& ns);
    /// The shim that holds DIR/lock, if any.
    static Result<std::optional<Process>> adopt(const std::string& run_dir);

    [[nodiscard]] int pidfd() const { return pidfd_.get(); }  // readable once it ended
    [[nodiscard]] pid_t pid() const { return pid_; }
    /// When it was started, on CLOCK_BOOTTIME, to a hundredth of a second; nullopt: it has ended.
    [[nodiscard]] std::optional<std::chrono::nanoseconds> started_at() const;
    /// The shim forwards it to the service's main process. ESRCH is success.
    Status signal(int number) const;
    /// SIGKILL to pid 1: the kernel ends the whole tree. ESRCH is success.
    Status kill() const;
    /// To be called once pidfd() is readable: reaps a child of ours and reads DIR/exit.
    ExitStatus finish(const std::string& run_dir);
    /// The same for a child from enter(), which has no run directory. `unknown` where it still runs or is none of
    /// ours.
    ExitStatus reap();
    /// Of a child from enter() that was not waited for, once pidfd() is readable: why its command was not executed;
    /// nullopt: it was. To be asked once.
    std::optional<Error> why_not_run();

private:
    friend Result<Process> enter(const EnterSpec& spec);
    Process(UniqueFd pidfd, pid_t pid) : pidfd_(std::move(pidfd)), pid_(pid) {}
    UniqueFd pidfd_;
    UniqueFd report_;
    pid_t pid_ = 0;
};

/// What DIR/exit says of the last process of a run; nullopt: it has ended none.
std::optional<ExitStatus> last_exit(const std::string& run_dir);

/// SIGTERM for "TERM" and so on; 0 for a name that service_spec.h does not list.
int signal_number(const std::string& name);

/// A command run once beside a service, for `exec` probes and `viscumctl exec`: in all namespaces of the shim that
/// holds RUN_DIR/lock, in its root and cgroups, as its user, with its filter and without capabilities, just as the
/// service itself (the shim's binary does it, by RUN_DIR/sandbox). Descriptors 0-2 are the ones given (-1: /dev/null),
/// no others. Returns when the command is executed, or says why it cannot be. It leads a process group of its own. The
/// caller waits for the pidfd and reaps it: the status is the command's, 128 + N where a signal ended it. Signals are
/// handed on to the command; SIGKILL, and the caller's end, kill it. errno_code ESRCH where the service does not run,
/// EAGAIN where its sandbox does not stand yet.
struct EnterSpec {
    std::string shim_path;
    std::string run_dir;
    std::vector<std::string> command;        // command[0] as in LaunchSpec
    std::map<std::string, std::string> env;  // over the service's own
    int in = -1;
    int out = -1;
    int err = -1;
    /// False: returns at once; Process::why_not_run() says later whether it was executed. A service that has used up
    /// its CPU time holds up whatever joins its groups, and must not hold up the caller.
    bool wait = true;
};
Result<Process> enter(const EnterSpec& spec);

}  // namespace viscum
