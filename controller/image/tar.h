// SPDX-License-Identifier: GPL-2.0-only
// A tar's entries in their order (ustar, pax and GNU, by libarchive; no other format is let in).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "controller/image/bytes.h"

namespace viscum {

struct TarEntry {
    enum class Kind : std::uint8_t { file, directory, symlink, hardlink, fifo, device };
    Kind kind = Kind::file;
    std::string path;    // as it stands there
    std::string target;  // of a link
    mode_t mode = 0;     // permissions with set-id bits
    uid_t uid = 0;
    gid_t gid = 0;
    std::int64_t modified = 0;  // seconds
    std::uint64_t size = 0;     // of a file
    std::uint64_t offset = 0;   // of its first byte in the tar
    bool sparse = false;
    std::size_t attributes = 0;  // extended ones
};

struct TarBlock {
    std::string_view bytes;  // until the next call
    std::uint64_t offset = 0;
};

class TarReader {
public:
    /// The inner reader outlives this one.
    static Result<std::unique_ptr<TarReader>> open(ByteReader& inner);

    /// The next entry; none at the end.
    Result<std::optional<TarEntry>> next();
    /// The next piece of the entry's data; none at its end.
    Result<std::optional<TarBlock>> block();

private:
    explicit TarReader(ByteReader& inner) : input_(inner) {}
    ArchiveInput input_;
    ArchiveHandle handle_;
};

}  // namespace viscum
