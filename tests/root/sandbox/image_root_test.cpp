// SPDX-License-Identifier: GPL-2.0-only
// Roots that are not the host's: directories, images, and what hostile ones of them try.
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/text.h"
#include "tests/root/sandbox/inside.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

/// A directory with a shell and a few programs, and nothing else: no /proc, /dev, /etc, /tmp.
std::string bare_root() {
    std::string root = new_directory();
    for (const char* program : {"/bin/sh", "/bin/cat", "/bin/ls", "/bin/readlink"}) {
        copy_program(root, program);
    }
    return root;
}

/// A service in a directory, or in layers, the lowest first.
struct InRoot : Inside {
    explicit InRoot(const std::string& rootfs) {
        input.host_mounts.clear();
        service.run.rootfs = rootfs;
    }
    explicit InRoot(std::vector<std::string> layers) {
        input.host_mounts.clear();
        input.layers = std::move(layers);
    }
};

void whiteout(const std::string& path) {
    REQUIRE(mknod(path.c_str(), S_IFCHR, makedev(0, 0)) == 0);
}

void link_to(const std::string& target, const std::string& path) {
    REQUIRE(make_directory(path.substr(0, path.rfind('/')), 0755));
    REQUIRE(symlink(target.c_str(), path.c_str()) == 0);
}

const char* const kLook =
    "ls / /dev; cat /etc/hostname; echo x > /tmp/x; echo y > /run/y; cat /tmp/x /run/y /proc/self/comm; ls -A /sys";

TEST_CASE("image: a root without /proc, /dev, /etc and /tmp gets them, and stays as it was") {
    const std::string root = bare_root();
    const auto before = must(list_directory(root));
    const auto look = [&](InRoot inside) {
        const std::string text = inside.say(kLook);
        for (const char* word : {"dev\n", "etc\n", "proc\n", "run\n", "tmp\n", "var\n", "urandom\n"}) {
            CHECK_MESSAGE(text.find(word) != std::string::npos, text);
        }
        CHECK(text.ends_with("web\nx\ny\ncat\n"));
    };
    SUBCASE("a directory") {
        look(InRoot(root));
    }
    SUBCASE("an image of one layer") {
        look(InRoot(std::vector{root}));
    }
    CHECK(must(list_directory(root)) == before);
}

TEST_CASE("image: the upper layers win, and take away what they say") {
    const std::string low = bare_root();
    put(low + "/etc/both", "low\n");
    put(low + "/etc/gone", "low\n");
    put(low + "/etc/low", "low\n");
    put(low + "/opt/old/file", "low\n");
    const std::string middle = new_directory();
    put(middle + "/etc/both", "middle\n");
    whiteout(middle + "/etc/gone");
    REQUIRE(make_directory(middle + "/opt", 0755));
    whiteout(middle + "/opt/old");
    const std::string top = new_directory();
    put(top + "/etc/both", "top\n");
    InRoot inside(std::vector{low, middle, top});
    CHECK(inside.say("cat /etc/both /etc/low; ls /etc /opt") ==
          "top\nlow\n/etc:\nboth\nhostname\nhosts\nlow\n\n/opt:\n");
}

TEST_CASE("image: many layers with long names") {
    std::vector<std::string> layers{bare_root()};
    for (int i = 1; i < 100; ++i) {
        const std::string layer = cat(new_directory(), "/", std::string(64, 'a'), ",:\\");
        put(cat(layer, "/layers/", i), "");
        layers.push_back(layer);
    }
    InRoot inside(layers);
    CHECK(split(inside.say("ls /layers"), '\n').size() == 100);
}

TEST_CASE("image: a directory's own name may hold whatever it likes") {
    const std::string root = bare_root();
    const std::string odd = root + ",x:y\\ z=1";
    REQUIRE(rename(root.c_str(), odd.c_str()) == 0);
    InRoot inside(odd);
    CHECK(inside.say("cat /etc/hostname") == "web\n");
}

