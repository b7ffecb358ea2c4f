// SPDX-License-Identifier: GPL-2.0-only
#include "controller/bundle/record.h"

#include "base/file.h"
#include "base/text.h"
#include "controller/image/image.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxRecord = 1024;
constexpr std::string_view kLine = "bundle: ";

/// Two words on a line of their own; nullopt where a file is anything else.
std::optional<std::pair<std::string, std::string>> two_words(const std::string& text) {
    const auto words = split(text.substr(0, text.find('\n')), ' ');
    return words.size() == 2 && !words[0].empty() && is_image_digest(words[1])
               ? std::optional(std::pair(words[0], words[1]))
               : std::nullopt;
}

}  // namespace

std::string bundles_dir(const Instance& instance) {
    return instance.state_dir() + "/bundles";
}

std::string bundle_path(const Instance& instance, const std::string& digest) {
    return cat(bundles_dir(instance), "/", digest);
}

Result<std::optional<BundleVersion>> last_version(const Instance& instance, const std::string& service) {
    const auto text = read_file(cat(bundles_dir(instance), "/versions/", service), kMaxRecord);
    if (!text) {
        return text.error().errno_code == ENOENT ? Result<std::optional<BundleVersion>>(std::nullopt) : text.error();
    }
    const auto words = two_words(*text);
    return std::optional(words ? BundleVersion{service, words->first, words->second} : BundleVersion{service, "", ""});
}

Result<std::vector<BundleVersion>> list_bundles(const Instance& instance) {
    const auto services = list_directory(bundles_dir(instance) + "/versions");
    if (!services) {
        return services.error();
    }
    std::vector<BundleVersion> all;
    for (const auto& service : *services) {
        // A record that was being written has a '.', which no service's name has.
        const auto last = service.find('.') == std::string::npos ? last_version(instance, service)
                                                                 : Result<std::optional<BundleVersion>>(std::nullopt);
        if (!last) {
            return last.error();
        }
        if (*last) {
            all.push_back(**last);
        }
    }
    return all;
}

Result<std::optional<BundleImage>> bundle_image(const Instance& instance, const std::string& digest) {
    const std::string path = bundle_path(instance, digest) + "/image";
    const auto text = read_file(path, kMaxRecord);
    if (!text) {
        return text.error().errno_code == ENOENT ? Result<std::optional<BundleImage>>(std::nullopt) : text.error();
    }
    const auto words = two_words(*text);
    return words ? Result(std::optional(BundleImage{words->first, words->second}))
                 : Error{EIO, cat("'", path, "' is damaged")};
}

std::string bundle_version(const Instance& instance, const std::string& digest) {
    const auto text = read_file(bundle_path(instance, digest) + "/version", kMaxRecord);
    return text ? text->substr(0, text->find('\n')) : "?";
}

std::string bundled_text(std::string_view text, std::string_view digest) {
    return cat(text, text.ends_with('\n') ? "" : "\n", kLine, digest, "\n");
}

std::string bundle_of(std::string_view text) {
    while (text.ends_with('\n')) {
        text.remove_suffix(1);
    }
    const auto before = text.rfind('\n');
    const auto line = text.substr(before == std::string_view::npos ? 0 : before + 1);
    const auto digest = line.starts_with(kLine) ? line.substr(kLine.size()) : "";
    return is_image_digest(digest) ? std::string(digest) : "";
}

}  // namespace viscum
