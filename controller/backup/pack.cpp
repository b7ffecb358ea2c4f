// SPDX-License-Identifier: GPL-2.0-only
#include "controller/backup/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>

#include "base/build_info.h"
#include "base/file.h"
#include "base/text.h"
#include "controller/backup/staged.h"
#include "controller/image/tar.h"

namespace viscum {
namespace {

constexpr std::size_t kBlock = 512;  // of a tar
constexpr mode_t kModes = 0755;

struct WriterDeleter {
    void operator()(archive* handle) const { archive_write_free(handle); }
};
using Writer = std::unique_ptr<archive, WriterDeleter>;

struct EntryDeleter {
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

std::string sha256_of(std::string_view text) {
    Sha256 hash;
    hash.add(text.data(), text.size());
    return hash.digits();
}

std::string time_text(std::time_t now) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

/// What of an instance belongs into a backup.
class Collector {
public:
    explicit Collector(const Instance& instance) : instance_(instance) {}

    Status collect() {
        if (auto added = add("etc/viscum.yaml"); !added) {
            return added;
        }
        for (const char* dir : {"etc/services", "etc/files", "etc/secrets", "var/bundles/versions"}) {
            if (auto added = add_all(dir); !added) {
                return added;
            }
        }
        return add_bundles();
    }

    std::vector<BackupFile> files;
    std::vector<std::string> left_out;

private:
    Status add_bundles() {
        const auto names = list_directory(place_of(instance_, "var/bundles"));
        for (const auto& name : names ? *names : std::vector<std::string>()) {
            if (!is_backup_path(cat("var/bundles/", name, "/service.yaml"))) {
                continue;  // "versions", which were taken, and what is about to come or to go
            }
            for (const char* part : {"service.yaml", "image", "version"}) {
                if (auto added = add(cat("var/bundles/", name, '/', part)); !added) {
                    return added;
                }
            }
            if (auto added = add_all(cat("var/bundles/", name, "/files")); !added) {
                return added;
            }
        }
        return names ? Status() : Status(names.error());
    }

    Status add_all(const std::string& dir) {
        const auto names = list_directory(place_of(instance_, dir));
        if (!names) {
            return names.error();
        }
        for (const auto& name : *names) {
            if (auto added = add(cat(dir, '/', name)); !added) {
                return added;
            }
        }
        return {};
    }

    /// What is not there is passed over; what is no file that a backup can hold is told.
    Status add(const std::string& path) {
        const std::string place = place_of(instance_, path);
        struct stat info {};
        if (stat(place.c_str(), &info) != 0) {
            if (errno != ENOENT) {
                return errno_error(cat("cannot read '", place, "'"));
            }
            if (lstat(place.c_str(), &info) == 0) {
                left_out.push_back(cat("'", place, "': a link to nothing"));
            }
            return {};
        }
        if (!is_backup_path(path) || !S_ISREG(info.st_mode)) {
            left_out.push_back(cat("'", place, "': no plain file of letters, digits and ._-"));
            return {};
        }
        const auto text = read_file(place, kMaxBackupFile);
        if (!text) {
            return text.error();
        }
        if (files.size() == kMaxBackupFiles) {
            return Error{EFBIG, cat("there are more than ", kMaxBackupFiles, " files")};
        }
        files.push_back({path, text->size(), sha256_of(*text), info.st_mode & kModes});
        return {};
    }

    const Instance& instance_;
};

class TarWriter {
public:
    static Result<TarWriter> open(int out, std::time_t now) {
        Writer handle(archive_write_new());
        // In blocks of a tar's own size: what is written is as long as it must be.
        if (!handle || archive_write_set_format_pax_restricted(handle.get()) != ARCHIVE_OK ||
            archive_write_set_bytes_per_block(handle.get(), kBlock) != ARCHIVE_OK ||
            archive_write_open_fd(handle.get(), out) != ARCHIVE_OK) {
            return Error{ENOMEM, "cannot start libarchive"};
        }
        return TarWriter(std::move(handle), now);
    }

    Status add(const std::string& path, mode_t mode, std::string_view bytes) {
        const std::unique_ptr<archive_entry, EntryDeleter> entry(archive_entry_new());
        if (!entry) {
            return Error{ENOMEM, "cannot start libarchive"};
        }
        archive_entry_set_pathname(entry.get(), path.c_str());
        archive_entry_set_filetype(entry.get(), AE_IFREG);
        archive_entry_set_perm(entry.get(), mode);
        archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes.size()));
        archive_entry_set_mtime(entry.get(), now_, 0);
        if (archive_write_header(handle_.get(), entry.get()) != ARCHIVE_OK ||
            archive_write_data(handle_.get(), bytes.data(), bytes.size()) != static_cast<la_ssize_t>(bytes.size())) {
            return failure();
        }
        return {};
    }

