// SPDX-License-Identifier: GPL-2.0-only
// Images that are not what they were, stores without room, and tars of other people's fuzzers.
#include <sys/mount.h>

#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "tests/root/image/fixture.h"
#include "tests/support/sandbox.h"

using namespace viscum;

namespace {

BuiltImage small(Compression compression) {
    BuiltImage image;
    image.layers = {{TarText().directory("d").file("d/f", std::string(3000, 'x')).text(), compression}};
    return image;
}

const char* const kCorpus = VISCUM_SOURCE_DIR "/../shared/corpora/tar";

}  // namespace

TEST_CASE("damaged image: a flipped byte in any of its documents and layers is seen") {
    StoreFixture fixture;
    REQUIRE(fixture.image({"prune"}).success());
    for (const auto compression : {Compression::none, Compression::gzip, Compression::zstd}) {
        const Files whole = oci_layout(small(compression));
        for (const auto& [path, bytes] : whole) {
            for (const std::size_t at : {bytes.size() / 4, bytes.size() / 2, bytes.size() - 1}) {
                Files files = whole;
                files[path][at] = static_cast<char>(files[path][at] ^ 1);
                // In the index the two harmless places are the annotation's text and the name of a version.
                const bool may_pass = path == "index.json" || path == "oci-layout";
                const auto imported = fixture.image({"import", "--name", "x", fixture.put("a.tar", tar_of(files))});
                CAPTURE(path);
                CAPTURE(at);
                CHECK((imported.status == 2 || (may_pass && imported.success())));
                if (imported.success()) {
                    CHECK(text_of(fixture.show(*fixture.find("x")) + "/d/f") == std::string(3000, 'x'));
                    CHECK(fixture.image({"remove", "x"}).success());
                }
                CHECK(fixture.contents().empty());
            }
        }
    }
}

TEST_CASE("damaged image: what 'docker save' wrote is checked by the names and checksums that it has") {
    StoreFixture fixture;
    REQUIRE(fixture.image({"prune"}).success());
    const Files whole = docker_save(small(Compression::none), "x");
    for (const auto& [path, bytes] : whole) {
        if (path == "manifest.json") {
            continue;  // it has no checksum; what it names has
        }
        Files files = whole;
        files[path][bytes.size() / 2] = static_cast<char>(files[path][bytes.size() / 2] ^ 1);
        CAPTURE(path);
        CHECK(fixture.image({"import", fixture.put("a.tar", tar_of(files))}).status == 2);
        CHECK(fixture.contents().empty());
    }
}

TEST_CASE("damaged image: cut off anywhere, or with a blob missing") {
    StoreFixture fixture;
    REQUIRE(fixture.image({"prune"}).success());
    const Files whole = oci_layout(small(Compression::gzip));
    const std::string tar = tar_of(whole);
    const std::string zipped = compressed(tar, Compression::gzip);
    for (std::size_t part = 0; part < 16; ++part) {
        for (const auto* text : {&tar, &zipped}) {
            // The last KiB of a tar are the end's mark.
            const auto size = (text->size() - (text == &tar ? 1024 : 0)) * part / 16;
            const auto imported =
                fixture.image({"import", fixture.put("a.tar", std::string_view(*text).substr(0, size))});
            CHECK_MESSAGE(imported.status == 2, imported.err);
        }
    }
    for (const auto& [path, bytes] : whole) {
        Files files = whole;
        files.erase(path);
        CAPTURE(path);
        CHECK(fixture.image({"import", fixture.put("a.tar", tar_of(files))}).status == (path == "oci-layout" ? 0 : 2));
    }
    CHECK(fixture.image({"remove", "a:v1"}).success());
    CHECK(fixture.contents().empty());
}

TEST_CASE(
    "damaged image: a byte that flipped in a tar compressed as a whole ends the import, and does not hold it up") {
    StoreFixture fixture;
    REQUIRE(fixture.image({"prune"}).success());
    std::string noise;
    for (unsigned state = 1; noise.size() < (1UL << 20); state = state * 1'664'525 + 1'013'904'223) {
        noise += cat(state >> 12, ",");  // digits: what is damaged in their codes cannot be decoded
    }
    BuiltImage image;
    image.layers = {{TarText().file("noise", noise).text()}};
    for (const auto compression : {Compression::gzip, Compression::zstd}) {
        const std::string whole = compressed(tar_of(oci_layout(image)), compression);
        for (std::size_t part = 1; part < 16; ++part) {
            std::string text = whole;
            text[text.size() * part / 16] = static_cast<char>(text[text.size() * part / 16] ^ 0x55);
            CHECK(fixture.image({"import", fixture.put("a.tar", text)}).status == 2);
            CHECK(fixture.contents().empty());
        }
        // What the decompressor itself finds, in the midst of what is passed over.
        std::string cut = whole;
        cut.replace(cut.size() / 2, 64, std::string(64, '\xff'));
        CHECK(fixture.image({"import", fixture.put("a.tar", cut)}).status == 2);
    }
}

