// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/logs.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include <algorithm>
#include <climits>
#include <csignal>

#include "base/text.h"
#include "base/unique_fd.h"
#include "controller/ctl/render.h"
#include "controller/ipc/json.h"
#include "controller/spec/service_spec.h"

namespace viscum {
namespace {

constexpr std::size_t kBlock = 8192;
constexpr std::size_t kMaxLine = 64 * 1024;  // a longer one is written in pieces
constexpr std::string_view kStamp = "dddd-dd-ddTdd:dd:dd.dddZ ";

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
Result<off_t> copy_from(int fd, off_t offset, LogWriter& writer) {
    char block[kBlock];
    while (true) {
        const auto got = read_at(fd, offset, block, sizeof block);
        if (!got) {
            return got.error();
        }
        if (*got == 0) {
            return offset;
        }
        writer.write({block, *got});
        offset += static_cast<off_t>(*got);
    }
}

bool has_stamp(std::string_view line) {
    return line.size() >= kStamp.size() &&
           std::equal(kStamp.begin(), kStamp.end(), line.begin(),
                      [](char wanted, char is) { return wanted == 'd' ? is >= '0' && is <= '9' : wanted == is; });
}

/// The log that is open, and how far it was written out.
struct Reader {
    std::string path;
    UniqueFd file{};
    off_t offset = 0;

    /// The last lines of both generations.
    Status start(std::size_t lines, LogWriter& writer) {
        file = open_log(path);
        const UniqueFd old = open_log(path + ".1");
        Tail tail;
        if (file) {
            const auto found = find_tail(file.get(), lines);
            if (!found) {
                return found.error();
            }
            tail = *found;
        }
        // The same inode: it was rotated between the two calls.
        if (old && tail.lines < lines && (!file || inode_of(old.get()) != inode_of(file.get()))) {
            const auto before = find_tail(old.get(), lines - tail.lines);
            if (!before) {
                return before.error();
            }
            if (const auto end = copy_from(old.get(), before->offset, writer); !end) {
                return end.error();
            }
        }
        offset = tail.offset;
        return file ? advance(writer) : Status{};
    }

    /// What has come since, over any rotation.
    Status advance(LogWriter& writer) {
        struct stat info {};
        if (file && fstat(file.get(), &info) == 0 && info.st_size < offset) {
            offset = 0;  // cut by hand
        }
        // Looked up before the last read of the old file: what is written after a rotation is in the new one.
        UniqueFd named = open_log(path);
        if (file) {
            const auto end = copy_from(file.get(), offset, writer);
            if (!end) {
                return end.error();
            }
            offset = *end;
        }
        if (!named || (file && inode_of(named.get()) == inode_of(file.get()))) {
            return {};
        }
        // Rotated more than once since we looked: a whole generation lies between.
        if (const UniqueFd between = open_log(path + ".1");
            file && between && inode_of(between.get()) != inode_of(file.get())) {
            if (const auto end = copy_from(between.get(), 0, writer); !end) {
                return end.error();
            }
        }
        file = std::move(named);
        const auto end = copy_from(file.get(), 0, writer);
        if (!end) {
            return end.error();
        }
        offset = *end;
        return {};
    }
};

/// News of one directory, and the signals that end the wait.
struct Watch {
    UniqueFd news;
    UniqueFd signals;

    static Result<Watch> open(const std::string& dir) {
        Watch watch;
        watch.news.reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        if (!watch.news || inotify_add_watch(watch.news.get(), dir.c_str(),
                                             IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_ONLYDIR) < 0) {
            return errno_error(cat("cannot watch '", dir, "'"));
        }
        sigset_t ends;
        sigemptyset(&ends);
        sigaddset(&ends, SIGINT);
        sigaddset(&ends, SIGTERM);
        sigprocmask(SIG_BLOCK, &ends, nullptr);
        watch.signals.reset(signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK));
        if (!watch.signals) {
            return errno_error("cannot receive signals");
        }
        return watch;
    }

    /// True when there may be something to read, false at the end.
    [[nodiscard]] bool wait() const {
        pollfd ready[] = {{news.get(), POLLIN, 0}, {signals.get(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
        if (poll(ready, 3, -1) < 0) {
            return errno == EINTR;
        }
        if (ready[1].revents != 0 || (ready[2].revents & (POLLERR | POLLHUP)) != 0) {
            return false;
        }
        alignas(inotify_event) char events[4096];
        while (read(news.get(), events, sizeof events) > 0) {
            // Which of them does not matter: the files say what is.
        }
        return true;
    }
};

Status show(const Session& session, const std::string& path, bool follow, std::size_t lines, LogWriter::Form form) {
    LogWriter writer(form, session.console.out);
    Reader reader{path};
    if (!follow) {
        auto status = reader.start(lines, writer);
        writer.finish();
        return status;
    }
    // Before the first look, so that nothing is missed between.
    const auto watch = Watch::open(session.logs);
    if (!watch) {
        return watch.error();
    }
    Status status = reader.start(lines, writer);
    while (status && watch->wait()) {
        status = reader.advance(writer);
    }
    return status;
}

}  // namespace

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

void LogWriter::write(std::string_view bytes) {
    if (form_ == Form::verbatim) {
        out_(bytes);
        return;
    }
    for (const char byte : bytes) {
        if (byte == '\n' || line_.size() == kMaxLine) {
            end_line();
        }
        if (byte != '\n') {
            line_ += byte;
        }
    }
}

void LogWriter::finish() {
    if (!line_.empty()) {
        end_line();
    }
}

void LogWriter::end_line() {
    if (form_ == Form::printable) {
        out_(printable(line_) + "\n");
    } else {
        const std::size_t stamp = has_stamp(line_) ? kStamp.size() : 0;
        JsonOut object;
        object.field("time", stamp == 0 ? std::string() : line_.substr(0, stamp - 1));
        object.field("text", line_.substr(stamp));
        out_(std::move(object).text() + "\n");
    }
    line_.clear();
}

int logs(const Session& session, const std::string& service, bool follow, std::size_t lines, bool plain) {
    const Console& console = session.console;
    const std::string path = cat(session.logs, "/", service, ".log");
    if (!is_service_name(service)) {
        return fail(console, Code::no_such_service, cat("no service '", service, "'"), "see: viscumctl list");
    }
    Request request;
    request.verb = "status";
    request.service = service;
    const Response known = ask(session, request);
    if (known.code == Code::refused) {
        return fail(console, known);
    }
    // A service that never got healthy is gone, and its log is all there is to see.
    if (known.code != Code::done && !open_log(path) && !open_log(path + ".1")) {
        if (known.code == Code::no_such_service) {
            return fail(console, known);
        }
        return fail(console, Code::no_such_service, cat("no service '", service, "'"),
                    cat(known.message, ", and there is no log of that name in ", session.logs));
    }
    const auto form = console.json ? LogWriter::Form::json
                      : plain      ? LogWriter::Form::printable
                                   : LogWriter::Form::verbatim;
    if (const auto status = show(session, path, follow, lines, form); !status) {
        return fail(console, Code::failed, status.error().what, "");
    }
    return 0;
}

}  // namespace viscum
