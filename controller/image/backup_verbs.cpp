// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/backup_verbs.h"

#include <unistd.h>

#include "base/text.h"
#include "controller/backup/pack.h"
#include "controller/bundle/files.h"
#include "controller/image/say.h"
#include "controller/image/stream_reader.h"
#include "controller/ipc/json.h"

namespace viscum {
namespace {

constexpr mode_t kPrivate = 0600;  // it has secrets

std::uint64_t size_of(const BackupHead& head) {
    std::uint64_t bytes = 0;
    for (const auto& file : head.files) {
        bytes += file.size;
    }
    return bytes;
}

/// Where the backup itself is standard output, nothing else is.
int tell(const Arguments& args, const PackedBackup& packed) {
    const bool to_stdout = args.words[1] == "-";
    const auto files = packed.head.files.size();
    if (args.json && !to_stdout) {
        JsonOut out;
        out.field("file", args.words[1]);
        out.field("files", static_cast<std::uint64_t>(files));
        out.field("bytes", size_of(packed.head));
        out.field("left_out", packed.left_out);
        write_out(STDOUT_FILENO, std::move(out).text() + "\n");
        return 0;
    }
    for (const auto& each : packed.left_out) {
        write_out(STDERR_FILENO, cat("left out: ", printable(each), "\n"));
    }
    if (!to_stdout) {
        write_out(STDOUT_FILENO, cat("backed up: ", files, files == 1 ? " file, " : " files, ",
                                     size_text(size_of(packed.head)), ", to ", printable(args.words[1]), "\n"));
    }
    return 0;
}

}  // namespace

int backup(const Arguments& args, const Instance& instance) {
    const std::string& out = args.words[1];
    if (out == "-") {
        const auto packed = pack_backup(instance, args.drained, STDOUT_FILENO);
        return packed ? tell(args, *packed) : fail(args, packed.error().in("no backup was made"));
    }
    auto file = NewFile::open(out, kPrivate);
    auto packed = file ? pack_backup(instance, args.drained, file->fd()) : Result<PackedBackup>(file.error());
    if (packed) {
        if (auto kept = file->keep(); !kept) {
            packed = std::move(kept).error();
        }
    }
    return packed ? tell(args, *packed) : fail(args, packed.error().in("no backup was made"));
}

int stage(const Arguments& args) {
    const auto input = StreamReader::open(args.words[1]);
    const auto head = input ? stage_backup(**input, args.words[2]) : Result<BackupHead>(input.error());
    return head ? 0 : fail(args, head.error().in(cat("nothing was restored: ", shown(args.words[1]))));
}

}  // namespace viscum
