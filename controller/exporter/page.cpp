// SPDX-License-Identifier: GPL-2.0-only
#include "controller/exporter/page.h"

// page.S embeds them. NOLINTNEXTLINE(modernize-avoid-c-arrays)
#define VISCUM_EMBEDDED(name) extern const char viscum_page_##name[], viscum_page_##name##_end[]
extern "C" {
VISCUM_EMBEDDED(status_html);
VISCUM_EMBEDDED(status_css);
VISCUM_EMBEDDED(status_js);
VISCUM_EMBEDDED(card_js);
VISCUM_EMBEDDED(pictures_js);
VISCUM_EMBEDDED(words_js);
VISCUM_EMBEDDED(icon_svg);
}
#undef VISCUM_EMBEDDED

namespace viscum {
namespace {

struct Entry {
    std::string_view path;
    const char* type;
    const char* first;
    const char* last;
};

constexpr const char* kHtml = "text/html; charset=utf-8";
constexpr const char* kCss = "text/css; charset=utf-8";
constexpr const char* kScript = "text/javascript; charset=utf-8";
constexpr Entry kFiles[] = {
    {"/", kHtml, viscum_page_status_html, viscum_page_status_html_end},
    {"/status.css", kCss, viscum_page_status_css, viscum_page_status_css_end},
    {"/status.js", kScript, viscum_page_status_js, viscum_page_status_js_end},
    {"/card.js", kScript, viscum_page_card_js, viscum_page_card_js_end},
    {"/pictures.js", kScript, viscum_page_pictures_js, viscum_page_pictures_js_end},
    {"/words.js", kScript, viscum_page_words_js, viscum_page_words_js_end},
    {"/icon.svg", "image/svg+xml", viscum_page_icon_svg, viscum_page_icon_svg_end},
};

}  // namespace

std::optional<PageFile> page_file(std::string_view path) {
    for (const auto& file : kFiles) {
        if (file.path == path) {
            return PageFile{file.type, {file.first, static_cast<std::size_t>(file.last - file.first)}};
        }
    }
    return std::nullopt;
}

}  // namespace viscum
