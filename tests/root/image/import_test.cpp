// SPDX-License-Identifier: GPL-2.0-only
// Images of every form that is understood.
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "controller/image/documents.h"
#include "tests/root/image/fixture.h"
#include "tests/support/leak.h"

using namespace viscum;

namespace {

const char* const kPasswd = "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/:/bin/false\n";

/// Two layers: the upper one takes away a file and all that a directory held.
BuiltImage two_layers(Compression lower = Compression::gzip, Compression upper = Compression::zstd) {
    TarText base;
    base.directory("./").directory("bin").file("bin/tool", "tool").hard_link("bin/same", "bin/tool");
    base.symlink("bin/sh", "tool").directory("etc").file("etc/passwd", kPasswd).file("etc/gone", "x");
    base.directory("opt").directory("opt/old").file("opt/old/below", "x").file("opt/kept", "kept");
    TarText change;
    change.directory("etc").file("etc/.wh.gone").directory("opt/old").file("opt/old/.wh..wh..opq");
    change.file("opt/old/fresh", "fresh").file("opt/kept", "changed");
    BuiltImage image;
    image.layers = {{base.text(), lower}, {change.text(), upper}};
    image.config = R"({"Entrypoint":["/bin/tool"],"Cmd":["-x"],"Env":["A=b=c","E="],"User":"web",)"
                   R"("WorkingDir":"/srv","StopSignal":"SIGQUIT"})";
    return image;
}

void check_two_layers(StoreFixture& fixture, const std::string& name) {
    const auto image = fixture.find(name);
    REQUIRE_MESSAGE(image, image.error().what);
    CHECK(image->command == std::vector<std::string>{"/bin/tool", "-x"});
    CHECK(image->env == std::map<std::string, std::string>{{"A", "b=c"}, {"E", ""}});
    CHECK(image->directory == "/srv");
    CHECK(image->uid == 33U);
    CHECK(image->gid == 34U);
    CHECK(image->stop_signal == "QUIT");
    CHECK(image->layers.size() == 2);
    const std::string root = fixture.show(*image);
    CHECK(text_of(root + "/bin/same") == "tool");
    CHECK(text_of(root + "/bin/sh") == "tool");
    CHECK_FALSE(exists(root + "/etc/gone"));
    CHECK(exists(root + "/etc/passwd"));
    CHECK(*list_directory(root + "/opt/old") == std::vector<std::string>{"fresh"});
    CHECK(text_of(root + "/opt/kept") == "changed");
}

}  // namespace

TEST_CASE("image: an OCI layout is the same as a directory, a tar and a compressed tar") {
    StoreFixture fixture;
    const Files files = oci_layout(two_layers());
    write_files(files, fixture.place("directory"));
    (void)fixture.put("plain.tar", tar_of(files));
    (void)fixture.put("gzip.tar.gz", compressed(tar_of(files), Compression::gzip));
    (void)fixture.put("zstd.tar.zst", compressed(tar_of(files), Compression::zstd));
    for (const auto* name : {"directory", "plain.tar", "gzip.tar.gz", "zstd.tar.zst"}) {
        CAPTURE(name);
        const auto imported = fixture.image({"import", fixture.place(name)});
        CHECK_MESSAGE(imported.success(), imported.err);
        check_two_layers(fixture, split(name, '.').front() + ":v1");
        CHECK(fixture.image({"remove", split(name, '.').front() + ":v1"}).success());
        CHECK(fixture.contents().empty());
    }
}

TEST_CASE("image: what 'docker save' wrote, old and new, is understood in any order of its members") {
    StoreFixture fixture;
    const auto image = two_layers(Compression::none, Compression::none);
    const Files old_form = docker_save(image, "site/plates:2");
    TarText turned;
    for (auto file = old_form.rbegin(); file != old_form.rend(); ++file) {
        turned.file("./" + file->first, file->second);
    }
    for (const auto& tar : {tar_of(old_form), turned.text(), compressed(turned.text(), Compression::gzip)}) {
        const auto imported = fixture.image({"import", fixture.put("saved.tar", tar)});
        CHECK_MESSAGE(imported.success(), imported.err);
        check_two_layers(fixture, "site/plates:2");
        CHECK(fixture.image({"remove", "site/plates:2"}).success());
    }
    Files new_form = oci_layout(image);
    new_form["manifest.json"] = R"([{"Config":"blobs/sha256/x","RepoTags":["plates:new"],"Layers":[]}])";
    CHECK(fixture.image({"import", fixture.put("saved.tar", tar_of(new_form))}).success());
    check_two_layers(fixture, "plates:new");
}

