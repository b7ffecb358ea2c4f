// SPDX-License-Identifier: GPL-2.0-only
// The host's files, devices, and interfaces that look like files.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <set>
#include <sstream>

#include "base/text.h"
#include "base/unique_fd.h"
#include "tests/e2e/attacker/attack.h"

namespace viscum {
namespace {

constexpr int kMostEntries = 15'000;  // of the file tree

/// Reads a file, or lists a directory that has something in it.
Attempt read_path(const std::string& path) {
    struct stat info {};
    if (stat(path.c_str(), &info) < 0) {
        return denied(errno);
    }
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
        return denied(errno);
    }
    if (S_ISDIR(info.st_mode)) {
        const auto names = names_in(path);
        return names.empty() ? denied("empty") : done(cat("listed ", names.front()));
    }
    char byte = 0;
    const ssize_t size = read(fd.get(), &byte, 1);
    return size < 0 ? denied(errno) : size == 0 ? denied("empty") : done("read");
}

Attempt open_for_writing(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    return tried(fd.get(), cat("opened ", path));
}

Attempt make_file_in(const std::string& directory) {
    const std::string path = cat(directory, directory.ends_with('/') ? "" : "/", ".viscum-attack-", getpid());
    const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) {
        return denied(errno);
    }
    unlink(path.c_str());
    return done(cat("made a file in ", directory));
}

bool is_left_out(const std::string& path) {
    // Interfaces of the kernel have items of their own; what is the service's own may be written.
    static const std::set<std::string> kOut = {"/tmp", "/var/tmp", "/run", "/proc", "/dev", "/sys"};
    return kOut.contains(path);
}

/// Every directory and file of the tree: the first that can be written.
Attempt write_anywhere() {
    std::error_code error;
    int left = kMostEntries;
    const auto options = std::filesystem::directory_options::skip_permission_denied;
    if (const Attempt made = make_file_in("/"); made.done) {
        return made;
    }
    Attempt last = denied("nothing there");
    for (std::filesystem::recursive_directory_iterator it("/", options, error), end; !error && it != end;
         it.increment(error)) {
        const std::string path = it->path().string();
        if (is_left_out(path)) {
            it.disable_recursion_pending();
            continue;
        }
        std::error_code ignored;
        const auto type = it->symlink_status(ignored).type();
        if (type == std::filesystem::file_type::directory) {
            last = make_file_in(path);
        } else if (type == std::filesystem::file_type::regular) {
            last = open_for_writing(path);
        }
        if (last.done || --left <= 0) {
            break;
        }
    }
    return last;
}

/// Changes to what is there, by name: the file of the tree that is least likely to be writable for a good reason.
Attempt change_passwd(const std::function<int(const char*)>& change) {
    struct stat info {};
    const char* path = stat("/etc/passwd", &info) == 0 ? "/etc/passwd" : "/";
    return tried(change(path), path);
}

/// Mounts that may be written but those that are the service's own.
Attempt writable_mount() {
    std::istringstream lines(contents_of("/proc/self/mountinfo"));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string id, parent, device, root, point;
        words >> id >> parent >> device >> root >> point;
        struct statvfs info {};
        const bool own = is_left_out(point) || point.starts_with("/dev/") || point.starts_with("/proc/");
        if (!own && statvfs(point.c_str(), &info) == 0 && (info.f_flag & ST_RDONLY) == 0) {
            return done(point);
        }
    }
    return denied("all are read-only");
}

Attempt foreign_devices() {
    static const std::set<std::string> kGiven = {"null", "zero",  "full",   "random", "urandom", "tty",
                                                 "fd",   "stdin", "stdout", "stderr", "shm"};
    for (const auto& name : names_in("/dev")) {
        if (!kGiven.contains(name)) {
            return done(cat("/dev/", name));
        }
    }
    return denied("none is there");
}

Attempt open_device(mode_t kind, dev_t device) {
    const std::string path = cat("/tmp/device-", getpid());
    if (mknod(path.c_str(), kind | 0600, device) < 0) {
        return denied(errno);
    }
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    const int error = errno;
    unlink(path.c_str());
    return fd ? done("opened") : denied(error);
}

