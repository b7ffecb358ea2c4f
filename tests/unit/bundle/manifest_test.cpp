// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include <algorithm>

#include "base/text.h"
#include "controller/bundle/manifest.h"

using namespace viscum;

namespace {

const std::string kDigest(64, 'a');
const std::string kOther(64, 'b');

BundleManifest whole() {
    return {"web",
            "1.2",
            "web:1",
            {{"service.yaml", 10, kDigest, ""},
             {"files/web.conf", 0, kOther, ""},
             {"image/blobs/sha256/" + kDigest, 5'000'000'000, kDigest, kOther},
             {"image/index.json", 4, kOther, ""},
             {"image/oci-layout", 4, kOther, ""}}};
}

/// What decode_manifest() says of a manifest that was changed.
template <class Change>
std::string said_of(Change change) {
    BundleManifest manifest = whole();
    change(manifest);
    const auto read = decode_manifest(encode_manifest(manifest));
    return read ? "accepted" : read.error().errno_code == EBADMSG ? read.error().what : "another error";
}

}  // namespace

TEST_CASE("bundle: a manifest is read back, and has one form") {
    const std::string text = encode_manifest(whole());
    const auto read = decode_manifest(text);
    REQUIRE(read);
    CHECK(*read == whole());
    for (const auto& other :
         {" " + text, text + "\n", text.substr(0, text.size() - 1), text.substr(1), "{\"more\":1," + text.substr(1)}) {
        CAPTURE(other);
        CHECK_FALSE(decode_manifest(other));
    }
}

TEST_CASE("bundle: a manifest says nothing that could be put elsewhere, or twice") {
    CHECK(said_of([](BundleManifest&) {}) == "accepted");
    for (const char* path : {"", "/etc/passwd", "files/", "files/..", "files/.hidden", "files/a/b", "files/a b",
                             "service.yaml/", "image", "image/../service.yaml", "image/blobs/sha256/x",
                             "image/blobs/sha256/../../../files/x", "image/manifest.json", "other"}) {
        CAPTURE(path);
        CHECK_FALSE(is_part_path(path));
        CHECK(said_of([&](BundleManifest& one) { one.parts[1].path = path; }).find("path") != std::string::npos);
    }
    CHECK(said_of([](BundleManifest& one) { one.parts[3].path = one.parts[4].path; }) != "accepted");
    CHECK(said_of([](BundleManifest& one) { one.parts[2].sha256 = kOther; }) != "accepted");
    CHECK(said_of([](BundleManifest& one) { one.parts[1].layer = kOther; }) != "accepted");
    CHECK(said_of([](BundleManifest& one) { one.parts[2].layer = "../"; }) != "accepted");
    CHECK(said_of([](BundleManifest& one) { one.parts[0].sha256 = ""; }) != "accepted");
    CHECK(said_of([](BundleManifest& one) { std::swap(one.parts[0], one.parts[1]); }) != "accepted");
    CHECK(said_of([](BundleManifest& one) { one.parts.clear(); }) != "accepted");
    CHECK(said_of([](BundleManifest& one) { one.image = ""; }) != "accepted");
    CHECK(said_of([](BundleManifest& one) { one.image = "../x"; }) != "accepted");
    for (const char* service : {"", "..", "a/b", "-a", "A", "a\n"}) {
        CHECK(said_of([&](BundleManifest& one) { one.service = service; }) != "accepted");
    }
}

TEST_CASE("bundle: versions are numbers, and are compared as such") {
    for (const char* version : {"0", "7", "1.12.0", "1.2.3.4", "999999999"}) {
        CHECK(is_bundle_version(version));
    }
    for (const char* version : {"", ".", "1.", ".1", "1..2", "01", "1.2.3.4.5", "1a", "-1", "1000000000", "1 "}) {
        CAPTURE(version);
        CHECK_FALSE(is_bundle_version(version));
    }
    CHECK(compare_versions("1.2", "1.12") < 0);
    CHECK(compare_versions("2", "1.999.1") > 0);
    CHECK(compare_versions("1.2", "1.2.0.0") == 0);
}

TEST_CASE("bundle: the first line is read back, and nothing else is one") {
    const auto read = read_bundle_line("viscum-bundle 1 300 0");
    REQUIRE(read);
    CHECK(bundle_line(*read) == "viscum-bundle 1 300 0\n");
    for (const char* line : {"", "viscum-bundle", "viscum-bundle 1 2", "viscum-bundle 2 1 1", "viscum-bundle 1 -1 1",
                             "viscum-bundle 1 300000 0", "viscum-bundle 1 1 70000", "viscum-bundle  1 1 1",
                             "viscum-bundle 1 1 1 ", "viscum-bundle 1 0x1 1"}) {
        CAPTURE(line);
        CHECK_FALSE(read_bundle_line(line));
    }
}
