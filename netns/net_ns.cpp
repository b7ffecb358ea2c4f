// SPDX-License-Identifier: GPL-2.0-only
#include "netns/net_ns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/file.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr const char* kDirectory = "/run/netns";
constexpr int kWaysHome = 5;

Status check_name(const std::string& name) {
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
        return Error{EINVAL, cat("'", name, "' is no name of a namespace")};
    }
    return {};
}

/// As iproute2 keeps it: a shared mount of its own. Where it is not, the first `ip netns add` puts one over the names
/// that are there, and those can never be unmounted again.
Status make_shared_directory() {
    if (auto made = make_directory(kDirectory, 0755); !made) {
        return made;
    }
    const UniqueFd lock(::open(kDirectory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!lock || flock(lock.get(), LOCK_EX) != 0) {  // iproute2 takes the same one
        return errno_error(cat("cannot lock '", kDirectory, "'"));
    }
    if (mount("", kDirectory, "none", MS_SHARED, nullptr) == 0) {
        return {};
    }
    if (errno != EINVAL ||  // EINVAL: no mount point yet
        mount(kDirectory, kDirectory, "none", MS_BIND | MS_REC, nullptr) != 0 ||
        mount("", kDirectory, "none", MS_SHARED, nullptr) != 0) {
        return errno_error(cat("cannot mount '", kDirectory, "'"));
    }
    return {};
}

/// Mounts the namespace `fd` on its name. A kill after the first step leaves a plain file.
Status bind_name(int fd, const std::string& name) {
    if (auto made = make_shared_directory(); !made) {
        return made;
    }
    const std::string path = net_ns_path(name);
    if (!UniqueFd(::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0))) {
        return errno_error(cat("cannot make '", path, "'"));
    }
    if (mount(cat("/proc/self/fd/", fd).c_str(), path.c_str(), "none", MS_BIND, nullptr) != 0) {
        auto error = errno_error(cat("cannot mount on '", path, "'"));
        unlink(path.c_str());
        return error;
    }
    return {};
}

void go_home(const NetNs& home) {
    // All that it takes is a little memory.
    for (int tries = 0; tries < kWaysHome; ++tries) {
        if (setns(home.fd(), CLONE_NEWNET) == 0) {
            return;
        }
    }
    std::abort();  // anything that came next would act on the wrong network
}

Result<NetNs> make_nameless() {
    auto home = NetNs::current();
    if (!home) {
        return home;
    }
    if (unshare(CLONE_NEWNET) != 0) {
        return errno_error("cannot unshare");
    }
    auto fresh = NetNs::current();
    go_home(*home);
    return fresh;
}

/// One blank where the kernel writes tabs, and no newline.
std::string plain(std::string text) {
    std::replace(text.begin(), text.end(), '\t', ' ');
    text.erase(text.find_last_not_of(" \n") + 1);
    return text;
}

}  // namespace

std::string net_ns_path(const std::string& name) {
    return cat(kDirectory, '/', name);
}

Result<NetNs> NetNs::from_fd(UniqueFd fd) {
    struct stat info {};
    if (fstat(fd.get(), &info) != 0) {
        return errno_error("cannot stat a namespace");
    }
    return NetNs(std::move(fd), info.st_ino);
}

Result<NetNs> NetNs::current() {
    UniqueFd fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!fd) {
        return errno_error("cannot open the current namespace");
    }
    return from_fd(std::move(fd));
}

Result<NetNs> NetNs::of_process(pid_t pid) {
    UniqueFd fd(::open(cat("/proc/", pid, "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        return errno_error(cat("cannot open the namespace of process ", pid));
    }
    return from_fd(std::move(fd));
}

Result<NetNs> NetNs::open(const std::string& name) {
    if (auto checked = check_name(name); !checked) {
        return std::move(checked).error();
    }
    const std::string context = cat("cannot open namespace '", name, "'");
    UniqueFd fd(::open(net_ns_path(name).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) {
        return errno_error(context);
    }
    const int type = ioctl(fd.get(), NS_GET_NSTYPE);
    if (type < 0 && errno == ENOTTY) {
        return errno_error(context, ENOENT);  // a plain file
    }
    if (type != CLONE_NEWNET) {
        return Error{EINVAL, cat(context, ": it is a namespace of another type")};
    }
    return from_fd(std::move(fd));
}

Result<NetNs> NetNs::create(const std::string& name) {
    auto existing = open(name);
    if (existing || existing.error().errno_code != ENOENT) {
        return existing;
    }
    const std::string context = cat("cannot create namespace '", name, "'");
    auto fresh = make_nameless();
    if (!fresh) {
        return std::move(fresh).error().in(context);
    }
    if (auto named = bind_name(fresh->fd(), name); !named) {
        return std::move(named).error().in(context);
    }
    return fresh;
}

Status NetNs::keep_name(const std::string& name) const {
    const std::string context = cat("cannot name a namespace '", name, "'");
    auto named = open(name);
    if (named && named->inode() == inode_) {
        return {};
    }
    if (named) {
        return errno_error(cat(context, ": another one has this name"), EEXIST);
    }
    if (named.error().errno_code != ENOENT) {
        return std::move(named).error().in(context);
    }
    if (auto bound = bind_name(fd(), name); !bound) {
        return std::move(bound).error().in(context);
    }
    return {};
}

Status NetNs::inside(const std::function<Status()>& body) const {
    const auto home = current();
    return home ? inside(*home, body) : Status(home.error());
}

Status NetNs::inside(const NetNs& home, const std::function<Status()>& body) const {
    if (setns(fd(), CLONE_NEWNET) != 0) {
        return errno_error("cannot enter a namespace");
    }
    auto status = body();
    go_home(home);
    return status;
}

Status remove_net_ns_name(const std::string& name) {
    if (auto checked = check_name(name); !checked) {
        return checked;
    }
    const std::string path = net_ns_path(name);
    // Mounts can be stacked; the bound is only there to end.
    for (int mounts = 0; mounts < 64 && umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0; ++mounts) {
    }
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
        return errno_error(cat("cannot remove namespace '", name, "'"));
    }
    return {};
}

Result<std::vector<std::string>> net_ns_names(const std::string& prefix) {
    auto names = list_directory(kDirectory);
    if (names) {
        std::erase_if(*names, [&](const std::string& name) { return !name.starts_with(prefix); });
    }
    return names;
}

Status set_net_sysctl(const std::string& key, const std::string& value) {
    const std::string path = cat("/proc/sys/net/", key);
    auto is = read_file(path, 4096);
    if (!is) {
        return std::move(is).error();
    }
    if (plain(*std::move(is)) == plain(value)) {
        return {};
    }
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd || write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
        return errno_error(cat("cannot set '", path, "' to '", value, "'"));
    }
    return {};
}

}  // namespace viscum
