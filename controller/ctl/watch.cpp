// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/watch.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "base/text.h"
#include "controller/ctl/events.h"
#include "controller/ctl/follow.h"
#include "controller/ctl/watch_frame.h"
#include "controller/ipc/client.h"

namespace viscum {
namespace {

constexpr Millis kInterval{1000};
constexpr Millis kPatience{1000};
constexpr std::size_t kEvents = 64;
constexpr std::size_t kMostRows = 1000;

/// The terminal while we have it: another screen, no cursor, no wrapping, and keys as they are pressed.
class Screen {
public:
    static std::optional<Screen> open() {
        Screen screen;
        if (tcgetattr(STDIN_FILENO, &screen.before_) != 0) {
            return std::nullopt;
        }
        termios keys = screen.before_;
        keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG | IEXTEN);
        keys.c_iflag &= ~static_cast<tcflag_t>(IXON);
        keys.c_cc[VMIN] = 1;
        keys.c_cc[VTIME] = 0;
        if (tcsetattr(STDIN_FILENO, TCSANOW, &keys) != 0) {
            return std::nullopt;
        }
        screen.open_ = true;
        write("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J");
        return screen;
    }
    Screen(Screen&& other) noexcept : before_(other.before_), open_(std::exchange(other.open_, false)) {}
    Screen& operator=(Screen&&) = delete;
    ~Screen() {
        if (open_) {
            write("\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l");
            tcsetattr(STDIN_FILENO, TCSANOW, &before_);
        }
    }
    /// False where nobody looks any more.
    static bool write(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
            if (written < 0 && errno != EINTR) {
                return false;
            }
            bytes.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
        }
        return true;
    }

private:
    Screen() = default;
    termios before_{};
    bool open_ = false;
};

class Watcher {
public:
    explicit Watcher(const Session& session)
        : session_(session),
          reader_([this](Event event) {
              view_.events.push_back(std::move(event));
              if (view_.events.size() > kEvents) {
                  view_.events.erase(view_.events.begin());
              }
          }),
          journal_(session.events, [this](std::string_view bytes) { reader_.read(bytes); }) {
        view_.colour = session.console.colour;
    }

    /// A report, and the events since the last one.
    void look() {
        [[maybe_unused]] const Status read = journal_open_ ? journal_.advance() : journal_.start(kEvents);
        journal_open_ = true;
        auto report = ask();
        if (!report) {
            client_.reset();
            view_.problem = cat("no viscumd answers: ", report.error().what, view_.now ? " (shown is what was)" : "");
            view_.before.reset();
            return;
        }
        const BootTime now = boot_now();
        view_.problem.clear();
        view_.between = std::chrono::duration_cast<Millis>(now - seen_at_);
        view_.before = view_.now && same_daemon(*report) ? std::move(view_.now) : std::nullopt;
        view_.now = *std::move(report);
        seen_at_ = now;
    }

    bool draw() {
        winsize size{};
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
            view_.rows = std::min<std::size_t>(size.ws_row, kMostRows);
            view_.columns = std::min<std::size_t>(size.ws_col, kMostRows);
        }
        view_.top = watch_top(view_);
        return Screen::write(watch_frame(watch_lines(view_)));
    }

    /// False: it is to end.
    bool type(std::string_view bytes) {
        typed_ += bytes;
        const std::size_t page = std::max<std::size_t>(watch_page(view_), 1);
        for (const auto key : watch_keys(typed_)) {
            switch (key) {
                case WatchKey::quit: return false;
                case WatchKey::up: view_.top -= std::min<std::size_t>(view_.top, 1); break;
                case WatchKey::down: ++view_.top; break;
                case WatchKey::page_up: view_.top -= std::min(view_.top, page); break;
                case WatchKey::page_down: view_.top += page; break;
                case WatchKey::first: view_.top = 0; break;
                case WatchKey::last: view_.top = view_.now ? view_.now->services.size() : 0; break;
            }
            view_.top = watch_top(view_);
        }
        return true;
    }

private:
    [[nodiscard]] bool same_daemon(const DaemonReport& report) const {
        return report.pid == view_.now->pid && view_.problem.empty();
    }

    Result<DaemonReport> ask() {
        if (!client_) {
            auto client = Client::connect(session_.socket);
            if (!client) {
                return std::move(client).error();
            }
            client_ = *std::move(client);
            if (auto status = client_->limit_silence(kPatience); !status) {
                return std::move(status).error();
            }
        }
        Request request;
        request.verb = "list";
        const auto answer = client_->ask(request, [](const Response&) {});
        if (!answer) {
            return answer.error();
        }
        auto report = daemon_report_from_json(answer->report);
        return report ? Result<DaemonReport>(*std::move(report))
                      : Error{EPROTO, answer->message.empty() ? "its report cannot be read" : answer->message};
    }

    const Session& session_;
    WatchView view_;
    EventReader reader_;
    FollowedFile journal_;
    bool journal_open_ = false;
    std::optional<Client> client_;
    BootTime seen_at_{};
    std::string typed_;
};

UniqueFd take_signals() {
    sigset_t mask;
    sigemptyset(&mask);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH}) {
        sigaddset(&mask, number);
    }
    sigprocmask(SIG_BLOCK, &mask, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return UniqueFd(signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
}

/// Whether it goes on.
bool handle(const std::array<pollfd, 2>& ready, Watcher& watcher) {
    if (ready[0].revents != 0) {
        char bytes[64];
        const auto got = read(STDIN_FILENO, bytes, sizeof bytes);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN) ||
            (got > 0 && !watcher.type({bytes, static_cast<std::size_t>(got)}))) {
            return false;
        }
    }
    signalfd_siginfo info{};
    while (ready[1].revents != 0 && read(ready[1].fd, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        if (info.ssi_signo != SIGWINCH) {
            return false;
        }
    }
    return true;
}

}  // namespace

int watch(const Session& session) {
    const char* terminal = std::getenv("TERM");
    if (session.console.json || isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1 ||
        (terminal != nullptr && std::string_view(terminal) == "dumb")) {
        return fail(session.console, Code::invalid, "watch needs a terminal",
                    "for a pipe or a program: viscumctl list --json, viscumctl events -f --json");
    }
    const UniqueFd signals = take_signals();
    if (!signals) {
        return fail(session.console, Code::failed, "cannot receive signals", "");
    }
    Watcher watcher(session);
    const auto screen = Screen::open();
    if (!screen) {
        return fail(session.console, Code::failed, "cannot set the terminal", "");
    }
    for (BootTime next = boot_now();;) {
        if (boot_now() >= next) {
            watcher.look();
            next = std::max<BootTime>(next + kInterval, boot_now());
        }
        if (!watcher.draw()) {
            return static_cast<int>(Code::failed);
        }
        const auto left = std::chrono::ceil<Millis>(next - boot_now());
        std::array<pollfd, 2> ready{{{STDIN_FILENO, POLLIN, 0}, {signals.get(), POLLIN, 0}}};
        if (poll(ready.data(), ready.size(), static_cast<int>(std::max<std::int64_t>(left.count(), 0))) > 0 &&
            !handle(ready, watcher)) {
            return 0;
        }
    }
}

}  // namespace viscum