TEST_CASE("image: a layer of 'docker save' may be a link to another one") {
    StoreFixture fixture;
    const std::string tar = TarText().file("a", "a").text();
    BuiltImage built;
    built.layers = {{tar}, {tar}};
    const Files files = docker_save(built, "twice");
    TarText linked;
    for (const auto& [path, bytes] : files) {
        const bool layer = path.ends_with("layer.tar");
        linked.file(layer ? "kept/layer.tar" : path, bytes);
        if (layer) {
            linked.symlink(path, "../kept/layer.tar");
        }
    }
    const auto imported = fixture.image({"import", fixture.put("linked.tar", linked.text())});
    CHECK_MESSAGE(imported.success(), imported.err);
    const auto image = fixture.find("twice");
    REQUIRE(image);
    CHECK(image->layers.size() == 1);  // overlayfs takes no layer twice
    CHECK(text_of(fixture.show(*image) + "/a") == "a");
}

TEST_CASE("image: layers that are there are shared, and the last image that needs one takes it away") {
    StoreFixture fixture;
    BuiltImage one = two_layers();
    BuiltImage two = two_layers();
    two.layers[1].tar = TarText().file("only", "two").text();
    REQUIRE(fixture.image({"import", fixture.put("one.tar", tar_of(oci_layout(one)))}).success());
    const auto second = fixture.image({"import", fixture.put("two.tar", tar_of(oci_layout(two)))});
    CHECK(second.out.find("2 layers (1 new)") != std::string::npos);
    CHECK(fixture.contents().size() == 3 + 2 + 2);
    CHECK(fixture.image({"remove", "one:v1"}).success());
    const auto left = fixture.find("two:v1");
    REQUIRE(left);
    CHECK(text_of(fixture.show(*left) + "/bin/tool") == "tool");
    CHECK(fixture.contents().size() == 2 + 1 + 1);
    CHECK(fixture.image({"remove", left->digest}).success());
    CHECK(fixture.contents().empty());
}

TEST_CASE("image: one that is in use stays, also when its name goes to another") {
    StoreFixture fixture;
    const auto first = fixture.put("app.tar", tar_of(oci_layout(two_layers())));
    REQUIRE(fixture.image({"import", first}).success());
    const std::string digest = fixture.find("app:v1")->digest;
    const auto refused = fixture.image({"remove", "app:v1", "--in-use", digest});
    CHECK(refused.status == 5);
    CHECK(refused.err.find("in use") != std::string::npos);
    BuiltImage next = two_layers();
    next.config = R"({"Cmd":["/bin/other"]})";
    REQUIRE(fixture.image({"import", fixture.put("app.tar", tar_of(oci_layout(next)))}).success());
    CHECK(fixture.find(digest));
    CHECK(fixture.find("app:v1")->digest != digest);
    CHECK(fixture.image({"prune", "--in-use", digest}).success());
    CHECK(fixture.find(digest));
    CHECK(fixture.image({"prune"}).success());
    CHECK_FALSE(fixture.find(digest));
    CHECK(fixture.find("app:v1"));
}