    Status end() { return archive_write_close(handle_.get()) == ARCHIVE_OK ? Status() : Status(failure()); }

private:
    TarWriter(Writer handle, std::time_t now) : handle_(std::move(handle)), now_(now) {}

    [[nodiscard]] Error failure() const {
        const char* text = archive_error_string(handle_.get());
        return {archive_errno(handle_.get()), cat("cannot write: ", text == nullptr ? "" : text)};
    }

    Writer handle_;
    std::time_t now_;
};

Error damaged(std::string what) {
    return {EBADMSG, std::move(what)};
}

/// The bytes of the entry that came, at most `limit`.
Result<std::string> bytes_of(TarReader& tar, std::size_t limit) {
    std::string text;
    while (true) {
        const auto block = tar.block();
        if (!block || !*block) {
            return block ? Result<std::string>(std::move(text)) : block.error();
        }
        if ((*block)->offset != text.size() || text.size() + (*block)->bytes.size() > limit) {
            return damaged("an entry is not as long as it says");
        }
        text += (*block)->bytes;
    }
}

/// The next entry, which is a plain file of this path.
Result<std::string> expect(TarReader& tar, const std::string& path, std::size_t limit) {
    const auto entry = tar.next();
    if (!entry) {
        return entry.error();
    }
    if (!*entry) {
        return damaged(cat("it ends before '", path, "'"));
    }
    if ((*entry)->path != path || (*entry)->kind != TarEntry::Kind::file || (*entry)->sparse) {
        return damaged(path == kBackupHead ? "it is no backup"
                                           : cat("it has no file '", path, "' where its head says"));
    }
    return bytes_of(tar, limit);
}

Status stage_file(TarReader& tar, const BackupFile& file, const std::string& dir) {
    const auto text = expect(tar, file.path, static_cast<std::size_t>(file.size));  // bounded where the head was read
    if (!text) {
        return text.error();
    }
    if (text->size() != file.size || sha256_of(*text) != file.sha256) {
        return damaged(cat("'", file.path, "' is damaged: its checksum does not fit"));
    }
    const std::string place = cat(dir, '/', file.path);
    auto made = make_directory(place.substr(0, place.rfind('/')), 0700);
    return made ? write_file_atomically(place, *text, file.mode) : std::move(made);
}

Result<BackupHead> stage_all(ByteReader& input, const std::string& dir) {
    const auto tar = TarReader::open(input);
    const auto text = tar ? expect(**tar, kBackupHead, kMaxBackupHead) : Result<std::string>(tar.error());
    auto head = text ? decode_backup(*text) : Result<BackupHead>(text.error());
    if (!head) {
        return head;
    }
    for (const auto& file : head->files) {
        if (auto staged = stage_file(**tar, file, dir); !staged) {
            return std::move(staged).error();
        }
    }
    const auto more = (*tar)->next();
    if (!more || *more) {
        return more ? damaged("it has more than its head says") : more.error();
    }
    auto written = write_file_atomically(cat(dir, '/', kBackupHead), *text, 0600);
    return written ? std::move(head) : Result<BackupHead>(std::move(written).error());
}

}  // namespace

Result<PackedBackup> pack_backup(const Instance& instance, const std::vector<std::string>& drained, int out) {
    Collector collected(instance);
    if (auto status = collected.collect(); !status) {
        return std::move(status).error();
    }
    const std::time_t now = std::time(nullptr);
    PackedBackup packed{{std::string(kVersion), instance.name, time_text(now), drained, std::move(collected.files)},
                        std::move(collected.left_out)};
    auto tar = TarWriter::open(out, now);
    auto written = tar ? tar->add(kBackupHead, 0600, encode_backup(packed.head)) : Status(tar.error());
    for (const auto& file : packed.head.files) {
        if (!written) {
            break;
        }
        const auto text = read_file(place_of(instance, file.path), kMaxBackupFile);
        if (!text || sha256_of(*text) != file.sha256) {
            return Error{EAGAIN, cat("'", place_of(instance, file.path), "' changed while it was read")};
        }
        written = tar->add(file.path, file.mode, *text);
    }
    if (written) {
        written = tar->end();
    }
    return written ? Result<PackedBackup>(std::move(packed)) : Result<PackedBackup>(std::move(written).error());
}

Result<BackupHead> stage_backup(ByteReader& input, const std::string& dir) {
    if (auto removed = remove_staged(dir); !removed) {
        return std::move(removed).error();
    }
    if (auto made = make_directory(dir, 0700); !made) {
        return std::move(made).error();
    }
    auto head = stage_all(input, dir);
    if (!head) {
        [[maybe_unused]] const auto removed = remove_staged(dir);
    }
    return head;
}

}  // namespace viscum
