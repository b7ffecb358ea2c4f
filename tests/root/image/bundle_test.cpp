// SPDX-License-Identifier: GPL-2.0-only
// Bundles on a device: what comes, what is refused before anything is written, and what goes again.
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "tests/root/image/fixture.h"

using namespace viscum;

namespace {

constexpr const char* kService = "viscum: 1\nname: web\n";
constexpr std::size_t kMost = 8UL << 20;

/// A key pair; the words by which viscum-image trusts it.
struct Key {
    std::string file;
    std::string trust;
};

Key make_key(const StoreFixture& fixture, const std::string& name) {
    const std::string file = fixture.place(name);
    REQUIRE(run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", file}).success());
    return {file, cat("--trust=", split(text_of(file + ".pub"), '\n').front())};
}

/// One layer in common, and one of its own that says `what`.
BuiltImage image_that_says(const std::string& what) {
    TarText base;
    base.directory("bin").file("bin/tool", std::string(100'000, 't'));
    TarText own;
    own.directory("etc").file("etc/what", what);
    BuiltImage image;
    image.layers = {{base.text(), Compression::gzip}, {own.text(), Compression::none}};
    return image;
}

/// A bundle of the service with one file and an image; its path.
std::string make_bundle(const StoreFixture& fixture, const Key& key, const std::string& version,
                        const std::string& what) {
    const std::string out = fixture.place(cat("web-", version, "-", what));
    write_files(oci_layout(image_that_says(what)), fixture.place("image-" + what));
    const auto made =
        fixture.image({"bundle-make", fixture.put("web.yaml", kService), out, "--service=web",
                       "--bundle-version=" + version, cat("--file=web.conf=", fixture.put("conf-" + what, what)),
                       cat("--image=web:1=", fixture.place("image-" + what)), "--key=" + key.file});
    REQUIRE_MESSAGE(made.success(), made.err);
    return out;
}

/// Every path below the state directory with its bytes, but for the directories that a first bundle makes, and what
/// tests put there.
std::vector<std::string> state_of(const StoreFixture& fixture) {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(fixture.instance().state_dir())) {
        const std::string path = entry.path().string();
        if (!path.starts_with(fixture.place("")) && !path.ends_with("/img/bundles") && !path.ends_with("/versions")) {
            all.push_back(cat(path, " ", entry.is_regular_file() ? text_of(path) : ""));
        }
    }
    std::ranges::sort(all);
    return all;
}

std::string bundles_of(const StoreFixture& fixture) {
    return fixture.instance().state_dir() + "/bundles";
}

std::string digest_of(const StoreFixture& fixture) {
    return split(split(text_of(bundles_of(fixture) + "/versions/web"), '\n').front(), ' ').back();
}

bool lacks_ssh_keygen() {
    if (run({"ssh-keygen", "-?"}).status == 127) {
        MESSAGE("SKIPPED: needs ssh-keygen");
        return true;
    }
    return false;
}

}  // namespace

TEST_CASE("bundle: what was signed comes whole, and the same again changes nothing") {
    if (lacks_ssh_keygen()) {
        return;
    }
    StoreFixture fixture;
    const Key key = make_key(fixture, "ops");
    const std::string bundle = make_bundle(fixture, key, "1", "one");
    const auto installed = fixture.image({"bundle-install", bundle, key.trust});
    REQUIRE_MESSAGE(installed.success(), installed.err);
    const std::string place = cat(bundles_of(fixture), "/", digest_of(fixture));
    CHECK(text_of(place + "/service.yaml") == cat(kService, "bundle: ", digest_of(fixture), "\n"));
    CHECK(text_of(place + "/files/web.conf") == "one");
    CHECK(*list_directory(place) == std::vector<std::string>{"files", "image", "service.yaml", "version"});
    const auto image = fixture.find("web:1");
    REQUIRE_MESSAGE(image, image.error().what);
    CHECK(text_of(fixture.show(*image) + "/etc/what") == "one");
    const auto before = state_of(fixture);
    CHECK(fixture.image({"bundle-install", bundle, key.trust}).success());
    CHECK(state_of(fixture) == before);
    CHECK(fixture.image({"bundle-list"}).out == cat("web 1 ", digest_of(fixture).substr(0, 12), "\n"));
}

TEST_CASE("bundle: only what a device lacks is sent") {
    if (lacks_ssh_keygen()) {
        return;
    }
    StoreFixture fixture;
    const Key key = make_key(fixture, "ops");
    const std::string first = make_bundle(fixture, key, "1", "one");
    const std::string second = make_bundle(fixture, key, "2", "two");
    const auto head = fixture.put("head", fixture.image({"bundle-thin", second}).out);
    const auto all = split(fixture.image({"bundle-lacks", head, key.trust}).out, '\n');
    REQUIRE(fixture.image({"bundle-install", first, key.trust}).success());
    const auto lacking = fixture.image({"bundle-lacks", head, key.trust});
    CHECK(split(lacking.out, '\n').size() == all.size() - 1);
    const auto thin =
        fixture.put("thin", fixture.image({"bundle-thin", second, "--parts", fixture.put("parts", lacking.out)}).out);
    CHECK(std::filesystem::file_size(thin) < std::filesystem::file_size(second));
    // Too little is told, and nothing of it stays.
    const auto before = state_of(fixture);
    const auto refused = fixture.image({"bundle-install", head, key.trust});
    CHECK(refused.status == 2);
    CHECK(refused.err.find("'service.yaml' is missing") != std::string::npos);
    CHECK(state_of(fixture) == before);
    const auto installed = fixture.image({"bundle-install", thin, key.trust});
    CHECK_MESSAGE(installed.success(), installed.err);
    CHECK(text_of(fixture.show(*fixture.find("web:1")) + "/etc/what") == "two");
}

TEST_CASE("bundle: what nobody trusted signed, and what is older, is refused") {
    if (lacks_ssh_keygen()) {
        return;
    }
    StoreFixture fixture;
    const Key key = make_key(fixture, "ops");
    const Key other = make_key(fixture, "other");
    const std::string second = make_bundle(fixture, other, "1.2", "two");
    (void)fixture.image({"list"});
    const auto nothing = state_of(fixture);
    const auto refused = fixture.image({"bundle-install", second, key.trust});
    CHECK(refused.status == 5);
    CHECK(refused.err.find("nobody who is trusted here") != std::string::npos);
    CHECK(fixture.image({"bundle-lacks", second, key.trust}).status == 5);
    CHECK(fixture.image({"bundle-verify", second}).status == 5);
    CHECK(fixture.image({"bundle-sign", second, "--key", key.file}).success());
    CHECK(fixture.image({"bundle-verify", second, key.trust}).success());
    CHECK(fixture.image({"bundle-verify", second, other.trust}).success());
    REQUIRE(fixture.image({"bundle-install", second, key.trust}).success());

    const auto before = state_of(fixture);
    const std::string first = make_bundle(fixture, key, "1.1", "one");
    for (const char* verb : {"bundle-install", "bundle-lacks"}) {
        const auto older = fixture.image({verb, first, key.trust});
        CHECK(older.status == 5);
        CHECK(older.err.find("version 1.1 of 'web' is older than 1.2") != std::string::npos);
    }
    const auto same = fixture.image({"bundle-install", make_bundle(fixture, key, "1.2.0", "three"), key.trust});
    CHECK(same.status == 5);
    CHECK(same.err.find("a new one needs a new number") != std::string::npos);
    CHECK(state_of(fixture) == before);
    CHECK(fixture.image({"bundle-install", first, key.trust, "--allow-downgrade"}).success());
    CHECK(fixture.image({"bundle-list"}).out.starts_with("web 1.1 "));
    write_file(bundles_of(fixture) + "/versions/web", "damaged");
    CHECK(fixture.image({"bundle-install", second, key.trust}).status == 1);
}

// Fault row 33: every byte matters, and nothing is written of what is not as it was signed.
TEST_CASE("bundle: whatever is changed, cut off or added is refused, and nothing changes") {
    if (lacks_ssh_keygen()) {
        return;
    }
    StoreFixture fixture;
    const Key key = make_key(fixture, "ops");
    const std::string bundle = text_of(make_bundle(fixture, key, "1", "one"));
    REQUIRE(fixture.image({"list"}).success());
    REQUIRE(fixture.image({"prune"}).success());
    const auto refuse = [&](const std::string& bytes) {
        const auto before = state_of(fixture);
        const auto answer = fixture.image({"bundle-install", fixture.put("changed", bytes), key.trust});
        CHECK_MESSAGE((answer.status == 2 || answer.status == 5), answer.status, " ", answer.err);
        CHECK(answer.err.starts_with("viscum-image: nothing was installed: "));
        CHECK(state_of(fixture) == before);
    };
    const auto parts = bundle.find("part service.yaml");
    constexpr std::size_t kSteps = 60;
    for (std::size_t step = 0; step < kSteps; ++step) {
        // Half of them in what stands in front of the parts.
        const std::size_t at = step % 2 == 0 ? parts * step / kSteps : parts + (bundle.size() - parts) * step / kSteps;
        CAPTURE(at);
        std::string changed = bundle;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        refuse(changed);
        refuse(bundle.substr(0, at));
    }
    refuse(bundle + "x");
    refuse(bundle + "part service.yaml\n" + kService);
    refuse(bundle + "part files/other\n");
    refuse("");
    refuse(std::string(100'000, 'v'));
    const auto line = bundle.find('\n');
    refuse("viscum-bundle 1 999999999 0" + bundle.substr(line));
    CHECK(fixture.image({"bundle-install", fixture.put("whole", bundle), key.trust}).success());
}

TEST_CASE("bundle: a medium that is too small gets nothing") {
    if (lacks_ssh_keygen()) {
        return;
    }
    StoreFixture fixture("size=9m");
    const Key key = make_key(fixture, "ops");
    const std::string bundle = fixture.place("large");
    const auto made =
        fixture.image({"bundle-make", fixture.put("web.yaml", kService), bundle, "--service=web", "--bundle-version=1",
                       cat("--file=large=", fixture.put("data", std::string(kMost, 'x'))), "--key=" + key.file});
    REQUIRE_MESSAGE(made.success(), made.err);
    const auto refused = fixture.image({"bundle-install", bundle, key.trust});
    CHECK(refused.status == 1);
    CHECK(refused.err.find("remove images that are not needed") != std::string::npos);
    CHECK_FALSE(exists(bundles_of(fixture) + "/new"));
    CHECK_FALSE(exists(bundles_of(fixture) + "/versions/web"));
}

TEST_CASE("bundle: an image's parts are put where images are, which may be a medium of their own") {
    if (lacks_ssh_keygen()) {
        return;
    }
    StoreFixture fixture("size=12m");
    REQUIRE(make_directory(fixture.store(), 0700));
    REQUIRE(mount("tmpfs", fixture.store().c_str(), "tmpfs", 0, "size=256m") == 0);
    const Key key = make_key(fixture, "ops");
    TarText tar;
    tar.file("large", std::string(30UL << 20, 'l'));
    BuiltImage image;
    image.layers = {{tar.text(), Compression::none}};
    write_files(oci_layout(image), fixture.place("image"));
    const std::string out = fixture.place("large");
    REQUIRE(fixture
                .image({"bundle-make", fixture.put("web.yaml", kService), out, "--service=web", "--bundle-version=1",
                        cat("--image=web:1=", fixture.place("image")), "--key=" + key.file})
                .success());
    const auto installed = fixture.image({"bundle-install", out, key.trust});
    CHECK_MESSAGE(installed.success(), installed.err);
    CHECK_FALSE(exists(fixture.store() + "/bundle"));
    umount2(fixture.store().c_str(), MNT_DETACH);
}

TEST_CASE("bundle: what came to harm on the device comes whole with the same bundle") {
    if (lacks_ssh_keygen()) {
        return;
    }
    StoreFixture fixture;
    const Key key = make_key(fixture, "ops");
    const std::string bundle = make_bundle(fixture, key, "1", "one");
    REQUIRE(fixture.image({"bundle-install", bundle, key.trust}).success());
    const auto whole = state_of(fixture);
    const std::string place = cat(bundles_of(fixture), "/", digest_of(fixture));
    std::filesystem::remove(place + "/files/web.conf");
    std::filesystem::remove(place + "/service.yaml");
    // What a kill leaves of the record that was being written.
    write_file(bundles_of(fixture) + "/versions/web.new", "");
    CHECK(fixture.image({"bundle-list"}).out == cat("web 1 ", digest_of(fixture).substr(0, 12), "\n"));
    CHECK(fixture.image({"prune"}).success());
    CHECK(fixture.image({"bundle-install", bundle, key.trust}).success());
    std::filesystem::remove(bundles_of(fixture) + "/versions/web.new");
    CHECK(state_of(fixture) == whole);
}

TEST_CASE("bundle: the names of images that bundles brought go with them, and nobody else's") {
    if (lacks_ssh_keygen()) {
        return;
    }
    StoreFixture fixture;
    const Key key = make_key(fixture, "ops");
    for (const char* version : {"1", "2", "3"}) {
        const std::string out = fixture.place(cat("bundle-", version));
        write_files(oci_layout(image_that_says(version)), fixture.place(cat("image-", version)));
        REQUIRE(
            fixture
                .image({"bundle-make", fixture.put("web.yaml", kService), out, "--service=web",
                        cat("--bundle-version=", version),
                        cat("--image=web:", version, "=", fixture.place(cat("image-", version))), "--key=" + key.file})
                .success());
        REQUIRE(fixture.image({"bundle-install", out, key.trust}).success());
    }
    // Somebody else's by now.
    write_files(oci_layout(image_that_says("other")), fixture.place("other"));
    REQUIRE(fixture.image({"import", fixture.place("other"), "--name", "web:2"}).success());
    REQUIRE(fixture.image({"prune"}).success());
    CHECK_FALSE(fixture.find("web:1"));
    CHECK(text_of(fixture.show(*fixture.find("web:2")) + "/etc/what") == "other");
    CHECK(text_of(fixture.show(*fixture.find("web:3")) + "/etc/what") == "3");
    CHECK(list_directory(fixture.store() + "/manifests")->size() == 2);
}

TEST_CASE("bundle: what no service uses goes, but for what came last") {
    if (lacks_ssh_keygen()) {
        return;
    }
    StoreFixture fixture;
    const Key key = make_key(fixture, "ops");
    std::vector<std::string> digests;
    for (const char* version : {"1", "2", "3"}) {
        REQUIRE(fixture.image({"bundle-install", make_bundle(fixture, key, version, version), key.trust}).success());
        digests.push_back(digest_of(fixture));
    }
    REQUIRE(fixture.image({"prune", "--in-use", digests[0]}).success());
    CHECK(exists(cat(bundles_of(fixture), "/", digests[0])));
    CHECK_FALSE(exists(cat(bundles_of(fixture), "/", digests[1])));
    CHECK(exists(cat(bundles_of(fixture), "/", digests[2])));
    REQUIRE(fixture.image({"prune"}).success());
    CHECK_FALSE(exists(cat(bundles_of(fixture), "/", digests[0])));
}

TEST_CASE("bundle: the same order makes the same bytes, and what 'docker save' wrote goes into one as well") {
    if (lacks_ssh_keygen()) {
        return;
    }
    StoreFixture fixture;
    const Key key = make_key(fixture, "ops");
    const std::string first = text_of(make_bundle(fixture, key, "1", "one"));
    CHECK(text_of(make_bundle(fixture, key, "1", "one")) == first);
    const auto saved = fixture.put("saved.tar", tar_of(docker_save(image_that_says("saved"), "any:1")));
    const std::string out = fixture.place("saved.bundle");
    const auto made = fixture.image({"bundle-make", fixture.put("web.yaml", kService), out, "--service=web",
                                     "--bundle-version=1", cat("--image=web:1=", saved)});
    REQUIRE_MESSAGE(made.success(), made.err);
    CHECK(fixture.image({"bundle-install", out, key.trust}).status == 5);
    CHECK(fixture.image({"bundle-install", out}).success());
    CHECK(text_of(fixture.show(*fixture.find("web:1")) + "/etc/what") == "saved");
    const auto broken = fixture.image({"bundle-make", fixture.place("web.yaml"), fixture.place("none"), "--service=web",
                                       "--bundle-version=1", cat("--file=x=", fixture.place("absent"))});
    CHECK(broken.status == 1);
    CHECK_FALSE(exists(fixture.place("none")));
}
