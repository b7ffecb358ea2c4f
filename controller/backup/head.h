// SPDX-License-Identifier: GPL-2.0-only
// What a backup is: an instance's configuration and services in one file, a tar. Pure.
//
//   viscum-backup          what comes, as text: encode_backup()
//   etc/viscum.yaml        and every other file of the list, in its order, each a plain file
//   etc/services/…, etc/files/…, etc/secrets/…     of /etc/NAME
//   var/bundles/…          of /var/lib/NAME: what bundles brought but for images
//
// So what is to come is known, with its checksums, before anything of it is read, and any tar shows what is in it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/instance.h"
#include "base/result.h"

namespace viscum {

constexpr const char* kBackupHead = "viscum-backup";
constexpr std::size_t kMaxBackupHead = 1UL << 20;  // bytes
constexpr std::size_t kMaxBackupFiles = 4096;
constexpr std::size_t kMaxBackupFile = 16UL << 20;  // bytes

struct BackupFile {
    std::string path;        // see is_backup_path()
    std::uint64_t size = 0;  // bytes
    std::string sha256;      // 64 hexadecimal digits
    mode_t mode = 0;         // permissions
    bool operator==(const BackupFile&) const = default;
};

struct BackupHead {
    std::string version;               // of the Viscum that made it
    std::string instance;              // of which it was made
    std::string made;                  // when, by that machine's clock: RFC 3339, UTC
    std::vector<std::string> drained;  // services that the operator had drained
    std::vector<BackupFile> files;     // no path twice
    bool operator==(const BackupHead&) const = default;
};

std::string encode_backup(const BackupHead& head);
/// EBADMSG for whatever encode_backup() does not write, whole and unchanged: the error names the line.
Result<BackupHead> decode_backup(std::string_view text);

/// One of the forms above: a file can be put nowhere else.
bool is_backup_path(std::string_view path);
/// Where such a file is on an instance.
std::string place_of(const Instance& instance, std::string_view path);

}  // namespace viscum
