// SPDX-License-Identifier: GPL-2.0-only
// Short texts for the tests of controller/spec, and what the parsers say to them.
#pragma once

#include <string>
#include <string_view>

#include "controller/spec/parse.h"

namespace viscum::test {

/// Four lines that are a whole service; what a test adds begins in line 5.
inline const std::string kService =
    "viscum: 1\n"
    "name: web\n"
    "intercept: [{ address: 203.0.113.10, port: 443 }]\n"
    "run: { command: [/bin/web] }\n";

/// One diagnostic a line, or "accepted".
template <class T>
std::string described(const Parsed<T>& parsed) {
    const auto* diagnostics = std::get_if<Diagnostics>(&parsed);
    if (diagnostics == nullptr) {
        return "accepted";
    }
    std::string out;
    for (const auto& diagnostic : *diagnostics) {
        out += (out.empty() ? "" : "\n") + diagnostic.text();
    }
    return out;
}

inline std::string service_says(std::string_view text) {
    return described(parse_service(text, "web.yaml"));
}
inline std::string router_says(std::string_view text) {
    return described(parse_router_config(text, "viscum.yaml"));
}

/// What the parser says to the service above with `more` behind it.
inline std::string says(std::string_view more) {
    return service_says(kService + std::string(more));
}

/// The value of a text that has to be valid; an empty one, which no text gives, where it is not.
inline ServiceSpec service_of(std::string_view text) {
    auto parsed = parse_service(text, "web.yaml");
    auto* spec = std::get_if<ServiceSpec>(&parsed);
    return spec == nullptr ? ServiceSpec{} : std::move(*spec);
}
inline RouterConfig router_of(std::string_view text) {
    auto parsed = parse_router_config(text, "viscum.yaml");
    auto* config = std::get_if<RouterConfig>(&parsed);
    return config == nullptr ? RouterConfig{} : std::move(*config);
}

inline std::string repeated(std::string_view unit, std::size_t times) {
    std::string out;
    out.reserve(unit.size() * times);
    for (std::size_t i = 0; i < times; ++i) {
        out += unit;
    }
    return out;
}

}  // namespace viscum::test
