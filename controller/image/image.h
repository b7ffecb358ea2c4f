// SPDX-License-Identifier: GPL-2.0-only
// The image store, as viscumd reads it. viscum-image writes it: all parsing of what others made happens there, in a
// cage of its own, and what stands in the store is plain and checked.
//
//   /var/lib/NAME/images/layers/DIGEST/     a layer, unpacked; DIGEST: the first 40 hexadecimal digits of the SHA-256
//                                           of its uncompressed tar (the image's diff_id)
//   /var/lib/NAME/images/manifests/DIGEST   one image: a record (encode_image); DIGEST: of its configuration, 40 digits
//   /var/lib/NAME/images/names/NAME         a symbolic link to ../manifests/DIGEST; '/' and ':' in NAME are escaped
//   /var/lib/NAME/images/new/               what an import is about to add; what stands here at the next one is removed
//   /var/lib/NAME/images/lock               held by whoever changes the store (flock)
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/instance.h"
#include "base/result.h"

namespace viscum {

constexpr std::size_t kMaxLayers = 96;  // so that all their names fit into one page of mount options

struct Image {
    std::string digest;                // 40 hexadecimal digits
    std::vector<std::string> layers;   // digests, the lowest first
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

/// `reference` is a name or a digest. errno_code ENOENT where there is none.
Result<Image> find_image(const Instance& instance, const std::string& reference);

/// The directory of a layer.
std::string layer_path(const Instance& instance, const std::string& digest);

}  // namespace viscum
