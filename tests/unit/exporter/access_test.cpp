// SPDX-License-Identifier: GPL-2.0-only
#include "controller/exporter/access.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace viscum;

namespace {

struct File {
    File() {
        char name[] = "/tmp/viscum-token-XXXXXX";
        dir = mkdtemp(name);
        path = dir + "/token";
    }
    ~File() { std::filesystem::remove_all(dir); }
    Result<std::string> read(const std::string& text, mode_t mode = 0640) const {
        std::ofstream(path, std::ios::binary) << text;
        chmod(path.c_str(), mode);
        return read_token(path);
    }
    std::string dir;
    std::string path;
};

HttpRequest showing(const std::string& authorization) {
    HttpRequest request;
    request.authorization = authorization;
    return request;
}

}  // namespace

TEST_CASE("access: addresses, and which of them only this machine reaches") {
    const auto loopback = [](const std::string& text) {
        const auto address = ListenAddress::parse(text);
        REQUIRE_MESSAGE(address, text);
        return address->loopback;
    };
    CHECK(loopback("127.0.0.1:9477"));
    CHECK(loopback("127.9.9.9:1"));
    CHECK(loopback("[::1]:9477"));
    CHECK_FALSE(loopback("0.0.0.0:9477"));
    CHECK_FALSE(loopback("192.0.2.1:9477"));
    CHECK_FALSE(loopback("[::]:9477"));
    CHECK_FALSE(loopback("[::ffff:127.0.0.1]:9477"));
    CHECK_FALSE(loopback(":9477"));
    for (const auto* text : {"", "9477", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "::1:9477",
                             "localhost:9477", "[::1]", "[127.0.0.1]:1", "127.1:80", "[]:1"}) {
        CAPTURE(text);
        CHECK_FALSE(ListenAddress::parse(text));
    }
}

TEST_CASE("access: a token is one line that others cannot read") {
    const File file;
    CHECK(*file.read("0123456789abcdef\n") == "0123456789abcdef");
    CHECK(*file.read("0123456789abcdef", 0600) == "0123456789abcdef");
    CHECK(*file.read(std::string(kLongestToken, 'a')) == std::string(kLongestToken, 'a'));
    CHECK_FALSE(file.read("0123456789abcdef", 0644));
    CHECK_FALSE(file.read(""));
    CHECK_FALSE(file.read("0123456789abcde"));
    CHECK_FALSE(file.read("0123456789abcdef\n\n"));
    CHECK_FALSE(file.read("0123456789 abcdef"));
    CHECK_FALSE(file.read("0123456789\xff abcdef"));
    CHECK_FALSE(file.read(std::string(kLongestToken + 1, 'a')));
    CHECK_FALSE(file.read(std::string(100'000, 'a')));
    CHECK_FALSE(read_token(file.dir));
    CHECK_FALSE(read_token(file.dir + "/none"));
    // What is wrong with it is said without it.
    CHECK(file.read("short-secret").error().what.find("short-secret") == std::string::npos);
}

TEST_CASE("access: a token is shown whole, as a bearer's, or not at all") {
    const std::string token = "0123456789abcdef";
    CHECK(shows_token(showing("Bearer " + token), token));
    CHECK(shows_token(showing("bearer " + token), token));
    for (const auto& shown :
         {"", "Bearer", "Bearer ", "Bearer 0123456789abcde", "Bearer 0123456789abcdefg", "Bearer 0123456789abcdeF",
          "Bearer  0123456789abcdef", "Basic 0123456789abcdef", "0123456789abcdef", "Bearer0123456789abcdef"}) {
        CAPTURE(shown);
        CHECK_FALSE(shows_token(showing(shown), token));
    }
    CHECK(same_secret("", ""));
    CHECK_FALSE(same_secret("a", ""));
    CHECK_FALSE(same_secret("", "a"));
    CHECK_FALSE(same_secret("ab", "abab"));
}

TEST_CASE("access: a name that leads here is not this machine's own name for itself") {
    for (const auto* host : {"127.0.0.1", "192.0.2.7", "[::1]", "[2001:db8::1]", "localhost", "localhost.", ""}) {
        CAPTURE(host);
        CHECK(is_own_host(host));
    }
    for (const auto* host : {"evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[evil]", "[]",
                             "0x7f.1", "127.1", "2130706433", "::1"}) {
        CAPTURE(host);
        CHECK_FALSE(is_own_host(host));
    }
}
