// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/follow.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <csignal>

#include "base/text.h"

namespace viscum {
namespace {

constexpr std::size_t kBlock = 8192;

// Non-blocking, so that a FIFO in the place of the file cannot hold us up.
UniqueFd open_log(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

Result<std::size_t> read_at(int fd, off_t offset, char* block, std::size_t size) {
    const auto got = pread(fd, block, size, offset);
    if (got < 0) {
        return errno_error("cannot read the log");
    }
    return static_cast<std::size_t>(got);
}

ino_t inode_of(int fd) {
    struct stat info {};
    return fstat(fd, &info) == 0 ? info.st_ino : 0;
}

// Everything from `offset` to the end as it is now; returns that end.
Result<off_t> copy_from(int fd, off_t offset, const std::function<void(std::string_view)>& out) {
    char block[kBlock];
    while (true) {
        const auto got = read_at(fd, offset, block, sizeof block);
        if (!got) {
            return got.error();
        }
        if (*got == 0) {
            return offset;
        }
        out({block, *got});
        offset += static_cast<off_t>(*got);
    }
}

}  // namespace

bool is_file(const std::string& path) {
    return static_cast<bool>(open_log(path));
}

Status FollowedFile::copy_rest() {
    const auto end = copy_from(file_.get(), offset_, out_);
    if (!end) {
        return end.error();
    }
    offset_ = *end;
    return {};
}

void FollowedFile::end_line() {
    if (last_ != '\n') {
        out_("\n");
    }
}

Status FollowedFile::start(std::size_t lines) {
    file_ = open_log(path_);
    const UniqueFd old = open_log(path_ + ".1");
    Tail tail;
    if (file_) {
        const auto found = find_tail(file_.get(), lines);
        if (!found) {
            return found.error();
        }
        tail = *found;
    }
    // The same inode: it was rotated between the two calls.
    if (old && tail.lines < lines && (!file_ || inode_of(old.get()) != inode_of(file_.get()))) {
        const auto before = find_tail(old.get(), lines - tail.lines);
        if (!before) {
            return before.error();
        }
        if (const auto end = copy_from(old.get(), before->offset, out_); !end) {
            return end.error();
        }
        end_line();
    }
    offset_ = tail.offset;
    return file_ ? advance() : Status{};
}

Status FollowedFile::advance() {
    struct stat info {};
    if (file_ && fstat(file_.get(), &info) == 0 && info.st_size < offset_) {
        offset_ = 0;  // cut by hand
    }
    // Looked up before the last read of the old file: what is written after a rotation is in the new one.
    UniqueFd named = open_log(path_);
    if (file_) {
        if (auto status = copy_rest(); !status) {
            return status;
        }
    }
    if (!named || (file_ && inode_of(named.get()) == inode_of(file_.get()))) {
        return {};
    }
    end_line();
    // Rotated more than once since we looked: a whole generation lies between.
    if (const UniqueFd between = open_log(path_ + ".1");
        file_ && between && inode_of(between.get()) != inode_of(file_.get())) {
        if (const auto end = copy_from(between.get(), 0, out_); !end) {
            return end.error();
        }
        end_line();
    }
    file_ = std::move(named);
    offset_ = 0;
    return copy_rest();
}

Result<DirectoryWatch> DirectoryWatch::open(const std::string& dir) {
    DirectoryWatch watch;
    watch.news_.reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!watch.news_ || inotify_add_watch(watch.news_.get(), dir.c_str(),
                                          IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_ONLYDIR) < 0) {
        return errno_error(cat("cannot watch '", dir, "'"));
    }
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, nullptr);
    watch.signals_.reset(signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!watch.signals_) {
        return errno_error("cannot receive signals");
    }
    return watch;
}

bool DirectoryWatch::wait() const {
    pollfd ready[] = {{news_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
    if (poll(ready, 3, -1) < 0) {
        return errno == EINTR;
    }
    if (ready[1].revents != 0 || (ready[2].revents & (POLLERR | POLLHUP)) != 0) {
        return false;
    }
    alignas(inotify_event) char events[4096];
    while (read(news_.get(), events, sizeof events) > 0) {
        // Which of them does not matter: the files say what is.
    }
    return true;
}

Result<Tail> find_tail(int fd, std::size_t lines) {
    struct stat info {};
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return Error{EINVAL, "the log is no regular file"};
    }
    Tail tail{info.st_size, 0};
    char block[kBlock];
    // From the end, a block at a time. A line begins behind each new line but the last byte, and at 0.
    for (off_t end = info.st_size; end > 0 && lines > 0;) {
        const off_t begin = std::max<off_t>(0, end - static_cast<off_t>(kBlock));
        const auto got = read_at(fd, begin, block, static_cast<std::size_t>(end - begin));
        if (!got) {
            return got.error();
        }
        for (std::size_t i = *got; i-- > 0;) {
            const off_t next = begin + static_cast<off_t>(i) + 1;
            if (block[i] == '\n' && next < info.st_size) {
                tail = {next, tail.lines + 1};
                if (tail.lines == lines) {
                    return tail;
                }
            }
        }
        end = begin;
        if (begin == 0) {
            tail = {0, tail.lines + 1};
        }
    }
    return tail;
}

}  // namespace viscum
