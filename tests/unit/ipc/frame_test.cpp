// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ipc/frame.h"

#include <doctest/doctest.h>

using namespace viscum;

namespace {

Request sample_request() {
    Request request;
    request.verb = "deploy";
    request.service = "plates";
    request.files = {{"a.yaml", "viscum: 1\nname: \"plates\"\n"}, {"b.yaml", "\xc3\xa9\t\\\x01"}};
    request.wait_ms = 30'000;
    return request;
}

Response sample_response() {
    Response response;
    response.final = false;
    response.code = Code::unhealthy;
    response.changed = true;
    response.message = "plates: starting";
    response.hint = "look at its log";
    response.details = {"one", "two"};
    response.report = R"({"name":"x"})";
    response.facts = {{"ms_to_healthy", "310"}, {"user", ""}};
    return response;
}

std::string body(const std::string& frame) {
    return frame.substr(4);
}

}  // namespace

TEST_CASE("frame: a request and a response are read back as they were written") {
    const auto request = decode_request(body(encode(sample_request())));
    REQUIRE(request);
    CHECK(*request == sample_request());
    const auto response = decode_response(body(encode(sample_response())));
    REQUIRE(response);
    CHECK(*response == sample_response());
    CHECK(*decode_request(body(encode(Request{}))) == Request{});
    CHECK(*decode_response(body(encode(Response{}))) == Response{});
}

TEST_CASE("frame: the length stands in front in network byte order") {
    const std::string frame = encode(Request{});
    CHECK(frame.substr(0, 3) == std::string("\0\0\0", 3));
    CHECK(static_cast<std::size_t>(static_cast<unsigned char>(frame[3])) == frame.size() - 4);
}

TEST_CASE("frame: a stream may be cut at any byte") {
    const std::string stream = encode(sample_request()) + encode(Request{}) + encode(sample_response());
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
        FrameReader reader;
        std::vector<std::string> frames;
        for (const auto& part : {stream.substr(0, cut), stream.substr(cut)}) {
            REQUIRE(reader.feed(part));
            while (auto frame = reader.next()) {
                frames.push_back(std::move(*frame));
            }
        }
        REQUIRE(frames.size() == 3);
        CHECK(frames[2] == body(encode(sample_response())));
    }
    FrameReader reader;
    std::size_t frames = 0;
    for (const char byte : stream) {
        REQUIRE(reader.feed({&byte, 1}));
        frames += reader.next() ? 1U : 0U;
    }
    CHECK(frames == 3);
}

TEST_CASE("frame: no truncation yields a frame, nor a request") {
    const std::string frame = encode(sample_request());
    for (std::size_t length = 0; length < frame.size(); ++length) {
        FrameReader reader;
        REQUIRE(reader.feed(frame.substr(0, length)));
        CHECK_FALSE(reader.next());
        if (length >= 4) {
            CHECK_FALSE(decode_request(frame.substr(4, length - 4)));
        }
    }
}

TEST_CASE("frame: a flipped bit yields a request or an error, never anything else") {
    const std::string frame = encode(sample_request());
    std::size_t refused = 0;
    for (std::size_t at = 0; at < frame.size(); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string flipped = frame;
            flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
            FrameReader reader;
            if (!reader.feed(flipped)) {
                CHECK(at < 4);
                CHECK_FALSE(reader.next());
                ++refused;
                continue;
            }
            if (const auto json = reader.next()) {
                const auto request = decode_request(*json);
                refused += request ? 0U : 1U;
                if (request) {
                    CHECK_FALSE(*request == sample_request());
                }
            }
        }
    }
    CHECK(refused > frame.size());
}

TEST_CASE("frame: a length of zero or above the limit ends the stream") {
    for (const auto& header : {std::string("\0\0\0\0", 4), std::string("\x40\0\0\0", 4), std::string("\0\x10\0\1", 4),
                               std::string("\xff\xff\xff\xff", 4)}) {
        FrameReader reader;
        CHECK_FALSE(reader.feed(header));
        CHECK_FALSE(reader.feed(encode(Request{})));
        CHECK_FALSE(reader.next());
    }
    FrameReader longest;
    CHECK(longest.feed(std::string("\0\x10\0\0", 4)));
    CHECK(longest.feed(std::string(kMaxFrame, ' ')));
    REQUIRE(longest.next());
}

TEST_CASE("frame: a wrong length behind a whole frame is told once that frame was taken") {
    FrameReader reader;
    REQUIRE(reader.feed(encode(Request{}) + std::string(4, '\0')));
    CHECK(reader.next());
    CHECK_FALSE(reader.next());
    CHECK_FALSE(reader.feed(""));
}

