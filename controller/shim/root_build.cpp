// SPDX-License-Identifier: GPL-2.0-only
// The first pass: with the host in sight. The working directory is the private tmpfs, which holds
//   root            where the root is put together
//   empty, none     a directory and a file that hide others
//   dev             /dev
//   NUMBER          a directory or file for a place of the root
//   lNUMBER         links to the image's layers: their real names are long, and may hold what mount options may not
//   oNUMBER/        upper, work and merged: of an overlay
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/shim/root.h"

namespace viscum {
namespace {

struct Device {
    const char* name;
    unsigned minor;
    unsigned major;
};
constexpr Device kDevices[] = {{"dev/null", 3, 1},   {"dev/zero", 5, 1},    {"dev/full", 7, 1},
                               {"dev/random", 8, 1}, {"dev/urandom", 9, 1}, {"dev/tty", 0, 5}};

struct Link {
    const char* name;
    const char* target;
};
constexpr Link kLinks[] = {{"dev/fd", "/proc/self/fd"},
                           {"dev/stdin", "/proc/self/fd/0"},
                           {"dev/stdout", "/proc/self/fd/1"},
                           {"dev/stderr", "/proc/self/fd/2"}};

/// "PREFIX" and a number.
struct Name {
    Text text;
    Name(const char* prefix, size_t number, const char* suffix = "") {
        text.put(prefix).put(static_cast<uint64_t>(number)).put(suffix);
        text.bytes[text.length] = '\0';
    }
    operator const char*() const { return text.bytes; }
};

/// What may be otherwise the next time, and says nothing of the filesystem.
bool is_shortage(int code) {
    return code == ENOMEM || code == ENOSPC || code == EMFILE || code == ENFILE || code == EIO;
}

/// Whether `path` is below the directory `top`.
bool is_below(const char* path, const char* top) {
    const size_t length = strlen(top);
    return strcmp(top, "/") == 0 || (strncmp(path, top, length) == 0 && path[length] == '/');
}

bool is_place(Op op) {
    return op == Op::own || op == Op::text || op == Op::file || op == Op::secret;
}

mode_t parse_mode(const char* octal) {
    mode_t mode = 0;
    for (; *octal >= '0' && *octal <= '7'; ++octal) {
        mode = mode * 8 + static_cast<mode_t>(*octal - '0');
    }
    return mode & 07777;
}

bool write_whole(int file, const char* bytes, size_t count) {
    while (count > 0) {
        const ssize_t written = write(file, bytes, count);
        if (written <= 0) {
            return false;
        }
        bytes += written;
        count -= static_cast<size_t>(written);
    }
    return true;
}

/// The bytes of the file of the host that `path` names; a secret is root's alone.
bool copy_file(const char* path, bool secret, int to, Failure& failure) {
    const int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (secret ? O_NOFOLLOW : 0));
    struct stat info {};
    if (from < 0 || fstat(from, &info) != 0) {
        return failure.set("cannot open", path, errno);
    }
    bool done = true;
    if (!S_ISREG(info.st_mode)) {
        done = failure.set("cannot read what is no plain file,", path, EINVAL);
    } else if (info.st_size > static_cast<off_t>(kMaxFileBytes)) {
        done = failure.set("cannot read", path, EFBIG);
    } else if (secret && (info.st_uid != 0 || (info.st_mode & 07) != 0)) {
        done = failure.set("cannot use a secret that is not root's alone (chown root, chmod 600),", path, EPERM);
    }
    char bytes[4096];
    for (size_t total = 0; done;) {
        const ssize_t got = read(from, bytes, sizeof bytes);
        if (got <= 0) {
            done = got == 0 || failure.set("cannot read", path, errno);
            break;
        }
        total += static_cast<size_t>(got);
        done = total <= kMaxFileBytes || failure.set("cannot read", path, EFBIG);
        done = done && (write_whole(to, bytes, static_cast<size_t>(got)) || failure.set("cannot copy", path, errno));
    }
    close(from);
    return done;
}

}  // namespace

bool Root::build(const Words& words, const char* run_dir, Failure& failure) {
    // Without this a mount of ours would show on the host.
    if (mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0) {
        return failure.set("cannot make private", "/", errno);
    }
    Step step;
    writable_ = words.find(Op::writable, &step);
    if (words.find(Op::hostname, &step) && sethostname(step.argument[0], strlen(step.argument[0])) != 0) {
        return failure.set("cannot set the host's name to", step.argument[0], errno);
    }
    if (!build_scratch(words, run_dir, failure) || !build_root(words, failure)) {
        return false;
    }
    for (size_t at = 0; words.next(&at, &step);) {
        if ((step.op == Op::mount || is_place(step.op)) && !build_place(words, step, failure)) {
            return false;
        }
    }
    return true;
}

