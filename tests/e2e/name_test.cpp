// SPDX-License-Identifier: GPL-2.0-only
// One executable, which is viscumd or viscumctl by the name that it is called by.
#include <doctest/doctest.h>

#include <filesystem>

#include "base/build_info.h"
#include "base/text.h"
#include "tests/support/program.h"

namespace viscum {
namespace {

/// Another way to the executable.
std::string link_at(const std::string& path) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::filesystem::create_symlink(VISCUM_BIN_DIR "/viscumd", path);
    return path;
}

}  // namespace

TEST_CASE("name: called viscumctl, wherever that is, it is the operator's program, and finds what it needs") {
    const std::string ctl = link_at("/tmp/names/viscumctl");
    for (const std::string& path : {std::string(VISCUM_BIN_DIR "/viscumctl"), ctl}) {
        CAPTURE(path);
        CHECK(run({path, "--version"}).out == cat("viscumctl ", kVersion, "\n"));
        const RunOutput images = run({path, "image", "list"});
        CHECK_MESSAGE(images.status == 0, images.err);
    }
}

TEST_CASE("name: called anything else it is viscumd, which knows no verbs") {
    for (const char* name : {"viscumd", "viscumctl-old", "viscumctl.d/viscumd"}) {
        CAPTURE(name);
        const std::string daemon = link_at(cat("/tmp/names/others/", name));
        CHECK(run({daemon, "--version"}).out == cat("viscumd ", kVersion, "\n"));
        const RunOutput verb = run({daemon, "list"});
        CHECK(verb.status == 2);
        CHECK(verb.err.starts_with("usage: viscumd "));
    }
}

}  // namespace viscum
