// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/start_command.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/ctl/fixture.h"

namespace viscum {
namespace {

void make(const std::string& path, bool runs) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << "#!/bin/sh\n";
    std::filesystem::permissions(path, std::filesystem::perms(runs ? 0755 : 0644));
}

}  // namespace

TEST_CASE("start: without an init system that knows viscumd it is started by its own name") {
    const Desk desk;
    CHECK(start_command("viscum", desk.dir) == "viscumd");
    CHECK(start_command("lab", desk.dir) == "viscumd --instance lab");
}

TEST_CASE("start: OpenWrt's script is the instance's") {
    const Desk desk;
    make(desk.dir + "/etc/init.d/viscum", true);
    make(desk.dir + "/etc/init.d/broken", false);
    CHECK(start_command("viscum", desk.dir) == "/etc/init.d/viscum start");
    CHECK(start_command("broken", desk.dir) == "viscumd --instance broken");
    CHECK(start_command("lab", desk.dir) == "viscumd --instance lab");
}

TEST_CASE("start: systemd is asked where it runs, and has the unit") {
    const Desk desk;
    make(desk.dir + "/usr/lib/systemd/system/viscumd.service", false);
    CHECK(start_command("viscum", desk.dir) == "viscumd");
    std::filesystem::create_directories(desk.dir + "/run/systemd/system");
    CHECK(start_command("viscum", desk.dir) == "systemctl start viscumd");
    CHECK(start_command("lab", desk.dir) == "viscumd --instance lab");
    std::filesystem::remove_all(desk.dir + "/usr");
    CHECK(start_command("viscum", desk.dir) == "viscumd");
}

}  // namespace viscum
