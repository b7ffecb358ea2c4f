// SPDX-License-Identifier: GPL-2.0-only
// Other processes, and more rights than one was given.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "base/text.h"
#include "base/unique_fd.h"
#include "tests/e2e/attacker/attack.h"

namespace viscum {
namespace {

constexpr int kMostPids = 65'536;
constexpr int kLastCapability = 63;

bool is_number(const std::string& text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

/// A line "NAME:\tVALUE" of /proc/PID/status.
std::string status_of(const std::string& pid, const std::string& name) {
    const std::string text = contents_of(cat("/proc/", pid, "/status"));
    const auto at = text.find(cat("\n", name, ":\t"));
    const auto first = at + name.size() + 3;
    return at == std::string::npos ? "" : text.substr(first, text.find('\n', first) - first);
}

/// Whether it descends from the attacker's first process, whose id getsid() gives.
bool is_own(const std::string& pid) {
    const std::string leader = std::to_string(getsid(0));
    std::string at = pid;
    for (int level = 0; level < 16 && at != "0" && !at.empty(); ++level) {
        if (at == leader || getsid(std::atoi(at.c_str())) == getsid(0)) {
            return true;
        }
        at = status_of(at, "PPid");
    }
    return false;
}

Attempt see_others() {
    for (const auto& pid : names_in("/proc")) {
        struct stat info {};
        // One of its own that ends meanwhile is none any more.
        if (is_number(pid) && pid != "1" && !is_own(pid) && stat(cat("/proc/", pid).c_str(), &info) == 0) {
            return done(cat(pid, " ", status_of(pid, "Name")));
        }
    }
    return denied("none is to be seen");
}

Attempt see_init() {
    struct stat info {};
    return tried(stat("/proc/1", &info), "/proc/1 is there");
}

Attempt signal_others() {
    for (int pid = 2; pid < kMostPids; ++pid) {
        if (kill(pid, 0) == 0 && getsid(pid) != getsid(0) && errno != ESRCH) {
            return done(cat("may signal ", pid));
        }
    }
    return denied("none");
}

/// A child that waits until it is killed.
class Sibling {
public:
    Sibling() : pid_(fork()) {
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;) {
                pause();
            }
        }
    }
    Sibling(const Sibling&) = delete;
    Sibling& operator=(const Sibling&) = delete;
    ~Sibling() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    [[nodiscard]] pid_t pid() const { return pid_; }

private:
    pid_t pid_;
};

Attempt trace(pid_t pid) {
    return tried(ptrace(PTRACE_SEIZE, pid, nullptr, nullptr), "traces it");
}

Attempt read_memory(pid_t pid) {
    static std::array<char, 8> own{};
    std::array<char, 8> there{};
    const iovec local{there.data(), there.size()};
    const iovec remote{own.data(), own.size()};
    return tried(process_vm_readv(pid, &local, 1, &remote, 1, 0), "read its memory");
}

Attempt take_descriptor(pid_t pid) {
    const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!process) {
        return denied(errno);
    }
    const UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), 0, 0)));
    return tried(fd.get(), "took its descriptor 0");
}

Attempt open_of(pid_t pid, const char* name) {
    const UniqueFd fd(open(cat("/proc/", pid, "/", name).c_str(), O_RDONLY | O_CLOEXEC));
    char byte = 0;
    if (!fd) {
        return denied(errno);
    }
    return read(fd.get(), &byte, 1) >= 0 || errno == EISDIR || errno == EINVAL ? done("read") : denied(errno);
}

void add_init_items(Items& items) {
    items.push_back({"see other processes", see_others});
    items.push_back({"see init", see_init});
    items.push_back({"signal others", signal_others});
    // One that changes nothing, also for an init that is traced and would stop at SIGSTOP.
    items.push_back({"signal init", [] { return tried(kill(1, SIGWINCH), "SIGWINCH"); }});
    items.push_back({"trace init", [] { return trace(1); }});
    items.push_back({"trace a sibling", [] { return trace(Sibling().pid()); }});
    items.push_back({"be traced", [] { return tried(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr), "is traced"); }});
    items.push_back({"read init's memory", [] { return read_memory(1); }});
    items.push_back({"read a sibling's memory", [] { return read_memory(Sibling().pid()); }});
    items.push_back({"take init's descriptor", [] { return take_descriptor(1); }});
    items.push_back(
        {"compare with init", [] { return tried(syscall(SYS_kcmp, getpid(), 1, KCMP_FILE, 0, 0), "did"); }});
    items.push_back({"priority of init", [] { return tried(setpriority(PRIO_PROCESS, 1, 19), "set"); }});
    items.push_back({"limits of init", [] {
                         rlimit limit{};
                         return tried(prlimit(1, RLIMIT_NOFILE, nullptr, &limit), "read");
                     }});
    for (const char* name : {"environ", "mem", "maps", "root/", "cwd/", "exe", "fd/", "fd/0", "ns/mnt", "ns/net",
                             "ns/pid", "stack", "syscall", "auxv", "mountinfo"}) {
        items.push_back({cat("read /proc/1/", name), [name] { return open_of(1, name); }});
    }
}

// --- more rights

