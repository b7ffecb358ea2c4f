// SPDX-License-Identifier: GPL-2.0-only
#include "controller/backup/head.h"

#include <doctest/doctest.h>

#include "base/text.h"

using namespace viscum;

namespace {

const std::string kSum(64, 'a');
const std::string kDigest(40, 'b');

BackupHead usual() {
    return {"0.1.0",
            "viscum",
            "2026-11-23T02:00:00Z",
            {"plates"},
            {{"etc/viscum.yaml", 40, kSum, 0644},
             {"etc/services/plates.yaml", 200, kSum, 0640},
             {"etc/secrets/key.pem", 0, kSum, 0600},
             {cat("var/bundles/", kDigest, "/files/nginx.conf"), 16UL << 20, kSum, 0644}}};
}

std::string why_not(const std::string& text) {
    const auto head = decode_backup(text);
    return head ? "" : head.error().what;
}

}  // namespace

TEST_CASE("backup: a head is read back as it was written") {
    const auto head = decode_backup(encode_backup(usual()));
    REQUIRE(head);
    CHECK(*head == usual());
    CHECK(decode_backup(encode_backup({"1", "a", "x", {}, {}})));
}

TEST_CASE("backup: a head that was cut off or changed anywhere is none, or says the same") {
    const std::string text = encode_backup(usual());
    for (std::size_t size = 0; size < text.size(); ++size) {
        CAPTURE(size);
        CHECK_FALSE(decode_backup(text.substr(0, size)));
    }
    for (std::size_t at = 0; at < text.size(); ++at) {
        for (const char c : {'\n', ' ', '\0', '/', '.', '8', 'z', '\xff'}) {
            std::string changed = text;
            changed[at] = c;
            const auto head = decode_backup(changed);
            CHECK((!head || encode_backup(*head) == changed));
        }
    }
    CHECK_FALSE(decode_backup(text + "\n"));
    CHECK_FALSE(decode_backup(text + text));
}

TEST_CASE("backup: files have the places that an instance has, and no other") {
    for (const auto& path : {std::string("etc/viscum.yaml"), std::string("etc/services/a-1.yaml"),
                             std::string("etc/files/nginx.conf"), std::string("etc/secrets/key.pem"),
                             cat("var/bundles/", kDigest, "/service.yaml"), cat("var/bundles/", kDigest, "/image"),
                             cat("var/bundles/", kDigest, "/version"), std::string("var/bundles/versions/plates")}) {
        CAPTURE(path);
        CHECK(is_backup_path(path));
    }
    for (const auto& path : {std::string(),
                             std::string("etc"),
                             std::string("/etc/viscum.yaml"),
                             std::string("etc/viscum.yaml/"),
                             std::string("etc/passwd"),
                             std::string("etc/services/.yaml"),
                             std::string("etc/services/A.yaml"),
                             std::string("etc/services/../x.yaml"),
                             std::string("etc/files/.."),
                             std::string("etc/files/.hidden"),
                             std::string("etc/files/a/b"),
                             std::string("etc/files/"),
                             std::string("etc/files/a b"),
                             std::string("var/state.0"),
                             std::string("var/bundles/x/service.yaml"),
                             cat("var/bundles/", kDigest),
                             cat("var/bundles/", kDigest, "/files/../x"),
                             cat("var/bundles/", kDigest, "x/version"),
                             std::string("var/bundles/versions/../../x"),
                             std::string("../etc/viscum.yaml")}) {
        CAPTURE(path);
        CHECK_FALSE(is_backup_path(path));
    }
    CHECK(place_of({"edge"}, "etc/files/a") == "/etc/edge/files/a");
    CHECK(place_of({"edge"}, "var/bundles/versions/a") == "/var/lib/edge/bundles/versions/a");
}

TEST_CASE("backup: what is wrong is named by its line") {
    const std::string start = "viscum-backup 1\nversion 1\ninstance a\nmade x\n";
    CHECK(why_not("hello") == "it is no backup");
    CHECK(why_not("viscum-backup 2\n") == "it was made by a newer Viscum");
    CHECK(why_not(start) == "its head ends too early");
    CHECK(why_not(start + "end") == "line 5 of its head is not its last one");
    CHECK(why_not(start + "end\nmore\n") == "line 5 of its head is not its last one");
    CHECK(why_not("viscum-backup 1\nend\n") == "its head lacks a line");
    CHECK(why_not(start + "size 3\nend\n") == "line 5 of its head cannot be understood");
    CHECK(why_not(start + "version 2\nend\n") == "line 5 of its head cannot be understood");
    CHECK(why_not(start + cat("file ", kSum, " 1 666 etc/viscum.yaml\nend\n")) ==
          "line 5 of its head cannot be understood");
    CHECK(why_not(start + cat("file ", kSum, " 16777217 644 etc/viscum.yaml\nend\n")) ==
          "line 5 of its head cannot be understood");
    const std::string file = cat("file ", kSum, " 1 644 etc/viscum.yaml\n");
    CHECK(why_not(start + file + file + "end\n") == "line 6 of its head names a file twice");
    const std::string plain = cat("file ", kSum, " 1 644 etc/files/a\n");
    const std::string fresh = cat("file ", kSum, " 1 644 etc/files/a.new\n");
    CHECK(why_not(start + plain + fresh + "end\n").empty());
    CHECK(why_not(start + fresh + plain + "end\n") ==
          "line 6 of its head comes after what it is named before it is whole");
    CHECK(why_not(start + file + "drained web\nend\n") == "its head is not as a backup's is written");
    std::string many = start;
    for (std::size_t count = 0; count <= kMaxBackupFiles; ++count) {
        many += cat("file ", kSum, " 1 644 etc/files/", count, "\n");
    }
    CHECK(why_not(many + "end\n") == cat("line ", 5 + kMaxBackupFiles, " of its head is one too many"));
}
