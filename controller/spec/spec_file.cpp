// SPDX-License-Identifier: GPL-2.0-only
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "controller/spec/parse.h"
#include "controller/spec/yaml_guard.h"

namespace viscum {
namespace {

Result<std::string> read_standard_input() {
    std::string bytes;
    char chunk[16384];
    while (true) {
        const auto got = read(STDIN_FILENO, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno_error("cannot read standard input");
        }
        if (got == 0) {
            return bytes;
        }
        bytes.append(chunk, static_cast<std::size_t>(got));
        if (bytes.size() > kMaxSpecBytes) {
            return Error{EFBIG, cat("standard input is longer than ", kMaxSpecBytes, " bytes")};
        }
    }
}

}  // namespace

Result<std::string> read_spec_file(const std::string& path) {
    if (path == "-") {
        return read_standard_input();
    }
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) {
        return errno_error(cat("cannot open '", path, "'"));
    }
    if (!S_ISREG(info.st_mode)) {
        return Error{EINVAL, cat("'", path, "' is no regular file")};
    }
    if (static_cast<std::uint64_t>(info.st_size) > kMaxSpecBytes) {
        return Error{EFBIG, cat("'", path, "' is longer than ", kMaxSpecBytes, " bytes")};
    }
    // Bounded and non-blocking: what has taken the file's place since then does no harm.
    return read_file(path, kMaxSpecBytes);
}

}  // namespace viscum
