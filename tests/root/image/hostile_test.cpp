// SPDX-License-Identifier: GPL-2.0-only
// Layers that were made to do harm. Each is refused whole: nothing outside of the store changes, and nothing stays in
// it.
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "tests/root/image/fixture.h"

using namespace viscum;

namespace {

/// A tree around the store; whatever is written into it is seen.
class Canary {
public:
    Canary() {
        write_file("/tmp/canary/file", "untouched");
        before_ = look();
    }
    ~Canary() { std::filesystem::remove_all("/tmp/canary"); }
    Canary(const Canary&) = delete;
    Canary& operator=(const Canary&) = delete;
    [[nodiscard]] bool untouched() const { return look() == before_ && text_of("/tmp/canary/file") == "untouched"; }

private:
    static std::vector<std::string> look() {
        std::vector<std::string> lines;
        for (const char* directory : {"/tmp/canary", "/tmp", "/etc", "/var/lib/img", "/var/lib"}) {
            const auto names = list_directory(directory);
            for (const auto& name : *names) {
                struct stat info {};
                lstat(cat(directory, "/", name).c_str(), &info);
                lines.push_back(cat(directory, "/", name, " ", info.st_mode, " ", info.st_uid, " ", info.st_nlink));
            }
        }
        return lines;
    }
    std::vector<std::string> before_;
};

void check_refused(const TarText& layer, std::string_view reason) {
    for (const auto compression : {Compression::none, Compression::gzip}) {
        StoreFixture fixture;
        REQUIRE(fixture.image({"prune"}).success());
        const Canary canary;
        BuiltImage image;
        image.layers = {{TarText().file("fine", "fine").text(), compression}, {layer.text(), compression}};
        const auto refused = fixture.image({"import", fixture.put("bad.tar", tar_of(oci_layout(image)))});
        CHECK(refused.status == 2);
        CHECK_MESSAGE(refused.err.find(reason) != std::string::npos, refused.err);
        CHECK(fixture.contents().empty());
        CHECK(canary.untouched());
    }
}

}  // namespace

TEST_CASE("hostile image: a name that climbs out") {
    check_refused(TarText().file("../escaped", "x"), "climbs");
    check_refused(TarText().directory("a").file("a/../../escaped", "x"), "climbs");
    check_refused(TarText().pax("path", "b/../../../../../../../tmp/escaped").file("x", "x"), "climbs");
    check_refused(TarText().directory(".."), "climbs");
}

TEST_CASE("hostile image: an absolute name") {
    check_refused(TarText().file("/tmp/escaped", "x"), "absolute");
    check_refused(TarText().file("//tmp/escaped", "x"), "absolute");
}

TEST_CASE("hostile image: a link to a directory elsewhere, and a file written through it") {
    check_refused(TarText().symlink("a", "/tmp/canary").file("a/file", "x"), "no directory");
    check_refused(TarText().symlink("a", "../../../../../../tmp/canary").file("a/file", "x"), "no directory");
    check_refused(TarText().symlink("a", "b").directory("b").file("a/file", "x"), "no directory");
    check_refused(TarText().directory("d").symlink("d/a", "/tmp").directory("d/a/canary/made"), "no directory");
    check_refused(TarText().symlink("a", "/tmp/canary").symlink("a/file", "x"), "no directory");
    check_refused(TarText().symlink("a", "/tmp/canary").file("a/.wh.file"), "no directory");
    check_refused(TarText().symlink("a", "/tmp/canary").file("a/.wh..wh..opq"), "no directory");
}

TEST_CASE("hostile image: a hard link to a file of the host") {
    check_refused(TarText().hard_link("a", "/tmp/canary/file"), "absolute");
    check_refused(TarText().hard_link("a", "../../../../../../tmp/canary/file"), "climbs");
    check_refused(TarText().symlink("d", "/tmp/canary").hard_link("a", "d/file"), "no directory");
    check_refused(TarText().hard_link("a", "not-there"), "not in its layer");
    check_refused(TarText().hard_link("a", "fine"), "not in its layer");  // it is in another one
    check_refused(TarText().directory("d").hard_link("a", "d"), "not in its layer");
}

TEST_CASE("hostile image: a hard link to a link is that link, and is never followed") {
    StoreFixture fixture;
    REQUIRE(fixture.image({"prune"}).success());
    const Canary canary;
    BuiltImage image;
    image.layers = {{TarText().symlink("s", "/tmp/canary/file").hard_link("h", "s").file("h", "own").text()}};
    CHECK(fixture.image({"import", fixture.put("a.tar", tar_of(oci_layout(image)))}).success());
    CHECK(canary.untouched());
    CHECK(text_of(fixture.show(*fixture.find("a:v1")) + "/h") == "own");
}

TEST_CASE("hostile image: a link in the place of /dev, /proc or /sys") {
    check_refused(TarText().symlink("dev", "/tmp/canary"), "'/dev' is no directory");
    check_refused(TarText().directory("proc").symlink("./proc", "/"), "'/proc' is no directory");
    check_refused(TarText().file("sys", "x"), "'/sys' is no directory");
}

