// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/syscall_tracer.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "base/event_loop.h"
#include "base/text.h"
#include "tests/support/process_tree.h"
#include "tests/support/stopped_process.h"

namespace viscum {
namespace {

constexpr long kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
constexpr long kChildren = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
constexpr int kCallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD

/// Wakes the thread out of its wait. The kernel's default would end the process.
int wake_signal() {
    static const int number = [] {
        struct sigaction action {};
        action.sa_handler = [](int) {};
        sigaction(SIGRTMIN + 3, &action, nullptr);
        return SIGRTMIN + 3;
    }();
    return number;
}

/// In the child: waits until it is told to go on, then becomes the program. Returns only where that fails.
void become(const Program::Spec& spec, const std::vector<char*>& argv, int output, int gate) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if ((spec.ns != nullptr && setns(spec.ns->fd(), CLONE_NEWNET) < 0) || dup2(null.get(), 0) < 0 ||
        dup2(output, 1) < 0 || dup2(output, 2) < 0) {
        return;
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    char byte = 0;
    if (read(gate, &byte, 1) == 1) {
        execvp(argv[0], argv.data());
    }
}

}  // namespace

std::string Syscall::text() const {
    return cat(name, " ", nth, path.empty() ? "" : cat(" ", path));
}

bool SyscallTracer::possible() {
#if defined(__x86_64__) || defined(__aarch64__)
    return true;
#else
    return false;
#endif
}

Result<std::unique_ptr<SyscallTracer>> SyscallTracer::seize(pid_t pid, const Options& options) {
    std::unique_ptr<SyscallTracer> tracer(new SyscallTracer(options));
    if (auto status = tracer->begin(pid, true); !status) {
        return std::move(status).error();
    }
    return tracer;
}

Result<std::unique_ptr<SyscallTracer>> SyscallTracer::start(const Program::Spec& spec, const Options& options) {
    std::vector<char*> argv;
    for (const std::string& argument : spec.argv) {
        argv.push_back(const_cast<char*>(argument.c_str()));  // execvp(3) leaves them alone
    }
    argv.push_back(nullptr);
    const std::string file = spec.log_file.empty() ? "/dev/null" : spec.log_file;
    const UniqueFd output(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    std::array<int, 2> ends{};
    if (!output || pipe2(ends.data(), O_CLOEXEC) < 0) {
        return errno_error(cat("cannot prepare ", spec.argv.front()));
    }
    const UniqueFd gate(ends[0]);
    const UniqueFd opener(ends[1]);
    std::unique_ptr<SyscallTracer> tracer(new SyscallTracer(options));
    const pid_t pid = fork();
    if (pid < 0) {
        return errno_error("cannot fork");
    }
    if (pid == 0) {
        become(spec, argv, output.get(), gate.get());
        _exit(127);
    }
    tracer->program_ = pid;
    if (auto status = tracer->begin(pid, false); !status) {
        return std::move(status).error();
    }
    if (write(opener.get(), "+", 1) != 1) {
        return errno_error("cannot let the program go on");
    }
    return tracer;
}

Status SyscallTracer::begin(pid_t pid, bool running) {
    (void)wake_signal();
    root_ = pid;
    std::promise<Status> attached;
    auto told = attached.get_future();
    thread_ = std::thread([this, pid, running, &attached] { work(pid, running, attached); });
    return told.get();
}

SyscallTracer::~SyscallTracer() {
    stop();
    if (program_ != 0) {
        (void)wait(std::chrono::milliseconds(0));
    }
}

void SyscallTracer::stop() {
    {
        std::unique_lock lock(mutex_);
        stopping_ = true;
        // Again and again: the thread may be about to wait, but does not yet.
        while (thread_.joinable() && !done_) {
            pthread_kill(thread_.native_handle(), wake_signal());
            news_.wait_for(lock, std::chrono::milliseconds(5), [this] { return done_; });
        }
    }
    if (thread_.joinable()) {
        thread_.join();
    }
}

std::vector<Syscall> SyscallTracer::calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
}

std::optional<Syscall> SyscallTracer::last() const {
    const std::lock_guard lock(mutex_);
    return calls_.empty() ? std::nullopt : std::optional(calls_.back());
}

std::optional<Syscall> SyscallTracer::struck() const {
    const std::lock_guard lock(mutex_);
    return struck_;
}

bool SyscallTracer::ended_within(std::chrono::milliseconds limit) const {
    std::unique_lock lock(mutex_);
    return news_.wait_for(lock, limit, [this] { return over_; });
}

pid_t SyscallTracer::pid() const {
    const std::lock_guard lock(mutex_);
    return followed_;
}

int SyscallTracer::wait(std::chrono::milliseconds limit) {
    const pid_t pid = std::exchange(program_, 0);
    if (pid == 0) {
        return -1;
    }
    // Not by waitpid at once: that would take stops that are the tracer's.
    const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    pollfd end{pidfd.get(), POLLIN, 0};
    if (poll(&end, 1, static_cast<int>(limit.count())) <= 0) {
        kill(pid, SIGKILL);
    }
    {
        std::unique_lock lock(mutex_);
        news_.wait(lock, [this] { return alone_ || done_; });
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// All that follows runs in the thread. What others read is changed under the lock.

void SyscallTracer::work(pid_t pid, bool running, std::promise<Status>& attached) {
    auto status = attach(pid, running);
    const bool success = static_cast<bool>(status);
    attached.set_value(std::move(status));
    while (success && turn()) {
    }
    const std::lock_guard lock(mutex_);
    done_ = true;
    news_.notify_all();
}

Status SyscallTracer::attach(pid_t pid, bool running) {
    const bool seek = !options_.child.empty();
    const long options = kOptions | (seek ? kChildren : 0);
    if (ptrace_call(PTRACE_SEIZE, pid, 0, static_cast<std::uintptr_t>(options)) != 0) {
        return errno_error(cat("cannot trace process ", pid));
    }
    const std::lock_guard lock(mutex_);
    tracees_[pid] = {};
    if (!seek && running) {
        ptrace_call(PTRACE_INTERRUPT, pid, 0, 0);
        int stopped_with = 0;
        while (waitpid(pid, &stopped_with, __WALL) < 0 && errno == EINTR) {
        }
        if (!WIFSTOPPED(stopped_with)) {
            return Error{ESRCH, cat("process ", pid, " has ended")};
        }
        tracees_[pid].followed = true;
        followed_ = pid;
        go_on(pid, stopped_with >> 16 == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(stopped_with));
    }
    return {};
}

/// Waits for a stop or an end, and answers it; false: there is nothing left to wait for.
bool SyscallTracer::turn() {
    siginfo_t info{};
    // Peeked at first: the end of the root is for whoever started it.
    if (waitid(alone_ ? P_PID : P_ALL, static_cast<id_t>(followed_), &info,
               WEXITED | WSTOPPED | WNOWAIT | __WALL | __WNOTHREAD) != 0) {
        const std::lock_guard lock(mutex_);
        if (errno != EINTR) {
            return false;
        }
        for (const auto& [pid, tracee] : tracees_) {
            if (stopping_) {
                ptrace_call(PTRACE_INTERRUPT, pid, 0, 0);
            }
        }
        return !stopping_ || !tracees_.empty();
    }
    const pid_t pid = info.si_pid;
    int status = 0;
    const bool dead = info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED;
    if ((!dead || pid != root_) && waitpid(pid, &status, __WALL) < 0) {
        return true;  // it was killed in between
    }
    const std::lock_guard lock(mutex_);
    if (dead || !WIFSTOPPED(status)) {
        died(pid);
    } else {
        stopped(pid, status);
    }
    release_held();
    return !tracees_.empty() && !(alone_ && over_);
}

void SyscallTracer::died(pid_t pid) {
    tracees_.erase(pid);
    if (pid == followed_ || (pid == root_ && followed_ == 0)) {
        over_ = true;
        news_.notify_all();
    }
    if (pid == root_) {
        alone_ = true;  // it stays to be seen until its parent asks for it
        news_.notify_all();
    }
}

void SyscallTracer::stopped(pid_t pid, int status) {
    const int event = status >> 16;
    const int number = WSTOPSIG(status);
    Tracee& tracee = tracees_[pid];
    if (event == PTRACE_EVENT_EXEC) {
        executed(pid);
    } else if (event == PTRACE_EVENT_STOP) {
        if (number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU) {
            ptrace_call(PTRACE_LISTEN, pid, 0, 0);
            return;
        }
        born(pid);
    } else if (event == 0 && number == kCallStop) {
        at_call(pid, tracee);
    }
    const bool plain_signal = event == 0 && number != kCallStop;
    const bool known = tracees_.contains(pid);
    // A call that is to fail has to come back first.
    if (known && tracees_[pid].held) {
        return;
    }
    if (known && stopping_ && !tracees_[pid].failing) {
        let_go(pid, plain_signal ? number : 0);
    } else if (known) {
        go_on(pid, plain_signal ? number : 0);
    }
}

/// The first stop of a child, or one that stop() has asked for.
void SyscallTracer::born(pid_t pid) {
    if (pid == root_ || pid == followed_ || pid == parent_) {
        return;
    }
    const bool of_parent = options_.parent.empty() || (parent_ != 0 && parent_of(pid) == parent_);
    if (over_ || (followed_ != 0 && !options_.from_birth)) {
        let_go(pid, 0);
    } else if (options_.from_birth && followed_ == 0 && of_parent) {
        follow(pid);
    }
}

void SyscallTracer::executed(pid_t pid) {
    if (options_.child.empty()) {
        tracees_[pid].followed = true;
        followed_ = pid;
        return;
    }
    if (pid == root_) {
        return;
    }
    if (parent_ == 0 && !options_.parent.empty() && goes_by(pid, options_.parent)) {
        parent_ = pid;
        return;
    }
    const bool wanted = goes_by(pid, options_.child);
    if (wanted && followed_ == 0) {
        follow(pid);
    }
    if (pid == followed_ && wanted) {
        ptrace_call(PTRACE_SETOPTIONS, pid, 0, static_cast<std::uintptr_t>(kOptions));
        return;
    }
    if (pid == followed_) {
        followed_ = 0;
        calls_.clear();
        counts_.clear();
    }
    let_go(pid, 0);
}

void SyscallTracer::follow(pid_t pid) {
    followed_ = pid;
    tracees_[pid].followed = true;
}

void SyscallTracer::at_call(pid_t pid, Tracee& tracee) {
    if (!tracee.followed) {
        return;
    }
    __ptrace_syscall_info info{};
    if (ptrace_call(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, reinterpret_cast<std::uintptr_t>(&info)) <= 0) {
        return;
    }
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        entered(pid, tracee, info.entry.nr, info.entry.args);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
        left(pid, tracee, info.exit.rval);
    }
}

bool SyscallTracer::is_struck(const Syscall& call) const {
    const auto& strike = options_.strike;
    return strike && !struck_ && !stopping_ &&
           (strike->name.empty() ? call.number == strike->nth : call.name == strike->name && call.nth == strike->nth);
}

void SyscallTracer::entered(pid_t pid, Tracee& tracee, std::uint64_t number, const std::uint64_t* arguments) {
    Syscall call;
    call.number = calls_.size() + 1;
    call.name = syscall_name(number);
    call.nth = ++counts_[call.name];
    std::copy_n(arguments, call.arguments.size(), call.arguments.begin());
    if (const auto index = path_argument(call.name)) {
        call.path = string_at(pid, arguments[*index]);
    }
    if (is_struck(call)) {
        struck_ = call;
        tracee.failing = options_.strike->kind == SyscallStrike::Kind::fail;
        if (options_.strike->kind != SyscallStrike::Kind::kill_after) {
            skip_call(pid);
        }
        if (options_.strike->kind == SyscallStrike::Kind::kill) {
            if (options_.then_free) {
                hold(tracee, SIGKILL);
            } else {
                kill(pid, SIGKILL);
            }
        }
        news_.notify_all();
    }
    calls_.push_back(std::move(call));
}

void SyscallTracer::left(pid_t pid, Tracee& tracee, std::int64_t result) {
    if (calls_.empty()) {
        return;  // it was entered before
    }
    if (tracee.failing) {
        result = -options_.strike->error;
        set_result(pid, result);
        tracee.failing = false;
    }
    calls_.back().result = result;
    if (struck_ && struck_->number == calls_.back().number) {
        struck_->result = result;
        if (options_.strike->kind == SyscallStrike::Kind::kill_after) {
            kill(pid, SIGKILL);
        } else if (options_.then_free) {
            hold(tracee, 0);
        }
        news_.notify_all();
    }
}

/// All others are let go as they stop, and then this one.
void SyscallTracer::hold(Tracee& tracee, int signal) {
    stopping_ = true;
    tracee.held = true;
    tracee.signal = signal;
    for (const auto& [pid, other] : tracees_) {
        if (!other.held) {
            ptrace_call(PTRACE_INTERRUPT, pid, 0, 0);
        }
    }
}

/// A SIGKILL comes before the call would be carried out, and when it is let go: so no end is the tracer's to see.
void SyscallTracer::release_held() {
    if (tracees_.size() != 1 || !tracees_.begin()->second.held) {
        return;
    }
    const pid_t pid = tracees_.begin()->first;
    const int signal = tracees_.begin()->second.signal;
    const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    let_go(pid, signal);
    if (signal == SIGKILL) {
        pollfd end{pidfd.get(), POLLIN, 0};
        while (poll(&end, 1, -1) < 0 && errno == EINTR) {
        }
        died(pid);
    }
}

void SyscallTracer::go_on(pid_t pid, int signal) {
    ptrace_call(tracees_[pid].followed ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, static_cast<std::uintptr_t>(signal));
}

void SyscallTracer::let_go(pid_t pid, int signal) {
    ptrace_call(PTRACE_DETACH, pid, 0, static_cast<std::uintptr_t>(signal));
    tracees_.erase(pid);
}

}  // namespace viscum
