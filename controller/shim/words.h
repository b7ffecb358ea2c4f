// SPDX-License-Identifier: GPL-2.0-only
// Files of the run directory, mapped, and the instructions in one of them.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controller/shim/instructions.h"
#include "controller/shim/text.h"

namespace viscum {

/// What went wrong, as one sentence, and its errno.
struct Failure {
    Text text;
    int code = 0;

    /// "WHAT 'NAME': REASON"; false, so that it can be returned.
    bool set(const char* what, const char* name, int errno_code);
};

/// A whole file of at most kMaxSandboxBytes, read-only. Closed by close_file(); else it goes with the process.
struct MappedFile {
    const char* bytes = nullptr;
    size_t length = 0;

    /// `name` is looked up in `dir`. An empty file has no bytes.
    bool open(int dir, const char* name, Failure& failure);
    void close_file();
};

struct Step {
    Op op = Op::end;
    const char* argument[kMaxArguments] = {};
};

/// All instructions, checked: each is known and has its arguments, and the last one is `end`.
class Words {
public:
    bool open(int run_dir, Failure& failure);
    /// The same with a file that is there already.
    bool take(const MappedFile& file, Failure& failure);
    void close_file() { file_.close_file(); }

    /// The one at `*at`, which begins as 0 and is moved on; false at `end`.
    bool next(size_t* at, Step* step) const;
    /// The first one of a kind.
    bool find(Op op, Step* step) const;

private:
    bool read(size_t* at, Step* step) const;
    MappedFile file_;
};

}  // namespace viscum
