// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/logs.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>

#include "base/text.h"
#include "controller/ctl/follow.h"
#include "tests/unit/ctl/fixture.h"

using namespace viscum;

namespace {

std::string line(int number) {
    return cat("2026-01-02T03:04:05.", hex(static_cast<std::uint64_t>(number) + 0x100, 3), "Z line ", number, "\n");
}

std::string lines(int first, int last) {
    std::string out;
    for (int i = first; i <= last; ++i) {
        out += line(i);
    }
    return out;
}

struct LogDesk : Desk {
    LogDesk() { std::filesystem::create_directory(dir + "/log"); }
    [[nodiscard]] std::string path() const { return dir + "/log/plates.log"; }
    void append(const std::string& text) const { std::ofstream(path(), std::ios::app) << text; }
    void rotate() const { std::filesystem::rename(path(), path() + ".1"); }
};

// `viscumctl logs -f` in a process of its own, its standard output a pipe.
struct Follower {
    Follower(LogDesk& desk, std::size_t count, bool json = false) {
        int ends[2];
        REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
        output.reset(ends[0]);
        const UniqueFd input(ends[1]);
        pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            output.reset();
            dup2(input.get(), STDOUT_FILENO);
            auto session = desk.session(json);
            session.console.out = [](std::string_view bytes) {
                if (write(STDOUT_FILENO, bytes.data(), bytes.size()) < 0) {
                    _exit(9);
                }
            };
            _exit(logs(session, "plates", true, count, false));
        }
    }
    ~Follower() {
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, nullptr, 0);
        }
    }
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;

    // Until the text ends so, for 3 s at most.
    bool shows(const std::string& end) {
        pollfd ready{output.get(), POLLIN, 0};
        while (!text.ends_with(end) && poll(&ready, 1, 3000) > 0) {
            char chunk[4096];
            const auto got = read(output.get(), chunk, sizeof chunk);
            if (got <= 0) {
                break;
            }
            text.append(chunk, static_cast<std::size_t>(got));
        }
        return text.ends_with(end);
    }
    int ended() {
        int status = -1;
        waitpid(std::exchange(pid, 0), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    UniqueFd output;
    pid_t pid = 0;
    std::string text;
};

}  // namespace

TEST_CASE("logs: the last lines of a file are found whatever its size and its last byte") {
    LogDesk desk;
    for (const int count : {0, 1, 2, 3, 300, 2000}) {
        for (const bool ended : {true, false}) {
            std::string text = lines(1, count);
            if (!ended && !text.empty()) {
                text.pop_back();
            }
            std::ofstream(desk.path()) << text;
            const UniqueFd file(open(desk.path().c_str(), O_RDONLY | O_CLOEXEC));
            for (const int wanted : {0, 1, 2, 299, 300, 301, 5000}) {
                const auto tail = find_tail(file.get(), static_cast<std::size_t>(wanted));
                REQUIRE(tail);
                const int shown = std::min(count, wanted);
                const Tail expected{static_cast<off_t>(lines(1, count - shown).size()),
                                    static_cast<std::size_t>(shown)};
                if (shown > 0 || ended) {
                    CHECK(*tail == expected);
                }
            }
        }
    }
}

TEST_CASE("logs: the end of both generations is shown in order, a hundred lines unless asked otherwise") {
    LogDesk desk;
    std::ofstream(desk.path() + ".1") << lines(1, 50);
    desk.append(lines(51, 60));
    CHECK(logs(desk.session(), "plates", false, 100, false) == 0);
    CHECK(desk.take(desk.out) == lines(1, 60));
    CHECK(logs(desk.session(), "plates", false, 12, false) == 0);
    CHECK(desk.take(desk.out) == lines(49, 60));
    CHECK(logs(desk.session(), "plates", false, 10, false) == 0);
    CHECK(desk.take(desk.out) == lines(51, 60));
    desk.rotate();
    CHECK(logs(desk.session(), "plates", false, 2, false) == 0);
    CHECK(desk.take(desk.out) == lines(59, 60));
}

