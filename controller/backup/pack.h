// SPDX-License-Identifier: GPL-2.0-only
// Writing a backup, and reading one into a directory. By viscum-image, which has the library for tars.
#pragma once

#include <string>
#include <vector>

#include "base/instance.h"
#include "base/result.h"
#include "controller/backup/head.h"
#include "controller/image/bytes.h"

namespace viscum {

struct PackedBackup {
    BackupHead head;
    std::vector<std::string> left_out;  // what a backup cannot hold, and why
};

/// Of what stands there now. The same files in the same second make the same bytes. EAGAIN: a file changed meanwhile.
Result<PackedBackup> pack_backup(const Instance& instance, const std::vector<std::string>& drained, int out);

/// Reads a whole backup into `dir`, which is made anew (mode 0700): each file at its path, with its mode, and the head
/// as kBackupHead. EBADMSG: it is damaged, or no backup, and nothing of it stays. Hostile input is expected: only what
/// the head lists is written, and nowhere but in `dir`.
Result<BackupHead> stage_backup(ByteReader& input, const std::string& dir);

}  // namespace viscum
