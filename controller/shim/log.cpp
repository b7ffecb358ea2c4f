// SPDX-License-Identifier: GPL-2.0-only
#include "controller/shim/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

namespace viscum {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kRate = 64 * 1024;  // bytes a second
constexpr uint64_t kByte = kSecond / kRate;
constexpr uint64_t kBurst = 256 * 1024 * kByte;

uint64_t boot_now() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

/// Behind the first newline; 0 where there is none.
size_t next_line(const char* bytes, size_t count) {
    const auto* newline = static_cast<const char*>(memchr(bytes, '\n', count));
    return newline == nullptr ? 0 : static_cast<size_t>(newline - bytes) + 1;
}

}  // namespace

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
    run_dir_ = -1;
    half_ = bytes / 2 < kMaxBatch ? kMaxBatch : bytes / 2;
    return dir_ >= 0;
}

void Log::count_in(int run_dir) {
    run_dir_ = run_dir;
    char text[32] = {};
    const int fd = openat(run_dir, "dropped", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && read(fd, text, sizeof text - 1) > 0) {
        total_ = reported_ = parse_number(text);
    }
    close(fd);
}

void Log::feed(const char* bytes, size_t count) {
    const uint64_t now = boot_now();
    if (flood_ > 0) {
        if (now + kBurst < paid_until_ + kRate * kByte) {
            leave_out(bytes, count);
            report(now, false);
            return;
        }
        // The rest of the line whose beginning was dropped.
        const bool within = left_out_[left_out_length_ - 1] != '\n';
        const size_t rest = within ? next_line(bytes, count) : 0;
        leave_out(bytes, rest);
        go_on();
        report(now, true);
        bytes += rest;
        count -= rest;
    }
    stamp_.length = 0;
    stamp_.put_time();
    const size_t taken = take(bytes, count, now);
    leave_out(bytes + taken, count - taken);
    report(now, false);
}

/// Up to the first line's end at which more was written than may be; returns how many bytes.
size_t Log::take(const char* bytes, size_t count, uint64_t now) {
    paid_until_ = paid_until_ < now ? now : paid_until_;
    size_t done = 0;
    while (done < count && paid_until_ <= now + kBurst) {
        const size_t line = next_line(bytes + done, count - done);
        const size_t rest = line == 0 ? count - done : line - 1;
        const size_t taken = rest < kMaxLine - line_length_ ? rest : kMaxLine - line_length_;
        memcpy(line_ + line_length_, bytes + done, taken);
        line_length_ += taken;
        done += taken;
        if (taken == rest && line == 0) {
            break;
        }
        end_line();
        done += taken == rest ? 1 : 0;  // the newline
    }
    return done;
}

void Log::leave_out(const char* bytes, size_t count) {
    if (count > 0) {
        flood_ += count;
        total_ += count;
        left_out_ = bytes;
        left_out_length_ = count;
    }
}

/// Ends a flood.
void Log::go_on() {
    Text notice;
    notice.put("[viscum: ").put(flood_).put(" bytes dropped, more than 64K a second]");
    stamp_.length = 0;
    stamp_.put_time();
    memcpy(line_, notice.bytes, notice.length);
    line_length_ = notice.length;
    end_line();
    flood_ = 0;
}

void Log::report(uint64_t now, bool at_once) {
    // Without what finish() may yet keep, so that the number only grows.
    const size_t last = flood_ == 0 ? 0 : left_out_length_ < kMaxLine ? left_out_length_ : kMaxLine;
    const uint64_t dropped = total_ - last;
    if (dropped == reported_ || run_dir_ < 0 || (!at_once && reported_at_ != 0 && now < reported_at_ + kSecond)) {
        return;
    }
    reported_ = dropped;
    reported_at_ = now;
    Text text;
    text.put(dropped).put("\n");
    const int fd = openat(run_dir_, "dropped.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && write(fd, text.bytes, text.length) == static_cast<ssize_t>(text.length)) {
        renameat(run_dir_, "dropped.new", run_dir_, "dropped");
    } else {
        unlinkat(run_dir_, "dropped.new", 0);
    }
    close(fd);
}

void Log::finish() {
    const uint64_t now = boot_now();
    if (flood_ > 0) {
        const size_t most = left_out_length_ < kMaxLine ? left_out_length_ : kMaxLine;
        const char* last = left_out_ + left_out_length_ - most;
        const size_t cut = most < flood_ ? next_line(last, most - 1) : 0;
        const size_t kept = most - cut;
        flood_ -= kept;
        total_ -= kept;
        if (flood_ > 0) {
            go_on();
        }
        flood_ = 0;
        paid_until_ = 0;
        take(last + cut, kept, now);
    }
    if (line_length_ > 0) {
        end_line();
    }
    flush();
    report(now, true);
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
    total_ += batch_length_ - written;
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
    paid_until_ += (stamp_.length + line_length_ + 1) * kByte;
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
            named.st_dev == ours.st_dev && renameat(dir_, name_, dir_, old_) != 0 && errno != ENOENT) {
            return false;  // ENOENT: the other version's shim was quicker
        }
        close(file_);
        file_ = -1;
    }
    return false;
}

}  // namespace viscum
