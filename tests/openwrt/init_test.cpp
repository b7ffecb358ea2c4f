// SPDX-License-Identifier: GPL-2.0-only
// The procd script: what procd is told, and when.
#include <doctest/doctest.h>

#include <filesystem>

#include "base/text.h"
#include "tests/openwrt/fixture.h"

using namespace viscum;
using namespace viscum::test;

namespace {

const std::string kLan = "\tlist lan 'br-lan'\n";
const std::string kHup = R"(signal {"name":"viscum","signal":1})";
const std::string kTriggers =
    R"("triggers":[["config.change",["if",["eq","package","viscum"],["run_script","/etc/init.d/viscum","reload"]],1000]]})";
/// What has procd end whatever it runs for us.
const std::string kNothing = R"(set {"name":"viscum","script":"/etc/init.d/viscum","instances":{},)" + kTriggers;

std::string with_viscumd(const Router& router) {
    return cat(R"(set {"name":"viscum","script":"/etc/init.d/viscum","instances":{"instance1":{)",
               R"("command":["/usr/sbin/viscumd","--instance","viscum"],"respawn":["3600","5","0"],)",
               R"("limits":{"core":"1 1"},"stderr":true,"term_timeout":10,"reload_signal":1,)", R"("file":[")",
               router.path("/etc/viscum/viscum.yaml"), R"("]}},)", kTriggers);
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("openwrt: procd gets viscumd, to be started again for ever, and is to tell of a changed configuration") {
    const Router router;
    router.configure(kLan);
    CHECK(router.init("start") == 0);
    CHECK(router.take_sent() == Lines{with_viscumd(router)});
    CHECK(router.read("/log").empty());
}

TEST_CASE("openwrt: a disabled viscumd is not started, and ended where it runs, by a reload as well") {
    const Router router;
    router.configure("\toption enabled '0'\n" + kLan);
    for (const auto* action : {"start", "reload"}) {
        for (const bool running : {false, true}) {
            CAPTURE(action);
            CAPTURE(running);
            router.set_running(running);
            CHECK(router.init(action) == 0);
            CHECK(router.take_sent() == Lines{kNothing});
            CHECK(!router.exists("/etc/viscum/viscum.yaml"));
        }
    }
}

TEST_CASE("openwrt: a reload is a SIGHUP, once the new viscum.yaml is there") {
    const Router router;
    router.configure(kLan);
    REQUIRE(router.init("start") == 0);
    router.set_running(true);
    (void)router.take_sent();
    router.configure(kLan + "\toption lease '7s'\n");
    CHECK(router.init("reload") == 0);
    CHECK(router.take_sent() == Lines{kHup});
    CHECK(router.read("/etc/viscum/viscum.yaml").find("\nlease: 7s\n") != std::string::npos);
}

TEST_CASE("openwrt: a reload starts a viscumd that does not run") {
    const Router router;
    router.configure(kLan);
    CHECK(router.init("reload") == 0);
    CHECK(router.take_sent() == Lines{with_viscumd(router)});
}

TEST_CASE("openwrt: with a bad configuration nothing changes, and a reboot starts viscumd as it was") {
    const Router router;
    router.configure(kLan);
    REQUIRE(router.init("start") == 0);
    const auto sent = router.take_sent();
    const auto version = router.version("/etc/viscum/viscum.yaml");
    // Of the first the script knows that it is bad, of the second viscumd's own reader.
    for (const std::string bad : {"option lease 'soon'", "list claimable '999.0.0.0/8'"}) {
        CAPTURE(bad);
        router.configure(cat(kLan, "\tlist claimable '203.0.113.0/24'\n\t", bad, '\n'));
        router.set_running(true);
        CHECK(router.init("start") != 0);
        CHECK(router.init("reload") != 0);
        CHECK(router.take_sent().empty());
        CHECK(router.read("/log").find(bad.substr(bad.find('\'') + 1, 5)) != std::string::npos);
        router.set_running(false);
        CHECK(router.init("start") == 0);
        CHECK(router.take_sent() == sent);
        CHECK(router.read("/log").find("starts with") != std::string::npos);
        CHECK(router.version("/etc/viscum/viscum.yaml") == version);
        CHECK(!router.exists("/etc/viscum/viscum.yaml.new"));
        router.remove("/log");
    }
    // Nor does it know whether it is to run.
    router.remove("/etc/config/viscum");
    router.set_running(true);
    CHECK(router.init("start") != 0);
    CHECK(router.init("reload") != 0);
    CHECK(router.take_sent().empty());
    router.set_running(false);
    CHECK(router.init("start") != 0);
    CHECK(router.take_sent() == Lines{kNothing});
    CHECK(router.read("/log").find("cannot read /etc/config/viscum") != std::string::npos);
    // And there is none to begin with.
    router.configure("\toption lease 'soon'\n");
    router.remove("/etc/viscum/viscum.yaml");
    CHECK(router.init("start") != 0);
    CHECK(router.take_sent() == Lines{kNothing});
}

