// SPDX-License-Identifier: GPL-2.0-only
#include "controller/supervise/process.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "base/file.h"
#include "base/mount_tree.h"
#include "base/text.h"
#include "controller/supervise/run_directory.h"

namespace viscum {
namespace {

constexpr int kReport = 3;  // the child's end of the pipe on which it says how it went
constexpr int kShim = 4;    // the pidfd of the shim to enter
constexpr int kStartLimitMs = 5000;
constexpr rlim_t kFiles = 1024;  // the customary soft limit

/// What the child of clone needs, made before it: the child only makes system calls, short of telling a failure. It
/// becomes the shim's program in one of its two forms.
struct ChildPlan {
    int netns = -1;                          // to start a service in
    int shim = -1;                           // the pidfd of a shim to enter
    std::array<int, 3> streams{-1, -1, -1};  // -1: /dev/null
    std::vector<std::string> command;        // of viscum-shim
    std::vector<std::string> env;
    bool wait = true;  // for the command that enters to be executed
};

constexpr int kProgram = 5;  // in the child, closed by its execution
constexpr std::size_t kProgramLimit = 16UL << 20;

/// The program as nobody can change it. A service can have the kernel run it once more in its own namespaces and with
/// its own rights ("#!/proc/self/exe"), and open it through /proc: CVE-2019-5736.
Result<UniqueFd> open_program(const std::string& path) {
    if (UniqueFd tree = clone_read_only(AT_FDCWD, path)) {
        return tree;
    }
    // Before 5.12: a copy that is sealed.
    const auto bytes = read_file(path, kProgramLimit);
    if (!bytes) {
        return errno_error(cat("cannot run '", path, "'"), bytes.error().errno_code);
    }
    UniqueFd copy(memfd_create("viscum-shim", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if (!copy || write(copy.get(), bytes->data(), bytes->size()) != static_cast<ssize_t>(bytes->size()) ||
        fchmod(copy.get(), 0555) != 0 || fcntl(copy.get(), F_ADD_SEALS, kSeals) != 0) {
        return errno_error(cat("cannot copy '", path, "'"));
    }
    return copy;
}

[[noreturn]] void fail_child(int report, std::string_view context) {
    const Error error = errno_error(context);
    const std::string text = cat(error.errno_code, " ", error.what);
    [[maybe_unused]] const auto ignored = write(report, text.data(), text.size());
    _exit(127);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (auto& text : texts) {
        out.push_back(text.data());
    }
    out.push_back(nullptr);
    return out;
}

/// A copy out of the way of the numbers that descriptors are to have.
int set_aside(int fd, int report, std::string_view context) {
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    if (copy < 0) {
        fail_child(report, context);
    }
    return copy;
}

/// Descriptors 0-2, the report pipe, the shim's pidfd, and no others.
int arrange_descriptors(const ChildPlan& plan, int program, int report) {
    constexpr std::string_view kStreams = "cannot open the standard streams";
    constexpr std::string_view kPipe = "cannot open the report pipe";
    constexpr std::string_view kOpen = "cannot open the program";
    report = set_aside(report, report, kPipe);
    program = set_aside(program, report, kOpen);
    const int shim = plan.shim >= 0 ? set_aside(plan.shim, report, kPipe) : -1;
    std::array<int, 3> streams{};
    for (std::size_t i = 0; i < streams.size(); ++i) {
        const int source = plan.streams[i] >= 0 ? plan.streams[i] : ::open("/dev/null", O_RDWR | O_CLOEXEC);
        if (source < 0) {
            fail_child(report, kStreams);
        }
        streams[i] = set_aside(source, report, kStreams);
    }
    for (std::size_t i = 0; i < streams.size(); ++i) {
        if (dup2(streams[i], static_cast<int>(i)) < 0) {
            fail_child(report, kStreams);
        }
    }
    if (dup2(report, kReport) < 0 || (plan.shim >= 0 && dup2(shim, kShim) < 0)) {
        fail_child(report, kPipe);
    }
    if (plan.shim < 0) {
        syscall(SYS_close_range, kShim, kShim, 0);
    }
    if (dup3(program, kProgram, O_CLOEXEC) < 0) {
        fail_child(report, kOpen);
    }
    // Kernels before 5.9 lack it; every descriptor is born CLOEXEC as well.
    syscall(SYS_close_range, static_cast<unsigned>(kProgram) + 1, ~0U, 0);
    return kReport;
}

[[noreturn]] void run_child(const ChildPlan& plan, int program, char* const* argv, char* const* envp, pid_t parent,
                            int report) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        fail_child(report, "cannot ask to end with the parent");
    }
    // A new shim cannot see its parent from its own pid namespace; it looks at the pipe.
    if (plan.shim >= 0 && getppid() != parent) {
        _exit(127);
    }
    if (plan.netns >= 0 && setns(plan.netns, CLONE_NEWNET) != 0) {
        fail_child(report, "cannot enter the network namespace");
    }
    report = arrange_descriptors(plan, program, report);
    if (setsid() < 0) {
        fail_child(report, "cannot begin a session");
    }
    // The daemon's own may be raised; programs that use select(2), or close all that they may have, expect this.
    rlimit files{};
    const bool known = getrlimit(RLIMIT_NOFILE, &files) == 0;
    files.rlim_cur = std::min(files.rlim_cur, kFiles);
    if (!known || setrlimit(RLIMIT_NOFILE, &files) != 0) {
        fail_child(report, "cannot limit the number of open files");
    }
    // By the bare call: the C library keeps two signals to itself, and refuses to touch them.
    static const char kDefault[64] = {};  // the kernel's struct sigaction, whatever its layout
    for (int number = 1; number < _NSIG; ++number) {
        syscall(SYS_rt_sigaction, number, kDefault, nullptr, _NSIG / 8);
    }
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    syscall(SYS_execveat, kProgram, "", argv, envp, AT_EMPTY_PATH);
    fail_child(report, cat("cannot run '", static_cast<const char*>(argv[0]), "'"));
}

struct Started {
    UniqueFd pidfd;
    pid_t pid;
    UniqueFd report;  // where nobody waited for it
};

/// Kills and reaps a child that did not come up.
void discard(const Started& child) {
    syscall(SYS_pidfd_send_signal, child.pidfd.get(), SIGKILL, nullptr, 0);
    siginfo_t info{};
    waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(child.pidfd.get()), &info, WEXITED);
}

/// The text that the child writes before its end of the pipe closes, or "+" as soon as that comes.
Result<std::string> read_report(int fd) {
    std::string text;
    while (text != "+") {
        pollfd ready{fd, POLLIN, 0};
        const int count = poll(&ready, 1, kStartLimitMs);
        if (count == 0) {
            return errno_error("the new process does not answer", ETIMEDOUT);
        }
        char bytes[1024];
        const ssize_t got = count < 0 ? -1 : read(fd, bytes, sizeof bytes);
        if (got < 0 && errno != EINTR) {
            return errno_error("cannot read from the new process");
        }
        if (got == 0) {
            break;
        }
        text.append(bytes, got < 0 ? 0 : static_cast<std::size_t>(got));
    }
    return text;
}

/// "ERRNO TEXT" as an error.
Error parse_report(const std::string& text) {
    const auto space = text.find(' ');
    const auto code = parse_decimal(std::string_view(text).substr(0, space), 4095);
    if (space == std::string::npos || !code) {
        return {0, "the new process ended at once"};
    }
    return {static_cast<int>(*code), text.substr(space + 1)};
}

/// Starts a process and waits until the shim has said "+", or until the command that enters has been executed.
Result<Started> start(ChildPlan plan, std::uint64_t flags) {
    const auto program = open_program(plan.command.front());
    if (!program) {
        return program.error();
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno_error("cannot create a pipe");
    }
    UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    const std::vector<char*> argv = pointers(plan.command);
    const std::vector<char*> envp = pointers(plan.env);
    const pid_t self = getpid();
    int pidfd = -1;
    clone_args how{};
    how.flags = flags | CLONE_PIDFD;
    how.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
    how.exit_signal = SIGCHLD;
    // As fork does it, without glibc's handlers: the daemon has one thread, and its memory is small.
    const auto pid = static_cast<pid_t>(syscall(SYS_clone3, &how, sizeof how));
    if (pid < 0) {
        return errno_error("cannot create a process");
    }
    if (pid == 0) {
        run_child(plan, program->get(), argv.data(), envp.data(), self, writer.get());
    }
    Started child{UniqueFd(pidfd), pid, UniqueFd()};
    writer.reset();
    if (!plan.wait) {
        fcntl(reader.get(), F_SETFL, O_NONBLOCK);
        child.report = std::move(reader);
        return child;
    }
    auto report = read_report(reader.get());
    if (report && *report == (plan.shim >= 0 ? "" : "+")) {
        return child;
    }
    discard(child);
    return report ? parse_report(*report) : std::move(report).error();
}

struct SignalName {
    const char* name;
    int number;
};
// The first six are what service_spec.h lists.
constexpr SignalName kSignals[] = {
    {"TERM", SIGTERM}, {"QUIT", SIGQUIT}, {"INT", SIGINT},   {"HUP", SIGHUP},   {"USR1", SIGUSR1}, {"USR2", SIGUSR2},
    {"KILL", SIGKILL}, {"ABRT", SIGABRT}, {"ALRM", SIGALRM}, {"BUS", SIGBUS},   {"FPE", SIGFPE},   {"ILL", SIGILL},
    {"PIPE", SIGPIPE}, {"SEGV", SIGSEGV}, {"SYS", SIGSYS},   {"TRAP", SIGTRAP}, {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ}};
constexpr std::size_t kStopSignals = 6;

}  // namespace

