// SPDX-License-Identifier: GPL-2.0-only
// viscumctl exec at a terminal: it works as one expects of a shell, and the terminal stays the operator's.
#include <csignal>

#include "tests/scene/scene.h"
#include "tests/support/terminal.h"

namespace viscum {
namespace {

constexpr const char* kViscumctl = VISCUM_BIN_DIR "/viscumctl";

/// An operator at a terminal, who has begun `viscumctl exec web -- sh -c SCRIPT` there.
Operator operator_of(const std::string& script) {
    return must(Operator::start({kViscumctl, "exec", "web", "--", "/bin/sh", "-c", script}, {}, {33, 101}));
}

}  // namespace

TEST_CASE("exec: at a terminal a command has one of its own, of the same size, and Ctrl-C reaches what it has begun") {
    Scene scene;
    scene.deploy(web_service());
    SUBCASE("a terminal, and its size") {
        auto who = operator_of(
            "test -t 0 && test -t 1 && test -t 2 && echo three; stty size; read line; echo \"[$line]\"; stty size; "
            "echo x >/dev/tty && echo controls; exit 7");
        CHECK(who.sees("three\r\n33 101\r\n"));
        CHECK(who.raw());
        must(who.resize({20, 60}));
        must(who.type("typed\r"));
        CHECK(who.end() == 7);
        CHECK(who.screen().ends_with("three\r\n33 101\r\ntyped\r\n[typed]\r\n20 60\r\nx\r\ncontrols\r\n"));
        CHECK(who.restored());
    }
    SUBCASE("Ctrl-C") {
        auto who = operator_of("trap 'echo caught' INT; sh -c 'echo ready; exec sleep 600'; echo left");
        CHECK(who.sees("ready"));
        must(who.type("\x03"));
        CHECK(who.end() == 0);
        CHECK(who.screen().ends_with("caught\r\nleft\r\n"));
    }
    SUBCASE("Ctrl-C ends a command, as a signal does that ends viscumctl elsewhere") {
        for (const int number : {SIGINT, SIGTERM, SIGUSR1}) {
            auto who = operator_of("echo ready; exec sleep 600");
            CHECK(who.sees("ready"));
            if (number == SIGINT) {
                must(who.type("\x03"));
            } else {
                must(who.signal(number));
            }
            CHECK(who.end() == 128 + number);
            CHECK(who.restored());
        }
    }
}

TEST_CASE("exec: what stays when the command has ended reads nothing of what is typed, and writes nothing") {
    Scene scene;
    scene.deploy(web_service());
    auto who = operator_of(
        ": >/tmp/heard; exec 3<>/dev/tty 4<&0; trap '' HUP; "
        "(for fd in 3 4; do read line <&$fd; echo \"read $? [$line]\"; done; "
        "echo later >&3 || echo mute; echo later >&4 || echo mute) >/tmp/heard 2>/tmp/errors & echo off");
    CHECK(who.end() == 0);
    CHECK(who.restored());
    must(who.type("secret\n"));
    const auto heard = [&scene] { return scene.ctl({"exec", "web", "--", "/bin/cat", "/tmp/heard"}).out; };
    CHECK(eventually(kLimit, [&] { return heard().ends_with("mute\nmute\n"); }));
    CHECK(heard() == "read 1 []\nread 1 []\nmute\nmute\n");
    CHECK(who.own_input() == "secret\n");
    CHECK(who.screen().find("later") == std::string::npos);
}

TEST_CASE("exec: without a terminal a command has what viscumctl has, and its exit status is the command's") {
    Scene scene;
    scene.deploy(web_service());
    const auto exec = [&scene](Argv command, const std::string& input = "") {
        command.insert(command.begin(), {kViscumctl, "exec", "web", "--"});
        return run(command, {.ns = &scene.bed().hotspot(), .input = input});
    };
    CHECK(exec({"/bin/cat"}, "x\n").out == "x\n");
    CHECK(exec({"/usr/bin/test", "-t", "0"}).status == 1);
    CHECK(exec({"/bin/sh", "-c", "exit 7"}).status == 7);
    CHECK(exec({"/bin/sh", "-c", "kill -TERM $$"}).status == 143);
    CHECK(exec({"/no/such/command"}).status == 127);
    const RunOutput both = exec({"/bin/sh", "-c", "echo out; echo err >&2"});
    CHECK(both.out == "out\n");
    CHECK(both.err == "err\n");
}

}  // namespace viscum
