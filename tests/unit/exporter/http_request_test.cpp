// SPDX-License-Identifier: GPL-2.0-only
#include "controller/exporter/http_request.h"

#include <doctest/doctest.h>

#include "base/text.h"

using namespace viscum;

namespace {

int refusal(const std::string& head) {
    const auto parsed = parse_head(head);
    const auto* refused = std::get_if<HttpRefusal>(&parsed);
    return refused == nullptr ? 0 : refused->status;
}

HttpRequest request(const std::string& head) {
    const auto parsed = parse_head(head);
    REQUIRE(std::holds_alternative<HttpRequest>(parsed));
    return std::get<HttpRequest>(parsed);
}

std::string with(const std::string& lines) {
    return cat("GET / HTTP/1.1\r\nHost: localhost\r\n", lines, "\r\n");
}

}  // namespace

TEST_CASE("http: a head is understood, its names in any case") {
    const auto read = request(
        "HEAD /metrics?x=1 HTTP/1.1\r\nhOST:  127.0.0.1:9477 \r\nAccept: text/plain\r\naccept: a/b\r\n"
        "Authorization: Bearer abc\r\nContent-Length: 0\r\nX: \xff\r\n\r\n");
    CHECK(read == HttpRequest{true, "/metrics", "127.0.0.1", "text/plain,a/b", "Bearer abc"});
    CHECK(request("GET / HTTP/1.0\r\n\r\n").host.empty());
    CHECK(request("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n").host == "[::1]");
    CHECK(request("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n").host == "[::1]");
}

TEST_CASE("http: what two readers could take for two things is refused") {
    CHECK(refusal("GET / HTTP/1.1\r\n\r\n") == 400);
    for (const auto* line :
         {"Host: other\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 1\r\n", "Content-Length: 00\r\n",
          "Upgrade: h2c\r\n", "Expect: 100-continue\r\n", " folded: 1\r\n", "\tfolded\r\n", "A : b\r\n", ": b\r\n",
          "A\r\n", "A: b\rc\r\n", "A: b\n", "A: \x01\r\n", "Authorization: a\r\nAuthorization: b\r\n"}) {
        CAPTURE(line);
        CHECK(refusal(with(line)) == 400);
    }
    CHECK(refusal(with(std::string("A: b\0c\r\n", 8))) == 400);
    for (const auto* host : {"a/b", "user@a", "a b", "[::1", "a:80:90", "a:b", "a:123456", "a,b"}) {
        CAPTURE(host);
        CHECK(refusal(cat("GET / HTTP/1.1\r\nHost: ", host, "\r\n\r\n")) == 400);
    }
}

TEST_CASE("http: request lines") {
    const auto line = [](const std::string& text) { return refusal(cat(text, "\r\nHost: a\r\n\r\n")); };
    CHECK(line("GET / HTTP/1.1") == 0);
    CHECK(line("POST / HTTP/1.1") == 405);
    CHECK(line("OPTIONS * HTTP/1.1") == 405);
    CHECK(line("BREW / HTTP/1.1") == 501);
    CHECK(line("G(T / HTTP/1.1") == 400);
    CHECK(line("GET / HTTP/2.0") == 505);
    CHECK(line("GET /") == 400);
    CHECK(line("GET  HTTP/1.1") == 400);
    CHECK(line("GET http://a/ HTTP/1.1") == 400);
    CHECK(line("GET /a b HTTP/1.1") == 400);
    CHECK(line("GET /\xff HTTP/1.1") == 400);
    CHECK(line("GET /\t HTTP/1.1") == 400);
    CHECK(line("") == 400);
    CHECK(line(cat("GET /", std::string(kLongestTarget, 'a'), " HTTP/1.1")) == 414);
}

TEST_CASE("http: a head is bounded in its bytes and its headers") {
    std::string lines;
    for (std::size_t i = 0; i < kMostHeaders - 1; ++i) {
        lines += "A: b\r\n";
    }
    CHECK(refusal(with(lines)) == 0);
    CHECK(refusal(with(lines + "A: b\r\n")) == 431);
    CHECK(refusal(with(cat("A: ", std::string(kLongestHead, 'a'), "\r\n"))) == 431);
    CHECK(head_end("GET / HTTP/1.1\r\n\r\nrest") == 18);
    CHECK(head_end("GET / HTTP/1.1\r\n\r") == std::string::npos);
}

TEST_CASE("http: no beginning of a head, and none with a byte changed, is more than refused") {
    const std::string whole = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
    for (std::size_t length = 0; length < whole.size(); ++length) {
        CHECK(refusal(whole.substr(0, length)) != 0);
    }
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (int value = 0; value < 256; ++value) {
            std::string changed = whole;
            changed[at] = static_cast<char>(value);
            const auto parsed = parse_head(changed);
            if (const auto* read = std::get_if<HttpRequest>(&parsed)) {
                CHECK(read->path.starts_with('/'));
            }
        }
    }
}
