// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/unpack.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"

namespace viscum {
namespace {

constexpr std::uint64_t kMiB = 1ULL << 20;
constexpr std::uint64_t kCheckEach = kMiB;
constexpr std::uint64_t kEntryCost = 1024;  // about what an inode and a name take
constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::string_view kAufs = ".wh..wh.";  // aufs' own files

Status write_at(int fd, std::string_view bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const auto written = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return errno_error("cannot write to the image store");
        }
        bytes.remove_prefix(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
    return {};
}

}  // namespace

std::uint64_t reserve_of(std::uint64_t file_system_bytes) {
    constexpr std::uint64_t kLeast = 8 * kMiB;
    constexpr std::uint64_t kPart = 20;
    return std::max(kLeast, file_system_bytes / kPart);
}

Status check_space(int directory, std::uint64_t more) {
    struct statvfs info {};
    if (fstatvfs(directory, &info) != 0) {
        return errno_error("cannot ask for the free space of the image store");
    }
    const std::uint64_t reserve = reserve_of(std::uint64_t{info.f_blocks} * info.f_frsize);
    const std::uint64_t free = std::uint64_t{info.f_bavail} * info.f_frsize;
    if (free >= reserve && free - reserve >= more) {
        return {};
    }
    return Error{ENOSPC, cat("too little space in the image store: ", free / kMiB, " MiB are free, of which ",
                             reserve / kMiB, " MiB are kept", more == 0 ? "" : ", and the image takes at least ",
                             more == 0 ? "" : cat(more / kMiB + 1, " MiB"))};
}

Status Unpacker::note_written(std::uint64_t bytes) {
    unchecked_ += bytes;
    if (unchecked_ < kCheckEach) {
        return {};
    }
    unchecked_ = 0;
    return check_space(directory_, 0);
}

Status Unpacker::unpack(ByteReader& bytes) {
    auto tar = TarReader::open(bytes);
    while (tar) {
        const auto entry = (*tar)->next();
        if (!entry) {
            return entry.error();
        }
        if (!*entry) {
            return {};
        }
        if (auto added = add(**tar, **entry); !added) {
            return added;
        }
    }
    return std::move(tar).error();
}

Status Unpacker::add(TarReader& tar, const TarEntry& entry) {
    if (budget_.entries-- == 0) {
        budget_.entries = 0;
        return bad_image("it holds too many files");
    }
    if (auto fine = note_written(kEntryCost); !fine) {
        return fine;
    }
    const auto path = entry_path(entry.path);
    if (!path) {
        return path.error();
    }
    using Kind = TarEntry::Kind;
    const bool in_whiteout =
        path->size() > 1 && std::any_of(path->begin(), path->end() - 1,
                                        [](const std::string& name) { return name.starts_with(kWhiteout); });
    if (in_whiteout) {
        return bad_image(cat("'", entry.path, "' lies in a whiteout"));
    }
    if (!path->empty() && path->back().starts_with(kWhiteout)) {
        return add_whiteout(*path);
    }
    const bool kernel_place =
        path->size() == 1 && (path->front() == "dev" || path->front() == "proc" || path->front() == "sys");
    if (kernel_place && entry.kind != Kind::directory) {
        return bad_image(cat("its '/", path->front(), "' is no directory"));
    }
    if (entry.kind != Kind::hardlink && entry.kind != Kind::symlink) {
        left_out_.set_id += (entry.mode & (S_ISUID | S_ISGID)) != 0 ? 1 : 0;
        left_out_.attributes += entry.attributes > 0 ? 1 : 0;
    }
    const LayerTree::Attributes attributes{entry.mode, entry.uid, entry.gid, entry.modified};
    switch (entry.kind) {
        case Kind::directory: return tree_.add_directory(*path, attributes);
        case Kind::symlink: return tree_.add_symlink(*path, entry.target, attributes);
        case Kind::hardlink: {
            const auto target = entry_path(entry.target);
            return target ? tree_.add_hard_link(*path, *target) : target.error();
        }
        case Kind::fifo: ++left_out_.fifos; return {};
        case Kind::device: return bad_image(cat("'", entry.path, "' is a device"));
        case Kind::file: break;
    }
    return add_file(tar, entry, *path);
}

Status Unpacker::add_file(TarReader& tar, const TarEntry& entry, const LayerTree::Path& path) {
    if (entry.size > budget_.bytes) {
        return bad_image("it is larger than what an image may be");
    }
    budget_.bytes -= entry.size;
    const auto file = tree_.add_file(path);
    if (!file) {
        return file.error();
    }
    while (true) {
        const auto block = tar.block();
        if (!block) {
            return block.error();
        }
        if (!*block) {
            break;
        }
        const auto& [bytes, offset] = **block;
        if (offset > entry.size || bytes.size() > entry.size - offset) {
            return bad_image(cat("'", entry.path, "' is longer than its size"));
        }
        auto written = write_at(file->get(), bytes, offset);
        if (auto fine = written ? note_written(bytes.size()) : std::move(written); !fine) {
            return fine;
        }
    }
    // The end of a sparse file may be a hole.
    if (entry.sparse && ftruncate(file->get(), static_cast<off_t>(entry.size)) != 0) {
        return errno_error("cannot write to the image store");
    }
    return LayerTree::finish_file(*file, {entry.mode, entry.uid, entry.gid, entry.modified});
}

Status Unpacker::add_whiteout(const LayerTree::Path& path) {
    LayerTree::Path hidden(path.begin(), path.end() - 1);
    if (path.back() == kOpaque) {
        return tree_.add_opaque(hidden);
    }
    if (path.back().starts_with(kAufs)) {
        return {};
    }
    hidden.push_back(path.back().substr(kWhiteout.size()));
    if (hidden.back().empty() || hidden.back() == "." || hidden.back() == "..") {
        return bad_image(cat("'", path.back(), "' is no possible whiteout"));
    }
    return tree_.add_whiteout(hidden);
}

}  // namespace viscum
