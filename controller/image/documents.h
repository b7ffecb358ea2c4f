// SPDX-License-Identifier: GPL-2.0-only
// The JSON documents of an image (OCI image-spec 1.1; Docker image spec 1.2 and its image manifest 2.2), as values.
// Pure. Errors are bad_image().
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "controller/image/bytes.h"

namespace viscum {

struct Platform {
    std::string os;            // "linux"; empty: not stated
    std::string architecture;  // as Go names it: "amd64"
    std::string variant;       // "v7"
    bool operator==(const Platform&) const = default;
    [[nodiscard]] std::string text() const;
};

/// What this program was built for.
Platform this_machine();
/// How well an image for `platform` fits a machine; 0: not at all.
int fitness(const Platform& platform, const Platform& machine);

struct Descriptor {
    std::string media_type;
    std::string digest;  // 64 hexadecimal digits of a SHA-256
    std::uint64_t size = 0;
    std::optional<Platform> platform;
    std::string reference;  // org.opencontainers.image.ref.name
    std::string full_name;  // io.containerd.image.name
    bool operator==(const Descriptor&) const = default;

    [[nodiscard]] bool is_index() const;
};

/// index.json, and an index among the blobs.
Result<std::vector<Descriptor>> read_index(const std::string& text);

struct ImageManifest {
    Descriptor config;
    std::vector<Descriptor> layers;  // the lowest first
};
Result<ImageManifest> read_manifest(const std::string& text);

/// How a layer of this media type is compressed; an error names the type.
Result<Compression> layer_compression(const std::string& media_type);

struct ImageConfig {
    Platform platform;
    std::vector<std::string> diff_ids;  // 64 hexadecimal digits
    std::vector<std::string> command;   // entrypoint and arguments
    std::map<std::string, std::string> env;
    std::string directory = "/";
    std::string user;
    std::string stop_signal;  // "QUIT"; empty where services do not know it
};
Result<ImageConfig> read_config(const std::string& text);

/// An image in the manifest.json of `docker save`; paths are members.
struct SavedImage {
    std::string config;
    std::vector<std::string> names;
    std::vector<std::string> layers;
};
Result<std::vector<SavedImage>> read_saved(const std::string& text);

/// oci-layout: whether this version of the layout is known.
Status check_layout(const std::string& text);

}  // namespace viscum
