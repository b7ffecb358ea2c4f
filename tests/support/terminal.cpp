// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/file.h"

namespace viscum {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{20};  // longer than anything takes that is not broken
constexpr int kPollMs = 10;
constexpr int kStillMs = 200;  // the kernel moves what was written on by and by

UniqueFd open_terminal(int desk, int more = 0) {
    return UniqueFd(ioctl(desk, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC | more));
}

bool readable(int fd, int ms) {
    pollfd ready{fd, POLLIN, 0};
    return poll(&ready, 1, ms) == 1;
}

}  // namespace

Result<Operator> Operator::start(const Argv& argv, const std::map<std::string, std::string>& environment,
                                 Window window) {
    constexpr const char* kContext = "cannot open a terminal";
    Operator made;
    made.desk_.reset(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!made.desk_ || unlockpt(made.desk_.get()) != 0) {
        return errno_error(kContext);
    }
    made.terminal_ = open_terminal(made.desk_.get());
    if (!made.terminal_ || tcgetattr(made.terminal_.get(), &made.before_) != 0) {
        return errno_error(kContext);
    }
    made.flags_ = fcntl(made.terminal_.get(), F_GETFL);
    if (auto status = made.resize(window); !status) {
        return std::move(status).error();
    }
    made.pid_ = fork();
    if (made.pid_ == 0) {
        made.begin(argv, environment);
    }
    made.pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, made.pid_, 0)));
    return made.pidfd_ ? Result<Operator>(std::move(made)) : errno_error("cannot begin a program");
}

void Operator::begin(const Argv& argv, const std::map<std::string, std::string>& environment) const {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    ioctl(terminal_.get(), TIOCSCTTY, 0);
    for (int fd = 0; fd < 3; ++fd) {
        dup2(terminal_.get(), fd);
    }
    for (const auto& [name, value] : environment) {
        setenv(name.c_str(), value.c_str(), 1);
    }
    std::vector<char*> words;
    for (const auto& word : argv) {
        words.push_back(const_cast<char*>(word.c_str()));
    }
    words.push_back(nullptr);
    execv(words.front(), words.data());
    _exit(127);
}

Operator::Operator(Operator&& other) noexcept
    : desk_(std::move(other.desk_)),
      terminal_(std::move(other.terminal_)),
      pidfd_(std::move(other.pidfd_)),
      before_(other.before_),
      flags_(other.flags_),
      pid_(std::exchange(other.pid_, 0)),
      screen_(std::move(other.screen_)) {}

Operator::~Operator() {
    if (pid_ > 0) {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
}

Status Operator::resize(Window window) const {
    const winsize size{window.rows, window.columns, 0, 0};
    return ioctl(desk_.get(), TIOCSWINSZ, &size) == 0 ? Status{} : errno_error("cannot set a window's size");
}

Status Operator::type(const std::string& text) const {
    return write_all(desk_.get(), text);
}

Status Operator::signal(int number) const {
    return kill(pid_, number) == 0 ? Status{} : errno_error("cannot send a signal");
}

Status Operator::fill() const {
    const UniqueFd terminal = open_terminal(desk_.get(), O_NONBLOCK);
    if (!terminal) {
        return errno_error("cannot open a terminal once more");
    }
    const std::string much(4096, 'x');
    for (pollfd ready{terminal.get(), POLLOUT, 0}; poll(&ready, 1, kStillMs) == 1;) {
        if (write(terminal.get(), much.data(), much.size()) < 0 && errno != EAGAIN) {
            return errno_error("cannot fill a terminal");
        }
    }
    return {};
}

void Operator::look() {
    char bytes[4096];
    while (readable(desk_.get(), 0)) {
        const ssize_t got = read(desk_.get(), bytes, sizeof bytes);
        if (got <= 0) {
            return;
        }
        screen_.append(bytes, static_cast<std::size_t>(got));
    }
}

bool Operator::looks_until(const std::function<bool()>& condition) {
    for (const auto deadline = Clock::now() + kPatience; Clock::now() < deadline;) {
        look();
        if (condition()) {
            return true;
        }
        (void)readable(pidfd_.get(), kPollMs);
    }
    return false;
}

bool Operator::sees(const std::string& text) {
    return looks_until([&] { return screen_.find(text) != std::string::npos; });
}

bool Operator::sees_anew(const std::string& text) {
    look();
    screen_.clear();
    return sees(text);
}

std::optional<int> Operator::end() {
    if (pid_ == 0 || !looks_until([this] { return readable(pidfd_.get(), 0); })) {
        return std::nullopt;
    }
    int status = -1;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    look();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool Operator::ended() const {
    return readable(pidfd_.get(), static_cast<int>(std::chrono::milliseconds(kPatience).count()));
}

bool Operator::raw() const {
    termios now{};
    return tcgetattr(terminal_.get(), &now) == 0 && (now.c_lflag & (ICANON | ECHO | ISIG)) == 0;
}

bool Operator::restored() const {
    termios now{};
    return tcgetattr(terminal_.get(), &now) == 0 && now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag &&
           now.c_oflag == before_.c_oflag && fcntl(terminal_.get(), F_GETFL) == flags_;
}

std::string Operator::own_input() const {
    char bytes[256];
    const ssize_t got = readable(terminal_.get(), 0) ? read(terminal_.get(), bytes, sizeof bytes) : -1;
    return got < 0 ? "nothing" : std::string(bytes, static_cast<std::size_t>(got));
}

}  // namespace viscum