TEST_CASE("frame: a request with a missing, wrong, doubled or unknown field is refused with its name") {
    const auto refused = [](const std::string& json) {
        const auto request = decode_request(json);
        return request ? "accepted" : request.error().what;
    };
    CHECK(refused(R"({"verb":"list","service":"","wait_ms":-1,"confirm_ms":-1,"by":"","files":[]})") == "accepted");
    CHECK(refused(R"({"verb":"list","service":"","wait_ms":-1,"confirm_ms":-1,"by":""})") ==
          "invalid request: field 'files' is missing");
    CHECK(refused(R"({"verb":1,"service":"","wait_ms":-1,"confirm_ms":-1,"by":"","files":[]})") ==
          "invalid request: field 'verb' has another type");
    CHECK(refused(R"({"verb":"list","service":null,"wait_ms":-1,"files":[]})") ==
          "invalid request: field 'service' has another type");
    CHECK(refused(R"({"verb":"list","service":"","wait_ms":"1","files":[]})") ==
          "invalid request: field 'wait_ms' has another type");
    CHECK(refused(R"({"verb":"list","service":"","wait_ms":9223372036854775808,"files":[]})") ==
          "invalid request: field 'wait_ms' is out of range");
    CHECK(refused(R"({"verb":"list","service":"","wait_ms":1.5,"files":[]})") ==
          "invalid request: a number is not whole");
    CHECK(refused(R"({"verb":"list","service":"","wait_ms":1e999,"files":[]})") ==
          "invalid request: not JSON at byte 43");
    CHECK(refused(R"({"verb":"list","service":"","wait_ms":-1,"confirm_ms":-1,"by":"","files":["x"]})") ==
          "invalid request: field 'files': not an object");
    CHECK(refused(R"({"verb":"list","service":"","wait_ms":-1,"confirm_ms":-1,"by":"","files":[{"name":"x"}]})") ==
          "invalid request: field 'files': field 'text' is missing");
    CHECK(refused(R"({"verb":"list","verb":"remove","service":"","wait_ms":-1,"confirm_ms":-1,"by":"","files":[]})") ==
          "invalid request: field 'verb' occurs twice");
    CHECK(refused(R"({"verb":"list","service":"","wait_ms":-1,"confirm_ms":-1,"by":"","files":[],"share":1})") ==
          "invalid request: a field that this version does not know");
    CHECK(refused("[]") == "invalid request: not an object");
    CHECK(refused("") == "invalid request: not JSON at byte 1");
    CHECK(refused("{} {}") == "invalid request: not JSON at byte 4");
}

TEST_CASE("frame: an answer with a field that this version does not know is read, one with an unknown code is not") {
    std::string json = body(encode(Response{}));
    CHECK(decode_response("{\"later\":[{}]," + json.substr(1)));
    const auto code = json.find("\"code\":0");
    REQUIRE(code != std::string::npos);
    CHECK_FALSE(decode_response(json.replace(code, 8, "\"code\":7")));
}

TEST_CASE("frame: deep nesting, and many values, are refused while they are read") {
    for (const std::string& bomb : {std::string(kMaxFrame, '['), std::string(kMaxFrame, '{')}) {
        CHECK_FALSE(decode_request(bomb));
    }
    std::string objects;
    while (objects.size() < kMaxFrame) {
        objects += "{\"a\":";
    }
    const auto deep = decode_request(objects);
    REQUIRE_FALSE(deep);
    CHECK(deep.error().what == "invalid request: nested deeper than 16");
    std::string wide = "[";
    while (wide.size() < kMaxFrame) {
        wide += "0,";
    }
    CHECK(decode_request(wide).error().what == "invalid request: too many values");
    std::string names = "{";
    for (int i = 0; names.size() < kMaxFrame; ++i) {
        names += "\"" + std::to_string(i) + "\":0,";
    }
    CHECK(decode_request(names).error().what == "invalid request: an object has too many fields");
}

TEST_CASE("frame: text that is not UTF-8 is replaced when written and refused when read") {
    Request request;
    request.verb =
        "a\xff"
        "b";
    const auto back = decode_request(body(encode(request)));
    REQUIRE(back);
    CHECK(back->verb ==
          "a\xef\xbf\xbd"
          "b");
    CHECK_FALSE(decode_request("{\"verb\":\"a\xff\",\"service\":\"\",\"wait_ms\":-1,\"files\":[]}"));
}
