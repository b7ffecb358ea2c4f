// SPDX-License-Identifier: GPL-2.0-only
// viscum-image killed at any moment: what has a name is whole, and the next run clears the rest.
#include <fcntl.h>
#include <sys/file.h>

#include "base/text.h"
#include "controller/image/store.h"
#include "tests/root/image/fixture.h"
#include "tests/support/sandbox.h"

using namespace viscum;

namespace {

std::string old_image() {
    BuiltImage image;
    image.layers = {{TarText().file("base", "base").text()}, {TarText().file("version", "old").text()}};
    return tar_of(oci_layout(image));
}

std::string new_image() {
    BuiltImage image;
    image.layers = {{TarText().file("base", "base").text()},
                    {TarText().directory("d").file("version", "new").file("d/.wh.x").file("d/.wh..wh..opq").text(),
                     Compression::zstd},
                    {TarText().file("more", "more").text(), Compression::gzip}};
    image.config = R"({"User":"1000"})";
    return tar_of(oci_layout(image));
}

/// Every name leads to a record, and each of its layers is whole.
void check_whole(StoreFixture& fixture, bool may_be_gone) {
    const auto images = list_images(fixture.instance());
    REQUIRE(images);
    const bool there = !images->empty() && images->front().name == "app";
    CHECK((there || may_be_gone));
    for (const auto& image : *images) {
        REQUIRE(image.image);
        const auto root = fixture.show(*image.image);
        CHECK(text_of(root + "/base") == "base");
        const auto version = text_of(root + "/version");
        CHECK((version == "old" || (version == "new" && text_of(root + "/more") == "more")));
    }
}

/// Kills at the Nth of a system call, of viscum-image alone or of its child as well, for N = 1, 2, … until it is not
/// reached any more. Gives how often it was.
int kill_at_each(const char* call, bool child, const std::vector<std::string>& words_of_change, bool removal) {
    for (int n = 1;; ++n) {
        CAPTURE(call);
        CAPTURE(n);
        REQUIRE(n < 400);
        StoreFixture fixture;
        (void)fixture.put("new.tar", new_image());
        REQUIRE(fixture.image({"import", "--name", "app", fixture.put("old.tar", old_image())}).success());
        std::vector<std::string> strace = {"strace",
                                           "-o",
                                           "/dev/null",
                                           "-e",
                                           cat("trace=", call),
                                           "-e",
                                           cat("inject=", call, ":signal=KILL:when=", n)};
        if (child) {
            strace.insert(strace.begin() + 1, "-f");
        }
        auto words = words_of_change;
        if (!removal) {
            words.push_back(fixture.place("new.tar"));
        }
        const bool ended = fixture.image_below(strace, words).success();
        check_whole(fixture, removal);
        CHECK(fixture.image({"prune"}).success());
        check_whole(fixture, removal);
        const auto images = list_images(fixture.instance());
        for (const auto& image : *images) {
            CHECK(fixture.image({"remove", image.name}).success());
        }
        CHECK(fixture.contents().empty());
        if (ended) {
            return n - 1;
        }
    }
}

bool have_strace() {
    return run({"strace", "-V"}).success();
}

}  // namespace

TEST_CASE("image store: an import killed at any call that changes it leaves the image before or the new one") {
    if (!have_strace()) {
        return skip("needs strace");
    }
    int points = 0;
    for (const char* call :
         {"rename", "renameat", "symlink", "fsync", "syncfs", "unlink", "unlinkat", "clone", "sendmsg"}) {
        points += kill_at_each(call, false, {"import", "--name", "app"}, false);
    }
    MESSAGE("killed at ", points, " moments");
    CHECK(points > 8);
}

TEST_CASE("image store: an import whose unpacking child is killed leaves the image before or the new one") {
    if (!have_strace()) {
        return skip("needs strace");
    }
    int points = 0;
    for (const char* call : {"mkdirat", "mknodat", "pwrite64", "fchmod", "sendmsg", "capset", "seccomp"}) {
        points += kill_at_each(call, true, {"import", "--name", "app"}, false);
    }
    MESSAGE("killed at ", points, " moments");
    CHECK(points > 12);
}

TEST_CASE("image store: a removal killed at any call that changes it leaves a whole image or none") {
    if (!have_strace()) {
        return skip("needs strace");
    }
    int points = 0;
    for (const char* call : {"unlink", "unlinkat", "rename", "fsync", "rmdir"}) {
        points += kill_at_each(call, false, {"remove", "app"}, true);
    }
    MESSAGE("killed at ", points, " moments");
    CHECK(points > 5);
}

TEST_CASE("image store: errors of the medium are told, and leave the image before") {
    if (!have_strace()) {
        return skip("needs strace");
    }
    for (const char* fault : {"syncfs:error=EIO", "renameat:error=EIO", "fsync:error=EIO", "symlink:error=ENOSPC",
                              "pwrite64:error=ENOSPC", "mknodat:error=EPERM", "fsetxattr:error=EOPNOTSUPP"}) {
        CAPTURE(fault);
        StoreFixture fixture;
        REQUIRE(fixture.image({"import", "--name", "app", fixture.put("old.tar", old_image())}).success());
        const auto before = fixture.find("app")->digest;
        const auto failed = fixture.image_below({"strace", "-f", "-o", "/dev/null", "-e", cat("inject=", fault)},
                                                {"import", "--name", "app", fixture.put("new.tar", new_image())});
        CHECK(failed.status == 1);
        CHECK_FALSE(failed.err.empty());
        CHECK(fixture.find("app")->digest == before);
        CHECK(fixture.image({"prune"}).success());
        CHECK(fixture.contents().size() == 4);
    }
}

TEST_CASE("image store: while one command changes it, another is refused, and listing goes on") {
    StoreFixture fixture;
    REQUIRE(fixture.image({"import", "--name", "app", fixture.put("old.tar", old_image())}).success());
    const UniqueFd lock(open((fixture.store() + "/lock").c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(flock(lock.get(), LOCK_EX) == 0);
    CHECK(fixture.image({"list"}).out.find("app") != std::string::npos);
    const auto refused = fixture.image({"remove", "app"});
    CHECK(refused.status == 5);
    CHECK(refused.err.find("another command") != std::string::npos);
}
