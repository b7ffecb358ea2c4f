// SPDX-License-Identifier: GPL-2.0-only
// The image store, as viscumd reads it. viscum-image writes it: all parsing of what others made happens there, in a
// cage of its own, and what stands in the store is plain and checked.
//
//   /var/lib/NAME/images/layers/DIGEST/     a layer, unpacked; DIGEST: the first 40 hexadecimal digits of the SHA-256
//                                           of its uncompressed tar (the image's diff_id)
//   /var/lib/NAME/images/manifests/DIGEST   one image: a record (encode_image); DIGEST: of its configuration, 40 digits
//   /var/lib/NAME/images/names/NAME         a symbolic link to ../manifests/DIGEST; '/' and ':' of NAME are '%' and
//   '=',
//                                           which occur in no name
//   /var/lib/NAME/images/new/               what an import is about to add; what stands here at the next one is removed
//   /var/lib/NAME/images/lock               held by whoever changes the store (flock)
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/instance.h"
#include "base/result.h"

namespace viscum {

constexpr std::size_t kMaxLayers = 96;  // so that all their names fit into one page of mount options
constexpr std::size_t kImageDigits = 40;
constexpr std::size_t kMaxImageRecord = 64 * 1024;  // bytes

struct Image {
    std::string digest;                // 40 hexadecimal digits
    std::vector<std::string> layers;   // digests, the lowest first; at least one, none twice (overlayfs refuses that)
    std::vector<std::string> command;  // entrypoint and arguments; may be empty
    std::map<std::string, std::string> env;
    std::string directory = "/";
    std::optional<uid_t> uid;  // as the image's own passwd says; nullopt: it names no user
    std::optional<gid_t> gid;
    std::string stop_signal;  // "QUIT"; empty: none, or one that services do not know
    std::uint64_t bytes = 0;  // unpacked
    bool operator==(const Image&) const = default;
};

/// A record on disk: JSON. Pure. decode_image refuses whatever encode_image does not write.
std::string encode_image(const Image& image);
Result<Image> decode_image(const std::string& text, const std::string& digest);

/// `reference` is a name (without a tag: that with ":latest", unless it is there as it stands) or a digest (also as
/// "sha256:" and 64 digits). errno_code ENOENT where there is none. Follows nothing but the store's own links, whose
/// form it checks.
Result<Image> find_image(const Instance& instance, const std::string& reference);

/// The directory of a layer.
std::string layer_path(const Instance& instance, const std::string& digest);
std::string image_store(const Instance& instance);

/// 40 small hexadecimal digits.
bool is_image_digest(std::string_view text);

/// Letters, digits and "._/:@-", the first a letter or digit, at most 255, and no digest.
bool is_image_name(std::string_view text);

/// A name as the file in names/, and back; nullopt for a file that stands for no name. Pure.
std::string image_name_file(std::string_view name);
std::optional<std::string> image_name_of(std::string_view file);

/// What a link in names/ leads to: a digest; errno_code ENOENT where there is no such link.
Result<std::string> read_image_link(const std::string& path);
/// A record of manifests/.
Result<Image> read_image_record(const std::string& path, const std::string& digest);

}  // namespace viscum
