// SPDX-License-Identifier: GPL-2.0-only
// What the package holds, and where it goes.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/instance.h"
#include "base/text.h"
#include "tests/openwrt/fixture.h"

using namespace viscum;
using namespace viscum::test;

namespace {

std::string text_of(const std::string& path) {
    std::ifstream stream(path);
    std::ostringstream text;
    text << stream.rdbuf();
    REQUIRE(!text.str().empty());
    return text.str();
}

}  // namespace

TEST_CASE("openwrt: each file of the package is installed") {
    const auto makefile = text_of(package_file("Makefile"));
    for (const auto& entry : std::filesystem::directory_iterator(package_file("files"))) {
        const auto name = "./files/" + entry.path().filename().string();
        CHECK_MESSAGE(makefile.find(name + " $(1)/") != std::string::npos, name);
    }
}

TEST_CASE("openwrt: what survives a reboot survives an upgrade of the firmware, but for images") {
    const auto kept = split(text_of(package_file("files/viscum.keep")), '\n');
    const auto has = [&](const std::string& path) { return std::find(kept.begin(), kept.end(), path) != kept.end(); };
    const Instance instance;
    CHECK(has(instance.config_file()));
    CHECK(has(instance.services_dir() + "/"));
    for (const auto* path : {"files/", "secrets/", "state/state.0", "state/state.1"}) {
        CHECK(has(cat("/etc/", instance.name, '/', path)));
    }
    // A medium may be mounted below it.
    CHECK(!has("/etc/viscum/"));
    CHECK(!has("/etc/viscum/state/"));
    // The init script puts the state there.
    const auto init = text_of(package_file("files/viscum.init"));
    CHECK(init.find(cat("\nSTATE=", instance.state_dir(), '\n')) != std::string::npos);
    CHECK(init.find(cat("\nETC=/etc/", instance.name, '\n')) != std::string::npos);
    CHECK(init.find(cat("\nNAME=", instance.name, " ")) != std::string::npos);
}

TEST_CASE("openwrt: the package has the version of the project") {
    const auto makefile = text_of(package_file("Makefile"));
    const auto project = text_of(package_file("../../CMakeLists.txt"));
    const std::string before = "project(viscum VERSION ";
    const auto at = project.find(before);
    REQUIRE(at != std::string::npos);
    const auto version = project.substr(at + before.size(), project.find(' ', at + before.size()) - at - before.size());
    CHECK_MESSAGE(makefile.find("\nPKG_VERSION:=" + version + "\n") != std::string::npos, version);
}

TEST_CASE("openwrt: a token made as the manual says is nobody else's to read, from its first byte on") {
    const Router router;
    const std::string file = "/etc/viscum/exporter.token";
    for (const auto* text : {"files/viscum-exporter.config", "../../docs/openwrt.md"}) {
        CAPTURE(text);
        router.write(file, "");
        router.remove(file);
        const auto lines = split(text_of(package_file(text)), '\n');
        const auto found =
            std::ranges::find_if(lines, [](const auto& line) { return line.find("/dev/urandom") != line.npos; });
        REQUIRE(found != lines.end());
        std::string command = found->substr(found->find_first_not_of("#\t "));
        const auto at = command.find(file);
        REQUIRE(at != std::string::npos);
        command.replace(at, file.size(), router.path(file));
        REQUIRE(router.script({"-c", cat("umask 022; ", command)}).success());
        CHECK(router.read(file).size() == 64);
        const auto others = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
        CHECK((std::filesystem::status(router.path(file)).permissions() & others) == std::filesystem::perms::none);
    }
}

TEST_CASE("openwrt: shellcheck has nothing to say") {
    if (run({"shellcheck", "--version"}).status == 127) {
        MESSAGE("SKIPPED: shellcheck is not installed");
        return;
    }
    for (const auto* script : {"viscum.init", "viscum.defaults", "rpcd-viscum"}) {
        const auto output = run({"shellcheck", "-s", "dash", package_file(std::string("files/") + script)});
        CHECK_MESSAGE(output.success(), output.out);
    }
}
