// SPDX-License-Identifier: GPL-2.0-only
// A backup: any bytes as its head and as the whole, and tars that are whole but for what the input changes in them.
#include <sys/stat.h>

#include <cstdio>

#include "base/file.h"
#include "base/text.h"
#include "controller/backup/pack.h"
#include "controller/backup/staged.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

constexpr std::size_t kBlock = 512;

class TextReader : public ByteReader {
public:
    TextReader(std::string_view text, std::size_t piece) : left_(text), piece_(piece) {}
    Result<std::size_t> read(char* into, std::size_t size) override {
        const std::size_t count = std::min({size, piece_, left_.size()});
        std::copy_n(left_.data(), count, into);
        left_.remove_prefix(count);
        return count;
    }

private:
    std::string_view left_;
    std::size_t piece_;
};

std::string sha256_of(std::string_view text) {
    Sha256 hash;
    hash.add(text.data(), text.size());
    return hash.digits();
}

void append_entry(std::string& tar, const std::string& path, std::string_view text, char kind) {
    std::string head(kBlock, '\0');
    const auto put = [&head](std::size_t at, std::string_view what) { head.replace(at, what.size(), what); };
    char size[12];
    std::snprintf(size, sizeof size, "%011zo", text.size());
    put(0, std::string_view(path).substr(0, 100));
    put(100, "0000600");
    put(108, "0000000");
    put(116, "0000000");
    put(124, size);
    put(136, "00000000000");
    put(148, "        ");
    head[156] = kind;
    put(257, std::string_view("ustar\00000", 8));
    unsigned sum = 0;
    for (const char c : head) {
        sum += static_cast<unsigned char>(c);
    }
    char digits[8];
    std::snprintf(digits, sizeof digits, "%06o", sum & 0777777U);
    put(148, std::string_view(digits, 7));
    tar += head;
    tar += text;
    tar.append((kBlock - text.size() % kBlock) % kBlock, '\0');
}

void check_head(std::string_view text) {
    const auto head = decode_backup(text);
    if (!head) {
        require(head.error().errno_code == EBADMSG && !head.error().what.empty(), "a refusal says why");
        return;
    }
    require(encode_backup(*head) == text, "a head has one form");
    for (const auto& file : head->files) {
        require(is_backup_path(file.path) && cat('/', file.path, '/').find("/../") == std::string::npos,
                "a file stays where those of an instance are");
        require((file.mode & 07022U) == 0 && file.size <= kMaxBackupFile, "nobody but root may write a file");
    }
}

/// Whether it was taken.
bool check_whole(const std::string& bytes, std::size_t piece) {
    const std::string dir = work_directory() + "/staged";
    TextReader input(bytes, piece);
    const auto head = stage_backup(input, dir);
    struct stat info {};
    if (!head) {
        require(!head.error().what.empty(), "a refusal says why");
        require(lstat(dir.c_str(), &info) != 0, "nothing of a refused backup stays");
        return false;
    }
    require(read_whole(cat(dir, '/', kBackupHead)) == encode_backup(*head), "the head is kept as it was");
    for (const auto& file : head->files) {
        const std::string place = cat(dir, '/', file.path);
        require(lstat(place.c_str(), &info) == 0 && S_ISREG(info.st_mode), "what was listed is there, a plain file");
        require((info.st_mode & 07777U) == file.mode, "it has the mode that the head tells");
        const std::string text = read_whole(place);
        require(text.size() == file.size && sha256_of(text) == file.sha256, "it is what the head says");
    }
    require(static_cast<bool>(remove_staged(dir)), "what was staged can be taken away");
    return true;
}

BackupFile file_from(Input& input, std::string text) {
    static const std::string digest(40, 'a');
    const std::string name(1, static_cast<char>('a' + input.byte() % 26));
    const std::vector<std::string> places{"etc/viscum.yaml",
                                          cat("etc/services/", name, ".yaml"),
                                          cat("etc/files/", name),
                                          cat("etc/files/", name, ".new"),
                                          cat("etc/secrets/", name),
                                          cat("var/bundles/", digest, "/files/", name),
                                          cat("var/bundles/versions/", name)};
    const auto mode = static_cast<mode_t>((input.byte() & 1U) != 0 ? 0644 : 0600);
    return {places.at(input.byte() % places.size()), text.size(), sha256_of(text), mode};
}

void check_made(Input& input) {
    const auto damage = input.byte();
    const auto at = input.number<std::uint16_t>();
    const auto piece = input.byte() + std::size_t{1};
    BackupHead head{"1.0", "viscum", "2026-11-23T08:00:00Z", {"web"}, {}};
    std::vector<std::string> texts;
    while (!input.empty() && texts.size() < 6) {
        std::string text = input.chunk();
        const BackupFile file = file_from(input, text);
        if (std::none_of(head.files.begin(), head.files.end(),
                         [&file](const auto& other) { return other.path == file.path; })) {
            head.files.push_back(file);
            texts.push_back(std::move(text));
        }
    }
    std::string tar;
    append_entry(tar, kBackupHead, encode_backup(head), '0');
    for (std::size_t i = 0; i < texts.size(); ++i) {
        // A link, a directory or a text of the same length in the place of the last file.
        const bool last = i + 1 == texts.size();
        const bool changes = last && damage % 4 == 1 && !texts[i].empty();
        if (changes) {
            texts[i].front() = static_cast<char>(texts[i].front() ^ 1);
        }
        append_entry(tar, head.files[i].path, texts[i], last && damage % 4 == 2 ? '2' : '0');
        require(!(changes || (last && damage % 4 == 2)) || !check_whole(tar + std::string(2 * kBlock, '\0'), piece),
                "a file that is not what the head says is refused");
        if (changes || (last && damage % 4 == 2)) {
            return;
        }
    }
    if (damage % 4 == 3) {
        append_entry(tar, "etc/files/more", "", '0');
    }
    tar.append(2 * kBlock, '\0');
    const bool is_good = decode_backup(encode_backup(head)) && damage % 4 != 3;
    require(check_whole(tar, piece) == is_good, "what is whole is taken, and nothing beyond");
    tar[at % tar.size()] = static_cast<char>(tar[at % tar.size()] ^ damage);
    check_whole(tar, piece);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string bytes(text_of(data, size));
    check_head(bytes);
    std::string tar;
    append_entry(tar, kBackupHead, bytes, '0');
    check_whole(tar + std::string(2 * kBlock, '\0'), kBlock);
    check_whole(bytes, kBlock);
    Input input(data, size);
    check_made(input);
    return 0;
}
