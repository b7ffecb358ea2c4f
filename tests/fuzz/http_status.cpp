// SPDX-License-Identifier: GPL-2.0-only
// The status line of a service's answer, read in pieces, beside a reader that has all of it at once.
#include "controller/prober/http_status.h"

#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

using State = HttpStatusReader::State;

struct Verdict {
    State state = State::more;
    int status = 0;
    bool operator==(const Verdict&) const = default;
};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// RFC 9112, 4: "HTTP/1." DIGIT SP 3DIGIT, and then the end or a blank; 0 for anything else.
int status_of(std::string_view line) {
    if (line.size() < 12 || !line.starts_with("HTTP/1.") || !is_digit(line[7]) || line[8] != ' ' ||
        (line.size() > 12 && line[12] != ' ') || !std::all_of(line.begin() + 9, line.begin() + 12, is_digit)) {
        return 0;
    }
    const int status = std::stoi(std::string(line.substr(9, 3)));
    return status >= 100 ? status : 0;
}

Verdict expected(std::string_view answer) {
    bool in_header = false;
    for (std::size_t at = 0; at < answer.size();) {
        const auto end = answer.find('\n', at);
        if (end >= kProberMaxHttpHead) {
            return {answer.size() > kProberMaxHttpHead ? State::too_long : State::more, 0};
        }
        auto line = answer.substr(at, end - at);
        line.remove_suffix(line.ends_with('\r') ? 1 : 0);
        at = end + 1;
        if (in_header) {
            in_header = !line.empty();
            continue;
        }
        const int status = status_of(line);
        if (status == 0) {
            return {State::not_http, 0};
        }
        if (status >= 200 || status == 101) {
            return {State::done, status};
        }
        in_header = true;
    }
    return {State::more, 0};
}

/// `piece`: bytes at a time, each piece in memory of its own.
Verdict read(std::string_view answer, std::size_t piece) {
    HttpStatusReader reader;
    while (!answer.empty()) {
        Input part(reinterpret_cast<const std::uint8_t*>(answer.data()), std::min(piece, answer.size()));
        const std::string bytes = part.rest();
        answer.remove_prefix(bytes.size());
        const State before = reader.state();
        const State after = reader.feed(bytes.data(), bytes.size());
        require(before == State::more || before == after, "a verdict stands");
    }
    return {reader.state(), reader.status()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto answer = text_of(data, size);
    const Verdict right = expected(answer);
    for (const std::size_t piece : {SIZE_MAX, std::size_t{1}, std::size_t{7}, std::size_t{4096}}) {
        require(read(answer, piece) == right, "the status is the one of the answer, however it came");
    }
    require((right.state == State::done) == (right.status >= 100 && right.status <= 999), "a status has three digits");
    return 0;
}
