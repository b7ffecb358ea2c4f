// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/power/file_calls.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <future>
#include <map>
#include <optional>

#include "base/text.h"

namespace viscum {
namespace {

constexpr int kSyscallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD

long trace(long request, pid_t pid, std::uintptr_t address = 0, std::uintptr_t data = 0) {
    return syscall(SYS_ptrace, request, pid, address, data);
}

/// A string of the process's memory.
std::string text_at(pid_t pid, std::uint64_t address) {
    std::array<char, PATH_MAX> bytes{};
    const iovec here{bytes.data(), bytes.size() - 1};
    // A string may lie at the end of what is mapped.
    const iovec there{reinterpret_cast<void*>(static_cast<std::uintptr_t>(address)), 256};
    return process_vm_readv(pid, &here, 1, &there, 1, 0) > 0 ? std::string(bytes.data()) : std::string();
}

std::string file_of(pid_t pid, std::uint64_t descriptor) {
    std::array<char, PATH_MAX> bytes{};
    const auto length = readlink(cat("/proc/", pid, "/fd/", descriptor).c_str(), bytes.data(), bytes.size());
    return length > 0 ? std::string(bytes.data(), static_cast<std::size_t>(length)) : std::string();
}

/// "fsync /path" for a call that changes a file or the names of one; empty for others.
std::string describe(pid_t pid, std::uint64_t number, const std::uint64_t* arguments) {
    switch (number) {
        case SYS_write: return cat("write ", file_of(pid, arguments[0]));
        case SYS_fsync: return cat("fsync ", file_of(pid, arguments[0]));
        case SYS_ftruncate: return cat("ftruncate ", file_of(pid, arguments[0]));
        case SYS_openat: return (arguments[2] & O_CREAT) != 0 ? cat("create ", text_at(pid, arguments[1])) : "";
        case SYS_renameat: return cat("rename ", text_at(pid, arguments[3]));
        case SYS_unlinkat: return cat("unlink ", text_at(pid, arguments[1]));
#ifdef SYS_rename
        case SYS_rename: return cat("rename ", text_at(pid, arguments[1]));
        case SYS_unlink: return cat("unlink ", text_at(pid, arguments[0]));
#endif
        default: return "";
    }
}

class Tracer {
public:
    Tracer(pid_t pid, std::vector<std::string> directories, FileCalls::Stop stop)
        : pid_(pid), directories_(std::move(directories)), stop_(std::move(stop)) {}

    bool seize() const {
        return trace(PTRACE_SEIZE, pid_, 0, PTRACE_O_TRACESYSGOOD) == 0 && trace(PTRACE_INTERRUPT, pid_) == 0;
    }

    /// Until it ends, or `ends` and it could be let go.
    void run(const std::stop_token& ends) {
        const std::stop_callback wake(ends, [this] { kill(pid_, SIGCONT); });
        int status = 0;
        while (waitpid(pid_, &status, __WALL) == pid_ && WIFSTOPPED(status)) {
            const int signal = WSTOPSIG(status);
            const bool event = (status >> 16) != 0;
            if (signal == kSyscallStop) {
                on_syscall();
            }
            const bool ours = event || signal == kSyscallStop || signal == SIGTRAP;
            const auto deliver = static_cast<std::uintptr_t>(ours ? 0 : signal);
            if (ends.stop_requested()) {
                trace(PTRACE_DETACH, pid_, 0, deliver);
                return;
            }
            trace(PTRACE_SYSCALL, pid_, 0, deliver);
        }
    }

private:
    void on_syscall() {
        __ptrace_syscall_info info{};
        if (trace(PTRACE_GET_SYSCALL_INFO, pid_, sizeof info, reinterpret_cast<std::uintptr_t>(&info)) <= 0) {
            return;
        }
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
            call_ = describe(pid_, info.entry.nr, info.entry.args);
        } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && !call_.empty()) {
            for (const std::string& directory : directories_) {
                if (info.exit.rval >= 0 && call_.find(" " + directory) != std::string::npos) {
                    stop_(call_);
                    break;
                }
            }
            call_.clear();
        }
    }

    pid_t pid_;
    std::vector<std::string> directories_;
    FileCalls::Stop stop_;
    std::string call_;
};

}  // namespace

Result<std::unique_ptr<FileCalls>> FileCalls::follow(pid_t pid, std::vector<std::string> directories, Stop stop) {
    std::unique_ptr<FileCalls> calls(new FileCalls());
    std::promise<int> seized;
    auto answer = seized.get_future();
    calls->thread_ = std::jthread([&seized, pid, directories = std::move(directories),
                                   stop = std::move(stop)](const std::stop_token& ends) mutable {
        Tracer tracer(pid, std::move(directories), std::move(stop));
        const bool follows = tracer.seize();
        seized.set_value(follows ? 0 : errno);
        if (follows) {
            tracer.run(ends);
        }
    });
    if (const int error = answer.get(); error != 0) {
        return errno_error(cat("cannot follow process ", pid), error);
    }
    return calls;
}

FileCalls::~FileCalls() = default;

}  // namespace viscum
