// SPDX-License-Identifier: GPL-2.0-only
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/text.h"
#include "base/unique_fd.h"

namespace viscum {
namespace {

std::string parent(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Status write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto written = write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return errno_error("cannot write");
        }
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
    // Non-blocking, so that a FIFO in the place of the file cannot hold us up.
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) {
        return errno_error(cat("cannot open '", path, "'"));
    }
    std::string bytes;
    char chunk[16384];
    while (true) {
        const auto got = read(fd.get(), chunk, sizeof chunk);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno_error(cat("cannot read '", path, "'"));
        }
        if (got == 0) {
            return bytes;
        }
        bytes.append(chunk, static_cast<std::size_t>(got));
        if (bytes.size() > limit) {
            return Error{EFBIG, cat("'", path, "' is longer than ", limit, " bytes")};
        }
    }
}

std::string read_to_end(int fd, std::size_t max) {
    std::string bytes;
    char chunk[4096];
    while (true) {
        const auto got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return bytes;
        }
        bytes.append(chunk, std::min(static_cast<std::size_t>(got), max - bytes.size()));
    }
}

Status write_file_atomically(const std::string& path, std::string_view bytes, mode_t mode) {
    const std::string fresh = path + ".new";
    const std::string context = cat("cannot write '", path, "'");
    // A leftover of a write that was interrupted; ours alone writes here.
    unlink(fresh.c_str());
    const UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!fd) {
        return errno_error(context);
    }
    Status status = write_all(fd.get(), bytes);
    if (status && fsync(fd.get()) != 0) {
        status = errno_error("cannot sync");
    }
    if (status && rename(fresh.c_str(), path.c_str()) != 0) {
        status = errno_error("cannot rename");
    }
    if (!status) {
        unlink(fresh.c_str());
        return std::move(status).error().in(context);
    }
    return sync_directory(parent(path));
}

Status sync_directory(const std::string& path) {
    const UniqueFd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir || fsync(dir.get()) != 0) {
        return errno_error(cat("cannot sync directory '", path, "'"));
    }
    return {};
}

Status remove_file(const std::string& path) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
        return errno_error(cat("cannot remove '", path, "'"));
    }
    // Also where it was gone: the sync of the one who removed it may have failed.
    if (auto status = sync_directory(parent(path)); !status && status.error().errno_code != ENOENT) {
        return status;
    }
    return {};
}

Status make_directory(const std::string& path, mode_t mode) {
    for (std::size_t end = path.find('/', 1); true; end = path.find('/', end + 1)) {
        const std::string part = path.substr(0, end);
        if (mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
            return errno_error(cat("cannot make directory '", part, "'"));
        }
        if (end == std::string::npos) {
            break;
        }
    }
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) {
        return errno_error(cat("cannot look at '", path, "'"));
    }
    return S_ISDIR(info.st_mode) ? Status() : Status(Error{ENOTDIR, cat("'", path, "' is no directory")});
}

Status remove_directory(const std::string& path) {
    auto names = list_directory(path);
    if (!names) {
        return std::move(names).error();
    }
    for (const auto& name : *names) {
        if (unlink(cat(path, "/", name).c_str()) != 0 && errno != ENOENT) {
            return errno_error(cat("cannot remove '", path, "/", name, "'"));
        }
    }
    if (rmdir(path.c_str()) != 0 && errno != ENOENT) {
        return errno_error(cat("cannot remove directory '", path, "'"));
    }
    return {};
}

Result<std::vector<std::string>> list_directory(const std::string& path) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(path.c_str()), closedir);
    if (!dir) {
        if (errno == ENOENT) {
            return names;
        }
        return errno_error(cat("cannot list '", path, "'"));
    }
    for (;;) {
        errno = 0;
        const dirent* const entry = readdir(dir.get());
        if (entry == nullptr) {
            break;
        }
        const std::string name(static_cast<const char*>(entry->d_name));
        if (name != "." && name != "..") {
            names.push_back(name);
        }
    }
    if (errno != 0) {
        return errno_error(cat("cannot list '", path, "'"));  // a part of it is not what is there
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace viscum
