// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/program.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/event_loop.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxOutput = 16 * 1024 * 1024;

struct Started {
    UniqueFd pidfd;
    pid_t pid = 0;
};

struct Streams {
    int in = -1;
    int out = -1;
    int err = -1;
};

/// In the child: everything up to the program itself; returns only when that failed.
void become(const std::vector<char*>& argv, const NetNs* ns, const Streams& streams) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // As services have it: where the kernel shares out processors by session, none has less than another.
    setsid();
    if (ns != nullptr && setns(ns->fd(), CLONE_NEWNET) < 0) {
        return;
    }
    if (dup2(streams.in, 0) < 0 || dup2(streams.out, 1) < 0 || dup2(streams.err, 2) < 0) {
        return;
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execvp(argv[0], argv.data());
}

/// Returns once the program is executed, with the reason where it cannot be.
Result<Started> launch(const Argv& argv, const NetNs* ns, const Streams& streams) {
    std::vector<char*> pointers;
    for (const std::string& argument : argv) {
        pointers.push_back(const_cast<char*>(argument.c_str()));  // execvp(3) leaves them alone
    }
    pointers.push_back(nullptr);
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) < 0) {
        return errno_error("cannot make a pipe");
    }
    UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    const pid_t pid = fork();
    if (pid < 0) {
        return errno_error("cannot fork");
    }
    if (pid == 0) {
        become(pointers, ns, streams);
        const int code = errno;
        _exit(write(writer.get(), &code, sizeof code) > 0 ? 127 : 126);
    }
    writer.reset();
    Started started{UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))), pid};
    int code = 0;
    if (read(reader.get(), &code, sizeof code) > 0) {
        waitpid(pid, nullptr, 0);
        return errno_error(cat("cannot run ", argv[0]), code);
    }
    return started;
}

int wait_for(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int milliseconds_until(BootTime deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - boot_now()).count();
    return left > 0 ? static_cast<int>(left) : 0;
}

bool readable_within(int fd, std::chrono::milliseconds limit) {
    const BootTime deadline = boot_now() + limit;
    pollfd watched{fd, POLLIN, 0};
    int ready = 0;
    while ((ready = poll(&watched, 1, milliseconds_until(deadline))) < 0 && errno == EINTR) {
    }
    return ready > 0;
}

UniqueFd null_device() {
    return UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC));
}

UniqueFd memory_holding(const std::string& text) {
    UniqueFd fd(memfd_create("input", MFD_CLOEXEC));
    if (fd && (write(fd.get(), text.data(), text.size()) < 0 || lseek(fd.get(), 0, SEEK_SET) < 0)) {
        fd.reset();
    }
    return fd;
}

std::string contents(const UniqueFd& fd) {
    struct stat info {};
    fstat(fd.get(), &info);
    std::string text(std::min(static_cast<std::size_t>(info.st_size), kMaxOutput), '\0');
    const ssize_t length = pread(fd.get(), text.data(), text.size(), 0);
    text.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
    return text;
}

}  // namespace

// Output goes to memory, not to pipes: a program that leaves a child behind with its output open is no reason to wait.
RunOutput run(const Argv& argv, const RunOptions& options) {
    const UniqueFd in = memory_holding(options.input);
    const UniqueFd out(memfd_create("output", MFD_CLOEXEC));
    const UniqueFd err(memfd_create("errors", MFD_CLOEXEC));
    auto started = launch(argv, options.ns, {in.get(), out.get(), err.get()});
    if (!started) {
        return {127, "", started.error().what};
    }
    if (!readable_within(started->pidfd.get(), options.limit)) {
        kill(started->pid, SIGKILL);
    }
    const int status = wait_for(started->pid);
    return {status, contents(out), contents(err)};
}

Result<std::string> output_of(const Argv& argv, const RunOptions& options) {
    RunOutput output = run(argv, options);
    if (output.success()) {
        return std::move(output.out);
    }
    const std::string said = output.err.empty() ? output.out : output.err;
    return Error{0, cat("'", join(argv, " "), "' ended with ", output.status, ": ", said)};
}

Result<Program> Program::start(const Spec& spec) {
    const UniqueFd in = null_device();
    const UniqueFd log = spec.log_file.empty()
                             ? null_device()
                             : UniqueFd(open(spec.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (!log) {
        return errno_error(cat("cannot open ", spec.log_file));
    }
    auto started = launch(spec.argv, spec.ns, {in.get(), log.get(), log.get()});
    if (!started) {
        return std::move(started).error();
    }
    return Program(std::move(started->pidfd), started->pid);
}

Program& Program::operator=(Program&& other) noexcept {
    if (this != &other) {
        end();
        pidfd_ = std::move(other.pidfd_);
        pid_ = std::exchange(other.pid_, 0);
    }
    return *this;
}

void Program::end() {
    if (pidfd_ && pid_ != 0) {
        stop(SIGKILL);
    }
}

bool Program::running() const {
    return pidfd_ && !ended_within(std::chrono::milliseconds(0));
}

Status Program::signal(int number) const {
    if (!pidfd_ || (syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0) < 0 && errno != ESRCH)) {
        return errno_error(cat("cannot send signal ", number), pidfd_ ? errno : ESRCH);
    }
    return {};
}

int Program::stop(int number, std::chrono::milliseconds limit) {
    if (!pidfd_ || !signal(number)) {
        return -1;
    }
    if (!ended_within(limit)) {
        kill(pid_, SIGKILL);
    }
    const int status = wait_for(pid_);
    pidfd_.reset();
    pid_ = 0;
    return status;
}

bool Program::ended_within(std::chrono::milliseconds limit) const {
    return !pidfd_ || readable_within(pidfd_.get(), limit);
}

}  // namespace viscum