/// The file of a handle that was made up, or of one of the root's: beyond any mount (open_by_handle_at(2)).
Attempt open_by_handle() {
    constexpr unsigned kRoom = 64;
    alignas(file_handle) std::array<unsigned char, sizeof(file_handle) + kRoom> room{};
    auto* handle = reinterpret_cast<file_handle*>(room.data());
    handle->handle_bytes = kRoom;
    int mount_id = 0;
    if (name_to_handle_at(AT_FDCWD, "/", handle, &mount_id, 0) < 0) {
        return denied(errno);
    }
    const UniqueFd root(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd fd(open_by_handle_at(root.get(), handle, O_RDONLY | O_CLOEXEC));
    return tried(fd.get(), "opened the root by its handle");
}

/// The classical way out: a root below, a descriptor above, and up from there.
Attempt chroot_and_climb() {
    const UniqueFd above(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat root {};
    stat("/", &root);
    const std::string below = cat("/tmp/below-", getpid());
    if (mkdir(below.c_str(), 0700) < 0 || chroot(below.c_str()) < 0) {
        const int error = errno;
        rmdir(below.c_str());
        return denied(error);
    }
    (void)fchdir(above.get());
    for (int level = 0; level < 32; ++level) {
        (void)chdir("..");
    }
    const long result = chroot(".");
    rmdir(below.c_str());
    return tried(result, "changed the root");
}

/// Up from the root, by every name that it has.
Attempt climb() {
    struct stat root {};
    stat("/", &root);
    for (const char* way : {"/..", "/../../..", "/proc/self/root/..", "/proc/self/cwd/../../../..", "/dev/../.."}) {
        struct stat there {};
        if (stat(way, &there) == 0 && (there.st_ino != root.st_ino || there.st_dev != root.st_dev)) {
            return done(way);
        }
    }
    return denied("the root is the root");
}

void add_writes(Items& items) {
    for (const char* path :
         {"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname",
          "/proc/sys/kernel/yama/ptrace_scope", "/proc/sys/vm/drop_caches", "/proc/sys/net/ipv4/ip_forward",
          "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/net/ipv6/conf/all/forwarding",
          "/proc/sysrq-trigger", "/proc/self/exe", "/proc/1/exe", "/proc/1/mem", "/proc/1/oom_score_adj",
          "/proc/irq/default_smp_affinity", "/proc/mtrr", "/proc/fs/ext4", "/proc/bus/pci"}) {
        items.push_back({cat("write ", path), [path] { return open_for_writing(path); }});
    }
    items.push_back({"write anywhere", write_anywhere, std::chrono::seconds(60)});
    items.push_back({"writable mounts", writable_mount});
    items.push_back({"chmod", [] { return change_passwd([](const char* p) { return chmod(p, 0644); }); }});
    items.push_back({"chown", [] { return change_passwd([](const char* p) { return chown(p, 0, 0); }); }});
    items.push_back({"link", [] { return change_passwd([](const char* p) { return link(p, "/tmp/linked"); }); }});
    items.push_back(
        {"utimes", [] { return change_passwd([](const char* p) { return utimensat(AT_FDCWD, p, nullptr, 0); }); }});
    items.push_back({"file capabilities", [] {
                         const UniqueFd fd(open("/tmp/caps", O_CREAT | O_WRONLY | O_CLOEXEC, 0700));
                         constexpr std::array<unsigned, 5> kAll{0x02000001, ~0U, ~0U, ~0U, ~0U};  // VFS_CAP_REVISION_2
                         return tried(setxattr("/tmp/caps", "security.capability", kAll.data(), sizeof kAll, 0),
                                      "gave a file all capabilities");
                     }});
}

}  // namespace

void add_file_items(Items& items, const Knowledge& knowledge) {
    std::vector<std::string> paths = {"/root",
                                      "/etc/shadow",
                                      "/etc/gshadow",
                                      "/sys",
                                      "/sys/fs/cgroup",
                                      "/sys/fs/bpf",
                                      "/sys/kernel/debug",
                                      "/boot",
                                      "/run/netns",
                                      "/var/lib/viscum",
                                      "/run/viscum",
                                      "/lost+found",
                                      "/proc/kcore",
                                      "/proc/keys",
                                      "/proc/key-users",
                                      "/proc/timer_list",
                                      "/proc/sched_debug",
                                      "/proc/scsi",
                                      "/proc/acpi",
                                      "/proc/vmallocinfo",
                                      "/proc/slabinfo",
                                      "/proc/latency_stats",
                                      "/proc/kpagecount",
                                      "/proc/interrupts",
                                      "/proc/asound"};
    if (!knowledge.harmless) {
        paths.emplace_back("/proc/kmsg");  // what is read is gone for others
    }
    paths.insert(paths.end(), knowledge.paths.begin(), knowledge.paths.end());
    for (const auto& path : paths) {
        items.push_back({cat("read ", path), [path] { return read_path(path); }});
    }
    add_writes(items);
    items.push_back({"other devices", foreign_devices});
    for (const char* path : {"/dev/mem", "/dev/kmsg", "/dev/net/tun", "/dev/fuse", "/dev/loop-control", "/dev/sda",
                             "/dev/vda", "/dev/ptmx", "/dev/console", "/dev/mqueue"}) {
        items.push_back({cat("open ", path), [path] {
                             const UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
                             return tried(fd.get(), "opened");
                         }});
    }
    items.push_back({"make a character device", [] { return open_device(S_IFCHR, makedev(1, 1)); }});
    items.push_back({"make a block device", [] { return open_device(S_IFBLK, makedev(7, 0)); }});
    items.push_back({"open by handle", open_by_handle});
    items.push_back({"climb", climb});
    if (!knowledge.harmless) {
        items.push_back({"chroot and climb", chroot_and_climb});
    }
}

}  // namespace viscum
