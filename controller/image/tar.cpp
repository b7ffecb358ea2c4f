// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include "base/text.h"

namespace viscum {
namespace {

using Kind = TarEntry::Kind;

std::optional<Kind> kind_of(archive_entry* entry) {
    if (archive_entry_hardlink(entry) != nullptr) {
        return Kind::hardlink;
    }
    switch (archive_entry_filetype(entry)) {
        case AE_IFREG: return Kind::file;
        case AE_IFDIR: return Kind::directory;
        case AE_IFLNK: return Kind::symlink;
        case AE_IFIFO: return Kind::fifo;
        case AE_IFCHR:
        case AE_IFBLK: return Kind::device;
        default: return {};
    }
}

std::string text_or_nothing(const char* text) {
    return text == nullptr ? "" : text;
}

/// (uid_t)-1 means "do not change" to chown(2).
bool is_id(la_int64_t number) {
    return number >= 0 && number < static_cast<la_int64_t>(UINT32_MAX);
}

}  // namespace

Result<std::unique_ptr<TarReader>> TarReader::open(ByteReader& inner) {
    std::unique_ptr<TarReader> made(new TarReader(inner));
    made->handle_.reset(archive_read_new());
    if (!made->handle_ || archive_read_support_format_tar(made->handle_.get()) != ARCHIVE_OK) {
        return Error{ENOMEM, "cannot start libarchive"};
    }
    if (auto opened = open_archive(made->handle_.get(), made->input_); !opened) {
        return std::move(opened).error();
    }
    return made;
}

Result<std::optional<TarEntry>> TarReader::next() {
    archive_entry* entry = nullptr;
    const int found = archive_read_next_header(handle_.get(), &entry);
    if (found == ARCHIVE_EOF) {
        return std::optional<TarEntry>();
    }
    // A warning is about an attribute; what matters is checked below.
    if (found != ARCHIVE_OK && found != ARCHIVE_WARN) {
        return archive_error(handle_.get(), input_, "no tar that can be read");
    }
    const char* path = archive_entry_pathname(entry);
    const auto kind = kind_of(entry);
    const auto size = archive_entry_size(entry);
    if (path == nullptr || !kind || size < 0 || !is_id(archive_entry_uid(entry)) || !is_id(archive_entry_gid(entry))) {
        return bad_image(cat("no tar that can be read: entry '", text_or_nothing(path),
                             "' has no possible name, kind, size or owner"));
    }
    TarEntry made;
    made.kind = *kind;
    made.path = path;
    made.target =
        text_or_nothing(*kind == Kind::hardlink ? archive_entry_hardlink(entry) : archive_entry_symlink(entry));
    made.mode = archive_entry_perm(entry);
    made.uid = static_cast<uid_t>(archive_entry_uid(entry));
    made.gid = static_cast<gid_t>(archive_entry_gid(entry));
    made.modified = archive_entry_mtime(entry);
    made.size = *kind == Kind::file ? static_cast<std::uint64_t>(size) : 0;
    made.offset = static_cast<std::uint64_t>(archive_filter_bytes(handle_.get(), -1));
    made.sparse = archive_entry_sparse_count(entry) > 0;
    made.attributes = static_cast<std::size_t>(archive_entry_xattr_count(entry));
    return std::optional(std::move(made));
}

Result<std::optional<TarBlock>> TarReader::block() {
    const void* bytes = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int got = archive_read_data_block(handle_.get(), &bytes, &size, &offset);
    if (got == ARCHIVE_EOF) {
        return std::optional<TarBlock>();
    }
    if (got != ARCHIVE_OK || offset < 0) {
        return archive_error(handle_.get(), input_, "no tar that can be read");
    }
    return std::optional(TarBlock{{static_cast<const char*>(bytes), size}, static_cast<std::uint64_t>(offset)});
}

}  // namespace viscum
