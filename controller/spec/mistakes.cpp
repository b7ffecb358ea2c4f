// SPDX-License-Identifier: GPL-2.0-only
#include "controller/spec/mistakes.h"

#include <algorithm>

#include "base/text.h"

namespace viscum {
namespace {

Place place_of(const Diagnostic& diagnostic) {
    return {diagnostic.line, diagnostic.column};
}

}  // namespace

std::string Diagnostic::text() const {
    std::string out = file;
    if (line > 0) {
        out += cat(':', line, ':', column);
    }
    out += cat(": ", what);
    return hint.empty() ? out : cat(out, " (", hint, ')');
}

void Mistakes::add(Place place, std::string what, std::string hint) {
    const auto behind = std::upper_bound(found_.begin(), found_.end(), place,
                                         [](Place left, const Diagnostic& right) { return left < place_of(right); });
    if (behind != found_.begin() && place_of(*(behind - 1)) == place && (behind - 1)->what == what) {
        return;
    }
    found_.insert(behind, Diagnostic{{}, place.line, place.column, std::move(what), std::move(hint)});
    if (found_.size() > kMax) {
        found_.pop_back();
    }
}

bool Mistakes::wants(Place place) const {
    return found_.size() < kMax || place < place_of(found_.back());
}

Diagnostics Mistakes::in(const std::string& file) && {
    for (auto& diagnostic : found_) {
        diagnostic.file = file;
    }
    return std::move(found_);
}

std::string shown(std::string_view text, std::size_t max) {
    std::string out;
    for (const char c : text.substr(0, max)) {
        if (c >= 0x20 && c < 0x7f) {
            out += c;
        } else {
            out += cat("\\x", hex(static_cast<unsigned char>(c), 2));
        }
    }
    return text.size() > max ? out + "..." : out;
}

std::string quoted(std::string_view text) {
    return cat('\'', shown(text), '\'');
}

}  // namespace viscum
