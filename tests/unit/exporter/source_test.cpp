// SPDX-License-Identifier: GPL-2.0-only
// Who asks while viscumd keeps silent: a socket in its place, which hangs up when the test says so.
#include "controller/exporter/source.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <memory>
#include <string>

#include "base/file.h"
#include "base/text.h"

using namespace viscum;
using namespace std::chrono_literals;

namespace {

class SilentDaemon {
public:
    SilentDaemon() {
        char path[] = "/tmp/viscum-source-XXXXXX";
        REQUIRE(mkdtemp(path) != nullptr);
        directory_ = path;
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        socket_path().copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(listen(listener_.get(), 1) == 0);
        auto opened = EventLoop::open();
        REQUIRE(opened);
        loop = *std::move(opened);
    }
    ~SilentDaemon() { (void)remove_directory(directory_); }
    SilentDaemon(const SilentDaemon&) = delete;
    SilentDaemon& operator=(const SilentDaemon&) = delete;

    [[nodiscard]] std::string socket_path() const { return cat(directory_, "/socket"); }
    void hang_up() const {
        UniqueFd asked(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        REQUIRE(asked);
        asked.reset();
        loop->after(30ms, [this] { loop->stop(); });
        REQUIRE(loop->run());
    }

    std::unique_ptr<EventLoop> loop;

private:
    std::string directory_;
    UniqueFd listener_{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
};

}  // namespace

TEST_CASE("source: who has gone while viscumd kept silent is told nothing") {
    const SilentDaemon daemon;
    Source source(*daemon.loop, daemon.socket_path());
    bool there = true;
    int told_gone = 0;
    int told_there = 0;
    source.get({[&there] { return there; }, [&told_gone](const Snapshot&) { ++told_gone; }});
    source.get({[] { return true; },
                [&told_there](const Snapshot& snapshot) {
                    CHECK(snapshot.problem == "viscumd hung up");
                    ++told_there;
                }});
    there = false;
    daemon.hang_up();
    CHECK(told_gone == 0);
    CHECK(told_there == 1);
    CHECK(source.asked() == 1);
}

TEST_CASE("source: those who come and go while viscumd keeps silent are not kept, and take nobody's place") {
    const SilentDaemon daemon;
    Source source(*daemon.loop, daemon.socket_path());
    const auto kept = std::make_shared<int>(0);
    const auto ask = [&](bool there) { source.get({[there] { return there; }, [kept](const Snapshot&) { ++*kept; }}); };
    for (int number = 0; number < 10'000; ++number) {
        ask(false);
        REQUIRE(kept.use_count() <= static_cast<long>(Source::kMostWaiting) + 3);  // this one, and `ask`'s
    }
    for (std::size_t number = 0; number < Source::kMostWaiting; ++number) {
        ask(true);
    }
    for (int number = 0; number < 100; ++number) {
        ask(true);
        CHECK(kept.use_count() <= static_cast<long>(Source::kMostWaiting) + 3);
    }
    daemon.hang_up();
    CHECK(*kept == static_cast<int>(Source::kMostWaiting));
}
