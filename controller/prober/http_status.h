// SPDX-License-Identifier: GPL-2.0-only
// The one parser of what services answer. Pure, without allocation, for hostile bytes.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controller/prober/protocol.h"

namespace viscum {

/// Reads an HTTP/1.x status line (RFC 9112) as it comes in, the first kProberMaxHttpHead bytes at most; answers interim
/// responses (1xx) by waiting for the final one. All zeros is a fresh reader. Once `done` or bad, it stays so.
class HttpStatusReader {
public:
    enum class State : uint8_t { more, done, not_http, too_long };
    State feed(const char* bytes, size_t size);
    [[nodiscard]] State state() const { return state_; }
    /// 100 to 999 when `done`, otherwise 0.
    [[nodiscard]] int status() const { return status_; }

private:
    void end_line();
    [[nodiscard]] int line_status() const;

    // "HTTP/1.1 200" and what follows: the rest of a line says nothing that matters.
    static constexpr size_t kHead = 13;
    State state_ = State::more;
    bool in_header_ = false;
    uint16_t seen_ = 0;
    uint16_t line_size_ = 0;
    uint16_t status_ = 0;
    char last_ = 0;
    char head_[kHead] = {};
};

}  // namespace viscum