TEST_CASE("image: the same import twice changes nothing, and names are exact") {
    StoreFixture fixture;
    const auto file = fixture.put("app.tar", tar_of(oci_layout(two_layers())));
    REQUIRE(fixture.image({"import", file, "--name", "site/app:1.0"}).success());
    const auto before = fixture.contents();
    const auto again = fixture.image({"--json", "import", file, "--name", "site/app:1.0"});
    CHECK(again.out.find(R"("new_layers":0)") != std::string::npos);
    CHECK(fixture.contents() == before);
    CHECK(fixture.find("site/app").error().errno_code == ENOENT);
    CHECK(fixture.image({"remove", "nothing"}).status == 6);
    CHECK(fixture.image({"import", file, "--name", "../x"}).status == 2);
    CHECK(fixture.image({"import", fixture.place("missing.tar")}).status == 1);
    REQUIRE(fixture.image({"import", file, "--name", "app:latest"}).success());
    CHECK(fixture.find("app"));
    const auto listed = fixture.image({"list"});
    CHECK(listed.out.find("site/app:1.0") != std::string::npos);
    CHECK(listed.out.find("app:latest") != std::string::npos);
}

TEST_CASE("image: of several platforms this machine's is taken, and where there is none they are named") {
    StoreFixture fixture;
    BuiltImage other = two_layers();
    other.architecture = this_machine().architecture == "s390x" ? "amd64" : "s390x";
    Files all = oci_layout(other);
    CHECK(fixture.image({"import", fixture.put("other.tar", tar_of(all))}).err.find(other.architecture) !=
          std::string::npos);
    const auto manifest_of = [](const std::string& index) {
        const auto from = index.find('[') + 1;
        return index.substr(from, index.find(R"(,"annotations")") - from);
    };
    const auto with = [](const std::string& manifest, const std::string& architecture) {
        return cat(manifest, R"(,"platform":{"os":"linux","architecture":")", architecture, "\"}}");
    };
    const std::string foreign = with(manifest_of(all["index.json"]), other.architecture);
    const Files mine = oci_layout(two_layers());
    const std::string own = with(manifest_of(mine.at("index.json")), this_machine().architecture);
    all.insert(mine.begin(), mine.end());
    const std::string unknown = R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:)" +
                                std::string(64, '0') +
                                R"(","size":1,"platform":{"os":"unknown","architecture":"unknown"}})";
    all["index.json"] = cat(R"({"manifests":[)", foreign, ",", own, ",", unknown, "]}");
    const auto chosen = fixture.image({"import", fixture.put("all.tar", tar_of(all))});
    CHECK_MESSAGE(chosen.success(), chosen.err);
    check_two_layers(fixture, "all");
    all["index.json"] = cat(R"({"manifests":[)", foreign, ",", unknown, "]}");
    const auto none = fixture.image({"import", fixture.put("none.tar", tar_of(all))});
    CHECK(none.status == 2);
    CHECK(none.err.find("linux/" + other.architecture) != std::string::npos);
}

TEST_CASE("image: the user is the one of the uppermost passwd that the image shows") {
    StoreFixture fixture;
    BuiltImage image = two_layers();
    image.layers.push_back({TarText().directory("etc").file("etc/passwd", "web:x:71:72::/:\n").text()});
    REQUIRE(fixture.image({"import", fixture.put("a.tar", tar_of(oci_layout(image)))}).success());
    CHECK(fixture.find("a:v1")->uid == 71U);
    image.layers.push_back({TarText().directory("etc").file("etc/.wh.passwd").text()});
    const auto gone = fixture.image({"import", fixture.put("b.tar", tar_of(oci_layout(image)))});
    CHECK(gone.status == 2);
    CHECK(gone.err.find("'web'") != std::string::npos);
    image.layers.back() = {TarText().directory("etc").file("etc/.wh..wh..opq").text()};
    CHECK(fixture.image({"import", fixture.put("c.tar", tar_of(oci_layout(image)))}).status == 2);
    // A link to the host's file is none.
    image.layers.back() = {TarText().directory("etc").symlink("etc/passwd", "/etc/passwd").text()};
    image.config = R"({"User":"daemon"})";
    CHECK(fixture.image({"import", fixture.put("d.tar", tar_of(oci_layout(image)))}).status == 2);
}

