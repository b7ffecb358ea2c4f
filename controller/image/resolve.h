// SPDX-License-Identifier: GPL-2.0-only
// Which image a container holds, and where its parts are. All documents are verified on the way.
#pragma once

#include <string>
#include <vector>

#include "controller/image/container.h"
#include "controller/image/documents.h"

namespace viscum {

struct LayerSource {
    std::string member;
    std::string digest;  // 64 digits, of the bytes as they are stored; empty: not stated
    std::uint64_t size = 0;
    std::uint64_t offset = 0;  // the order in which to read
    Compression compression = Compression::none;
    std::string diff_id;  // 64 digits, of the tar
};

struct ImageSource {
    std::string name;    // as the container has it, or `base_name`; not checked
    std::string digest;  // 64 digits, of the configuration
    std::string config_member;
    ImageConfig config;
    std::vector<LayerSource> layers;  // the lowest first
};

/// `base_name`: the file's own, without its ending. bad_image() for what is no image, or none for this machine.
Result<ImageSource> resolve_image(Container& container, const std::string& base_name, const Platform& machine);

}  // namespace viscum
