// SPDX-License-Identifier: GPL-2.0-only
// A file that another program appends to, and that becomes FILE.1 when it is full: read from where it lies, in blocks,
// so that memory does not grow with it, and followed over that change.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

/// Where the last `lines` lines of a file begin, and how many there are; the end need not be a new line's.
struct Tail {
    off_t offset = 0;
    std::size_t lines = 0;
    bool operator==(const Tail&) const = default;
};
Result<Tail> find_tail(int fd, std::size_t lines);

/// Whether there is one that can be read.
bool is_file(const std::string& path);

class FollowedFile {
public:
    /// `out` takes the bytes. A line that a file ends in without its end, as after a power cut, gets one there: what
    /// the next file begins with is no part of it.
    FollowedFile(std::string path, std::function<void(std::string_view)> out)
        : path_(std::move(path)), out_([this, take = std::move(out)](std::string_view bytes) {
              take(bytes);
              last_ = bytes.back();
          }) {}
    FollowedFile(const FollowedFile&) = delete;
    FollowedFile& operator=(const FollowedFile&) = delete;
    /// The last lines of both generations. No file is no error.
    Status start(std::size_t lines);
    /// What has come since, over any change.
    Status advance();

private:
    Status copy_rest();
    void end_line();

    std::string path_;
    std::function<void(std::string_view)> out_;
    char last_ = '\n';  // byte that was taken
    UniqueFd file_;     // that is open
    off_t offset_ = 0;  // how far it was read
};

/// News of one directory, and the signals that end the wait for them.
class DirectoryWatch {
public:
    /// From now on SIGINT and SIGTERM are taken here.
    static Result<DirectoryWatch> open(const std::string& dir);
    /// True when there may be something to read, false at the end: a signal came, or nobody reads standard output.
    [[nodiscard]] bool wait() const;

private:
    UniqueFd news_;
    UniqueFd signals_;
};

}  // namespace viscum
