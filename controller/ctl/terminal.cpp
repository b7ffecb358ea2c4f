// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace viscum {
namespace {

constexpr std::size_t kChunk = 4096;
constexpr std::size_t kLastOutput = 64UL * 1024;  // more than a pty holds
constexpr int kStuckMs = 1000;                    // an operator's terminal that takes nothing

bool is_terminal(int fd) {
    return isatty(fd) == 1;
}

bool comes_again() {
    return errno == EAGAIN || errno == EINTR;
}

}  // namespace

Result<std::unique_ptr<Terminal>> Terminal::open(const Streams& operators) {
    std::unique_ptr<Terminal> terminal(new Terminal);
    terminal->streams_ = operators;
    for (int& stream : terminal->streams_) {
        // One that is not open may become whatever is opened next: the pty's master, say.
        stream = fcntl(stream, F_GETFD) < 0 ? -1 : stream;
    }
    auto& [in, out, err] = terminal->streams_;
    const bool takes_input = is_terminal(in) && is_terminal(out);
    terminal->screen_ = is_terminal(out) ? out : is_terminal(err) ? err : -1;
    if (is_terminal(in) && !takes_input) {
        in = -1;
    }
    if (terminal->screen_ < 0) {
        return terminal;
    }
    if (auto opened = terminal->open_pty(takes_input ? in : terminal->screen_, takes_input); !opened) {
        return std::move(opened).error();
    }
    for (int& stream : terminal->streams_) {
        stream = is_terminal(stream) ? terminal->slave_.get() : stream;
    }
    return terminal;
}

/// A pty that is set as the terminal `like`.
Status Terminal::open_pty(int like, bool takes_input) {
    constexpr const char* kContext = "cannot open a pty for the command";
    master_.reset(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!master_ || grantpt(master_.get()) != 0 || unlockpt(master_.get()) != 0) {
        return errno_error(kContext);
    }
    // By the master, not by a name: /dev/pts may be another one's here.
    slave_.reset(ioctl(master_.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    termios settings{};
    if (!slave_ || tcgetattr(like, &settings) != 0) {
        return errno_error(kContext);
    }
    if (!takes_input) {
        settings.c_oflag &= ~static_cast<tcflag_t>(OPOST);  // the operator's terminal, which is not raw, does it
    }
    // Never waits: what is typed to a command that does not read is no reason to stop reading what it writes.
    const int flags = fcntl(master_.get(), F_GETFL);
    if (tcsetattr(slave_.get(), TCSANOW, &settings) != 0 || flags < 0 ||
        fcntl(master_.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
        return errno_error(kContext);
    }
    hand_size_on();  // the command may ask at once
    output_ = {master_.get(), screen_};
    if (takes_input) {
        input_ = {like, master_.get()};
    }
    return {};
}

void Terminal::hand_size_on() const {
    winsize size{};
    if (master_ && ioctl(screen_, TIOCGWINSZ, &size) == 0) {
        ioctl(master_.get(), TIOCSWINSZ, &size);
    }
}

void Terminal::attach() {
    hand_size_on();
    termios settings{};
    if (input_.from < 0 || tcgetattr(input_.from, &settings) != 0) {
        return;
    }
    if (!before_) {
        before_ = settings;
        raw_ = input_.from;
    }
    cfmakeraw(&settings);
    tcsetattr(raw_, TCSANOW, &settings);
}

bool Terminal::advance(Flow& flow) {
    if (flow.held.empty()) {
        char bytes[kChunk];
        const ssize_t got = read(flow.from, bytes, sizeof bytes);
        flow.held.assign(bytes, got > 0 ? static_cast<std::size_t>(got) : 0);
        return got > 0 || (got < 0 && comes_again());
    }
    const ssize_t written = write(flow.to, flow.held.data(), flow.held.size());
    flow.held.erase(0, written > 0 ? static_cast<std::size_t>(written) : 0);
    return written >= 0 || comes_again();
}

pollfd Terminal::next(const Flow& flow) {
    return flow.held.empty() ? pollfd{flow.from, POLLIN, 0} : pollfd{flow.to, POLLOUT, 0};
}

Terminal::Polled Terminal::wanted() const {
    return {next(input_), next(output_)};
}

void Terminal::copy(const Polled& ready) {
    if ((ready[1].revents != 0 && !advance(output_)) || (ready[0].revents != 0 && !advance(input_))) {
        hang_up();
    }
}

void Terminal::drain() {
    // Somebody who stays may go on writing.
    for (std::size_t total = 0; total < kLastOutput || !output_.held.empty();) {
        const bool reads = output_.held.empty();
        pollfd ready = next(output_);
        if (poll(&ready, 1, reads ? 0 : kStuckMs) <= 0 || !advance(output_)) {
            return;
        }
        total += reads ? output_.held.size() : 0;
    }
}

void Terminal::hang_up() {
    slave_.reset();
    master_.reset();
    input_ = {};
    output_ = {};
}

void Terminal::finish() {
    drain();
    hang_up();
    if (before_) {
        tcsetattr(raw_, TCSANOW, &*before_);
        before_.reset();
    }
}

}  // namespace viscum