int signal_number(const std::string& name) {
    for (std::size_t i = 0; i < kStopSignals; ++i) {
        if (name == kSignals[i].name) {
            return kSignals[i].number;
        }
    }
    return 0;
}

std::string ExitStatus::describe() const {
    switch (kind) {
        case Kind::exited: return cat("exited with ", value);
        case Kind::failed: return text;
        case Kind::unknown: return "ended together with its shim";
        case Kind::signaled: break;
    }
    for (const auto& known : kSignals) {
        if (known.number == value) {
            return cat("killed by SIG", known.name);
        }
    }
    return cat("killed by signal ", value);
}

Result<Process> Process::launch(const LaunchSpec& spec, const NetNs& ns) {
    const std::string context = cat("cannot start '", spec.name, "'");
    auto running = adopt(spec.run_dir);
    if (!running) {
        return std::move(running).error().in(context);
    }
    if (*running) {
        return Error{EAGAIN, cat(context, ": process ", (*running)->pid(), " holds the lock in '", spec.run_dir, "'")};
    }
    if (auto prepared = prepare(spec); !prepared) {
        return std::move(prepared).error().in(context);
    }
    ChildPlan plan;
    plan.netns = ns.fd();
    plan.command = {spec.shim_path, spec.name, spec.run_dir, spec.log_file, std::to_string(spec.log_bytes)};
    plan.command.insert(plan.command.end(), spec.command.begin(), spec.command.end());
    auto child = start(plan, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
    if (!child) {
        return std::move(child).error().in(context);
    }
    return Process(std::move(child->pidfd), child->pid);
}

Result<std::optional<Process>> Process::adopt(const std::string& run_dir) {
    const std::string path = run_dir + "/lock";
    const UniqueFd lock(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!lock) {
        if (errno == ENOENT) {
            return std::optional<Process>();
        }
        return errno_error(cat("cannot open '", path, "'"));
    }
    // The pid is only sure while the lock is held: take hold of it, then ask again. Each turn means that a holder
    // ended.
    for (int turn = 0; turn < 10; ++turn) {
        const auto holder = lock_holder(lock.get());
        if (!holder) {
            return holder.error().in(cat("cannot adopt from '", run_dir, "'"));
        }
        if (*holder == 0) {
            return std::optional<Process>();
        }
        UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, *holder, 0)));
        if (!pidfd) {
            if (errno == ESRCH) {
                continue;
            }
            return errno_error(cat("cannot adopt from '", run_dir, "'"));
        }
        if (const auto again = lock_holder(lock.get()); again && *again == *holder) {
            return std::optional<Process>(Process(std::move(pidfd), *holder));
        }
    }
    return Error{EAGAIN, cat("cannot adopt from '", run_dir, "': the lock goes from hand to hand")};
}