TEST_CASE("image: a directory that has all places is shown as it is at each instant") {
    const std::string root = bare_root();
    for (const char* name : {"/proc", "/dev", "/run", "/tmp", "/var/tmp"}) {
        REQUIRE(make_directory(root + name, 0755));
    }
    put(root + "/etc/hosts", "");
    put(root + "/etc/hostname", "");
    put(root + "/etc/data", "old\n");
    InRoot inside(root);
    CHECK(inside.say("cat /etc/hostname /proc/self/mountinfo").find("overlay") == std::string::npos);
    inside.spec.command = {"/bin/sh", "-c", "while [ ! -e /tmp/go ]; do :; done; cat /etc/data"};
    Process process = inside.launch();
    REQUIRE(eventually([&] { return access(path_inside(process, "/dev/null").c_str(), F_OK) == 0; }));
    REQUIRE(eventually([&] { return enter_and_finish(beside(inside, {"/bin/cat", "/etc/data"})).text == "old\n"; }));
    put(root + "/etc/data", "new\n");
    put(path_inside(process, "/tmp/go"), "");
    CHECK(inside.finish(process).success());
    CHECK(inside.said().ends_with("new\n"));
}

/// What a hostile root must never reach.
struct Bait {
    Bait() {
        put("/run/bait/file", "of the host\n", 0666);
        REQUIRE(chmod("/run/bait", 0777) == 0);
    }
    [[nodiscard]] bool untouched() const {
        return must(list_directory("/run/bait")) == std::vector<std::string>{"file"} &&
               must(read_file("/run/bait/file", 100)) == "of the host\n";
    }
};

TEST_CASE("image: symbolic links in the place of directories lead nowhere") {
    const Bait bait;
    const std::string root = bare_root();
    std::string outside = "/run/bait";
    SUBCASE("an absolute path of the host") {}
    SUBCASE("up and out") {
        outside = "../../../../../../../run/bait";
    }
    SUBCASE("through /proc") {
        outside = "/proc/1/root/run/bait";
    }
    for (const std::string place : {"/dev", "/proc", "/sys", "/tmp", "/var", "/etc", "/run"}) {
        CAPTURE(place);
        const std::string top = new_directory();
        link_to(outside, top + place);
        for (const bool image : {false, true}) {
            InRoot inside = image ? InRoot(std::vector{root, top}) : InRoot(root);
            if (!image) {
                link_to(outside, root + place);
            }
            inside.service.files = {{"/etc/put", FileSpec::Source::text, "x"}};
            const std::string text = inside.say(
                "cat /proc/self/comm; cat /tmp/file /etc/file /run/bait/file; echo x > "
                "/tmp/made; ls -d /dev/null");
            CHECK(text.find("of the host") == std::string::npos);
            CHECK(bait.untouched());
            if (!image) {
                REQUIRE(unlink((root + place).c_str()) == 0);
            }
        }
    }
}

TEST_CASE("image: /dev and /proc are ours, whatever the root has there") {
    const std::string root = bare_root();
    link_to("/etc", root + "/dev");
    put(root + "/proc", "a file");
    for (const bool image : {false, true}) {
        InRoot inside = image ? InRoot(std::vector{root}) : InRoot(root);
        CHECK(inside.say("ls /dev/null; cat /proc/self/comm; [ -h /dev ] || echo a directory") ==
              "/dev/null\ncat\na directory\n");
    }
}

TEST_CASE("image: files are put at what their links point to, inside") {
    const Bait bait;
    const std::string root = bare_root();
    link_to("/opt/real", root + "/etc/link");
    link_to("/run/bait/file", root + "/etc/outside");
    link_to("/run/loop", root + "/etc/dangling");
    link_to("loop2", root + "/etc/loop1");
    link_to("loop1", root + "/etc/loop2");
    put(root + "/opt/real", "real\n");
    InRoot inside(root);
    inside.service.files = {{"/etc/link", FileSpec::Source::text, "put\n"},
                            {"/etc/outside", FileSpec::Source::text, "put\n"},
                            {"/etc/dangling/deep", FileSpec::Source::text, "put\n"}};
    CHECK(inside.say("cat /opt/real /run/bait/file /run/loop/deep") == "put\nput\nput\n");
    CHECK(bait.untouched());
    inside.service.files = {{"/etc/loop1", FileSpec::Source::text, "put\n"}};
    CHECK(inside.say("true") == "cannot open '/etc/loop1': Too many levels of symbolic links");
}

