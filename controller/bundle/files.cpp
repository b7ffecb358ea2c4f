// SPDX-License-Identifier: GPL-2.0-only
#include "controller/bundle/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

namespace viscum {

Result<NewFile> NewFile::open(const std::string& path, mode_t mode) {
    NewFile file(path);
    unlink(file.temporary_.c_str());  // of a run that was interrupted, with another mode
    file.fd_.reset(::open(file.temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    return file.fd_ ? Result<NewFile>(std::move(file)) : errno_error(cat("cannot write '", path, "'"));
}

NewFile::~NewFile() {
    if (fd_) {
        unlink(temporary_.c_str());
    }
}

Status NewFile::keep() {
    if (fsync(fd_.get()) != 0 || rename(temporary_.c_str(), path_.c_str()) != 0) {
        return errno_error(cat("cannot write '", path_, "'"));
    }
    fd_.reset();
    return {};
}

Result<OpenFile> open_file(const std::string& path) {
    OpenFile file{UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)), 0};
    struct stat info {};
    if (!file.fd || fstat(file.fd.get(), &info) != 0) {
        return errno_error(cat("cannot open '", path, "'"));
    }
    if (!S_ISREG(info.st_mode)) {
        return Error{EINVAL, cat("'", path, "' is no plain file")};
    }
    file.size = static_cast<std::uint64_t>(info.st_size);
    return file;
}

}  // namespace viscum
