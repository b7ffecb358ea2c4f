// SPDX-License-Identifier: GPL-2.0-only
// The second pass, and the way from the first to it.
#include "controller/shim/root.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <errno.h>
#include <stdio.h>

namespace viscum {

bool Root::make(const Words& words, const char* run_dir, Failure& failure) {
    if (!build(words, run_dir, failure) || !pivot(failure)) {
        return false;
    }
    Step step;
    for (size_t at = 0; words.next(&at, &step);) {
        if (!arrange(step, failure)) {
            return false;
        }
    }
    for (size_t i = 0; i < made_; ++i) {
        if (changed_[i]) {
            if (!writable_ && !protect(places_[i], kReadOnly, "a mount", failure)) {
                return false;
            }
            close(places_[i]);
        }
    }
    const unsigned flags = MS_REMOUNT | MS_BIND | kNoSuid | kNoDev | (writable_ ? 0 : kReadOnly);
    if (mount(nullptr, "/", nullptr, flags, nullptr) != 0) {
        return failure.set("cannot protect", "/", errno);
    }
    close(root_);
    for (int k = 0; k < 2; ++k) {
        close(empty_[k]);
    }
    return true;
}

bool Root::pivot(Failure& failure) {
    // pivot_root(2): with both the same the old root lies on top of the new one, and is taken away.
    if (chdir("root") != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
        chdir("/") != 0) {
        return failure.set("cannot change to", "the root filesystem", errno);
    }
    root_ = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return root_ >= 0 || failure.set("cannot open", "/", errno);
}

bool Root::arrange(const Step& step, Failure& failure) {
    switch (step.op) {
        case Op::proc: return put_new("proc", step.argument[0], "/proc", kNoSuid | kNoDev | kNoExec, failure);
        case Op::sys: return put_new("sysfs", nullptr, "/sys", kNoSuid | kNoDev | kNoExec | kReadOnly, failure);
        case Op::hide: return hide(step.argument[0], failure);
        case Op::readonly: return put_readonly(step.argument[0], failure);
        case Op::dev: {
            const int target = open_place("/dev", true, failure);
            const bool done = target >= 0 && attach(dev_, target, kNoSuid | kNoExec | kReadOnly, true, "/dev", failure);
            close(target);
            close(dev_);
            return done;
        }
        case Op::mount:
        case Op::own:
        case Op::text:
        case Op::file:
        case Op::secret: return put_place(step, failure);
        default: return true;
    }
}

int Root::open_place(const char* path, bool directory, Failure& failure) {
    const int place = make_inside(root_, path, directory, failure);
    if (place < 0 && failure.code == EROFS) {
        explain(path, failure);
    }
    return place;
}

/// The better reason where the root would have to be an overlay.
bool Root::explain(const char* path, Failure& failure) const {
    if (no_overlay_ != 0) {
        failure.set("the root filesystem lacks something, and overlayfs cannot supply", path, no_overlay_);
    }
    return false;
}

bool Root::put_place(const Step& step, Failure& failure) {
    const bool changed = changed_[put_];
    const int mount = places_[put_++];
    if (mount < 0) {
        return true;
    }
    const char* path = step.argument[0];
    int target = -1;
    unsigned flags = kNoSuid | kNoDev;
    if (step.op == Op::mount) {
        flags |= changed ? 0 : kReadOnly;
        target = open_plain(root_, path, 0);
        if (target < 0) {
            failure.set("cannot find", path, errno);
        }
    } else {
        flags |= step.op == Op::own ? 0 : kReadOnly | kNoExec;
        target = open_place(path, step.op == Op::own, failure);
    }
    const bool done = target >= 0 && attach(mount, target, flags, false, path, failure);
    close(target);
    if (!changed) {
        close(mount);
    }
    return done;
}

bool Root::put_new(const char* type, const char* options, const char* path, unsigned flags, Failure& failure) {
    // Never somewhere else: what is mounted here is the kernel's own.
    const int target = open_plain(root_, path, O_DIRECTORY);
    if (target < 0) {
        failure.set("cannot open", path, errno);
        return explain(path, failure);
    }
    const bool done = fchdir(target) == 0 && mount(type, ".", type, flags, options) == 0 && chdir("/") == 0;
    const int code = errno;
    close(target);
    return done || failure.set("cannot mount", path, code);
}

bool Root::put_readonly(const char* path, Failure& failure) {
    const int target = open_inside(root_, path, 0);
    if (target < 0) {
        return is_missing(errno) || failure.set("cannot protect", path, errno);
    }
    const int copy = copy_mount(target, "");
    const bool done = copy >= 0 ? attach(copy, target, kReadOnly | kNoSuid | kNoDev | kNoExec, false, path, failure)
                                : failure.set("cannot protect", path, errno);
    close(copy);
    close(target);
    return done;
}

bool Root::hide(const char* path, Failure& failure) {
    const int target = open_inside(root_, path, 0);
    struct stat info {};
    struct stat top {};
    if (target < 0) {
        return is_missing(errno) || failure.set("cannot hide", path, errno);
    }
    if (fstat(target, &info) != 0 || fstat(root_, &top) != 0) {
        close(target);
        return failure.set("cannot hide", path, errno);
    }
    if (info.st_ino == top.st_ino && info.st_dev == top.st_dev) {
        close(target);  // a link to "/"
        return true;
    }
    const int kind = S_ISDIR(info.st_mode) ? 1 : 0;
    // The first one is given its flags; its copies have them.
    const int copy = empty_put_[kind] ? copy_mount(empty_[kind], "") : empty_[kind];
    const unsigned flags = empty_put_[kind] ? 0 : kReadOnly | kNoSuid | kNoDev | kNoExec;
    const bool done =
        copy >= 0 ? attach(copy, target, flags, false, path, failure) : failure.set("cannot hide", path, errno);
    if (empty_put_[kind]) {
        close(copy);
    }
    empty_put_[kind] = true;
    close(target);
    return done;
}

}  // namespace viscum