TEST_CASE("hostile image: a device") {
    check_refused(TarText().add('3', "null", "", {.mode = 0666}), "is a device");
    check_refused(TarText().add('4', "disk", "", {.mode = 0666}), "is a device");
}

TEST_CASE("hostile image: whiteouts with impossible names") {
    check_refused(TarText().file("a/.wh..", ""), "no possible whiteout");
    check_refused(TarText().file(".wh...", ""), "no possible whiteout");
    check_refused(TarText().file(".wh.", ""), "no possible whiteout");
    check_refused(TarText().file(".wh.a/b", ""), "lies in a whiteout");
}

TEST_CASE("hostile image: a file where a directory must be") {
    check_refused(TarText().file("a", "x").file("a/b", "x"), "no directory");
    check_refused(TarText().file(".", "x"), "root is no directory");
}

TEST_CASE("hostile image: too deep, too long, too many") {
    std::string deep = "a";
    for (int i = 0; i < 64; ++i) {
        deep += "/a";
    }
    check_refused(TarText().pax("path", deep).file("x", "x"), "deeper than 64");
    std::string path;
    for (int i = 0; i < 50; ++i) {
        path += std::string(100, 'p') + "/";
    }
    check_refused(TarText().pax("path", path).file("x", "x"), "longer than 4096");
    check_refused(TarText().pax("path", std::string(256, 'n')).file("x", "x"), "longer than 255");
    StoreFixture fixture;
    TarText many;
    for (int i = 0; i < 200'001; ++i) {
        many.hard_link("a", "a");
    }
    BuiltImage image;
    image.layers = {{many.text(), Compression::zstd}};
    const auto refused = fixture.image({"import", fixture.put("many.tar", tar_of(oci_layout(image)))});
    CHECK(refused.status == 2);
    CHECK_MESSAGE(refused.err.find("too many files") != std::string::npos, refused.err);
    CHECK(fixture.contents().empty());
}

TEST_CASE("hostile image: more than it may hold, by one file's size, by many, and by what follows the files") {
    StoreFixture fixture;
    REQUIRE(fixture.image({"prune"}).success());
    const auto import = [&fixture](const std::string& tar) {
        BuiltImage image;
        image.layers = {{tar, Compression::zstd}};
        const auto refused =
            fixture.image({"import", "--limit", "4M", fixture.put("bomb.tar", tar_of(oci_layout(image)))});
        CHECK(refused.status == 2);
        CHECK(fixture.contents().empty());
        return refused.err;
    };
    const TarText::Options huge = {.stated_size = 0777'7777'7777};
    CHECK(import(TarText().add('0', "huge", "", huge).text()).find("larger than") != std::string::npos);
    const std::string zeros(1 << 20, '\0');
    TarText many;
    for (int i = 0; i < 5; ++i) {
        many.file(cat("f", i), zeros);
    }
    CHECK(import(many.text()).find("larger than") != std::string::npos);
    CHECK(import(TarText().file("a").text() + std::string(600UL << 20, '\0')).find("more than") != std::string::npos);
}

TEST_CASE("hostile image: kinds of layers that are not understood are named") {
    StoreFixture fixture;
    for (const char* type : {"application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
                             "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                             "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "text/plain"}) {
        BuiltImage image;
        image.layers = {{TarText().file("a").text(), Compression::gzip, type}};
        const auto refused = fixture.image({"import", fixture.put("a.tar", tar_of(oci_layout(image)))});
        CHECK(refused.status == 2);
        CHECK_MESSAGE(refused.err.find(type) != std::string::npos, refused.err);
        CHECK(fixture.contents().empty());
    }
}

TEST_CASE("hostile image: a layout whose files are links out of it") {
    StoreFixture fixture;
    BuiltImage image;
    image.layers = {{TarText().file("a").text()}};
    const Files files = oci_layout(image);
    write_files(files, fixture.place("layout"));
    for (const auto& [path, bytes] : files) {
        write_file("/tmp/away", bytes);
        const auto inside = cat(fixture.place("layout"), "/", path);
        std::filesystem::remove(inside);
        std::filesystem::create_symlink("/tmp/away", inside);
        CAPTURE(path);
        CHECK_FALSE(fixture.image({"import", fixture.place("layout")}).success());
        std::filesystem::remove(inside);
        write_file(inside, bytes);
    }
    CHECK(fixture.image({"import", fixture.place("layout")}).success());
    std::filesystem::remove("/tmp/away");
}

TEST_CASE("hostile image: what a terminal would obey is not shown to it") {
    StoreFixture fixture;
    BuiltImage image;
    image.layers = {{TarText().file("\x1b[31m/../..", "x").text()}};
    const auto refused = fixture.image({"import", fixture.put("a.tar", tar_of(oci_layout(image)))});
    CHECK(refused.status == 2);
    CHECK(refused.err.find('\x1b') == std::string::npos);
}
