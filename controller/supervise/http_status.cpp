// SPDX-License-Identifier: GPL-2.0-only
#include "base/text.h"
#include "controller/supervise/health.h"

namespace viscum {
namespace {

constexpr std::size_t kLimit = 8192;
constexpr int kSwitchingProtocols = 101;  // the one 1xx that no other status follows (RFC 9110, 15.2.2)

/// 0 for what is no status line. RFC 9112, 4: HTTP-version SP 3DIGIT SP [reason]; the second space is often missing.
int parse_status_line(std::string_view line) {
    constexpr std::string_view kVersion = "HTTP/1.";
    constexpr std::size_t kCodeAt = kVersion.size() + 2;
    constexpr std::size_t kCodeEnd = kCodeAt + 3;
    if (!line.starts_with(kVersion) || line.size() < kCodeEnd || line[kCodeAt - 1] != ' ' ||
        !parse_decimal(line.substr(kVersion.size(), 1), 9) || (line.size() > kCodeEnd && line[kCodeEnd] != ' ')) {
        return 0;
    }
    const auto status = parse_decimal(line.substr(kCodeAt, 3), 999);
    return status && *status >= 100 ? static_cast<int>(*status) : 0;
}

}  // namespace

HttpStatusReader::State HttpStatusReader::feed(std::string_view bytes) {
    for (const char c : bytes) {
        if (state_ != State::more) {
            break;
        }
        if (++seen_ > kLimit) {
            state_ = State::bad;
            why_ = cat("no HTTP status in the first ", kLimit, " bytes");
            break;
        }
        if (c != '\n') {
            line_ += c;
            continue;
        }
        if (line_.ends_with('\r')) {
            line_.pop_back();
        }
        if (in_header_) {
            in_header_ = !line_.empty();  // of an interim response, up to its empty line
        } else if (const int status = parse_status_line(line_); status == 0) {
            state_ = State::bad;
            why_ = "no HTTP/1 status line";  // not what it said instead: it is not to be trusted with our state
        } else if (status >= 200 || status == kSwitchingProtocols) {
            status_ = status;
            state_ = State::done;
        } else {
            in_header_ = true;
        }
        line_.clear();
    }
    return state_;
}

}  // namespace viscum