TEST_CASE("logs: with --json each line is an object of its time and its text") {
    LogDesk desk;
    desk.append("2026-01-02T03:04:05.678Z say \"hi\"\n\nno time \xff\n2026-01-02T03:04:05.678Z ");
    CHECK(logs(desk.session(true), "plates", false, 100, false) == 0);
    CHECK(desk.take(desk.out) ==
          "{\"time\":\"2026-01-02T03:04:05.678Z\",\"text\":\"say \\\"hi\\\"\"}\n"
          "{\"time\":\"\",\"text\":\"\"}\n"
          "{\"time\":\"\",\"text\":\"no time \xef\xbf\xbd\"}\n"
          "{\"time\":\"2026-01-02T03:04:05.678Z\",\"text\":\"\"}\n");
}

TEST_CASE("logs: a terminal sees no control characters, a pipe sees what was written") {
    LogDesk desk;
    desk.append("\x1b[2Jboo\n");
    CHECK(logs(desk.session(), "plates", false, 100, true) == 0);
    CHECK(desk.take(desk.out) == "?[2Jboo\n");
    CHECK(logs(desk.session(), "plates", false, 100, false) == 0);
    CHECK(desk.take(desk.out) == "\x1b[2Jboo\n");
}

TEST_CASE("logs: a line without end is cut into pieces, not kept") {
    std::size_t longest = 0;
    std::size_t total = 0;
    LogWriter writer(LogWriter::Form::printable, [&](std::string_view text) {
        longest = std::max(longest, text.size());
        total += text.size();
    });
    for (int i = 0; i < 64; ++i) {
        writer.write(std::string(8192, 'x'));
    }
    writer.finish();
    CHECK(longest == 64 * 1024 + 1);
    CHECK(total == 64 * 8192 + 8);
}

TEST_CASE("logs: a service that nobody knows and that left no log ends with 6") {
    LogDesk desk;
    CHECK(logs(desk.session(), "plates", false, 100, false) == 6);
    CHECK(desk.take(desk.err).starts_with("viscumctl: no service 'plates'\n  hint: no viscumd runs"));
    CHECK(logs(desk.session(), "../../etc/passwd", false, 100, false) == 6);
    desk.append(line(1));
    CHECK(logs(desk.session(), "plates", false, 100, false) == 0);
    desk.serve([](const Request& request) {
        return std::vector{request.service == "quiet" ? done("") : refusal(Code::no_such_service, "no such service")};
    });
    CHECK(logs(desk.session(), "unknown", false, 100, false) == 6);
    CHECK(logs(desk.session(), "plates", false, 100, false) == 0);  // never got healthy, and its log tells why
    desk.take(desk.out);
    CHECK(logs(desk.session(), "quiet", false, 100, false) == 0);
    CHECK(desk.out.empty());
}

TEST_CASE("logs: -f shows what comes, over rotations, and ends with 0 at SIGINT") {
    LogDesk desk;
    desk.append(lines(1, 5));
    Follower follower(desk, 2);
    REQUIRE(follower.shows(lines(4, 5)));
    desk.append(lines(6, 6));
    REQUIRE(follower.shows(lines(4, 6)));
    desk.append(lines(7, 7));
    desk.rotate();
    desk.append(lines(8, 8));
    REQUIRE(follower.shows(lines(4, 8)));
    desk.rotate();
    REQUIRE(follower.shows(lines(4, 8)));
    desk.append(lines(9, 9));
    REQUIRE(follower.shows(lines(4, 9)));
    // Two rotations at once: a whole generation lies between.
    kill(follower.pid, SIGSTOP);
    desk.append(lines(10, 10));
    desk.rotate();
    desk.append(lines(11, 11));
    desk.rotate();
    desk.append(lines(12, 12));
    kill(follower.pid, SIGCONT);
    CHECK(follower.shows(lines(4, 12)));
    kill(follower.pid, SIGINT);
    CHECK(follower.ended() == 0);
}

TEST_CASE("logs: -f waits for a log that is not there yet, and ends when nobody reads it any more") {
    LogDesk desk;
    desk.serve([](const Request&) { return std::vector{done("")}; });
    Follower follower(desk, 100, true);
    desk.append("a");
    desk.append("b\n");
    REQUIRE(follower.shows("{\"time\":\"\",\"text\":\"ab\"}\n"));
    follower.output.reset();
    CHECK(follower.ended() == 0);
}