Attempt become_another() {
    if (getuid() != 0) {
        return tried(setresuid(0, 0, 0), "is root");
    }
    return tried(setresuid(12'345, 12'345, 12'345), "is user 12345");
}
Attempt join_another_group() {
    const gid_t group = getgid() == 0 ? 12'345 : 0;
    return tried(setresgid(group, group, group), cat("is of group ", group));
}

Attempt raise_capabilities() {
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    data[0] = {1U << CAP_NET_ADMIN | 1U << CAP_SYS_ADMIN, 1U << CAP_NET_ADMIN | 1U << CAP_SYS_ADMIN, 0};
    return tried(syscall(SYS_capset, &head, data.data()), "has CAP_NET_ADMIN and CAP_SYS_ADMIN");
}

Attempt any_capability() {
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
        if (const auto value = status_of("self", set); value != "0000000000000000") {
            return done(cat(set, " ", value));
        }
    }
    return denied("none in any set");
}

Attempt ambient_capability() {
    for (unsigned long number = 0; number <= kLastCapability; ++number) {
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) == 0) {
            return done(cat("raised ", number));
        }
    }
    return denied(errno);
}

/// The program says who it is, as its own child that ran a program with the bit.
Attempt run_setuid(const std::string& program) {
    if (program.empty() || getuid() == 0) {
        return denied("there is none");
    }
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) < 0) {
        return denied(errno);
    }
    UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    if (const pid_t pid = fork(); pid == 0) {
        dup2(writer.get(), 1);
        std::array<char*, 3> argv{const_cast<char*>(program.c_str()), const_cast<char*>("who"), nullptr};
        execv(argv[0], argv.data());
        dprintf(1, "%s", strerrorname_np(errno));
        _exit(1);
    }
    writer.reset();
    std::array<char, 64> text{};
    const ssize_t size = read(reader.get(), text.data(), text.size() - 1);
    const std::string who(text.data(), static_cast<std::size_t>(size > 0 ? size : 0));
    return who == "euid 0" ? done(who) : denied(who);
}

Attempt raise_limit(int resource) {
    rlimit limit{};
    const auto which = static_cast<__rlimit_resource>(resource);
    getrlimit(which, &limit);
    if (limit.rlim_max == RLIM_INFINITY) {
        return done("is unlimited");
    }
    const rlim_t before = limit.rlim_max;
    limit.rlim_cur = limit.rlim_max = before + 1;
    if (setrlimit(which, &limit) < 0) {
        return denied(errno);
    }
    getrlimit(which, &limit);  // what succeeds may still do nothing
    return limit.rlim_max > before ? done("raised it") : denied("nothing happened");
}

/// Whether the kernel wrote, or piped, what this process had in memory.
Attempt dump_core() {
    rlimit limit{};
    (void)setrlimit(RLIMIT_CORE, &limit);  // 0 would let one to a pipe through again
    getrlimit(RLIMIT_CORE, &limit);
    if (limit.rlim_max != 1) {  // 1: neither a file nor a pipe (core(5))
        return done(cat("the limit is ", limit.rlim_max));
    }
    const pid_t pid = fork();
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        std::abort();
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WCOREDUMP(status) ? done("dumped") : denied("no core");
}

Attempt leaked_descriptors() {
    const std::string own = cat("/proc/", getsid(0), "/fd");  // of the first process: children have pipes
    for (const auto& fd : names_in(own)) {
        std::array<char, PATH_MAX> target{};
        const ssize_t size = readlink(cat(own, "/", fd).c_str(), target.data(), target.size() - 1);
        const std::string_view text(target.data(), static_cast<std::size_t>(size > 0 ? size : 0));
        // What the attacker opened itself: its listener and the pipe of its report.
        if (std::atoi(fd.c_str()) > 2 && !text.starts_with("socket:") && !text.starts_with("pipe:") && text != own &&
            !text.empty()) {
            return done(cat(fd, " is ", text));
        }
    }
    return denied("none");
}

}  // namespace

void add_process_items(Items& items, const Knowledge& knowledge) {
    add_init_items(items);
    items.push_back({"setuid", become_another});
    items.push_back({"setgid", join_another_group});
    items.push_back({"setgroups", [] {
                         const gid_t group = 0;
                         return tried(syscall(SYS_setgroups, 1, &group), "is of group 0");
                     }});
    items.push_back({"setfsuid", [] {
                         const auto wanted = getuid() == 0 ? 12'345 : 0;
                         syscall(SYS_setfsuid, wanted);
                         return syscall(SYS_setfsuid, -1) == wanted ? done("did") : denied("unchanged");
                     }});
    items.push_back({"capset", raise_capabilities});
    items.push_back({"capabilities", any_capability});
    items.push_back({"ambient capabilities", ambient_capability});
    items.push_back({"a setuid program", [program = knowledge.setuid_program] { return run_setuid(program); }});
    items.push_back({"no_new_privs", [] {
                         return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
                                    ? tried(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), "lifted it")
                                    : done("is not set");
                     }});
    items.push_back({"securebits", [] { return tried(prctl(PR_SET_SECUREBITS, 1, 0, 0, 0), "set"); }});
    items.push_back({"no seccomp", [] {
                         return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2 ? denied("a filter is there") : done("none");
                     }});
    items.push_back({"move its memory map",
                     [] { return tried(prctl(PR_SET_MM, PR_SET_MM_START_BRK, sbrk(0), 0, 0), "moved it"); }});
    for (const auto& [name, resource] : {std::pair{"open files", RLIMIT_NOFILE}, std::pair{"core size", RLIMIT_CORE}}) {
        items.push_back({cat("limit of ", name), [resource] { return raise_limit(resource); }});
    }
    items.push_back({"real-time priority", [] {
                         const sched_param parameter{1};
                         return tried(sched_setscheduler(0, SCHED_FIFO, &parameter), "has it");
                     }});
    items.push_back({"priority", [] { return tried(setpriority(PRIO_PROCESS, 0, -20), "-20"); }});
    items.push_back({"core dump", dump_core});
    items.push_back({"leaked descriptors", leaked_descriptors});
}

}  // namespace viscum
