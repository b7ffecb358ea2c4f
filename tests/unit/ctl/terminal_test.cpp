// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/terminal.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include <cstdlib>

using namespace viscum;

namespace {

/// The operator's: what is written to `keyboard` was typed, what is read from it is on the screen.
struct Operator {
    Operator()
        : keyboard(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)),
          terminal(unlockpt(keyboard.get()) == 0 ? ioctl(keyboard.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)
                                                 : -1),
          file(open("/dev/null", O_RDWR | O_CLOEXEC)) {
        REQUIRE(terminal);
        const winsize size{33, 101, 0, 0};
        REQUIRE(ioctl(keyboard.get(), TIOCSWINSZ, &size) == 0);
    }
    [[nodiscard]] std::unique_ptr<Terminal> open_terminal(bool in, bool out, bool err) const {
        const auto pick = [this](bool is_terminal) { return is_terminal ? terminal.get() : file.get(); };
        auto made = Terminal::open({pick(in), pick(out), pick(err)});
        REQUIRE_MESSAGE(made, made.error().what);
        return std::move(*made);
    }
    [[nodiscard]] bool raw() const {
        termios now{};
        REQUIRE(tcgetattr(terminal.get(), &now) == 0);
        return (now.c_lflag & (ICANON | ECHO | ISIG)) == 0 && (now.c_oflag & OPOST) == 0;
    }
    UniqueFd keyboard;
    UniqueFd terminal;
    UniqueFd file;
};

std::string read_some(int fd) {
    pollfd ready{fd, POLLIN, 0};
    char bytes[256];
    const ssize_t got = poll(&ready, 1, 5000) == 1 ? read(fd, bytes, sizeof bytes) : -1;
    return got < 0 ? "nothing" : std::string(bytes, static_cast<std::size_t>(got));
}

void type(int fd, const std::string& text) {
    REQUIRE(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

/// Until nothing is under way.
void copy_all(Terminal& terminal) {
    for (Terminal::Polled ready = terminal.wanted(); poll(ready.data(), ready.size(), 0) > 0;) {
        terminal.copy(ready);
        ready = terminal.wanted();
    }
}

}  // namespace

TEST_CASE("terminal: files are the command's as they are, a terminal never is") {
    const Operator desk;
    for (int which = 0; which < 8; ++which) {
        const bool given[] = {(which & 1) != 0, (which & 2) != 0, (which & 4) != 0};
        const auto terminal = desk.open_terminal(given[0], given[1], given[2]);
        for (std::size_t i = 0; i < 3; ++i) {
            CAPTURE(which);
            CAPTURE(i);
            const int stream = terminal->streams()[i];
            CHECK(stream != desk.terminal.get());
            if (!given[i]) {
                CHECK(stream == desk.file.get());
            } else if (i == 0 && !given[1]) {
                CHECK(stream == -1);
            } else {
                CHECK(isatty(stream) == 1);
            }
        }
    }
}

TEST_CASE("terminal: a descriptor that is not open stays none, whatever is opened next") {
    const Operator desk;
    const int none = fcntl(desk.file.get(), F_DUPFD_CLOEXEC, 900);
    UniqueFd(none).reset();
    auto terminal = Terminal::open({none, desk.terminal.get(), desk.terminal.get()});
    REQUIRE(terminal);
    CHECK((*terminal)->streams()[0] == -1);
}

TEST_CASE(
    "terminal: what is typed, what is written and the window go through, and the terminal is raw only meanwhile") {
    const Operator desk;
    const auto terminal = desk.open_terminal(true, true, true);
    const int command = terminal->streams()[0];
    CHECK(!desk.raw());
    winsize size{};
    REQUIRE(ioctl(command, TIOCGWINSZ, &size) == 0);
    CHECK(size.ws_row == 33);
    CHECK(size.ws_col == 101);
    terminal->attach();
    CHECK(desk.raw());
    const winsize other{20, 60, 0, 0};
    REQUIRE(ioctl(desk.keyboard.get(), TIOCSWINSZ, &other) == 0);
    terminal->attach();
    REQUIRE(ioctl(command, TIOCGWINSZ, &size) == 0);
    CHECK(size.ws_row == 20);

    type(desk.keyboard.get(), "hello\r");
    copy_all(*terminal);
    CHECK(read_some(command) == "hello\n");
    copy_all(*terminal);
    CHECK(read_some(desk.keyboard.get()) == "hello\r\n");  // the pty's echo
    type(command, "answer\n");
    terminal->finish();
    CHECK(read_some(desk.keyboard.get()) == "answer\r\n");
    CHECK(!desk.raw());
}

TEST_CASE("terminal: whoever keeps the pty past the end reads its end, and the operator's lines are his own") {
    const Operator desk;
    auto terminal = desk.open_terminal(true, true, true);
    const UniqueFd kept(fcntl(terminal->streams()[0], F_DUPFD_CLOEXEC, 10));
    terminal->attach();
    terminal.reset();
    CHECK(!desk.raw());
    type(desk.keyboard.get(), "password\n");
    CHECK(read_some(kept.get()).empty());
    CHECK(write(kept.get(), "x", 1) == -1);
    CHECK(errno == EIO);
    CHECK(read_some(desk.terminal.get()) == "password\n");
}

TEST_CASE("terminal: one that only shows is left as it is, and lines end there as they should") {
    const Operator desk;
    const auto terminal = desk.open_terminal(false, true, true);
    terminal->attach();
    CHECK(!desk.raw());
    type(terminal->streams()[1], "one\ntwo\n");
    terminal->finish();
    CHECK(read_some(desk.keyboard.get()) == "one\r\ntwo\r\n");
}

TEST_CASE("terminal: an end does not wait for somebody who goes on writing") {
    const Operator desk;
    const auto terminal = desk.open_terminal(true, true, true);
    const UniqueFd kept(fcntl(terminal->streams()[1], F_DUPFD_CLOEXEC, 10));
    fcntl(kept.get(), F_SETFL, O_RDWR | O_NONBLOCK);
    const std::string much(1 << 20, 'x');
    CHECK(write(kept.get(), much.data(), much.size()) > 0);
    terminal->attach();
    // Nobody looks at the screen, either: it takes what it holds, and no more.
    terminal->finish();
    CHECK(write(kept.get(), "x", 1) == -1);
    CHECK(errno == EIO);
}

TEST_CASE("terminal: once the operator's is gone, the command's is hung up") {
    Operator desk;
    const auto terminal = desk.open_terminal(true, true, true);
    terminal->attach();
    desk.keyboard.reset();
    copy_all(*terminal);
    char byte = 0;
    CHECK(terminal->wanted()[0].fd == -1);
    CHECK(read(desk.terminal.get(), &byte, 1) == 0);
}
