// SPDX-License-Identifier: GPL-2.0-only
// What a bundle is: one service, with everything that its version consists of, for transport. Pure.
//
//   viscum-bundle 1 M S\n      M, S: the lengths of what follows, in bytes, decimal
//   the manifest               M bytes: encode_manifest()
//   the signatures             S bytes: none or several, each as `ssh-keygen -Y sign -n viscum-bundle` writes it, of
//                              the manifest's bytes
//   part PATH\n                and its bytes, as many as the manifest says
//   part PATH\n …              in any order, each at most once; those that the receiver has may be left out
//
// So what is signed comes first, and says how long everything is: no byte is interpreted before the signature over it
// was verified, and no archive format is needed.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace viscum {

constexpr std::size_t kMaxManifest = 256UL * 1024;  // bytes
constexpr std::size_t kMaxSignatures = 64UL * 1024;
constexpr std::size_t kMaxParts = 256;
constexpr std::uint64_t kMaxServiceFile = 256UL * 1024;

struct BundlePart {
    std::string path;    // see is_part_path()
    std::uint64_t size;  // bytes
    std::string sha256;  // 64 hexadecimal digits
    std::string layer;   // of an image's layer: its diff_id, 64 digits, by which a device knows whether it has it
    bool operator==(const BundlePart&) const = default;
};

struct BundleManifest {
    std::string service;            // its name, as the service file has it
    std::string version;            // see is_bundle_version()
    std::string image;              // the name of the image, as the service file has it; empty: it brings none
    std::vector<BundlePart> parts;  // no path twice; the first is "service.yaml"
    bool operator==(const BundleManifest&) const = default;
};

/// JSON. decode_manifest() refuses whatever encode_manifest() does not write.
std::string encode_manifest(const BundleManifest& manifest);
Result<BundleManifest> decode_manifest(const std::string& text);

/// The lengths in a bundle's first line, without its end.
struct BundleLengths {
    std::size_t manifest = 0;
    std::size_t signatures = 0;
};
std::string bundle_line(const BundleLengths& lengths);
Result<BundleLengths> read_bundle_line(std::string_view line);

/// "service.yaml", "files/NAME", "image/oci-layout", "image/index.json" and "image/blobs/sha256/DIGEST", and nothing
/// else: a part can be put nowhere else.
bool is_part_path(std::string_view path);

/// One to four numbers of at most nine digits, with points between: "7", "1.12.0".
bool is_bundle_version(std::string_view text);
/// By number, from the left; "1.2" and "1.2.0" are equal. Both are versions.
std::strong_ordering compare_versions(std::string_view left, std::string_view right);

/// What is wrong with a bundle: errno_code EBADMSG.
inline Error bad_bundle(std::string what) {
    return {EBADMSG, std::move(what)};
}
/// A good bundle that may not be used here: errno_code EKEYREJECTED.
inline Error untrusted(std::string what) {
    return {EKEYREJECTED, std::move(what)};
}

}  // namespace viscum
