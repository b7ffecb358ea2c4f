// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/image.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "controller/ipc/json.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxName = 255;
constexpr std::string_view kSha256 = "sha256:";
constexpr std::string_view kLink = "../manifests/";
constexpr std::array<std::string_view, 7> kStopSignals = {"", "TERM", "QUIT", "INT", "HUP", "USR1", "USR2"};

bool is_hex(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool has_nul(std::string_view text) {
    return text.find('\0') != std::string_view::npos;
}

/// Why this is no record that may stand in the store; empty: it is one.
std::string mistake(const Image& image) {
    if (!is_image_digest(image.digest)) {
        return "a digest has another form";
    }
    if (image.layers.empty() || image.layers.size() > kMaxLayers) {
        return "no layers, or too many";
    }
    if (!std::ranges::all_of(image.layers, is_image_digest) ||
        std::set(image.layers.begin(), image.layers.end()).size() != image.layers.size()) {
        return "the layers are no different digests";
    }
    if (std::ranges::any_of(image.command, has_nul) || has_nul(image.directory)) {
        return "a text holds a zero byte";
    }
    for (const auto& [key, value] : image.env) {
        if (key.empty() || key.find('=') != std::string::npos || has_nul(key) || has_nul(value)) {
            return "an environment variable has no possible name or value";
        }
    }
    if (!image.directory.starts_with('/')) {
        return "the directory is not absolute";
    }
    if (image.uid == 0U || image.gid == 0U || (image.gid && !image.uid)) {
        return "root is no user of an image";
    }
    return std::ranges::find(kStopSignals, image.stop_signal) == kStopSignals.end() ? "an unknown stop signal" : "";
}

template <class Id>
std::int64_t to_number(const std::optional<Id>& id) {
    return id ? static_cast<std::int64_t>(*id) : -1;
}

/// False where the number is no id.
template <class Id>
bool from_number(std::int64_t number, std::optional<Id>& id) {
    if (number >= 0) {
        id = static_cast<Id>(number);
    }
    return number >= -1 && number < static_cast<std::int64_t>(UINT32_MAX);
}

std::string digest_in(std::string_view reference) {
    constexpr std::size_t kFullDigits = 64;
    if (is_image_digest(reference)) {
        return std::string(reference);
    }
    if (reference.starts_with(kSha256) && reference.size() == kSha256.size() + kFullDigits &&
        is_hex(reference.substr(kSha256.size()))) {
        return std::string(reference.substr(kSha256.size(), kImageDigits));
    }
    return {};
}

bool has_tag(std::string_view name) {
    const auto slash = name.rfind('/');
    return name.substr(slash == std::string_view::npos ? 0 : slash).find_first_of(":@") != std::string_view::npos;
}

}  // namespace

std::string encode_image(const Image& image) {
    JsonOut out;
    out.field("layers", image.layers);
    out.field("command", image.command);
    out.field("env", image.env);
    out.field("directory", image.directory);
    out.field("uid", to_number(image.uid));
    out.field("gid", to_number(image.gid));
    out.field("stop_signal", image.stop_signal);
    out.field("bytes", image.bytes);
    return std::move(out).text() + "\n";
}

Result<Image> decode_image(const std::string& text, const std::string& digest) {
    const auto refuse = [&digest](const std::string& why) {
        return Error{EBADMSG, cat("the record of image '", digest, "' is damaged: ", why)};
    };
    if (text.size() > kMaxImageRecord) {
        return refuse("it is too long");
    }
    const auto tree = parse_json(text);
    if (!tree) {
        return refuse(tree.error().what);
    }
    Image image;
    image.digest = digest;
    std::int64_t uid = -1;
    std::int64_t gid = -1;
    JsonIn in(*tree);
    in.field("layers", image.layers);
    in.field("command", image.command);
    in.field("env", image.env);
    in.field("directory", image.directory);
    in.field("uid", uid);
    in.field("gid", gid);
    in.field("stop_signal", image.stop_signal);
    in.field("bytes", image.bytes);
    in.only_known();
    if (const auto status = in.status(); !status) {
        return refuse(status.error().what);
    }
    if (!from_number(uid, image.uid) || !from_number(gid, image.gid)) {
        return refuse("a user or group is no number");
    }
    if (const auto why = mistake(image); !why.empty()) {
        return refuse(why);
    }
    if (encode_image(image) != text) {
        return refuse("it was not written by this program");
    }
    return image;
}

bool is_image_digest(std::string_view text) {
    return text.size() == kImageDigits && is_hex(text);
}

bool is_image_name(std::string_view text) {
    return !text.empty() && text.size() <= kMaxName && is_alnum(text.front()) && !is_image_digest(text) &&
           std::ranges::all_of(text,
                               [](char c) { return is_alnum(c) || std::string_view("._/:@-").find(c) < kMaxName; });
}

std::string image_name_file(std::string_view name) {
    std::string file(name);
    std::ranges::replace(file, '/', '%');
    std::ranges::replace(file, ':', '=');
    return file;
}

std::optional<std::string> image_name_of(std::string_view file) {
    if (file.find_first_of("/:") != std::string_view::npos) {
        return {};
    }
    std::string name(file);
    std::ranges::replace(name, '%', '/');
    std::ranges::replace(name, '=', ':');
    return is_image_name(name) ? std::optional(name) : std::nullopt;
}

Result<std::string> read_image_link(const std::string& path) {
    std::array<char, kLink.size() + kImageDigits + 1> target{};
    const auto length = readlink(path.c_str(), target.data(), target.size());
    if (length < 0) {
        return errno_error(cat("cannot read '", path, "'"));
    }
    const std::string_view text(target.data(), static_cast<std::size_t>(length));
    if (!text.starts_with(kLink) || !is_image_digest(text.substr(kLink.size()))) {
        return Error{EBADMSG, cat("'", path, "' is no link of the image store")};
    }
    return std::string(text.substr(kLink.size()));
}

Result<Image> read_image_record(const std::string& path, const std::string& digest) {
    auto text = read_file(path, kMaxImageRecord);
    return text ? decode_image(*text, digest) : std::move(text).error();
}

Result<Image> find_image(const Instance& instance, const std::string& reference) {
    const std::string store = image_store(instance);
    std::string digest = digest_in(reference);
    if (digest.empty() && is_image_name(reference)) {
        auto found = read_image_link(cat(store, "/names/", image_name_file(reference)));
        if (!found && found.error().errno_code == ENOENT && !has_tag(reference)) {
            found = read_image_link(cat(store, "/names/", image_name_file(reference + ":latest")));
        }
        if (!found && found.error().errno_code != ENOENT) {
            return std::move(found).error();
        }
        digest = found ? *found : "";
    }
    if (!digest.empty()) {
        auto image = read_image_record(cat(store, "/manifests/", digest), digest);
        if (image || image.error().errno_code != ENOENT) {
            return image;
        }
    }
    return Error{ENOENT, cat("there is no image '", reference, "'")};
}

std::string image_store(const Instance& instance) {
    return instance.state_dir() + "/images";
}

std::string layer_path(const Instance& instance, const std::string& digest) {
    return cat(image_store(instance), "/layers/", digest);
}

}  // namespace viscum
