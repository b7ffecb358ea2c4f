// SPDX-License-Identifier: GPL-2.0-only
// Network namespaces by name (/run/netns/NAME, as iproute2 keeps them) and by descriptor.
// setns(2) is called here and in a forked child, nowhere else.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

/// An open namespace. It lives as long as this descriptor, a process in it, or its name.
class NetNs {
public:
    static Result<NetNs> current();
    /// The namespace named `name`; errno_code ENOENT where there is none (also for a name that is a plain file, which
    /// an interrupted create leaves behind).
    static Result<NetNs> open(const std::string& name);
    /// The namespace that a process is in.
    static Result<NetNs> of_process(pid_t pid);
    /// Opens `name`, or makes it. Idempotent: a half-made name (a plain file) is completed. An error leaves no name.
    static Result<NetNs> create(const std::string& name);
    /// Gives `name` to this namespace again after another tool took it away. Idempotent.
    Status keep_name(const std::string& name) const;

    [[nodiscard]] int fd() const { return fd_.get(); }
    /// What tells namespaces apart: the inode on nsfs.
    [[nodiscard]] ino_t inode() const { return inode_; }

    /// Runs `body` with the calling thread inside this namespace and comes back. The way back cannot fail short of a
    /// broken kernel; should it, the process aborts rather than act on the wrong network.
    Status inside(const std::function<Status()>& body) const;
    /// The same for a thread that is in `home`, which then need not be looked up.
    Status inside(const NetNs& home, const std::function<Status()>& body) const;

private:
    NetNs(UniqueFd fd, ino_t inode) : fd_(std::move(fd)), inode_(inode) {}
    static Result<NetNs> from_fd(UniqueFd fd);
    UniqueFd fd_;
    ino_t inode_ = 0;
};

/// Takes the name away; the namespace goes with its last user. Idempotent: no such name is success.
Status remove_net_ns_name(const std::string& name);

/// The names under /run/netns that start with `prefix`, sorted.
Result<std::vector<std::string>> net_ns_names(const std::string& prefix);

/// The path of a name: "/run/netns/NAME".
std::string net_ns_path(const std::string& name);

/// Sets /proc/sys/net/`key` (with slashes) in the calling thread's namespace; call it from NetNs::inside.
/// Writes only when the value differs. errno_code ENOENT where the kernel has no such key.
Status set_net_sysctl(const std::string& key, const std::string& value);

}  // namespace viscum
