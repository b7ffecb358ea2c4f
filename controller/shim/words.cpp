// SPDX-License-Identifier: GPL-2.0-only
#include "controller/shim/words.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

namespace viscum {

bool Failure::set(const char* what, const char* name, int errno_code) {
    text.length = 0;
    text.put_failure(what, name, errno_code);
    code = errno_code;
    return false;
}

bool MappedFile::open(int dir, const char* name, Failure& failure) {
    const int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat info {};
    if (fd < 0 || fstat(fd, &info) != 0) {
        return failure.set("cannot open", name, errno);
    }
    bool done = S_ISREG(info.st_mode) && static_cast<uint64_t>(info.st_size) <= kMaxSandboxBytes;
    if (!done) {
        failure.set("cannot read", name, EFBIG);
    } else if (info.st_size > 0) {
        void* at = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
        done = at != MAP_FAILED || failure.set("cannot read", name, errno);
        if (done) {
            bytes = static_cast<const char*>(at);
            length = static_cast<size_t>(info.st_size);
        }
    }
    close(fd);
    return done;
}

void MappedFile::close_file() {
    if (bytes != nullptr) {
        munmap(const_cast<char*>(bytes), length);
        bytes = nullptr;
        length = 0;
    }
}

bool Words::open(int run_dir, Failure& failure) {
    MappedFile file;
    return file.open(run_dir, "sandbox", failure) && take(file, failure);
}

bool Words::take(const MappedFile& file, Failure& failure) {
    file_ = file;
    Step step;
    size_t at = 0;
    if (file_.length > 0 && file_.bytes[file_.length - 1] == '\0') {
        while (read(&at, &step)) {
            if (step.op == Op::end) {
                return at == file_.length || failure.set("cannot read", "sandbox", EINVAL);
            }
        }
    }
    return failure.set("cannot read", "sandbox", EINVAL);
}

bool Words::read(size_t* at, Step* step) const {
    // The last byte is a NUL, so that every word ends within the file.
    const auto word = [this, at]() -> const char* {
        if (*at >= file_.length) {
            return nullptr;
        }
        const char* begin = file_.bytes + *at;
        *at += strlen(begin) + 1;
        return begin;
    };
    const char* name = word();
    for (size_t i = 0; name != nullptr && i < kInstructionCount; ++i) {
        if (strcmp(name, kInstructions[i].name) != 0) {
            continue;
        }
        step->op = static_cast<Op>(i);
        for (int j = 0; j < kInstructions[i].arity; ++j) {
            step->argument[j] = word();
            if (step->argument[j] == nullptr) {
                return false;
            }
        }
        return true;
    }
    return false;
}

bool Words::next(size_t* at, Step* step) const {
    return read(at, step) && step->op != Op::end;
}

bool Words::find(Op op, Step* step) const {
    for (size_t at = 0; next(&at, step);) {
        if (step->op == op) {
            return true;
        }
    }
    return false;
}

}  // namespace viscum