Status Process::signal(int number) const {
    if (syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0) != 0 && errno != ESRCH) {
        return errno_error(cat("cannot signal process ", pid_));
    }
    return {};
}

std::optional<std::chrono::nanoseconds> Process::started_at() const {
    const auto stat = read_file(cat("/proc/", pid_, "/stat"), 4096);
    // The name may hold blanks and brackets: fields are counted from behind it (proc(5): starttime is the 22nd).
    const auto behind = stat ? stat->rfind(") ") : std::string::npos;
    if (behind == std::string::npos) {
        return std::nullopt;
    }
    const auto fields = split(std::string_view(*stat).substr(behind + 2), ' ');
    constexpr std::size_t kStartTime = 22 - 3;
    const auto ticks = fields.size() > kStartTime ? parse_decimal(fields[kStartTime], UINT64_MAX) : std::nullopt;
    const long per_second = sysconf(_SC_CLK_TCK);
    if (!ticks || per_second <= 0) {
        return std::nullopt;
    }
    return std::chrono::nanoseconds(*ticks * 1'000'000'000ULL / static_cast<std::uint64_t>(per_second));
}

Status Process::kill() const {
    return signal(SIGKILL);
}

ExitStatus Process::reap() {
    siginfo_t info{};
    if (waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG) != 0 ||
        info.si_pid == 0) {
        return {};
    }
    const auto kind = info.si_code == CLD_EXITED ? ExitStatus::Kind::exited : ExitStatus::Kind::signaled;
    return {kind, info.si_status, ""};
}

