// SPDX-License-Identifier: GPL-2.0-only
#include "controller/store/instance_lock.h"

#include <fcntl.h>

#include <cerrno>

#include "base/file.h"
#include "base/text.h"

namespace viscum {

Result<UniqueFd> take_lock(const Instance& instance) {
    if (auto status = make_directory(instance.run_dir(), 0750); !status) {
        return std::move(status).error();
    }
    UniqueFd lock(::open(instance.lock_file().c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) {
        return errno_error(cat("cannot open '", instance.lock_file(), "'"));
    }
    // Not flock(2): a child that is forked and has not yet executed its program would go on to hold that after our
    // death.
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (fcntl(lock.get(), F_SETLK, &whole) != 0) {
        if (errno == EAGAIN || errno == EACCES) {
            return Error{EBUSY, cat("another viscumd serves instance '", instance.name, "'")};
        }
        return errno_error(cat("cannot lock '", instance.lock_file(), "'"));
    }
    return lock;
}

}  // namespace viscum
