// SPDX-License-Identifier: GPL-2.0-only
// A backup as somebody hostile would write it: only what its head lists comes out of it, and nowhere else.
#include <filesystem>

#include "base/text.h"
#include "controller/backup/head.h"
#include "controller/image/bytes.h"
#include "tests/root/image/fixture.h"

using namespace viscum;

namespace {

std::string checksum_of(const std::string& text) {
    Sha256 hash;
    hash.add(text.data(), text.size());
    return hash.digits();
}

/// A head that lists these files.
std::string head_of(const std::vector<std::pair<std::string, std::string>>& files) {
    BackupHead head{"1", "img", "now", {}, {}};
    for (const auto& [path, text] : files) {
        head.files.push_back({path, text.size(), checksum_of(text), 0644});
    }
    return encode_backup(head);
}

struct Stage {
    [[nodiscard]] RunOutput run(const TarText& tar) const { return run(tar.text()); }
    [[nodiscard]] RunOutput run(const std::string& bytes) const {
        return fixture.image({"backup-stage", fixture.put("evil.tar", bytes), fixture.place("staged")});
    }
    /// Refused as damaged, and nothing of it stays.
    void refuses(const TarText& tar, const std::string& part) const {
        const auto output = run(tar);
        CHECK(output.status == 2);
        CHECK_MESSAGE(output.err.find(part) != std::string::npos, output.err);
        CHECK_FALSE(exists(fixture.place("staged")));
        CHECK_FALSE(exists(fixture.place("outside")));
    }
    StoreFixture fixture;
};

const std::string kConfig = "etc/viscum.yaml";

}  // namespace

TEST_CASE("backup: a good one comes out as it is") {
    const Stage stage;
    TarText tar;
    tar.file(kBackupHead, head_of({{kConfig, "a"}, {"etc/files/b", ""}})).file(kConfig, "a").file("etc/files/b", "");
    CHECK(stage.run(tar).success());
    CHECK(text_of(stage.fixture.place("staged/etc/viscum.yaml")) == "a");
    CHECK(text_of(stage.fixture.place("staged/etc/files/b")).empty());
    // What another left there is gone.
    TarText other;
    other.file(kBackupHead, head_of({{kConfig, "c"}})).file(kConfig, "c");
    CHECK(stage.run(other).success());
    CHECK_FALSE(exists(stage.fixture.place("staged/etc/files")));
}

TEST_CASE("backup: entries that lie, lead elsewhere or come unasked are refused") {
    const Stage stage;
    const std::string head = head_of({{kConfig, "a"}});
    const auto begun = [&](const std::string& text) {
        TarText tar;
        tar.file(kBackupHead, text);
        return tar;
    };
    stage.refuses(TarText().file(kConfig, "a"), "it is no backup");
    stage.refuses(begun("hello"), "it is no backup");
    stage.refuses(begun(head), "it ends before");
    stage.refuses(begun(head).file(kConfig, "b"), "checksum");
    stage.refuses(begun(head).file(kConfig, "ab"), "not as long");
    stage.refuses(begun(head).file("etc/files/x", "a"), "no file");
    stage.refuses(begun(head).file("./" + kConfig, "a"), "no file");
    stage.refuses(begun(head).file("../outside", "a"), "no file");
    stage.refuses(begun(head).file(kConfig, "a").file(kConfig, "a"), "more than its head says");
    stage.refuses(begun(head).file(kConfig, "a").symlink("etc/files", "/in"), "more than its head says");
    stage.refuses(begun(head).symlink(kConfig, "/etc/shadow"), "no file");
    stage.refuses(begun(head).hard_link(kConfig, "/etc/shadow"), "no file");
    stage.refuses(begun(head).directory(kConfig), "no file");
    stage.refuses(begun(head).symlink("etc", stage.fixture.place("")).file(kConfig, "a"), "no file");
    stage.refuses(begun("viscum-backup 1\nversion 1\ninstance img\nmade now\nfile " + checksum_of("a") +
                        " 1 644 etc/../../outside\nend\n"),
                  "line 5");
}

TEST_CASE("backup: one that was cut off anywhere is refused") {
    const Stage stage;
    TarText tar;
    tar.file(kBackupHead, head_of({{kConfig, "a"}, {"etc/files/b", std::string(3000, 'b')}}))
        .file(kConfig, "a")
        .file("etc/files/b", std::string(3000, 'b'));
    const std::string bytes = tar.without_end();
    // Up to the last byte that means something: what fills a tar's last block does not.
    for (std::size_t size = 0; size < bytes.size() - 72; size += 61) {
        CAPTURE(size);
        CHECK(stage.run(bytes.substr(0, size)).status == 2);
        CHECK_FALSE(exists(stage.fixture.place("staged")));
    }
}
