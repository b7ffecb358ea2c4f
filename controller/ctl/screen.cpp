// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/screen.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace viscum {
namespace {

constexpr int kStuckMs = 500;

}  // namespace

std::optional<Screen> Screen::open() {
    Screen screen;
    if (tcgetattr(STDIN_FILENO, &screen.before_) != 0) {
        return std::nullopt;
    }
    termios keys = screen.before_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG | IEXTEN);
    keys.c_iflag &= ~static_cast<tcflag_t>(IXON);
    keys.c_cc[VMIN] = 1;
    keys.c_cc[VTIME] = 0;
    const int flags = fcntl(STDOUT_FILENO, F_GETFL);
    if (flags < 0 || tcsetattr(STDIN_FILENO, TCSANOW, &keys) != 0) {
        return std::nullopt;
    }
    screen.flags_ = flags;
    // The terminal's name would open one of our own, but not for somebody who came by su(1).
    fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK);
    screen.write("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J");
    return screen;
}

Screen::~Screen() {
    if (flags_ < 0) {
        return;
    }
    left_ = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";  // ESC ends a sequence that was cut, too
    pollfd ready{STDOUT_FILENO, POLLOUT, 0};
    while (advance() && busy() && poll(&ready, 1, kStuckMs) > 0) {
        // As much as it takes.
    }
    fcntl(STDOUT_FILENO, F_SETFL, flags_);
    tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

bool Screen::write(const std::string& bytes) {
    left_ += bytes;
    return advance();
}

bool Screen::advance() {
    while (!left_.empty()) {
        const auto written = ::write(STDOUT_FILENO, left_.data(), left_.size());
        if (written < 0 && errno != EINTR) {
            return errno == EAGAIN;
        }
        left_.erase(0, written < 0 ? 0 : static_cast<std::size_t>(written));
    }
    return true;
}

}  // namespace viscum
