// SPDX-License-Identifier: GPL-2.0-only
// What viscumd reads from a client: frames, JSON, requests.
#include "controller/ipc/frame.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/json_text.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

struct Cut {
    std::vector<std::string> frames;
    bool broken = false;
};

/// The frames of a stream that comes in pieces of `piece` bytes.
Cut cut(std::string_view stream, std::size_t piece) {
    Cut seen;
    FrameReader reader;
    while (!stream.empty() && !seen.broken) {
        const auto part = stream.substr(0, piece);
        stream.remove_prefix(part.size());
        seen.broken = !reader.feed(part);
        while (auto json = reader.next()) {
            require(!json->empty() && json->size() <= kMaxFrame, "a frame is of a length that is allowed");
            seen.frames.push_back(std::move(*json));
            seen.broken = !reader.feed("");
        }
    }
    require(!seen.broken || (!reader.feed("x") && !reader.next()), "what is broken stays so");
    return seen;
}

void check_request(std::string_view json) {
    const auto request = decode_request(json);
    if (!request) {
        require(!request.error().what.empty() && request.error().what.size() < 4096 + json.size(),
                "a refusal says why");
        return;
    }
    const auto again = cut(encode(*request), SIZE_MAX);
    require(again.frames.size() == 1 && !again.broken, "a request is one frame");
    const auto same = decode_request(again.frames.front());
    require(same && *same == *request, "a request is read back as it was written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = text_of(data, size);
    check_json(text);
    check_request(text);

    const auto whole = cut(text, SIZE_MAX);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, size / 2 + 1}) {
        const auto pieces = cut(text, piece);
        require(pieces.frames == whole.frames && pieces.broken == whole.broken,
                "frames do not depend on how they came");
    }
    for (const auto& frame : whole.frames) {
        check_request(frame);
    }
    return 0;
}