bool Root::build_scratch(const Words& words, const char* run_dir, Failure& failure) {
    Step step;
    if (!words.find(Op::scratch, &step)) {
        return failure.set("cannot read", "sandbox", EINVAL);
    }
    Text options;
    options.put("mode=0755,size=").put(step.argument[0]).put(",nr_inodes=").put(step.argument[1]);
    options.bytes[options.length] = '\0';
    if (mount("tmpfs", run_dir, "tmpfs", kNoSuid | kNoDev, options.bytes) != 0 || chdir(run_dir) != 0) {
        return failure.set("cannot mount a tmpfs on", run_dir, errno);
    }
    const int none = open("none", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    close(none);
    if (none < 0 || mkdir("root", 0755) != 0 || mkdir("empty", 0555) != 0 || mkdir("dev", 0755) != 0 ||
        mkdir("dev/shm", 0755) != 0) {
        return failure.set("cannot make the directories of", "the sandbox", errno);
    }
    for (const auto& device : kDevices) {
        if (mknod(device.name, S_IFCHR | 0666, makedev(device.major, device.minor)) != 0 ||
            chmod(device.name, 0666) != 0) {
            return failure.set("cannot make", device.name, errno);
        }
    }
    for (const auto& link : kLinks) {
        if (symlink(link.target, link.name) != 0) {
            return failure.set("cannot make", link.name, errno);
        }
    }
    empty_[0] = copy_mount(AT_FDCWD, "none");
    empty_[1] = copy_mount(AT_FDCWD, "empty");
    dev_ = copy_mount(AT_FDCWD, "dev");
    return (empty_[0] >= 0 && empty_[1] >= 0 && dev_ >= 0) || failure.set("cannot copy", "a mount", errno);
}

bool Root::build_root(const Words& words, Failure& failure) {
    static char lower[kMaxLayers * sizeof "l999"];
    size_t length = 0;
    size_t layers = 0;
    Step step;
    Step only;
    for (size_t at = 0; words.next(&at, &step);) {
        if (step.op != Op::layer && step.op != Op::root) {
            continue;
        }
        const Name name("l", layers);
        if (layers++ == kMaxLayers || symlink(step.argument[0], name) != 0) {
            return failure.set("cannot use the layer", step.argument[0], layers > kMaxLayers ? E2BIG : errno);
        }
        memcpy(lower + length, name.text.bytes, name.text.length);
        length += name.text.length;
        lower[length++] = ':';
        only = step;
    }
    if (layers == 0) {
        return failure.set("cannot read", "sandbox", EINVAL);
    }
    lower[length - 1] = '\0';
    // A single directory is bound as it is: the service then sees at once what is changed in it.
    const bool single = only.op == Op::root && !writable_ && !lacks_places(words, "/", failure);
    if (failure.code != 0) {
        return false;
    }
    if (!single && overlay(lower, "root", failure)) {
        return true;
    }
    if (!single) {
        if (layers > 1 || writable_) {
            return false;
        }
        no_overlay_ = failure.code;
        failure.code = 0;
    }
    if (mount(only.argument[0], "root", nullptr, MS_BIND, nullptr) != 0 ||
        mount(nullptr, "root", nullptr, MS_REMOUNT | MS_BIND | kReadOnly | kNoSuid | kNoDev, nullptr) != 0) {
        return failure.set("cannot use as root filesystem", only.argument[0], errno);
    }
    return true;
}

bool Root::overlay(const char* lower, const char* target, Failure& failure) {
    const size_t number = overlays_++;
    const Name top("o", number);
    const Name upper("o", number, "/upper");
    const Name work("o", number, "/work");
    if (mkdir(top, 0755) != 0 || mkdir(upper, 0755) != 0 || mkdir(work, 0755) != 0) {
        return failure.set("cannot make", top, errno);
    }
    if (strcmp(target, "root") == 0) {
        // Ours lie above whatever the layers have there: links, files, or nothing.
        const Name proc("o", number, "/upper/proc");
        const Name sys("o", number, "/upper/sys");
        const Name dev("o", number, "/upper/dev");
        if (mkdir(proc, 0755) != 0 || mkdir(sys, 0755) != 0 || mkdir(dev, 0755) != 0) {
            return failure.set("cannot make", top, errno);
        }
    }
    // An image is not to redirect a look-up, or to take data from elsewhere.
    static char options[kMaxLayers * sizeof "l999" + 128];
    size_t length = 0;
    const char* const parts[] = {
        "redirect_dir=nofollow,metacopy=off,lowerdir=", lower, ",upperdir=", upper, ",workdir=", work};
    for (const char* part : parts) {
        const size_t more = strlen(part);
        if (length + more >= sizeof options) {
            return failure.set("cannot mount overlayfs on", target, E2BIG);
        }
        memcpy(options + length, part, more + 1);
        length += more;
    }
    return mount("overlay", target, "overlay", kNoSuid | kNoDev, options) == 0 ||
           failure.set("cannot mount overlayfs on", target, errno);
}

/// Whether a place is missing for which `top`, a mount of the host or "/", would have to be changed. Where that cannot
/// be told `failure` is set.
bool Root::lacks_places(const Words& words, const char* top, Failure& failure) const {
    Step step;
    const bool whole = strcmp(top, "/") == 0;
    const bool host = words.find(Op::root, &step) && strcmp(step.argument[0], "/") == 0;
    if (!words.find(Op::root, &step)) {
        return true;
    }
    const int lower = open(step.argument[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (lower < 0) {
        return !failure.set("cannot open", step.argument[0], errno);
    }
    bool lacks = false;
    const auto look = [&lacks, &failure](int found, const char* path) {
        lacks = lacks || found < 0;
        if (found < 0 && !is_missing(errno)) {
            failure.set("cannot look for", path, errno);
        }
        close(found);
    };
    if (whole) {
        look(open_plain(lower, "/proc", O_DIRECTORY), "/proc");
        look(open_plain(lower, "/dev", O_DIRECTORY), "/dev");
    }
    for (size_t at = 0; !lacks && words.next(&at, &step);) {
        if (!is_place(step.op) || is_below(step.argument[0], "/dev") || !is_below(step.argument[0], top)) {
            continue;
        }
        const char* path = step.argument[0];
        Step other;
        bool elsewhere = false;  // in a directory of the service's own, or in another mount
        for (size_t before = 0; words.next(&before, &other);) {
            const bool covers =
                other.op == Op::own || (host && other.op == Op::mount && !is_below(top, other.argument[0]) &&
                                        strcmp(top, other.argument[0]) != 0);
            elsewhere = elsewhere || (covers && is_below(path, other.argument[0]));
        }
        if (!elsewhere) {
            look(open_inside(lower, path, 0), path);
        }
    }
    close(lower);
    return lacks;
}

bool Root::build_place(const Words& words, const Step& step, Failure& failure) {
    if (made_ == kMaxPlaces) {
        return failure.set("there are too many places, the first one too many is", step.argument[0], E2BIG);
    }
    int& place = places_[made_];
    if (step.op == Op::mount) {
        const char* path = step.argument[0];
        const Name link("m", made_);
        const Name target("t", made_);
        const bool change = writable_ || lacks_places(words, path, failure);
        if (failure.code != 0) {
            return false;
        }
        const bool prepared = !change || (symlink(path, link) == 0 && mkdir(target, 0755) == 0);
        if (!prepared) {
            return failure.set("cannot make a place for", path, errno);
        }
        const bool changed = change && overlay(link, target, failure);
        if (is_shortage(failure.code)) {
            return false;
        }
        no_overlay_ = failure.code != 0 ? failure.code : no_overlay_;
        failure.code = 0;  // not every filesystem can lie below an overlay
        place = changed ? copy_mount(AT_FDCWD, target) : copy_mount(AT_FDCWD, path);
        changed_[made_++] = changed && place >= 0;
        return place >= 0 || errno == ENOENT || failure.set("cannot copy the mount", path, errno);
    }
    const Name name("", made_++);
    if (step.op == Op::own) {
        if (mkdir(name, 0700) != 0 ||
            chown(name, static_cast<uid_t>(parse_number(step.argument[2])),
                  static_cast<gid_t>(parse_number(step.argument[3]))) != 0 ||
            chmod(name, parse_mode(step.argument[1])) != 0) {
            return failure.set("cannot make", step.argument[0], errno);
        }
    } else if (!build_file(step, name, failure)) {
        return false;
    }
    place = copy_mount(AT_FDCWD, name);
    return place >= 0 || failure.set("cannot copy the mount for", step.argument[0], errno);
}

bool Root::build_file(const Step& step, const char* place, Failure& failure) {
    const bool secret = step.op == Op::secret;
    const int file = open(place, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (file < 0) {
        return failure.set("cannot make", step.argument[0], errno);
    }
    bool done = false;
    if (step.op == Op::text) {
        done = write_whole(file, step.argument[1], strlen(step.argument[1])) ||
               failure.set("cannot write", step.argument[0], errno);
    } else {
        done = copy_file(step.argument[1], secret, file, failure);
    }
    if (done && secret) {
        done = fchown(file, static_cast<uid_t>(parse_number(step.argument[2])),
                      static_cast<gid_t>(parse_number(step.argument[3]))) == 0;
    } else if (done) {
        done = fchmod(file, 0444) == 0;
    }
    if (!done && failure.code == 0) {
        failure.set("cannot make", step.argument[0], errno);
    }
    close(file);
    return done;
}

}  // namespace viscum
