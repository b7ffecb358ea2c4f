// SPDX-License-Identifier: GPL-2.0-only
// viscumctl watch at a terminal: it shows what is, goes on over viscumd's end, and gives the terminal back.
#include <csignal>
#include <filesystem>

#include "tests/scene/scene.h"
#include "tests/support/terminal.h"

namespace viscum {
namespace {

constexpr const char* kLast = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Somebody at a terminal, who has begun `viscumctl watch` there.
Operator watching() {
    return must(Operator::start({VISCUM_BIN_DIR "/viscumctl", "watch"}, {{"TERM", "xterm"}, {"NO_COLOR", "1"}}));
}

/// "socket:[4711]" of each of a process's sockets.
std::vector<std::string> sockets_of(pid_t pid) {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(cat("/proc/", pid, "/fd"))) {
        const std::string what = std::filesystem::read_symlink(entry.path());
        if (what.starts_with("socket:")) {
            found.push_back(what);
        }
    }
    return found;
}

}  // namespace

TEST_CASE("watch: it shows services and events, follows the window, and survives viscumd's end") {
    Scene scene;
    scene.deploy(web_service());
    auto who = watching();
    CHECK(who.sees("viscum: 1 of 1 served, grade "));
    CHECK(who.sees("web                   healthy "));
    CHECK(who.sees("its new flows are served here"));
    must(who.resize({10, 40}));
    CHECK(who.sees_anew("NAME         HEALTH     LOCAL/s  CLOUD/s\r"));
    scene.viscumd().kill();
    CHECK(who.sees_anew("no viscumd answers"));
    must(scene.viscumd().start_again());
    CHECK(who.sees_anew("viscum: 1 of 1 served"));
    must(who.type("q"));
    CHECK(who.end() == 0);
    CHECK(who.restored());
    CHECK(who.screen().ends_with(kLast));
}

TEST_CASE("watch: of a viscumd that hangs it asks once, says for how long, and goes on with its answer") {
    Scene scene;
    scene.deploy(web_service());
    auto who = watching();
    CHECK(who.sees("viscum: 1 of 1 served"));
    const auto before = sockets_of(who.pid());
    CHECK(before.size() == 1);
    must(scene.viscumd().pause());
    CHECK(who.sees_anew("viscumd: no answer for "));
    CHECK(who.sees_anew("(shown is what was)"));
    CHECK(who.sees_anew("viscumd: no answer for "));
    CHECK(sockets_of(who.pid()) == before);
    must(scene.viscumd().resume());
    CHECK(who.sees_anew("viscum: 1 of 1 served"));
    CHECK(sockets_of(who.pid()) == before);
    must(who.type("q"));
    CHECK(who.end() == 0);
}

TEST_CASE("watch: however it ends, the terminal is as before") {
    Scene scene;
    auto who = watching();
    CHECK(who.sees("no services"));
    SUBCASE("Ctrl-C") {
        must(who.type("\x03"));
    }
    SUBCASE("SIGTERM") {
        must(who.signal(SIGTERM));
    }
    SUBCASE("SIGHUP") {
        must(who.signal(SIGHUP));
    }
    CHECK(who.end() == 0);
    CHECK(who.restored());
    CHECK(who.screen().ends_with(kLast));
}

TEST_CASE("watch: a terminal that takes nothing, as behind a dead link, keeps it from nothing") {
    Scene scene;
    auto who = watching();
    CHECK(who.sees("no services"));
    must(who.fill());
    must(who.resize({50, 100}));  // something to draw
    SUBCASE("SIGTERM ends it") {
        must(who.signal(SIGTERM));
        CHECK(who.ended());
    }
    SUBCASE("SIGHUP ends it") {
        must(who.signal(SIGHUP));
        CHECK(who.ended());
    }
    SUBCASE("a key ends it") {
        must(who.type("q"));
        CHECK(who.ended());
    }
    SUBCASE("it goes on once the terminal does") {
        CHECK(who.sees("xxx"));
        CHECK(who.sees_anew("NAME  "));
        CHECK(who.sees_anew("no services"));
        must(who.type("q"));
        CHECK(who.end() == 0);
        CHECK(who.screen().ends_with(kLast));
    }
    CHECK(who.restored());
}

TEST_CASE("watch: without a terminal it says where else to look") {
    Scene scene;
    CHECK(scene.ctl({"watch"}, 2).err.find("watch needs a terminal") != std::string::npos);
}

}  // namespace viscum
