// SPDX-License-Identifier: GPL-2.0-only
// Small files, whole: read with a bound, written so that a power cut leaves the old or the new one.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace viscum {

/// The bytes of a file of at most `limit` bytes; errno_code EFBIG for a longer one, ENOENT where there is none.
Result<std::string> read_file(const std::string& path, std::size_t limit);

/// What comes by a pipe until its end, or until it fails; what lies behind `max` is read and forgotten, so that the
/// writer never waits for us.
std::string read_to_end(int fd, std::size_t max);

/// All of it, to a descriptor that may be a pipe.
Status write_all(int fd, std::string_view bytes);

/// Replaces `path` by `bytes`: a new file beside it, fsync, rename, fsync of the directory (rename(2): atomic for every
/// reader; without the fsync ext4 may show a size-0 file after a power cut). An error leaves the old file as it was and
/// no other one, except where the last sync failed: the new file is there then, and a power cut may bring the old one.
Status write_file_atomically(const std::string& path, std::string_view bytes, mode_t mode);

/// Makes durable which names stand in a directory.
Status sync_directory(const std::string& path);

/// Removes a file and makes that durable. Idempotent. Where the sync fails the file is gone, and a power cut may bring
/// it back; the next call syncs again.
Status remove_file(const std::string& path);

/// Makes a directory and its parents, each with `mode`. Idempotent. A plain file at `path` is an error; a link to a
/// directory, as to a medium of its own, is as good as one.
Status make_directory(const std::string& path, mode_t mode);

/// Removes a directory of plain files. Idempotent.
Status remove_directory(const std::string& path);

/// The names in a directory without "." and "..", sorted; none where there is no directory.
Result<std::vector<std::string>> list_directory(const std::string& path);

}  // namespace viscum
