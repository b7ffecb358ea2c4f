// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/watch.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>

#include "base/text.h"
#include "controller/ctl/events.h"
#include "controller/ctl/follow.h"
#include "controller/ctl/screen.h"
#include "controller/ctl/watch_frame.h"
#include "controller/ipc/client.h"

namespace viscum {
namespace {

constexpr Millis kInterval{1000};
constexpr Millis kPatience{2000};  // an answer itself may take a second
constexpr Millis kConnectPatience{250};
constexpr std::size_t kEvents = 64;
constexpr std::size_t kMostRows = 1000;

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

    /// Asks for a report, unless it waits for one, and reads the events since the last time.
    void look() {
        [[maybe_unused]] const Status read = journal_open_ ? journal_.advance() : journal_.start(kEvents);
        journal_open_ = true;
        if (!asked_) {
            if (auto status = ask(); !status) {
                lose(cat("no viscumd answers: ", status.error().what));
            }
        } else if (const BootTime waits = boot_now() - *asked_; waits > kPatience) {
            // The one question stays: more of them would only be more to answer for one that hangs.
            tell_problem(cat("viscumd: no answer for ", std::chrono::round<std::chrono::seconds>(waits).count(), " s"));
        }
    }

    /// What to wait for beside the clock; -1: nothing.
    [[nodiscard]] int descriptor() const { return client_ ? client_->fd() : -1; }
    /// Once there is something to read: the report, if that is all of it.
    void receive() {
        auto answer = client_->take();
        if (!answer) {
            lose(cat("no viscumd answers: ", answer.error().what));
        } else if (*answer) {
            asked_.reset();
            auto report = daemon_report_from_json((*answer)->report);
            if (report) {
                show(*std::move(report));
            } else {
                lose(cat("viscumd: ", (*answer)->message.empty() ? "its report cannot be read" : (*answer)->message));
            }
        }
    }

    /// False where nobody looks any more.
    bool draw(Screen& screen) {
        if (screen.busy()) {
            return screen.advance();  // what is newer is drawn when it takes more
        }
        if (!std::exchange(changed_, false)) {
            return true;
        }
        winsize size{};
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
            view_.rows = std::min<std::size_t>(size.ws_row, kMostRows);
            view_.columns = std::min<std::size_t>(size.ws_col, kMostRows);
        }
        view_.top = watch_top(view_);
        return screen.write(watch_frame(watch_lines(view_)));
    }
    void resize() { changed_ = true; }
    /// Whether draw() has something to do without a wait.
    [[nodiscard]] bool changed() const { return changed_; }

    /// False: it is to end.
    bool type(std::string_view bytes) {
        typed_ += bytes;
        changed_ = true;
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
    void show(DaemonReport report) {
        const BootTime now = boot_now();
        view_.problem.clear();
        view_.between = std::chrono::duration_cast<Millis>(now - seen_at_);
        // Another viscumd counts from its own start on.
        view_.before = view_.now && view_.now->pid == report.pid ? std::move(view_.now) : std::nullopt;
        view_.now = std::move(report);
        seen_at_ = now;
        changed_ = true;
    }

    void tell_problem(const std::string& problem) {
        view_.problem = cat(problem, view_.now ? " (shown is what was)" : "");
        view_.before.reset();
        changed_ = true;
    }

    void lose(const std::string& problem) {
        client_.reset();
        asked_.reset();
        tell_problem(problem);
    }

    Status ask() {
        if (!client_) {
            auto client = Client::connect(session_.socket, kConnectPatience);
            if (!client) {
                return std::move(client).error();
            }
            client_ = *std::move(client);
        }
        Request request;
        request.verb = "list";
        if (auto status = client_->begin(request); !status) {
            return status;
        }
        asked_ = boot_now();
        return {};
    }

    const Session& session_;
    WatchView view_;
    EventReader reader_;
    FollowedFile journal_;
    bool journal_open_ = false;
    std::optional<Client> client_;
    std::optional<BootTime> asked_;  // what is not answered yet
    BootTime seen_at_{};
    bool changed_ = true;  // since it was drawn
    std::string typed_;
};

/// Keys, signals, viscumd, the screen.
using Polled = std::array<pollfd, 4>;

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
bool handle(const Polled& ready, Watcher& watcher) {
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
        watcher.resize();
    }
    if (ready[2].revents != 0) {
        watcher.receive();
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
    auto screen = Screen::open();
    if (!screen) {
        return fail(session.console, Code::failed, "cannot set the terminal", "");
    }
    for (BootTime next = boot_now();;) {
        if (boot_now() >= next) {
            watcher.look();
            next = std::max<BootTime>(next + kInterval, boot_now());
        }
        if (!watcher.draw(*screen)) {
            return static_cast<int>(Code::failed);
        }
        const auto left = std::chrono::ceil<Millis>(next - boot_now());
        // What changed while an older frame was on its way.
        const bool now = watcher.changed() && !screen->busy();
        Polled ready{{{STDIN_FILENO, POLLIN, 0},
                      {signals.get(), POLLIN, 0},
                      {watcher.descriptor(), POLLIN, 0},
                      {screen->busy() ? STDOUT_FILENO : -1, POLLOUT, 0}}};
        if (poll(ready.data(), ready.size(), now ? 0 : static_cast<int>(std::max<std::int64_t>(left.count(), 0))) > 0 &&
            !handle(ready, watcher)) {
            return 0;
        }
    }
}

}  // namespace viscum
