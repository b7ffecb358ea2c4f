// SPDX-License-Identifier: GPL-2.0-only
#include "controller/shim/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

namespace viscum {

bool Log::open(char* path, uint64_t bytes) {
    char* slash = strrchr(path, '/');
    if (slash == nullptr || strlen(slash + 1) + sizeof ".1" > sizeof old_) {
        errno = EINVAL;
        return false;
    }
    *slash = '\0';
    dir_ = ::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *slash = '/';
    name_ = slash + 1;
    memcpy(old_, name_, strlen(name_));
    memcpy(old_ + strlen(name_), ".1", sizeof ".1");
    file_ = -1;
    half_ = bytes / 2 < kMaxBatch ? kMaxBatch : bytes / 2;
    return dir_ >= 0;
}

void Log::feed(const char* bytes, size_t count) {
    stamp_.length = 0;
    stamp_.put_time();
    while (count > 0) {
        const auto* newline = static_cast<const char*>(memchr(bytes, '\n', count));
        const size_t rest = newline == nullptr ? count : static_cast<size_t>(newline - bytes);
        const size_t taken = rest < kMaxLine - line_length_ ? rest : kMaxLine - line_length_;
        memcpy(line_ + line_length_, bytes, taken);
        line_length_ += taken;
        bytes += taken;
        count -= taken;
        if (taken == rest && newline == nullptr) {
            return;
        }
        end_line();
        if (taken == rest) {
            ++bytes;  // the newline
            --count;
        }
    }
}

void Log::finish() {
    if (line_length_ > 0) {
        end_line();
    }
    flush();
}

void Log::flush() {
    if (batch_length_ == 0) {
        return;
    }
    if (dropped_ > 0) {
        Text notice;
        if (cut_) {
            notice.put("\n");
        }
        notice.put_time().put("viscum-shim: ").put(dropped_).put(" bytes dropped\n");
        if (append(notice.bytes, notice.length) == notice.length) {
            dropped_ = 0;
            cut_ = false;
        }
    }
    const size_t written = dropped_ > 0 ? 0 : append(batch_, batch_length_);
    dropped_ += batch_length_ - written;
    cut_ = cut_ || (written > 0 && written < batch_length_);
    batch_length_ = 0;
}

void Log::end_line() {
    if (batch_length_ + stamp_.length + line_length_ + 1 > sizeof batch_) {
        flush();
    }
    put(stamp_.bytes, stamp_.length);
    put(line_, line_length_);
    put("\n", 1);
    line_length_ = 0;
}

void Log::put(const char* bytes, size_t count) {
    memcpy(batch_ + batch_length_, bytes, count);
    batch_length_ += count;
}

size_t Log::append(const char* bytes, size_t count) {
    if (!make_room(count)) {
        return 0;
    }
    const ssize_t written = write(file_, bytes, count);
    return written < 0 ? 0 : static_cast<size_t>(written);
}

bool Log::make_room(size_t count) {
    // Twice: the file that another shim has put in the place of ours may be full as well.
    for (int attempt = 0; attempt < 3; ++attempt) {
        if (file_ < 0) {
            file_ = openat(dir_, name_, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
        }
        struct stat ours {};
        if (file_ < 0 || fstat(file_, &ours) != 0) {
            return false;
        }
        if (static_cast<uint64_t>(ours.st_size) + count <= half_) {
            return true;
        }
        struct stat named {};
        if (fstatat(dir_, name_, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == ours.st_ino &&
            named.st_dev == ours.st_dev && renameat(dir_, name_, dir_, old_) != 0) {
            return false;
        }
        close(file_);
        file_ = -1;
    }
    return false;
}

}  // namespace viscum
