// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "controller/prober/http_status.h"

namespace viscum {
namespace {

using State = HttpStatusReader::State;

State feed(HttpStatusReader& reader, std::string_view bytes) {
    return reader.feed(bytes.data(), bytes.size());
}

/// The status, -1 for what is none, 0 for `more`.
int outcome(const HttpStatusReader& reader) {
    switch (reader.state()) {
        case State::done: return reader.status();
        case State::more: return 0;
        default: return -1;
    }
}

int read_whole(std::string_view text) {
    HttpStatusReader reader;
    (void)feed(reader, text);
    return outcome(reader);
}

int read_in_two(std::string_view text, std::size_t at) {
    HttpStatusReader reader;
    (void)feed(reader, text.substr(0, at));
    (void)feed(reader, text.substr(at));
    return outcome(reader);
}

int read_bytewise(std::string_view text) {
    HttpStatusReader reader;
    for (const char& c : text) {
        (void)reader.feed(&c, 1);
    }
    return outcome(reader);
}

struct Sample {
    std::string text;
    int status;
};

const Sample kSamples[] = {
    {"HTTP/1.1 200 OK\r\n\r\n", 200},
    {"HTTP/1.0 503 Service Unavailable\r\nServer: x\r\n\r\n", 503},
    {"HTTP/1.1 200 OK\n\n", 200},
    {"HTTP/1.1 204 \r\n", 204},
    {"HTTP/1.1 204\r\n", 204},
    {"HTTP/1.7 299 \xff\xfe reason with bytes\r\n", 299},
    {"HTTP/1.1 999 as some load balancers say\r\n", 999},
    {"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 200},
    {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nLink: </y>\r\n\r\nHTTP/1.1 100 Continue\n\nHTTP/1.1 404 No\r\n", 404},
    {"HTTP/1.1 100 Continue\r\nHTTP/1.1 200 OK\r\n\r\n", 0},  // a header's line, odd as it is
    {"HTTP/1.1 200 OK", 0},
    {"", 0},
    {"\r\nHTTP/1.1 200 OK\r\n", -1},
    {" HTTP/1.1 200 OK\r\n", -1},
    {"HTTP/1.1  200 OK\r\n", -1},
    {"HTTP/1.1\t200 OK\r\n", -1},
    {"HTTP/1.1 200\tOK\r\n", -1},
    {"HTTP/1.1 2000 OK\r\n", -1},
    {"HTTP/1.1 20 OK\r\n", -1},
    {"HTTP/1.1 099 OK\r\n", -1},
    {"HTTP/1.1 000 OK\r\n", -1},
    {"HTTP/1.1 +20 OK\r\n", -1},
    {"HTTP/1.1 -20 OK\r\n", -1},
    {"HTTP/1.1 0x2 OK\r\n", -1},
    {"HTTP/1.1 2OO OK\r\n", -1},
    {"HTTP/2 200\r\n", -1},
    {"HTTP/2.0 200 OK\r\n", -1},
    {"HTTP/1.x 200 OK\r\n", -1},
    {"HTTP/1. 200 OK\r\n", -1},
    {"HTTP/1.11 200 OK\r\n", -1},
    {"http/1.1 200 OK\r\n", -1},
    {"ICY 200 OK\r\n", -1},
    {"SSH-2.0-OpenSSH_9.2p1\r\n", -1},
    {"<html>\n", -1},
    {std::string("\x15\x03\x01\x00\x02\x02\x0a", 7), -1},  // a TLS alert
    {std::string("HTTP/1.1\0 200 OK\r\n", 18), -1},
    {std::string("HTTP/1.1 200\0 OK\r\n", 18), -1},
    {std::string("\0\0\0\0\n", 5), -1},
    {"HTTP/1.1 100 Continue\r\n\r\nrubbish\r\n", -1},
    {"\n", -1},
};

TEST_CASE("prober: an HTTP status is read the same however the bytes come in") {
    for (const auto& [text, status] : kSamples) {
        CAPTURE(text);
        CHECK(read_whole(text) == status);
        CHECK(read_bytewise(text) == status);
        for (std::size_t at = 0; at <= text.size(); ++at) {
            CHECK(read_in_two(text, at) == status);
        }
    }
}

TEST_CASE("prober: an HTTP status, once read, stays") {
    HttpStatusReader reader;
    CHECK(feed(reader, "HTTP/1.1 200 OK\r\n") == State::done);
    CHECK(feed(reader, "HTTP/1.1 500 No\r\n") == State::done);
    CHECK(feed(reader, std::string(100'000, 'x')) == State::done);
    CHECK(reader.status() == 200);
    HttpStatusReader bad;
    CHECK(feed(bad, "no\n") == State::not_http);
    CHECK(feed(bad, "HTTP/1.1 200 OK\r\n") == State::not_http);
    CHECK(bad.status() == 0);
}

TEST_CASE("prober: an HTTP answer without line ends is given up after 8 KiB") {
    for (const char c : {'x', '\0', '\r', ' '}) {
        HttpStatusReader reader;
        CHECK(feed(reader, "HTTP/1.1 200 ") == State::more);
        CHECK(feed(reader, std::string(8192 - 13, c)) == State::more);
        CHECK(feed(reader, std::string(1, c)) == State::too_long);
        const std::string chunk(1 << 20, c);
        for (int i = 0; i < 64; ++i) {
            CHECK(feed(reader, chunk) == State::too_long);
        }
    }
}

TEST_CASE("prober: interim HTTP answers without end are given up after 8 KiB") {
    HttpStatusReader reader;
    State state = State::more;
    int count = 0;
    for (; state == State::more && count < 10'000; ++count) {
        state = feed(reader, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    CHECK(state == State::too_long);
    CHECK(count == 8192 / 25 + 1);
}

TEST_CASE("prober: an HTTP status line at the very end of the 8 KiB is read") {
    const std::string line = "HTTP/1.1 200 OK\r\n";
    std::string text = "HTTP/1.1 100 Continue\r\n";
    text += std::string(8192 - text.size() - line.size() - 4, 'h') + "\r\n\r\n" + line;
    REQUIRE(text.size() == 8192);
    CHECK(read_whole(text) == 200);
    CHECK(read_bytewise(text) == 200);
    CHECK(read_whole("HTTP/1.1 100 Continue\r\nx" + text.substr(23)) == -1);
}

TEST_CASE("prober: recorded HTTP answers are read at every split") {
    const std::string corpus = VISCUM_SOURCE_DIR "/../shared/corpora/http-responses";
    const auto names = list_directory(corpus);
    REQUIRE(names);
    int answers = 0;
    for (const auto& name : *names) {
        if (name == "LICENSE") {
            continue;
        }
        CAPTURE(name);
        const auto text = read_file(corpus + "/" + name, 1 << 20);
        REQUIRE(text);
        const int status = read_whole(*text);
        // "5" is an interim answer with an empty line too many.
        CHECK(status == (name == "5" ? -1 : static_cast<int>(*parse_decimal(text->substr(9, 3), 999))));
        CHECK(read_bytewise(*text) == status);
        for (std::size_t at = 0; at <= text->size(); ++at) {
            REQUIRE(read_in_two(*text, at) == status);
        }
        ++answers;
    }
    if (answers == 0) {
        MESSAGE("SKIPPED: no recorded answers in ", corpus);
    }
}

}  // namespace
}  // namespace viscum
