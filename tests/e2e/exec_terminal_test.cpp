// SPDX-License-Identifier: GPL-2.0-only
// viscumctl exec at a terminal: it works as one expects of a shell, and the terminal stays the operator's.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "tests/scene/scene.h"

namespace viscum {
namespace {

constexpr const char* kViscumctl = VISCUM_BIN_DIR "/viscumctl";

/// An operator at a terminal, who has begun `viscumctl exec web -- sh -c SCRIPT` there.
class Operator {
public:
    explicit Operator(const std::string& script)
        : desk_(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)),
          terminal_(unlockpt(desk_.get()) == 0 ? ioctl(desk_.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1) {
        REQUIRE(terminal_);
        resize(33, 101);
        before_ = settings();
        pid_ = fork();
        if (pid_ == 0) {
            begin(script);
        }
        pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
        REQUIRE(pidfd_);
    }
    ~Operator() {
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
    }
    Operator(const Operator&) = delete;
    Operator& operator=(const Operator&) = delete;

    void resize(unsigned short rows, unsigned short columns) const {
        const winsize size{rows, columns, 0, 0};
        REQUIRE(ioctl(desk_.get(), TIOCSWINSZ, &size) == 0);
    }
    void type(const std::string& text) const {
        REQUIRE(write(desk_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    void signal(int number) const { REQUIRE(kill(pid_, number) == 0); }
    /// Whether this comes up on the screen.
    bool sees(const std::string& text) {
        return eventually(kLimit, [&] {
            look();
            return screen_.find(text) != std::string::npos;
        });
    }
    /// viscumctl's exit status.
    int end() {
        const bool ended = eventually(kLimit, [&] {
            look();
            pollfd ready{pidfd_.get(), POLLIN, 0};
            return poll(&ready, 1, 0) == 1;
        });
        int status = -1;
        REQUIRE_MESSAGE(ended, screen_);
        waitpid(pid_, &status, 0);
        pid_ = 0;
        look();
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    [[nodiscard]] bool raw() const { return (settings().c_lflag & (ICANON | ECHO | ISIG)) == 0; }
    [[nodiscard]] bool restored() const {
        const termios now = settings();
        return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag && now.c_oflag == before_.c_oflag;
    }
    /// What a program of the operator's own reads now.
    [[nodiscard]] std::string own_input() const {
        pollfd ready{terminal_.get(), POLLIN, 0};
        char bytes[256];
        const ssize_t got = poll(&ready, 1, 0) == 1 ? read(terminal_.get(), bytes, sizeof bytes) : -1;
        return got < 0 ? "nothing" : std::string(bytes, static_cast<std::size_t>(got));
    }
    [[nodiscard]] const std::string& screen() const { return screen_; }

private:
    [[nodiscard]] termios settings() const {
        termios now{};
        REQUIRE(tcgetattr(terminal_.get(), &now) == 0);
        return now;
    }
    void look() {
        pollfd ready{desk_.get(), POLLIN, 0};
        char bytes[1024];
        while (poll(&ready, 1, 0) == 1) {
            const ssize_t got = read(desk_.get(), bytes, sizeof bytes);
            if (got <= 0) {
                return;
            }
            screen_.append(bytes, static_cast<std::size_t>(got));
        }
    }
    [[noreturn]] void begin(const std::string& script) const {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setsid();
        ioctl(terminal_.get(), TIOCSCTTY, 0);
        for (int fd = 0; fd < 3; ++fd) {
            dup2(terminal_.get(), fd);
        }
        execl(kViscumctl, kViscumctl, "exec", "web", "--", "/bin/sh", "-c", script.c_str(), nullptr);
        _exit(127);
    }

    UniqueFd desk_;      // what he types and sees
    UniqueFd terminal_;  // the side that programs have
    UniqueFd pidfd_;
    termios before_{};
    pid_t pid_ = 0;
    std::string screen_;
};

}  // namespace

TEST_CASE("exec: at a terminal a command has one of its own, of the same size, and Ctrl-C reaches what it has begun") {
    Scene scene;
    scene.deploy(web_service());
    SUBCASE("a terminal, and its size") {
        Operator who(
            "test -t 0 && test -t 1 && test -t 2 && echo three; stty size; read line; echo \"[$line]\"; stty size; "
            "echo x >/dev/tty && echo controls; exit 7");
        CHECK(who.sees("three\r\n33 101\r\n"));
        CHECK(who.raw());
        who.resize(20, 60);
        who.type("typed\r");
        CHECK(who.end() == 7);
        CHECK(who.screen().ends_with("three\r\n33 101\r\ntyped\r\n[typed]\r\n20 60\r\nx\r\ncontrols\r\n"));
        CHECK(who.restored());
    }
    SUBCASE("Ctrl-C") {
        Operator who("trap 'echo caught' INT; sh -c 'echo ready; exec sleep 600'; echo left");
        CHECK(who.sees("ready"));
        who.type("\x03");
        CHECK(who.end() == 0);
        CHECK(who.screen().ends_with("caught\r\nleft\r\n"));
    }
    SUBCASE("Ctrl-C ends a command, as a signal does that ends viscumctl elsewhere") {
        for (const int number : {SIGINT, SIGTERM, SIGUSR1}) {
            Operator who("echo ready; exec sleep 600");
            CHECK(who.sees("ready"));
            if (number == SIGINT) {
                who.type("\x03");
            } else {
                who.signal(number);
            }
            CHECK(who.end() == 128 + number);
            CHECK(who.restored());
        }
    }
}

TEST_CASE("exec: what stays when the command has ended reads nothing of what is typed, and writes nothing") {
    Scene scene;
    scene.deploy(web_service());
    Operator who(
        ": >/tmp/heard; exec 3<>/dev/tty 4<&0; trap '' HUP; "
        "(for fd in 3 4; do read line <&$fd; echo \"read $? [$line]\"; done; "
        "echo later >&3 || echo mute; echo later >&4 || echo mute) >/tmp/heard 2>/tmp/errors & echo off");
    CHECK(who.end() == 0);
    CHECK(who.restored());
    who.type("secret\n");
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
