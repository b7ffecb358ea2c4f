// SPDX-License-Identifier: GPL-2.0-only
#include "controller/exporter/http_request.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace viscum {
namespace {

constexpr HttpRefusal kBad{400};
constexpr HttpRefusal kMethod{405};
constexpr HttpRefusal kTarget{414};
constexpr HttpRefusal kTooLarge{431};
constexpr HttpRefusal kUnknownMethod{501};
constexpr HttpRefusal kVersion{505};

char lower(char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

bool same_name(std::string_view a, std::string_view b) {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

/// RFC 9110, 5.6.2.
bool is_token(std::string_view text) {
    static constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               kMarks.find(c) != std::string_view::npos;
    });
}

bool is_visible(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

/// Of a value: printable, blanks and tabs inside; bytes above ASCII pass, and mean nothing to us.
bool is_value(std::string_view text) {
    return std::ranges::none_of(text, [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

std::string_view trimmed(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && blank(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

/// The next line without its CR LF; nullopt where it ends otherwise.
std::optional<std::string_view> take_line(std::string_view& rest) {
    const auto end = rest.find('\n');
    if (end == std::string_view::npos || end == 0 || rest[end - 1] != '\r') {
        return std::nullopt;
    }
    const auto line = rest.substr(0, end - 1);
    rest.remove_prefix(end + 1);
    return line.find('\r') == std::string_view::npos ? std::optional(line) : std::nullopt;
}

std::optional<HttpRefusal> read_request_line(std::string_view line, HttpRequest& out, bool& needs_host) {
    const auto first = line.find(' ');
    const auto last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) {
        return kBad;
    }
    const auto method = line.substr(0, first);
    const auto target = line.substr(first + 1, last - first - 1);
    const auto version = line.substr(last + 1);
    if (!is_token(method)) {
        return kBad;
    }
    if (version != "HTTP/1.1" && version != "HTTP/1.0") {
        return version.starts_with("HTTP/") ? kVersion : kBad;
    }
    if (method != "GET" && method != "HEAD") {
        constexpr std::string_view kKnown[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"};
        return std::ranges::find(kKnown, method) != std::end(kKnown) ? kMethod : kUnknownMethod;
    }
    if (target.size() > kLongestTarget) {
        return kTarget;
    }
    if (target.empty() || target.front() != '/' || !is_visible(target)) {
        return kBad;
    }
    needs_host = version == "HTTP/1.1";
    out.head = method == "HEAD";
    out.path = target.substr(0, target.find('?'));
    return std::nullopt;
}

/// "192.0.2.1:80" -> "192.0.2.1", "[::1]:80" -> "[::1]"; nullopt where it is none.
std::optional<std::string> host_of(std::string_view value) {
    if (!is_visible(value) || value.find_first_of("/\\@,?#\"<>") != std::string_view::npos) {
        return std::nullopt;
    }
    const auto from = value.starts_with('[') ? value.find(']') : 0;
    if (from == std::string_view::npos) {
        return std::nullopt;
    }
    const auto colon = value.find(':', from);
    const auto port = colon == std::string_view::npos ? "" : value.substr(colon + 1);
    if (port.size() > 5 || !std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; })) {
        return std::nullopt;
    }
    return std::string(value.substr(0, colon));
}

/// Headers of which a second one would be another meaning; each is told apart from one that is empty.
struct Seen {
    bool host = false;
    bool authorization = false;
};

bool read_header(std::string_view line, HttpRequest& out, Seen& seen) {
    const auto colon = line.find(':');
    const auto name = line.substr(0, colon);
    if (colon == std::string_view::npos || !is_token(name)) {
        return false;
    }
    const auto value = trimmed(line.substr(colon + 1));
    if (!is_value(value)) {
        return false;
    }
    if (same_name(name, "transfer-encoding") || same_name(name, "upgrade") || same_name(name, "expect")) {
        return false;
    }
    if (same_name(name, "content-length")) {
        return value == "0";
    }
    if (same_name(name, "host")) {
        const auto host = host_of(value);
        if (!host || std::exchange(seen.host, true)) {
            return false;
        }
        out.host = *host;
    } else if (same_name(name, "authorization")) {
        if (std::exchange(seen.authorization, true)) {
            return false;
        }
        out.authorization = value;
    } else if (same_name(name, "accept")) {
        out.accept += out.accept.empty() ? "" : ",";
        out.accept += value;
    }
    return true;
}

}  // namespace

std::size_t head_end(std::string_view bytes) {
    const auto found = bytes.find("\r\n\r\n");
    return found == std::string_view::npos ? found : found + 4;
}

std::variant<HttpRequest, HttpRefusal> parse_head(std::string_view head) {
    if (head.size() > kLongestHead) {
        return kTooLarge;
    }
    HttpRequest out;
    bool needs_host = false;
    auto rest = head;
    const auto first = take_line(rest);
    if (!first) {
        return kBad;
    }
    if (const auto refusal = read_request_line(*first, out, needs_host)) {
        return *refusal;
    }
    Seen seen;
    for (std::size_t count = 0;; ++count) {
        const auto line = take_line(rest);
        if (!line) {
            return kBad;
        }
        if (line->empty()) {
            break;
        }
        if (count == kMostHeaders) {
            return kTooLarge;
        }
        if (!read_header(*line, out, seen)) {
            return kBad;
        }
    }
    if (needs_host && !seen.host) {
        return kBad;
    }
    return out;
}

}  // namespace viscum
