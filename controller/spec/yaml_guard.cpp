// SPDX-License-Identifier: GPL-2.0-only
#include "controller/spec/yaml_guard.h"

#include <optional>

#include "base/text.h"

namespace viscum {
namespace {

constexpr std::string_view kFlow = "[]{},";
// Whatever stands before or behind them: each may begin a token, or end the one before it.
constexpr std::string_view kAlways = "[]{},:?&*!|>'\"\n";

/// The bytes of the UTF-8 character that `text` begins with; 0 where it begins with none, or with a control character
/// (C1), or with a byte order mark.
std::size_t character_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto lead = byte(0);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc2 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf5 ? 4
                                             : 0;
    if (length == 0 || length > text.size()) {
        return 0;
    }
    unsigned code = length == 1 ? lead : lead & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (byte(i) & 0x3fU);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    const bool surrogate = code >= 0xd800 && code < 0xe000;
    const bool control = (code >= 0x7f && code < 0xa0) || code == 0xfeff;
    return overlong || surrogate || control || code > 0x10ffff ? 0 : length;
}

class Guard {
public:
    Guard(std::string_view text, Mistakes& mistakes) : text_(text), mistakes_(mistakes) {}

    void run() {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (!check_byte(c) || !check_layout(c) || !check_count(c)) {
                return;
            }
            advance(c);
        }
    }

private:
    [[nodiscard]] char next() const { return at_ + 1 < text_.size() ? text_[at_ + 1] : '\n'; }

    [[nodiscard]] bool refuse(Place place, std::string what, std::string hint = {}) {
        mistakes_.add(place, std::move(what), std::move(hint));
        return false;
    }

    bool check_byte(char c) {
        if (c == '\0') {
            return refuse(place_, "a NUL byte", "this is no text file");
        }
        if (c == '\r' && next() != '\n') {
            return refuse(place_, "a carriage return within a line", "lines end with \\n or \\r\\n");
        }
        if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r') {
            return refuse(place_, cat("control character \\x", hex(static_cast<unsigned char>(c), 2)));
        }
        length_ = character_length(text_.substr(at_));
        if (length_ == 0) {
            return refuse(place_, cat("byte \\x", hex(static_cast<unsigned char>(c), 2), " is no valid UTF-8 text"));
        }
        return true;
    }

    bool check_layout(char c) {
        if (place_.column == 1 && c == '%') {
            return refuse(place_, "a YAML directive", "directives are not supported");
        }
        if (!indenting_) {
            return true;
        }
        if (c == '\t' && !tab_) {
            tab_ = place_;
        }
        indenting_ = c == ' ' || c == '\t';
        // Within brackets indentation means nothing: JSON indents with tabs.
        const bool matters = !indenting_ && c != '\n' && c != '\r' && c != '#' && flow_depth_ == 0;
        if (tab_ && matters) {
            return refuse(*tab_, "a tab in the indentation", "YAML indents with spaces");
        }
        return true;
    }

    bool check_count(char c) {
        const bool before_blank = next() == ' ' || next() == '\t' || next() == '\n' || next() == '\r';
        const auto rest = text_.substr(at_, 3);
        const bool counts = kAlways.find(c) != std::string_view::npos || (c == '-' && before_blank) ||
                            (c == '#' && (at_ == 0 || text_[at_ - 1] <= ' ')) ||
                            (place_.column == 1 && (rest == "---" || rest == "..."));
        if (counts && ++indicators_ > kMaxIndicators) {
            return refuse(place_, "too many elements",
                          cat("more than ", kMaxIndicators, " indicators such as '[' and ':', and lines"));
        }
        if (kFlow.find(c) != std::string_view::npos) {
            flow_depth_ += c == '[' || c == '{' ? 1 : c == ',' || flow_depth_ == 0 ? 0 : -1;
        }
        return true;
    }

    void advance(char c) {
        if (c == '\n') {
            place_ = {place_.line + 1, 1};
            indenting_ = true;
            tab_.reset();
        } else {
            place_.column += static_cast<int>(length_);
        }
        at_ += length_;
    }

    std::string_view text_;
    Mistakes& mistakes_;
    std::size_t at_ = 0;
    std::size_t length_ = 1;  // of the character at `at_`
    Place place_;
    bool indenting_ = true;  // only blanks so far in this line
    std::optional<Place> tab_;
    int flow_depth_ = 0;
    int indicators_ = 0;
};

}  // namespace

void check_bounds(std::string_view text, Mistakes& mistakes) {
    if (text.size() > kMaxSpecBytes) {
        mistakes.add({1, 1}, cat("the file is longer than ", kMaxSpecBytes, " bytes"));
        return;
    }
    Guard(text, mistakes).run();
}

}  // namespace viscum
