// SPDX-License-Identifier: GPL-2.0-only
#include "controller/prober/http_status.h"

#include <string.h>

namespace viscum {
namespace {

constexpr int kSwitchingProtocols = 101;  // the one 1xx that no other status follows (RFC 9110, 15.2.2)
constexpr char kVersion[] = "HTTP/1.";
constexpr size_t kMinorAt = sizeof kVersion - 1;
constexpr size_t kCodeAt = kMinorAt + 2;
constexpr size_t kCodeEnd = kCodeAt + 3;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

}  // namespace

/// 0 for what is no status line. RFC 9112, 4: HTTP-version SP 3DIGIT SP [reason]; the second space is often missing.
int HttpStatusReader::line_status() const {
    if (line_size_ < kCodeEnd || memcmp(head_, kVersion, kMinorAt) != 0 || !is_digit(head_[kMinorAt]) ||
        head_[kCodeAt - 1] != ' ' || (line_size_ > kCodeEnd && head_[kCodeEnd] != ' ')) {
        return 0;
    }
    int status = 0;
    for (size_t at = kCodeAt; at < kCodeEnd; ++at) {
        if (!is_digit(head_[at])) {
            return 0;
        }
        status = status * 10 + (head_[at] - '0');
    }
    return status >= 100 ? status : 0;
}

void HttpStatusReader::end_line() {
    if (line_size_ > 0 && last_ == '\r') {
        --line_size_;
    }
    if (in_header_) {
        in_header_ = line_size_ != 0;  // of an interim response, up to its empty line
    } else if (const int status = line_status(); status == 0) {
        state_ = State::not_http;
    } else if (status >= 200 || status == kSwitchingProtocols) {
        status_ = static_cast<uint16_t>(status);
        state_ = State::done;
    } else {
        in_header_ = true;
    }
    line_size_ = 0;
}

HttpStatusReader::State HttpStatusReader::feed(const char* bytes, size_t size) {
    for (size_t i = 0; i < size && state_ == State::more; ++i) {
        if (seen_ == kProberMaxHttpHead) {
            state_ = State::too_long;
            break;
        }
        ++seen_;
        if (bytes[i] == '\n') {
            end_line();
            continue;
        }
        if (line_size_ < kHead) {
            head_[line_size_] = bytes[i];
        }
        ++line_size_;
        last_ = bytes[i];
    }
    return state_;
}

}  // namespace viscum
