// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controller/shim/text.h"

namespace viscum {

/// The service's output, line by line with the time before it, in two generations of half the bytes: PATH and PATH.1.
/// Never blocks and never fails: what the disk does not take is dropped and counted. Two shims may write one log (an
/// old version drains beside the new one): appends are whole lines, and the one that finds the file renamed follows.
class Log {
public:
    /// False, with errno, where the path cannot be used. The file itself is opened when there is something to say.
    /// `path` is kept. `bytes` below 16 KiB are 16 KiB.
    bool open(char* path, uint64_t bytes);
    /// Lines above 4 KiB are split.
    void feed(const char* bytes, size_t count);
    /// Writes the whole lines that were fed.
    void flush();
    /// The same with a last line that has no end.
    void finish();

private:
    static constexpr size_t kMaxLine = 4096;
    static constexpr size_t kMaxBatch = 8192;  // written at once; a generation is never smaller

    void end_line();
    void put(const char* bytes, size_t count);
    size_t append(const char* bytes, size_t count);
    bool make_room(size_t count);

    // All zero until open(), so that the program's file holds nothing of it.
    int dir_ = 0;
    int file_ = 0;
    const char* name_ = nullptr;
    char old_[256] = {};
    uint64_t half_ = 0;
    uint64_t dropped_ = 0;
    bool cut_ = false;  // the file ends within a line
    Text stamp_ = {};   // the time of the bytes that were read last
    size_t line_length_ = 0;
    size_t batch_length_ = 0;
    char line_[kMaxLine] = {};
    char batch_[kMaxBatch] = {};
};

}  // namespace viscum
