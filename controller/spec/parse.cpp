// SPDX-License-Identifier: GPL-2.0-only
#include "controller/spec/parse.h"

#include <algorithm>

#include "controller/spec/fields.h"
#include "controller/spec/mistakes.h"
#include "controller/spec/readers.h"

namespace viscum {
namespace {

template <class T>
Parsed<T> parse(std::string_view text, const std::string& file, T (*read)(const YamlNode&, Mistakes&)) {
    Mistakes mistakes;
    T value;
    if (const auto root = read_yaml(text, mistakes)) {
        value = read(*root, mistakes);
    }
    if (!mistakes.empty()) {
        return std::move(mistakes).in(file);
    }
    return value;
}

void look_for_end(const YamlNode& map, WallTime now, Mistakes& ended) {
    Mistakes ignored;  // the file is valid
    for (const auto& node : map.children) {
        const auto until = node.key == "until" ? read_wall_time(&node, ignored) : std::nullopt;
        if (until && *until <= now) {
            ended.add(node.place, "'until' is over", "no new flows are taken from then on");
        }
    }
}

}  // namespace

Parsed<ServiceSpec> parse_service(std::string_view text, const std::string& file) {
    return parse<ServiceSpec>(text, file, read_service);
}

Parsed<RouterConfig> parse_router_config(std::string_view text, const std::string& file) {
    return parse<RouterConfig>(text, file, read_router_config);
}

Diagnostics ended_claims(std::string_view text, const std::string& file, WallTime now) {
    Mistakes ignored;
    Mistakes ended;
    const auto root = read_yaml(text, ignored);
    if (!root) {
        return {};
    }
    look_for_end(*root, now, ended);
    for (const auto& node : root->children) {
        if (node.key == "intercept") {
            std::ranges::for_each(node.children, [&](const auto& claim) { look_for_end(claim, now, ended); });
        }
    }
    return std::move(ended).in(file);
}

}  // namespace viscum
