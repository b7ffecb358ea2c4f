// SPDX-License-Identifier: GPL-2.0-only
// One layer's tar into one directory, within what is left of an image's budget.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "controller/image/bytes.h"
#include "controller/image/layer_tree.h"
#include "controller/image/tar.h"

namespace viscum {

constexpr std::uint64_t kMaxImageBytes = 2ULL << 30;  // unless told otherwise
constexpr std::uint64_t kMaxImageEntries = 200'000;

/// How much a file system must keep: 5 % of it, at least 8 MiB.
std::uint64_t reserve_of(std::uint64_t file_system_bytes);

/// Whether `more` bytes can be written there and leave the reserve. errno_code ENOSPC where not; the message has both
/// figures.
Status check_space(int directory, std::uint64_t more);

/// What an image may still use. One over all its layers.
struct Budget {
    std::uint64_t bytes = kMaxImageBytes;
    std::uint64_t entries = kMaxImageEntries;
};

/// What was left out of a layer; none of it is of use to a service.
struct LeftOut {
    std::uint64_t set_id = 0;      // set-user-id and set-group-id bits
    std::uint64_t attributes = 0;  // entries with extended attributes, such as file capabilities
    std::uint64_t fifos = 0;
};

class Unpacker {
public:
    /// `directory`: where to look for space. References outlive it.
    Unpacker(LayerTree& tree, int directory, Budget& budget, LeftOut& left_out)
        : tree_(tree), directory_(directory), budget_(budget), left_out_(left_out) {}

    /// Reads to the end of the tar; what follows it is the caller's to read.
    Status unpack(ByteReader& tar);

private:
    Status add(TarReader& tar, const TarEntry& entry);
    Status add_file(TarReader& tar, const TarEntry& entry, const LayerTree::Path& path);
    Status add_whiteout(const LayerTree::Path& path);
    Status note_written(std::uint64_t bytes);

    LayerTree& tree_;
    int directory_;
    Budget& budget_;
    LeftOut& left_out_;
    std::uint64_t unchecked_ = 0;  // bytes written since the space was looked at
};

}  // namespace viscum