std::optional<Error> Process::why_not_run() {
    std::array<char, 1024> text{};
    const ssize_t got = report_ ? read(report_.get(), text.data(), text.size()) : 0;
    report_.reset();
    return got > 0 ? std::optional(parse_report(std::string(text.data(), static_cast<std::size_t>(got))))
                   : std::nullopt;
}

ExitStatus Process::finish(const std::string& run_dir) {
    const ExitStatus shim = reap();
    if (const auto end = last_exit(run_dir)) {
        return *end;
    }
    // Without room for the file a shim of ours still ends as its service did.
    return shim.kind == ExitStatus::Kind::exited ? shim : ExitStatus{};
}

Result<Process> enter(const EnterSpec& spec) {
    const std::string context = cat("cannot run '", spec.command.empty() ? "" : spec.command.front(), "'");
    auto shim = Process::adopt(spec.run_dir);
    if (!shim) {
        return std::move(shim).error().in(context);
    }
    if (!*shim) {
        return Error{ESRCH, cat(context, ": the service does not run")};
    }
    // Before its sandbox stands the shim still has the host around it.
    if (auto ready = sandbox_stands(spec.run_dir); !ready) {
        return std::move(ready).error().in(context);
    }
    auto env = merge_environment(spec);
    if (!env) {
        return std::move(env).error().in(context);
    }
    ChildPlan plan;
    plan.shim = (*shim)->pidfd();
    plan.streams = {spec.in, spec.out, spec.err};
    plan.command = {spec.shim_path, "--enter", spec.run_dir};
    plan.command.insert(plan.command.end(), spec.command.begin(), spec.command.end());
    plan.env = std::move(*env);
    plan.wait = spec.wait;
    auto child = start(std::move(plan), 0);
    if (!child) {
        return std::move(child).error();
    }
    Process process(std::move(child->pidfd), child->pid);
    process.report_ = std::move(child->report);
    return process;
}

}  // namespace viscum
