// SPDX-License-Identifier: GPL-2.0-only
#include "controller/backup/head.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "controller/spec/names.h"

namespace viscum {
namespace {

constexpr std::string_view kFirst = "viscum-backup 1";
constexpr std::string_view kLast = "end";
constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::size_t kBundleDigits = 40;
constexpr std::size_t kChecksumDigits = 64;
constexpr mode_t kModes = 0755;  // nobody but root may write

bool consists_of(std::string_view text, std::string_view signs) {
    return !text.empty() && text.find_first_not_of(signs) == std::string_view::npos;
}

/// What stands between two parts of a text; empty where these are not its ends.
std::string_view between(std::string_view text, std::string_view front, std::string_view back = "") {
    return text.size() > front.size() + back.size() && text.starts_with(front) && text.ends_with(back)
               ? text.substr(front.size(), text.size() - front.size() - back.size())
               : std::string_view();
}

bool is_bundle_path(std::string_view path) {
    if (const auto service = between(path, "versions/"); !service.empty()) {
        return is_service_name(service);
    }
    const auto digest = path.substr(0, std::min(path.size(), kBundleDigits));
    if (digest.size() != kBundleDigits || !consists_of(digest, kHexDigits)) {
        return false;
    }
    const auto rest = path.substr(kBundleDigits);
    return rest == "/service.yaml" || rest == "/image" || rest == "/version" || is_file_name(between(rest, "/files/"));
}

std::string octal(mode_t mode) {
    return cat(mode >> 6 & 7, mode >> 3 & 7, mode & 7);
}

/// Three digits that give nobody but root the right to write.
std::optional<mode_t> mode_of(std::string_view text) {
    if (text.size() != 3 || !consists_of(text, "01234567")) {
        return std::nullopt;
    }
    const auto mode = static_cast<mode_t>((text[0] - '0') << 6 | (text[1] - '0') << 3 | (text[2] - '0'));
    return (mode & ~kModes) == 0 ? std::optional(mode) : std::nullopt;
}

/// "SHA256 SIZE MODE PATH"
std::optional<BackupFile> file_of(std::string_view text) {
    const auto fields = split(text, ' ');
    if (fields.size() != 4 || fields[0].size() != kChecksumDigits || !consists_of(fields[0], kHexDigits) ||
        !is_backup_path(fields[3])) {
        return std::nullopt;
    }
    const auto size = parse_decimal(fields[1], kMaxBackupFile);
    const auto mode = mode_of(fields[2]);
    return size && mode ? std::optional(BackupFile{fields[3], *size, fields[0], *mode}) : std::nullopt;
}

bool is_plain(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

bool take_line(BackupHead& head, std::string_view key, std::string_view value) {
    if (key == "version" || key == "instance" || key == "made") {
        auto& place = key == "version" ? head.version : key == "instance" ? head.instance : head.made;
        const bool once = place.empty() && is_plain(value);
        place = value;
        return once && (key != "instance" || Instance::parse(place));
    }
    if (key == "drained") {
        head.drained.emplace_back(value);
        return is_service_name(value);
    }
    const auto file = key == "file" ? file_of(value) : std::nullopt;
    if (file) {
        head.files.push_back(*file);
    }
    return file.has_value();
}

Error bad(std::size_t line, std::string_view what) {
    return {EBADMSG, cat("line ", line, " of its head ", what)};
}

}  // namespace

bool is_backup_path(std::string_view path) {
    return path == "etc/viscum.yaml" || is_service_name(between(path, "etc/services/", ".yaml")) ||
           is_file_name(between(path, "etc/files/")) || is_file_name(between(path, "etc/secrets/")) ||
           is_bundle_path(between(path, "var/bundles/"));
}

std::string place_of(const Instance& instance, std::string_view path) {
    return path.starts_with("etc/") ? cat("/etc/", instance.name, path.substr(3))
                                    : cat(instance.state_dir(), path.substr(3));
}

std::string encode_backup(const BackupHead& head) {
    std::string text =
        cat(kFirst, "\nversion ", head.version, "\ninstance ", head.instance, "\nmade ", head.made, "\n");
    for (const auto& service : head.drained) {
        text += cat("drained ", service, "\n");
    }
    for (const auto& file : head.files) {
        text += cat("file ", file.sha256, ' ', file.size, ' ', octal(file.mode), ' ', file.path, "\n");
    }
    return text + cat(kLast, "\n");
}

Result<BackupHead> decode_backup(std::string_view text) {
    if (!text.starts_with(cat(kFirst, "\n"))) {
        return Error{EBADMSG, text.starts_with("viscum-backup ") ? "it was made by a newer Viscum" : "it is no backup"};
    }
    BackupHead head;
    std::set<std::string_view> paths;
    const auto lines = split(text, '\n');
    for (std::size_t at = 1; at < lines.size(); ++at) {
        const std::string_view line = lines[at];
        if (line == kLast) {
            if (at + 2 != lines.size() || !lines[at + 1].empty()) {
                return bad(at + 1, "is not its last one");
            }
            const bool whole = !head.version.empty() && !head.instance.empty() && !head.made.empty();
            if (!whole) {
                return Error{EBADMSG, "its head lacks a line"};
            }
            // What has another order, or a number in another form, was changed by somebody.
            return encode_backup(head) == text ? Result<BackupHead>(std::move(head))
                                               : Error{EBADMSG, "its head is not as a backup's is written"};
        }
        if (line.empty() && at + 1 == lines.size()) {
            break;
        }
        const std::size_t blank = line.find(' ');
        if (blank == std::string_view::npos || !take_line(head, line.substr(0, blank), line.substr(blank + 1))) {
            return bad(at + 1, "cannot be understood");
        }
        if (head.files.size() > kMaxBackupFiles || head.drained.size() > kMaxBackupFiles) {
            return bad(at + 1, "is one too many");
        }
        const auto path = line.starts_with("file ") ? line.substr(line.rfind(' ') + 1) : std::string_view();
        if (!path.empty() && !paths.insert(path).second) {
            return bad(at + 1, "names a file twice");
        }
        // A file is written under that name first: it would take the place of the one before.
        if (!path.empty() && paths.contains(cat(path, ".new"))) {
            return bad(at + 1, "comes after what it is named before it is whole");
        }
    }
    return Error{EBADMSG, "its head ends too early"};
}

}  // namespace viscum
