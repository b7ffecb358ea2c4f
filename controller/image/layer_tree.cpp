// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/layer_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <climits>
#include <memory>

#include "base/text.h"
#include "controller/image/bytes.h"

namespace viscum {
namespace {

constexpr mode_t kPermissions = 01777;  // no set-id bits: a service has no new privileges anyhow
constexpr mode_t kImplied = 0755;       // of a directory that has no entry of its own

UniqueFd open_beneath(int root, const std::string& path) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    return UniqueFd(static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
}

Error cannot(std::string_view what, const std::string& name) {
    return errno_error(cat("cannot ", what, " '", name, "'"));
}

std::array<timespec, 2> times(std::int64_t modified) {
    const timespec time{static_cast<time_t>(modified), 0};
    return {time, time};
}

/// Its depth is bounded by kMaxEntryDepth.
Status remove_tree(int parent, const std::string& name) {  // NOLINT(misc-no-recursion)
    UniqueFd fd = open_beneath(parent, name);
    if (!fd) {
        return cannot("open", name);
    }
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(fd.get()), closedir);
    if (!dir) {
        return cannot("list", name);
    }
    const int inside = fd.release();
    while (const dirent* entry = readdir(dir.get())) {
        const std::string inner(static_cast<const char*>(entry->d_name));
        if (inner == "." || inner == ".." || unlinkat(inside, inner.c_str(), 0) == 0) {
            continue;
        }
        if (errno != EISDIR) {
            return cannot("remove", inner);
        }
        if (auto done = remove_tree(inside, inner); !done) {
            return done;
        }
    }
    return unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 ? Status() : cannot("remove", name);
}

}  // namespace

Result<std::vector<std::string>> entry_path(const std::string& text) {
    if (text.size() > kMaxEntryPath) {
        return bad_image(cat("a name in it is longer than ", kMaxEntryPath, " bytes"));
    }
    std::vector<std::string> path;
    for (auto& name : split(text, '/')) {
        if (name == "..") {
            return bad_image(cat("'", text, "' climbs out of its directory"));
        }
        if (name.size() > NAME_MAX) {
            return bad_image(cat("a name in it is longer than ", NAME_MAX, " bytes"));
        }
        if (!name.empty() && name != ".") {
            path.push_back(std::move(name));
        }
    }
    if (text.starts_with('/') && !path.empty()) {
        return bad_image(cat("'", text, "' is an absolute name"));
    }
    if (path.size() > kMaxEntryDepth) {
        return bad_image(cat("it is deeper than ", kMaxEntryDepth, " directories"));
    }
    return path;
}

Result<LayerTree::Found> LayerTree::look(int parent, const std::string& name) {
    struct stat info {};
    if (fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? Result<Found>(Found::nothing) : cannot("look at", name);
    }
    if (S_ISDIR(info.st_mode)) {
        return Found::directory;
    }
    return S_ISCHR(info.st_mode) ? Found::whiteout : Found::other;
}

// What is removed is never the directory that was walked to last, nor above it.
Result<LayerTree::Found> LayerTree::clear(int parent, const std::string& name) {
    auto found = look(parent, name);
    if (!found || *found == Found::nothing) {
        return found;
    }
    if (*found != Found::directory) {
        return unlinkat(parent, name.c_str(), 0) == 0 ? std::move(found) : cannot("replace", name);
    }
    auto removed = remove_tree(parent, name);
    return removed ? std::move(found) : std::move(removed).error();
}

Result<UniqueFd> LayerTree::step(int parent, const std::string& name, bool make) {
    UniqueFd fd = open_beneath(parent, name);
    if (fd) {
        return fd;
    }
    const int why = errno;
    const auto found = look(parent, name);
    if (!found) {
        return found.error();
    }
    if (!make || *found == Found::other) {
        return *found == Found::nothing ? bad_image(cat("there is no directory '", name, "'"))
                                        : bad_image(cat("'", name, "' is no directory, but holds something"));
    }
    if (*found == Found::directory) {
        return errno_error(cat("cannot open '", name, "'"), why);
    }
    if (*found == Found::whiteout && unlinkat(parent, name.c_str(), 0) != 0) {
        return cannot("replace", name);
    }
    if (mkdirat(parent, name.c_str(), kImplied) != 0 || !(fd = open_beneath(parent, name))) {
        return cannot("make directory", name);
    }
    if (fchmod(fd.get(), kImplied) != 0) {
        return cannot("set the mode of", name);
    }
    if (*found == Found::whiteout) {
        if (auto marked = mark_(fd.get()); !marked) {
            return std::move(marked).error();
        }
    }
    return fd;
}

