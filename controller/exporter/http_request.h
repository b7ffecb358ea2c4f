// SPDX-License-Identifier: GPL-2.0-only
// What a stranger asks, as far as it is understood: the head of one GET or HEAD. Pure. Strict where others are lenient:
// what two readers could understand differently is refused.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

namespace viscum {

/// Bytes of a head, its end included; a browser's has about 700.
constexpr std::size_t kLongestHead = 8192;
constexpr std::size_t kLongestTarget = 1024;
constexpr std::size_t kMostHeaders = 64;

struct HttpRequest {
    bool head = false;          // HEAD: the answer has no body
    std::string path;           // "/metrics": as it was sent, without the query; never decoded
    std::string host;           // without its port; empty: none was sent (HTTP/1.0)
    std::string accept;         // of several headers: with a comma between them
    std::string authorization;  // verbatim
    bool operator==(const HttpRequest&) const = default;
};

/// The status that a request is refused with: 400, 405, 414, 431, 501 or 505.
struct HttpRefusal {
    int status = 400;
    bool operator==(const HttpRefusal&) const = default;
};

/// Where the head ends, which begins at 0: behind its empty line; npos: not yet.
std::size_t head_end(std::string_view bytes);

/// `head` ends with the empty line. A body is refused: nothing here takes one.
std::variant<HttpRequest, HttpRefusal> parse_head(std::string_view head);

}  // namespace viscum