TEST_CASE("openwrt: stopping has procd end viscumd alone, and uninstalling waits for that") {
    const Router router;
    router.configure(kLan);
    CHECK(router.init("stop") == 0);
    CHECK(router.take_sent() == Lines{R"(delete {"name":"viscum"})"});
    CHECK(!router.exists("/called"));
    // opkg does so before it unpacks, and has postinst start the new one.
    setenv("PKG_UPGRADE", "1", 1);
    CHECK(router.init("stop") == 0);
    unsetenv("PKG_UPGRADE");
    CHECK(router.take_sent().empty());

    const auto viscumd = [&](const std::string& body) {
        router.write("/viscumd", cat("#!/bin/busybox ash\necho \"$*\" >> ", router.path("/called"), '\n', body));
        std::filesystem::permissions(router.path("/viscumd"), std::filesystem::perms::owner_all);
    };
    const std::string call = "--instance viscum --discard-newer --uninstall\n";
    viscumd(cat("[ $(wc -l < ", router.path("/called"), ") -ge 3 ] || exit 5\n"));
    CHECK(router.init("uninstall") == 0);
    CHECK(router.take_sent() == Lines{R"(delete {"name":"viscum"})"});
    CHECK(router.read("/called") == call + call + call);
    CHECK(router.read("/log").empty());

    // Anything else is no reason to wait, and waiting has an end.
    router.remove("/called");
    viscumd("echo 'no such luck'; exit 1\n");
    CHECK(router.init("uninstall") != 0);
    CHECK(router.read("/called") == call);
    CHECK(router.read("/log").find("no such luck") != std::string::npos);
    router.remove("/called");
    viscumd("exit 5\n");
    CHECK(router.init("uninstall") == 1);
    CHECK(router.read("/called").size() == 16 * call.size());
}

TEST_CASE("openwrt: where /var is in memory, what viscumd keeps lies in /etc") {
    const Router router;
    router.configure(kLan);
    REQUIRE(router.init("start") == 0);
    CHECK(!router.exists("/mounts"));  // there is no /var here

    std::filesystem::create_directory(router.path("/tmp"));
    std::filesystem::create_directory_symlink("tmp", router.path("/var"));
    const auto sent = router.take_sent();
    REQUIRE(router.init("start") == 0);
    const std::filesystem::path place = router.path("/tmp/lib/viscum");
    const std::filesystem::path state = router.path("/etc/viscum/state");
    REQUIRE(std::filesystem::is_symlink(place));
    CHECK(std::filesystem::read_symlink(place) == state);
    CHECK(std::filesystem::status(state).permissions() == std::filesystem::perms::owner_all);

    // Once.
    REQUIRE(router.init("start") == 0);
    CHECK(std::filesystem::is_symlink(place));
    CHECK(std::filesystem::is_empty(state));
    // A mount below /tmp would hold the flash that sysupgrade writes.
    CHECK(!router.exists("/mounts"));

    // A medium that holds the images is seen as before.
    std::filesystem::remove(place);
    std::filesystem::create_directories(place / "images");
    router.write("/mounted", cat("/dev/sda1 ", (place / "images").string(), " ext4 rw 0 0\n"));
    REQUIRE(router.init("start") == 0);
    CHECK(router.read("/mounts") ==
          cat("-o move ", (place / "images").string(), ' ', (state / "images").string(), '\n'));
    CHECK(std::filesystem::is_symlink(place));
    CHECK(router.read("/log").empty());
    (void)router.take_sent();

    // What lies there is not lost. It is no reason not to start.
    std::filesystem::remove(place);
    std::filesystem::create_directory(place);
    router.write("/tmp/lib/viscum/state.0", "of a viscumd that was started by hand");
    CHECK(router.init("start") == 0);
    CHECK(router.take_sent() == sent);
    CHECK(router.exists("/tmp/lib/viscum/state.0"));
    CHECK(router.read("/log").find("stays in memory") != std::string::npos);
}