TEST_CASE("image: owners, modes and times are kept; set-id bits, attributes and FIFOs are not") {
    StoreFixture fixture;
    TarText tar;
    tar.add('0', "su", "x", {.mode = 06755, .uid = 1000, .gid = 1001});
    tar.add('5', "sticky", "", {.mode = 03777});
    tar.pax("SCHILY.xattr.security.capability", "x").file("able", "x");
    tar.pax("SCHILY.xattr.trusted.overlay.opaque", "y").directory("shown");
    tar.add('6', "fifo", "", {});
    tar.pax("path", "with/\xc3\xa9\xc3\xbc").file("x", "utf");
    BuiltImage image;
    image.layers = {{TarText().directory("shown").file("shown/below", "x").text()}, {tar.text()}};
    const auto imported = fixture.image({"import", fixture.put("a.tar", tar_of(oci_layout(image)))});
    REQUIRE_MESSAGE(imported.success(), imported.err);
    CHECK(imported.out.find("2 files without their set-id bits") != std::string::npos);
    const auto root = fixture.show(*fixture.find("a:v1"));
    struct stat info {};
    REQUIRE(stat((root + "/su").c_str(), &info) == 0);
    CHECK(info.st_mode == (S_IFREG | 0755));
    CHECK(info.st_uid == 1000);
    CHECK(info.st_gid == 1001);
    CHECK(info.st_mtime == 1'700'000'000);
    REQUIRE(stat((root + "/sticky").c_str(), &info) == 0);
    CHECK(info.st_mode == (S_IFDIR | 01777));
    CHECK(exists(root + "/able"));
    CHECK_FALSE(exists(root + "/fifo"));
    CHECK(exists(root + "/shown/below"));
    CHECK(text_of(root + "/with/\xc3\xa9\xc3\xbc") == "utf");
}

TEST_CASE("image: of a name that comes twice the last one holds, whatever the first one was") {
    StoreFixture fixture;
    TarText tar;
    tar.file("a", "first").file("a", "last");
    tar.directory("d").directory("d/e").file("d/e/f", "x").file("d", "file");
    tar.symlink("s", "/etc").directory("s").file("s/inside", "x");
    tar.symlink("t", "/etc/passwd").file("t", "own");
    tar.file("w", "stays").file(".wh.w").file(".wh.v").file("v", "stays");
    tar.file(".wh.new").file("new/child", "x").directory("dir").file("dir/kept", "x").file(".wh.dir");
    BuiltImage image;
    image.layers = {{TarText().file("new/below", "x").file("dir/below", "x").text()}, {tar.text()}};
    const auto imported = fixture.image({"import", fixture.put("a.tar", tar_of(oci_layout(image)))});
    REQUIRE_MESSAGE(imported.success(), imported.err);
    const auto root = fixture.show(*fixture.find("a:v1"));
    CHECK(text_of(root + "/a") == "last");
    CHECK(text_of(root + "/d") == "file");
    CHECK(*list_directory(root + "/s") == std::vector<std::string>{"inside"});
    CHECK_FALSE(exists("/etc/inside"));
    CHECK(text_of(root + "/t") == "own");
    CHECK(text_of(root + "/w") == "stays");
    CHECK(text_of(root + "/v") == "stays");
    CHECK(*list_directory(root + "/new") == std::vector<std::string>{"child"});
    CHECK(*list_directory(root + "/dir") == std::vector<std::string>{"kept"});
}

TEST_CASE("image: an import leaves no process, no mount and no descriptor, whether it succeeds or not") {
    StoreFixture fixture;
    const auto good = fixture.put("good.tar", tar_of(oci_layout(two_layers())));
    auto damaged_text = tar_of(oci_layout(two_layers()));
    damaged_text.resize(damaged_text.size() / 2);
    const auto damaged = fixture.put("damaged.tar", damaged_text);
    REQUIRE(fixture.image({"list"}).success());
    REQUIRE(fixture.image({"prune"}).success());
    const auto before = take_snapshot();
    REQUIRE(before);
    CHECK(fixture.image({"import", good}).success());
    CHECK(fixture.image({"import", damaged}).status == 2);
    CHECK(fixture.image({"remove", "good:v1"}).success());
    const auto leaks = leaks_since(*before, std::chrono::seconds(5));
    REQUIRE(leaks);
    CHECK(join(*leaks, "\n") == "");
}