TEST_CASE("damaged image: a document that is too long, or no JSON, or nested without end") {
    StoreFixture fixture;
    for (const auto& text : {std::string(5UL << 20, ' ') + "{}", std::string("{"), std::string(100'000, '['),
                             std::string(R"({"manifests":[{"digest":"sha256:../../x","size":1}]})"),
                             std::string(R"({"manifests":[{"digest":3}]})"), std::string(R"({"manifests":{}})")}) {
        Files files = oci_layout(small(Compression::none));
        files["index.json"] = text;
        CHECK(fixture.image({"import", fixture.put("a.tar", tar_of(files))}).status == 2);
    }
}

TEST_CASE("image store: too little room is said before anything is written") {
    StoreFixture fixture("size=24m");
    BuiltImage image;
    image.layers = {{TarText().file("f", std::string(18UL << 20, 'x')).text()}};
    const auto refused = fixture.image({"import", fixture.put("a.tar", tar_of(oci_layout(image)))});
    CHECK(refused.status == 1);
    CHECK(refused.err.find("takes at least") != std::string::npos);
    CHECK(fixture.contents().empty());
}

TEST_CASE("image store: 8 MiB of a small medium stay free while an image is unpacked") {
    StoreFixture fixture("size=24m");
    BuiltImage image;
    image.layers = {{TarText().file("f", std::string(18UL << 20, 'x')).text(), Compression::zstd}};
    const auto refused = fixture.image({"import", fixture.put("a.tar", tar_of(oci_layout(image)))});
    CHECK(refused.status == 1);
    CHECK(refused.err.find("too little space") != std::string::npos);
    CHECK(fixture.contents().empty());
    image.layers = {{TarText().file("f", std::string(10UL << 20, 'x')).text(), Compression::zstd}};
    CHECK(fixture.image({"import", fixture.put("a.tar", tar_of(oci_layout(image)))}).success());
}

TEST_CASE("image store: on a medium without whiteouts an image that has some is refused, others are not") {
    StoreFixture fixture;
    std::filesystem::create_directories("/tmp/upper");
    std::filesystem::create_directories("/tmp/work");
    std::filesystem::create_directories(fixture.store());
    // An overlay, as OpenWrt's root is one.
    const auto options = cat("lowerdir=", fixture.store(), ",upperdir=/tmp/upper,workdir=/tmp/work");
    REQUIRE(mount("overlay", fixture.store().c_str(), "overlay", 0, options.c_str()) == 0);
    BuiltImage image;
    image.layers = {{TarText().file(".wh.a").text()}};
    const auto refused = fixture.image({"import", fixture.put("a.tar", tar_of(oci_layout(image)))});
    CHECK(refused.status == 1);
    CHECK_MESSAGE(refused.err.find("overlay") != std::string::npos, refused.err);
    CHECK(fixture.contents().empty());
    CHECK(fixture.image({"import", fixture.put("b.tar", tar_of(oci_layout(small(Compression::gzip))))}).success());
    umount2(fixture.store().c_str(), MNT_DETACH);
}

TEST_CASE("damaged image: tars of other people's fuzzers as layers crash nothing and leave nothing") {
    const auto names = list_directory(kCorpus);
    if (!names || names->empty()) {
        return skip("needs the corpus of tars beside the sources");
    }
    StoreFixture fixture;
    REQUIRE(fixture.image({"prune"}).success());
    write_file("/tmp/canary/file", "untouched");
    int taken = 0;
    int refused = 0;
    for (const auto& name : *names) {
        CAPTURE(name);
        const std::string tar = text_of(cat(kCorpus, "/", name));
        BuiltImage image;
        image.layers = {{tar}};
        const auto as_layer = fixture.image({"import", "--name", "x", fixture.put("a.tar", tar_of(oci_layout(image)))});
        const auto as_image = fixture.image({"import", "--name", "y", fixture.put("b.tar", tar)});
        // 1 would be: the process that unpacks was killed, or the machine failed.
        CHECK_MESSAGE((as_layer.status == 0 || as_layer.status == 2), as_layer.err);
        CHECK_MESSAGE(as_image.status == 2, as_image.err);
        (as_layer.success() ? taken : refused) += 1;
        if (as_layer.success()) {
            CHECK(fixture.image({"remove", "x"}).success());
        }
        CHECK(fixture.contents().empty());
    }
    MESSAGE("taken: ", taken, ", refused: ", refused);
    CHECK(*list_directory("/tmp/canary") == std::vector<std::string>{"file"});
    CHECK(text_of("/tmp/canary/file") == "untouched");
}
