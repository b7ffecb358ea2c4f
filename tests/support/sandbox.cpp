// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/sandbox.h"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/result.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "tests/support/cgroups.h"

namespace viscum {
namespace {

constexpr int kGrace = 3;  // seconds between a signal to stop and the end

Status mount_new(const char* type, const char* target, const char* options = nullptr) {
    if (mount(type, target, type, MS_NOSUID | MS_NODEV, options) < 0) {
        return errno_error(cat("cannot mount ", type, " on ", target));
    }
    return {};
}

/// A detached copy of the mounts at `path`; invalid where there is no such path.
UniqueFd copy_of_mount(const char* path) {
    return UniqueFd(open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
}

Status attach(const UniqueFd& tree, const char* target) {
    if (move_mount(tree.get(), "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0) {
        return errno_error(cat("cannot mount on ", target));
    }
    return {};
}

/// The new network namespace's /sys, with what the tests need from the old one.
Status mount_sys() {
    const UniqueFd cgroups = copy_of_mount("/sys/fs/cgroup");
    if (const auto done = mount_new("sysfs", "/sys"); !done) {
        return done;
    }
    if (cgroups) {
        if (const auto done = attach(cgroups, "/sys/fs/cgroup"); !done) {
            return done;
        }
    }
    return mount_new("bpf", "/sys/fs/bpf", "mode=0700");
}

/// Makes a directory writable without touching it: an overlay whose upper layer is below `scratch`, or a copy there
/// where the kernel has no overlayfs.
Status cover(const std::string& directory, const std::string& scratch) {
    const std::string upper = scratch + "/upper";
    const std::string work = scratch + "/work";
    if (auto made = make_directory(upper, 0755); !made) {
        return made;
    }
    if (auto made = make_directory(work, 0755); !made) {
        return made;
    }
    const std::string options = cat("lowerdir=", directory, ",upperdir=", upper, ",workdir=", work);
    if (mount_new("overlay", directory.c_str(), options.c_str())) {
        return {};
    }
    std::error_code ignored;  // what cannot be copied (sockets) no test needs
    std::filesystem::copy(directory, upper,
                          std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks,
                          ignored);
    if (mount(upper.c_str(), directory.c_str(), nullptr, MS_BIND, nullptr) < 0) {
        return errno_error(cat("cannot mount on ", directory));
    }
    return {};
}

/// `scratch` may go afterwards: an overlay holds its layers.
Status cover_state() {
    if (auto done = mount_new("tmpfs", "/tmp", "mode=0755"); !done) {
        return done;
    }
    if (auto done = cover("/etc", "/tmp/etc"); !done) {
        return done;
    }
    if (auto done = cover("/var/lib", "/tmp/lib"); !done) {
        return done;
    }
    if (umount2("/tmp", MNT_DETACH) < 0) {
        return errno_error("cannot unmount the scratch space");
    }
    // What an installed Viscum has on this machine is not there in here.
    for (const char* path : {"/etc/viscum", "/var/lib/viscum"}) {
        std::error_code failure;
        std::filesystem::remove_all(path, failure);
        if (failure) {
            return errno_error(cat("cannot hide ", path), failure.value());
        }
    }
    return {};
}

/// Puts a directory back where an empty /tmp or /run has hidden it.
Status show_again(const UniqueFd& tree, const char* path) {
    if (!tree || access(path, F_OK) == 0) {
        return {};
    }
    if (auto made = make_directory(path, 0755); !made) {
        return made;
    }
    return attach(tree, path);
}

/// What tests share with services, which have a /tmp of their own and run as accounts that may not reach the sources.
Status set_up_srv(const UniqueFd& programs) {
    if (auto done = mount_new("tmpfs", "/srv", "mode=0755"); !done) {
        return done;
    }
    if (auto made = make_directory("/srv/bin", 0755); !made) {
        return made;
    }
    return programs ? attach(programs, "/srv/bin") : Status();
}

/// Other people's test data, beside the sources; tests that lack it skip.
constexpr const char* kCorpora = VISCUM_SOURCE_DIR "/../shared/corpora";

Status set_up_mounts(const TestGroups& groups) {
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
        return errno_error("cannot make the mounts private");
    }
    const auto before = std::filesystem::current_path();
    const UniqueFd sources = copy_of_mount(VISCUM_SOURCE_DIR);
    const UniqueFd programs = copy_of_mount(VISCUM_BIN_DIR);
    const UniqueFd programs_for_services = copy_of_mount(VISCUM_BIN_DIR);
    const UniqueFd corpora = copy_of_mount(kCorpora);
    if (auto done = mount_new("proc", "/proc"); !done) {
        return done;
    }
    if (auto done = mount_sys(); !done) {
        return done;
    }
    if (auto done = groups.take_the_place_of_hierarchies(); !done) {
        return done;
    }
    if (auto done = cover_state(); !done) {
        return done;
    }
    if (auto done = mount_new("tmpfs", "/run", "mode=0755"); !done) {
        return done;
    }
    if (auto done = mount_new("tmpfs", "/tmp", "mode=1777"); !done) {
        return done;
    }
    if (auto done = set_up_srv(programs_for_services); !done) {
        return done;
    }
    if (auto done = show_again(sources, VISCUM_SOURCE_DIR); !done) {
        return done;
    }
    if (auto done = show_again(programs, VISCUM_BIN_DIR); !done) {
        return done;
    }
    if (auto done = show_again(corpora, kCorpora); !done) {
        return done;
    }
    if (chdir(before.c_str()) < 0 && chdir("/") < 0) {
        return errno_error("cannot change to /");
    }
    return {};
}

Status set_lo_up() {
    const UniqueFd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    request.ifr_name[0] = 'l';
    request.ifr_name[1] = 'o';
    request.ifr_flags = IFF_UP;
    if (!socket_fd || ioctl(socket_fd.get(), SIOCSIFFLAGS, &request) < 0) {
        return errno_error("cannot set lo up");
    }
    return {};
}

constexpr std::array kStops = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

sigset_t waited_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (const int stop : kStops) {
        sigaddset(&set, stop);
    }
    return set;
}

int exit_status(int wait_status) {
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/// Reaps all children, hands signals to `child` and returns its exit status; with a limit, kGrace seconds after the
/// first of them at the latest.
int wait_for(pid_t child, bool limited) {
    const sigset_t signals = waited_signals();
    int stopped_by = 0;
    for (;;) {
        const timespec grace{kGrace, 0};
        const int signal = sigtimedwait(&signals, nullptr, limited && stopped_by != 0 ? &grace : nullptr);
        if (signal < 0 && errno == EAGAIN) {
            return 128 + stopped_by;
        }
        if (signal == SIGCHLD) {
            int status = 0;
            for (pid_t ended = 0; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
                if (ended == child) {
                    return exit_status(status);
                }
            }
        } else if (signal > 0) {
            stopped_by = signal;
            kill(child, signal);
        }
    }
}

int fail(const Error& error) {
    std::fprintf(stderr, "sandbox: %s\n", error.what.c_str());
    return 1;
}

/// pid 1: the body runs in a child of it. `parent_lives` is a pipe's read end whose other end the parent holds.
int be_init(const std::function<int()>& body, const TestGroups& groups, const UniqueFd& parent_lives,
            const sigset_t& mask) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pollfd parent{parent_lives.get(), 0, 0};
    if (poll(&parent, 1, 0) > 0) {  // it died before PR_SET_PDEATHSIG
        return 1;
    }
    if (auto done = set_up_mounts(groups); !done) {
        return fail(done.error());
    }
    if (auto done = set_lo_up(); !done) {
        return fail(done.error());
    }
    const pid_t child = fork();
    if (child < 0) {
        return fail(errno_error("cannot fork"));
    }
    if (child == 0) {
        sigprocmask(SIG_SETMASK, &mask, nullptr);
        const int status = body();
        std::fflush(nullptr);
        _exit(status);
    }
    return wait_for(child, true);
}

}  // namespace

int run_in_sandbox(const std::function<int()>& body) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) < 0) {
        return fail(errno_error("cannot make a pipe"));
    }
    UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    const sigset_t signals = waited_signals();
    sigset_t mask;
    sigprocmask(SIG_BLOCK, &signals, &mask);
    const TestGroups groups;
    std::fflush(nullptr);  // or the child would write what is buffered a second time

    constexpr unsigned long kFlags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC;
    const auto init = static_cast<pid_t>(syscall(SYS_clone, kFlags | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
    if (init == 0) {
        writer.reset();
        _exit(be_init(body, groups, reader, mask));
    }
    int status = kSkipped;
    if (init > 0) {
        reader.reset();
        status = wait_for(init, false);
    } else if (errno == EPERM) {
        skip("needs root (CAP_SYS_ADMIN) to make namespaces");
    } else {
        status = fail(errno_error("cannot make namespaces"));
    }
    sigprocmask(SIG_SETMASK, &mask, nullptr);
    return status;
}

std::string& skipped_because() {
    static std::string reason;
    return reason;
}

void skip(std::string_view reason) {
    skipped_because() = reason;
    std::printf("SKIPPED: %.*s\n", static_cast<int>(reason.size()), reason.data());
    std::fflush(stdout);
}

}  // namespace viscum
