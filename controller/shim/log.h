// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controller/shim/text.h"

namespace viscum {

/// The service's output, line by line with the time before it, in two generations of half the bytes: PATH and PATH.1.
/// Never blocks and never fails: what the disk does not take is dropped and counted. Two shims may write one log (an
/// old version drains beside the new one): appends are whole lines, and the one that finds the file renamed follows.
///
/// A service that floods its log costs little: 256 KiB at once and 64 KiB a second are written, times included. What is
/// more than that is dropped until a second's worth may be written again, and a line of the log says how much that was.
/// The last of it is kept, so that a service's last words are in the log. Time is read when bytes come, never waited
/// for.
class Log {
public:
    /// False, with errno, where the path cannot be used. The file itself is opened when there is something to say.
    /// `path` is kept. `bytes` below 16 KiB are 16 KiB.
    bool open(char* path, uint64_t bytes);
    /// From now on RUN_DIR/dropped holds how many bytes were dropped, for whatever reason: decimal digits and a
    /// newline. It goes on from what the file says, is replaced whole, at most once a second while bytes are dropped
    /// and at the end, and is not there before the first.
    void count_in(int run_dir);
    /// Lines above 4 KiB are split. `bytes` stay as they are until the next call of feed() or finish().
    void feed(const char* bytes, size_t count);
    /// Whether bytes are being dropped because they are too many.
    [[nodiscard]] bool flooded() const { return flood_ > 0; }
    /// Writes the whole lines that were fed.
    void flush();
    /// The same with a last line that has no end.
    void finish();

private:
    static constexpr size_t kMaxLine = 4096;
    static constexpr size_t kMaxBatch = 8192;  // written at once; a generation is never smaller

    size_t take(const char* bytes, size_t count, uint64_t now);
    void leave_out(const char* bytes, size_t count);
    void go_on();
    void report(uint64_t now, bool at_once);
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
    bool cut_ = false;                // the file ends within a line
    uint64_t paid_until_ = 0;         // what was written is paid for by time: boot time in nanoseconds
    uint64_t flood_ = 0;              // bytes dropped since the flood began; 0: there is none
    const char* left_out_ = nullptr;  // the last of them, in the caller's memory
    size_t left_out_length_ = 0;
    int run_dir_ = 0;
    uint64_t total_ = 0;     // bytes dropped in all
    uint64_t reported_ = 0;  // what RUN_DIR/dropped says
    uint64_t reported_at_ = 0;
    Text stamp_ = {};  // the time of the bytes that were read last
    size_t line_length_ = 0;
    size_t batch_length_ = 0;
    char line_[kMaxLine] = {};
    char batch_[kMaxBatch] = {};
};

}  // namespace viscum
