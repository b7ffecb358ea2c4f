// SPDX-License-Identifier: GPL-2.0-only
// The head of a request as strangers send it to viscum-exporter.
#include "controller/exporter/http_request.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

bool is_visible(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

/// The request as the plainest client would say it.
std::string head_of(const HttpRequest& request) {
    std::string out = (request.head ? "HEAD " : "GET ") + request.path + " HTTP/1.1\r\nHost: " + request.host + "\r\n";
    for (const auto& [name, value] :
         {std::pair("Accept", &request.accept), {"Authorization", &request.authorization}}) {
        out += value->empty() ? "" : std::string(name) + ": " + *value + "\r\n";
    }
    return out + "\r\n";
}

void check_head(std::string_view head) {
    const auto parsed = parse_head(head);
    if (const auto* refusal = std::get_if<HttpRefusal>(&parsed)) {
        require(refusal->status >= 400 && refusal->status <= 505, "a refusal has a status of its kind");
        return;
    }
    const auto& request = std::get<HttpRequest>(parsed);
    require(head.size() <= kLongestHead, "a head that is taken is short");
    require(request.path.starts_with('/') && request.path.size() <= kLongestTarget && is_visible(request.path) &&
                request.path.find('?') == std::string::npos,
            "a path is one, without its query");
    require(is_visible(request.host), "a host is one word");
    const std::string again = head_of(request);
    if (again.size() <= kLongestHead) {
        const auto same = parse_head(again);
        require(std::holds_alternative<HttpRequest>(same) && std::get<HttpRequest>(same) == request,
                "what was understood means the same when it is said plainly");
    }
    require(std::holds_alternative<HttpRefusal>(parse_head(head.substr(0, head.size() - 1))),
            "a head that is cut is refused");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = text_of(data, size);
    const auto end = head_end(bytes);
    require(end == std::string_view::npos || (end >= 4 && end <= bytes.size()), "a head ends within what was sent");
    // In memory of its own, so that a read behind its end is seen.
    const std::string head(bytes.substr(0, end));
    if (end != std::string_view::npos) {
        require(head_end(std::string_view(head).substr(0, head.size() - 1)) == std::string_view::npos,
                "the first end is the one that counts");
        check_head(head);
    } else {
        require(std::holds_alternative<HttpRefusal>(parse_head(head)), "a head without its end is refused");
    }
    return 0;
}
