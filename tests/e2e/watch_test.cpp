// SPDX-License-Identifier: GPL-2.0-only
// viscumctl watch at a terminal: it shows what is, goes on over viscumd's end, and gives the terminal back.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>

#include "tests/scene/scene.h"

namespace viscum {
namespace {

/// Somebody at a terminal, who has begun `viscumctl watch` there.
class Watching {
public:
    Watching()
        : desk_(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)),
          terminal_(unlockpt(desk_.get()) == 0 ? ioctl(desk_.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1) {
        REQUIRE(terminal_);
        resize(24, 80);
        REQUIRE(tcgetattr(terminal_.get(), &before_) == 0);
        pid_ = fork();
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            setsid();
            ioctl(terminal_.get(), TIOCSCTTY, 0);
            for (int fd = 0; fd < 3; ++fd) {
                dup2(terminal_.get(), fd);
            }
            setenv("TERM", "xterm", 1);
            setenv("NO_COLOR", "1", 1);
            execl(VISCUM_BIN_DIR "/viscumctl", "viscumctl", "watch", nullptr);
            _exit(127);
        }
        pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
        REQUIRE(pidfd_);
    }
    ~Watching() {
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
    }
    Watching(const Watching&) = delete;
    Watching& operator=(const Watching&) = delete;

    void resize(unsigned short rows, unsigned short columns) const {
        const winsize size{rows, columns, 0, 0};
        REQUIRE(ioctl(desk_.get(), TIOCSWINSZ, &size) == 0);
    }
    void type(const std::string& text) const {
        REQUIRE(write(desk_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    void signal(int number) const { REQUIRE(kill(pid_, number) == 0); }
    /// Whether this comes up from now on.
    bool sees(const std::string& text) {
        look();
        screen_.clear();
        return eventually(kLimit, [&] {
            look();
            return screen_.find(text) != std::string::npos;
        });
    }
    int end() {
        REQUIRE(eventually(kLimit, [&] {
            look();
            pollfd ready{pidfd_.get(), POLLIN, 0};
            return poll(&ready, 1, 0) == 1;
        }));
        int status = -1;
        waitpid(pid_, &status, 0);
        pid_ = 0;
        look();
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    [[nodiscard]] bool restored() const {
        termios now{};
        REQUIRE(tcgetattr(terminal_.get(), &now) == 0);
        return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag &&
               screen_.ends_with("\x1b[?7h\x1b[?25h\x1b[?1049l");
    }
    [[nodiscard]] const std::string& screen() const { return screen_; }

private:
    void look() {
        pollfd ready{desk_.get(), POLLIN, 0};
        char bytes[4096];
        while (poll(&ready, 1, 0) == 1) {
            const ssize_t got = read(desk_.get(), bytes, sizeof bytes);
            if (got <= 0) {
                return;
            }
            screen_.append(bytes, static_cast<std::size_t>(got));
        }
    }

    UniqueFd desk_;
    UniqueFd terminal_;
    UniqueFd pidfd_;
    termios before_{};
    pid_t pid_ = 0;
    std::string screen_;
};

}  // namespace

TEST_CASE("watch: it shows services and events, follows the window, and survives viscumd's end") {
    Scene scene;
    scene.deploy(web_service());
    Watching who;
    CHECK(who.sees("viscum: 1 of 1 served, grade "));
    CHECK(who.sees("web                   healthy "));
    CHECK(who.sees("its new flows are served here"));
    who.resize(10, 40);
    CHECK(who.sees("NAME         HEALTH     LOCAL/s  CLOUD/s\r"));
    scene.viscumd().kill();
    CHECK(who.sees("no viscumd answers"));
    must(scene.viscumd().start_again());
    CHECK(who.sees("viscum: 1 of 1 served"));
    who.type("q");
    CHECK(who.end() == 0);
    CHECK(who.restored());
}

TEST_CASE("watch: however it ends, the terminal is as before") {
    Scene scene;
    Watching who;
    CHECK(who.sees("no services"));
    SUBCASE("Ctrl-C") {
        who.type("\x03");
    }
    SUBCASE("SIGTERM") {
        who.signal(SIGTERM);
    }
    SUBCASE("SIGHUP") {
        who.signal(SIGHUP);
    }
    CHECK(who.end() == 0);
    CHECK(who.restored());
}

TEST_CASE("watch: without a terminal it says where else to look") {
    Scene scene;
    CHECK(scene.ctl({"watch"}, 2).err.find("watch needs a terminal") != std::string::npos);
}

}  // namespace viscum