Result<int> LayerTree::directory(const Path& path, bool make) {
    if (path.empty()) {
        return root_.get();
    }
    if (last_fd_ && path == last_) {
        return last_fd_.get();
    }
    UniqueFd at = open_beneath(root_.get(), join(path, "/"));
    if (!at) {
        for (const auto& name : path) {
            auto next = step(at ? at.get() : root_.get(), name, make);
            if (!next) {
                return std::move(next).error();
            }
            at = std::move(*next);
        }
    }
    last_ = path;
    last_fd_ = std::move(at);
    return last_fd_.get();
}

Status LayerTree::add_directory(const Path& path, const Attributes& attributes) {
    UniqueFd fd;
    if (path.empty()) {
        fd = open_beneath(root_.get(), ".");
    } else {
        const auto parent = parent_of(path);
        if (!parent) {
            return parent.error();
        }
        const auto found = look(*parent, path.back());
        if (found && *found == Found::other && unlinkat(*parent, path.back().c_str(), 0) != 0) {
            return cannot("replace", path.back());
        }
        auto made = found ? step(*parent, path.back(), true) : found.error();
        if (!made) {
            return std::move(made).error();
        }
        fd = std::move(*made);
    }
    const bool done = fd && fchown(fd.get(), attributes.uid, attributes.gid) == 0 &&
                      fchmod(fd.get(), attributes.mode & kPermissions) == 0;
    return done ? Status() : cannot("make directory", join(path, "/"));
}

Result<UniqueFd> LayerTree::add_file(const Path& path) {
    if (path.empty()) {
        return bad_image("its root is no directory");
    }
    const auto parent = parent_of(path);
    if (!parent) {
        return parent.error();
    }
    const auto found = clear(*parent, path.back());
    if (!found) {
        return found.error();
    }
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd file(openat(*parent, path.back().c_str(), kFlags, 0600));
    if (!file) {
        return cannot("make", join(path, "/"));
    }
    return file;
}

Status LayerTree::finish_file(const UniqueFd& file, const Attributes& attributes) {
    const auto time = times(attributes.modified);
    const bool done = fchown(file.get(), attributes.uid, attributes.gid) == 0 &&
                      fchmod(file.get(), attributes.mode & kPermissions) == 0 && futimens(file.get(), time.data()) == 0;
    return done ? Status() : errno_error("cannot set a file's owner, mode and time");
}

Status LayerTree::add_symlink(const Path& path, const std::string& target, const Attributes& attributes) {
    if (path.empty() || target.empty() || target.size() >= kMaxEntryPath) {
        return bad_image("a link in it has no possible name or target");
    }
    const auto parent = parent_of(path);
    const auto found = parent ? clear(*parent, path.back()) : parent.error();
    if (!found) {
        return found.error();
    }
    const bool done = symlinkat(target.c_str(), *parent, path.back().c_str()) == 0 &&
                      fchownat(*parent, path.back().c_str(), attributes.uid, attributes.gid, AT_SYMLINK_NOFOLLOW) == 0;
    return done ? Status() : cannot("make link", join(path, "/"));
}

Status LayerTree::add_hard_link(const Path& path, const Path& target) {
    if (path.empty() || target.empty()) {
        return bad_image("a link in it has no possible name or target");
    }
    if (path == target) {
        return {};
    }
    const auto away = directory(Path(target.begin(), target.end() - 1), false);
    if (!away) {
        return away.error();
    }
    // The walk to the other end closes it.
    const UniqueFd from(fcntl(*away, F_DUPFD_CLOEXEC, 0));
    const auto there = look(from.get(), target.back());
    if (!there) {
        return there.error();
    }
    if (*there != Found::other) {
        return bad_image(
            cat("'", join(path, "/"), "' is a hard link to '", join(target, "/"), "', which is not in its layer"));
    }
    const auto parent = parent_of(path);
    const auto found = parent ? clear(*parent, path.back()) : parent.error();
    if (!found) {
        return found.error();
    }
    const bool done = linkat(from.get(), target.back().c_str(), *parent, path.back().c_str(), 0) == 0;
    return done ? Status() : cannot("link", join(path, "/"));
}

Status LayerTree::add_whiteout(const Path& path) {
    const auto parent = parent_of(path);
    const auto found = parent ? look(*parent, path.back()) : parent.error();
    if (!found) {
        return found.error();
    }
    if (*found == Found::directory) {
        const UniqueFd fd = open_beneath(*parent, path.back());
        return fd ? mark_(fd.get()) : cannot("open", path.back());
    }
    if (*found != Found::nothing) {
        return {};  // it hides the lower ones already
    }
    if (mknodat(*parent, path.back().c_str(), S_IFCHR, 0) != 0) {
        return errno_error("cannot make a whiteout: the image store must not lie on an overlay");
    }
    return {};
}

Status LayerTree::add_opaque(const Path& path) {
    const auto at = directory(path, true);
    return at ? mark_(*at) : at.error();
}

}  // namespace viscum
