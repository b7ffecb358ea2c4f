// SPDX-License-Identifier: GPL-2.0-only
#include "controller/exporter/page.h"

extern "C" {
extern const char viscum_page_html[], viscum_page_html_end[];
extern const char viscum_page_css[], viscum_page_css_end[];
extern const char viscum_page_js[], viscum_page_js_end[];
extern const char viscum_page_svg[], viscum_page_svg_end[];
}

namespace viscum {
namespace {

std::string_view between(const char* first, const char* last) {
    return {first, static_cast<std::size_t>(last - first)};
}

}  // namespace

std::optional<PageFile> page_file(std::string_view path) {
    if (path == "/") {
        return PageFile{"text/html; charset=utf-8", between(viscum_page_html, viscum_page_html_end)};
    }
    if (path == "/status.css") {
        return PageFile{"text/css; charset=utf-8", between(viscum_page_css, viscum_page_css_end)};
    }
    if (path == "/status.js") {
        return PageFile{"text/javascript; charset=utf-8", between(viscum_page_js, viscum_page_js_end)};
    }
    if (path == "/icon.svg") {
        return PageFile{"image/svg+xml", between(viscum_page_svg, viscum_page_svg_end)};
    }
    return std::nullopt;
}

}  // namespace viscum
