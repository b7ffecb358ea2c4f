// SPDX-License-Identifier: GPL-2.0-only
#include "controller/spec/parse.h"

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

}  // namespace

Parsed<ServiceSpec> parse_service(std::string_view text, const std::string& file) {
    return parse<ServiceSpec>(text, file, read_service);
}

Parsed<RouterConfig> parse_router_config(std::string_view text, const std::string& file) {
    return parse<RouterConfig>(text, file, read_router_config);
}

}  // namespace viscum