TEST_CASE("image: kernel files cannot be written by links of the root") {
    const std::string pattern = must(read_file("/proc/sys/kernel/core_pattern", 1000));
    const std::string root = bare_root();
    link_to("/proc/sys/kernel/core_pattern", root + "/etc/hosts");
    InRoot inside(root);
    // On top of the kernel's file, not into it.
    CHECK(inside.say("cat /proc/sys/kernel/core_pattern").starts_with("127.0.0.1"));
    CHECK(must(read_file("/proc/sys/kernel/core_pattern", 1000)) == pattern);
    link_to("/proc/self/fd/0", root + "/etc/hostname");
    CHECK(inside.say("true") == "cannot open '/etc/hostname': Too many levels of symbolic links");
}

TEST_CASE("image: a root that is not there says so") {
    InRoot inside("/no/such/root");
    CHECK(inside.say("true").find("'/no/such/root': No such file or directory") != std::string::npos);
    InRoot image(std::vector<std::string>{"/no/such/layer", bare_root()});
    CHECK(image.say("true").find("No such file or directory") != std::string::npos);
}

TEST_CASE("image: where overlayfs cannot be had, a directory that has all places serves, and another says why not") {
    // Filesystems can be stacked twice: /var/lib is an overlay here already, and this is the second one.
    const std::string lower = "/var/lib/stacked";
    REQUIRE(make_directory(lower, 0755));
    const std::string empty = new_directory();
    const std::string root = new_directory();
    const std::string bare = bare_root();
    REQUIRE(mount("overlay", root.c_str(), "overlay", 0, cat("lowerdir=", lower, ":", bare).c_str()) == 0);
    const std::string top = new_directory();
    if (mount("overlay", top.c_str(), "overlay", 0, cat("lowerdir=", root, ":", empty).c_str()) == 0) {
        REQUIRE(umount2(top.c_str(), MNT_DETACH) == 0);
        skip("this kernel stacks filesystems more than twice");
    } else {
        InRoot inside(root);
        const std::string lacks = "the root filesystem lacks something, and overlayfs cannot supply ";
        CHECK(inside.say("echo runs") == lacks + "'/proc': Invalid argument");
        REQUIRE(umount2(root.c_str(), MNT_DETACH) == 0);
        for (const char* name : {"/proc", "/dev", "/run", "/var/tmp"}) {
            REQUIRE(make_directory(bare + name, 0755));
        }
        put(bare + "/etc/hosts", "");
        put(bare + "/etc/hostname", "");
        const std::string options = cat("lowerdir=", lower, ":", bare);
        REQUIRE(mount("overlay", root.c_str(), "overlay", 0, options.c_str()) == 0);
        CHECK(inside.say("echo runs") == lacks + "'/tmp': Invalid argument");
        REQUIRE(umount2(root.c_str(), MNT_DETACH) == 0);
        REQUIRE(make_directory(bare + "/tmp", 0755));
        REQUIRE(mount("overlay", root.c_str(), "overlay", 0, options.c_str()) == 0);
        CHECK(inside.say("cat /etc/hostname; echo x > /made; echo x > /tmp/x && echo runs").find("web\n") == 0);
        CHECK(access((bare + "/made").c_str(), F_OK) != 0);
    }
    REQUIRE(umount2(root.c_str(), MNT_DETACH) == 0);
}

TEST_CASE("image: a writable root keeps nothing") {
    const std::string root = bare_root();
    InRoot inside(root);
    inside.input.identity = {};
    inside.service.sandbox.allow = {"root", "writable-root"};
    CHECK(inside.say("echo x > /made; cat /made") == "x\n");
    CHECK(inside.say("ls /made 2> /dev/null") == "");
    CHECK(access((root + "/made").c_str(), F_OK) != 0);
}

TEST_CASE("image: set-user-id programs have no effect") {
    const std::string root = bare_root();
    copy_program(root, "/usr/bin/id");
    REQUIRE(chmod((root + "/usr/bin/id").c_str(), 04755) == 0);
    InRoot inside(root);
    CHECK(inside.say("/usr/bin/id -u") == cat(kOwnUid, "\n"));
}

}  // namespace
}  // namespace viscum
