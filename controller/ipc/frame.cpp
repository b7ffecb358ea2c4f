// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ipc/frame.h"

#include "controller/ipc/json.h"

namespace viscum {
namespace {

struct File {
    std::string name;
    std::string text;
};

void fields(auto& io, FieldsOf<File> auto& file) {
    io.field("name", file.name);
    io.field("text", file.text);
}

// `files` stands apart: its elements are pairs.
void fields(auto& io, FieldsOf<Request> auto& request) {
    io.field("verb", request.verb);
    io.field("service", request.service);
    io.field("wait_ms", request.wait_ms);
    io.field("confirm_ms", request.confirm_ms);
    io.field("by", request.by);
}

// So does `code`, an enumeration.
void fields(auto& io, FieldsOf<Response> auto& response) {
    io.field("final", response.final);
    io.field("changed", response.changed);
    io.field("message", response.message);
    io.field("hint", response.hint);
    io.field("details", response.details);
    io.field("report", response.report);
    io.field("facts", response.facts);
}

std::string frame(const std::string& json) {
    std::string out;
    for (int shift = 24; shift >= 0; shift -= 8) {
        out += static_cast<char>((json.size() >> shift) & 0xff);
    }
    return out + json;
}

std::size_t frame_length(std::string_view header) {
    std::size_t length = 0;
    for (const char byte : header.substr(0, 4)) {
        length = length << 8 | static_cast<unsigned char>(byte);
    }
    return length;
}

}  // namespace

std::string encode(const Request& request) {
    JsonOut out;
    fields(out, request);
    if (request.days >= 0) {  // of one verb alone, and newer than the others
        out.field("days", request.days);
    }
    std::vector<File> files;
    for (const auto& [name, text] : request.files) {
        files.push_back({name, text});
    }
    out.field("files", files);
    return frame(std::move(out).text());
}

std::string encode(const Response& response) {
    JsonOut out;
    fields(out, response);
    out.field("code", static_cast<std::uint64_t>(response.code));
    return frame(std::move(out).text());
}

Result<Request> decode_request(std::string_view json) {
    const auto value = parse_json(json);
    if (!value) {
        return value.error().in("invalid request");
    }
    JsonIn in(*value);
    Request request;
    fields(in, request);
    std::vector<File> files;
    in.field("files", files);
    if (value->member("days") != nullptr) {
        in.field("days", request.days);
    }
    for (auto& file : files) {
        request.files.emplace_back(std::move(file.name), std::move(file.text));
    }
    // A newer viscumctl asks for something that would silently not happen.
    in.only_known();
    if (const auto status = in.status(); !status) {
        return status.error().in("invalid request");
    }
    return request;
}

Result<Response> decode_response(std::string_view json) {
    const auto value = parse_json(json);
    if (!value) {
        return value.error().in("invalid answer");
    }
    JsonIn in(*value);
    Response response;
    fields(in, response);
    std::uint64_t code = 0;
    in.field("code", code);
    if (code > static_cast<std::uint64_t>(Code::no_such_service)) {
        in.fail("an unknown code");
    }
    if (const auto status = in.status(); !status) {
        return status.error().in("invalid answer");
    }
    response.code = static_cast<Code>(code);
    return response;
}

Status FrameReader::feed(std::string_view bytes) {
    if (!broken_) {
        buffer_ += bytes;
        if (buffer_.size() >= 4) {
            const auto length = frame_length(buffer_);
            broken_ = length == 0 || length > limit_;
        }
    }
    if (broken_) {
        buffer_ = {};
        return Error{EBADMSG, cat("a message's length is not 1 to ", limit_, " bytes")};
    }
    return {};
}

std::optional<std::string> FrameReader::next() {
    if (broken_ || buffer_.size() < 4) {
        return std::nullopt;
    }
    const auto length = frame_length(buffer_);
    if (length == 0 || length > limit_ || buffer_.size() - 4 < length) {
        return std::nullopt;  // a wrong length is told by the next feed
    }
    std::string json = buffer_.substr(4, length);
    buffer_.erase(0, 4 + length);
    return json;
}

}  // namespace viscum
