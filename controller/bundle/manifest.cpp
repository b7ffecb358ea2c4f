// SPDX-License-Identifier: GPL-2.0-only
#include "controller/bundle/manifest.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/text.h"
#include "controller/image/image.h"
#include "controller/ipc/json.h"
#include "controller/spec/names.h"

namespace viscum {
namespace {

constexpr std::string_view kMagic = "viscum-bundle";
constexpr std::size_t kDigits = 64;
constexpr std::size_t kMaxNumbers = 4;
constexpr std::uint64_t kMaxNumber = 999'999'999;
constexpr std::string_view kService = "service.yaml";
constexpr std::string_view kFiles = "files/";
constexpr std::string_view kBlobs = "image/blobs/sha256/";

bool consists_of(std::string_view text, std::string_view signs) {
    return !text.empty() && text.find_first_not_of(signs) == std::string_view::npos;
}

bool is_sha256(std::string_view text) {
    return text.size() == kDigits && consists_of(text, "0123456789abcdef");
}

/// Why no bundle has this manifest; empty: one may.
std::string mistake(const BundleManifest& manifest) {
    if (!is_service_name(manifest.service)) {
        return "it names no service";
    }
    if (!is_bundle_version(manifest.version)) {
        return "its version is none";
    }
    if (!manifest.image.empty() && !is_image_name(manifest.image)) {
        return "the image's name is none";
    }
    if (manifest.parts.empty() || manifest.parts.size() > kMaxParts || manifest.parts.front().path != kService) {
        return "it has no service file, or too many parts";
    }
    if (manifest.parts.front().size > kMaxServiceFile) {
        return "its service file is too long";
    }
    std::set<std::string_view> paths;
    for (const auto& part : manifest.parts) {
        if (!is_part_path(part.path) || !paths.insert(part.path).second) {
            return "a part has a path that none has, or another one's";
        }
        if (!is_sha256(part.sha256) || (!part.layer.empty() && !is_sha256(part.layer))) {
            return "a checksum has another form";
        }
        const bool blob = part.path.starts_with(kBlobs);
        if ((blob && part.path.substr(kBlobs.size()) != part.sha256) || (!blob && !part.layer.empty())) {
            return "a part is not what its path says";
        }
        if (part.path.starts_with("image/") && manifest.image.empty()) {
            return "there are parts of an image that has no name";
        }
    }
    return "";
}

std::optional<std::array<std::uint64_t, kMaxNumbers>> numbers_of(std::string_view version) {
    const auto texts = split(version, '.');
    if (texts.size() > kMaxNumbers) {
        return std::nullopt;
    }
    std::array<std::uint64_t, kMaxNumbers> numbers{};
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto number = parse_decimal(texts[i], kMaxNumber);
        if (!number) {
            return std::nullopt;
        }
        numbers[i] = *number;
    }
    return numbers;
}

}  // namespace

// Found by argument-dependent lookup from JsonOut and JsonIn.
template <class Io, FieldsOf<BundlePart> T>
void fields(Io& io, T& part) {
    io.field("path", part.path);
    io.field("size", part.size);
    io.field("sha256", part.sha256);
    io.field("layer", part.layer);
}

template <class Io, FieldsOf<BundleManifest> T>
void fields(Io& io, T& manifest) {
    io.field("service", manifest.service);
    io.field("version", manifest.version);
    io.field("image", manifest.image);
    io.field("parts", manifest.parts);
}

std::string encode_manifest(const BundleManifest& manifest) {
    JsonOut out;
    fields(out, manifest);
    return std::move(out).text() + "\n";
}

Result<BundleManifest> decode_manifest(const std::string& text) {
    const auto tree = parse_json(text);
    if (!tree) {
        return bad_bundle(cat("the manifest cannot be read: ", tree.error().what));
    }
    BundleManifest manifest;
    JsonIn in(*tree);
    fields(in, manifest);
    if (const auto status = in.status(); !status) {
        return bad_bundle(cat("the manifest cannot be read: ", status.error().what));
    }
    if (const auto why = mistake(manifest); !why.empty()) {
        return bad_bundle(cat("the manifest is of no use: ", why));
    }
    if (encode_manifest(manifest) != text) {
        return bad_bundle("the manifest was not written by this program");
    }
    return manifest;
}

std::string bundle_line(const BundleLengths& lengths) {
    return cat(kMagic, " 1 ", lengths.manifest, " ", lengths.signatures, "\n");
}

Result<BundleLengths> read_bundle_line(std::string_view line) {
    const auto words = split(line, ' ');
    if (words.size() != 4 || words[0] != kMagic) {
        return bad_bundle("it is no bundle");
    }
    if (words[1] != "1") {
        return bad_bundle("it is a bundle of another format than this program knows");
    }
    const auto manifest = parse_decimal(words[2], kMaxManifest);
    const auto signatures = parse_decimal(words[3], kMaxSignatures);
    if (!manifest || !signatures) {
        return bad_bundle("its first line is damaged, or it is too long");
    }
    return BundleLengths{static_cast<std::size_t>(*manifest), static_cast<std::size_t>(*signatures)};
}

bool is_part_path(std::string_view path) {
    return path == kService || path == "image/oci-layout" || path == "image/index.json" ||
           (path.starts_with(kFiles) && is_file_name(path.substr(kFiles.size()))) ||
           (path.starts_with(kBlobs) && is_sha256(path.substr(kBlobs.size())));
}

bool is_bundle_version(std::string_view text) {
    return numbers_of(text).has_value();
}

std::strong_ordering compare_versions(std::string_view left, std::string_view right) {
    return numbers_of(left) <=> numbers_of(right);
}

}  // namespace viscum
