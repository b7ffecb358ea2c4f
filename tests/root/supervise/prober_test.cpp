// SPDX-License-Identifier: GPL-2.0-only
// The prober as a process: its end, what happens to probes then, and many of them.
#include <fcntl.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <random>

#include "base/file.h"
#include "base/text.h"
#include "tests/root/supervise/probe_bench.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

bool is_gone(pid_t pid) {
    const std::string state = status_of(pid, "State");
    return state.empty() || state[0] == 'Z' || state[0] == 'X';
}

TEST_CASE("prober: it starts with the first question, once, and ends with its owner") {
    pid_t pid = 0;
    {
        Bench bench;
        CHECK(bench.probe(with(TcpProbe{kPort})) == kRefused);
        CHECK(bench.prober.pid() == 0);  // a TCP probe has nothing to parse
        pid = caged(bench);
        CHECK(bench.probe(with(UdpProbe{kPort, "x", ""})) == kRefused);
        CHECK(bench.prober.pid() == pid);
        REQUIRE(bench.prober.prepare());
        CHECK(bench.prober.pid() == pid);
        CHECK(children_of(getpid()) == std::vector<pid_t>{pid});
        CHECK(bench.told.empty());
    }
    CHECK(status_of(pid, "State").empty());
}

TEST_CASE("prober: one that is killed in the middle of a probe is our fault, and is started again") {
    Bench bench;
    bool kills = true;
    const TcpServer server(bench, [&](int fd, UniqueFd&) {
        if (kills) {
            kill(bench.prober.pid(), SIGKILL);
        } else {
            say(fd, "HTTP/1.1 200 OK\r\n\r\n");
        }
    });
    CHECK(bench.probe(with(http())) == unasked("the prober ended"));
    CHECK(bench.prober.pid() == 0);
    CHECK(bench.told == std::vector<std::string>{"the prober was killed by signal 9"});
    kills = false;
    CHECK(bench.probe(with(http())) == kHealthy);
    CHECK(children_of(getpid()) == std::vector<pid_t>{bench.prober.pid()});
}

TEST_CASE("prober: its end is told to all who wait, who may cancel and ask meanwhile") {
    Bench bench;
    const UniqueFd listener = bench.bound(SOCK_STREAM, kAddress);
    caged(bench);
    std::vector<std::unique_ptr<Probe>> probes;
    std::vector<ProbeResult> results;
    std::unique_ptr<Probe> next;
    for (int i = 0; i < 10; ++i) {
        probes.push_back(bench.start(with(http()), [&](const ProbeResult& result) {
            results.push_back(result);
            probes.clear();  // the others too
            next =
                bench.start(with(UdpProbe{kPort, "x", ""}), [&](const ProbeResult& last) { results.push_back(last); });
        }));
    }
    bench.run_for(5ms);
    kill(bench.prober.pid(), SIGKILL);
    CHECK(bench.until([&] { return results.size() >= 2; }));
    bench.run_for(20ms);
    CHECK(results == std::vector<ProbeResult>{unasked("the prober ended"), kRefused});
}

TEST_CASE("prober: one that ends again and again is not started without a pause") {
    Bench bench("/bin/false");
    int starts = 0;
    for (auto status = bench.prober.prepare(); status; status = bench.prober.prepare()) {
        REQUIRE(++starts < 10);
        REQUIRE(bench.until([&] { return bench.prober.pid() == 0; }));
    }
    CHECK(starts == 2);
    CHECK(bench.prober.prepare().error().errno_code == EAGAIN);
    CHECK(bench.probe(with(http())) == unasked("the prober ended, and is started again soon"));
    CHECK(bench.told == std::vector<std::string>{"the prober exited with 1"});
    CHECK(bench.until([&] { return bool(bench.prober.prepare()); }));  // after the pause
    CHECK(children_of(getpid()).size() == 1);
}

TEST_CASE("prober: one that cannot be executed says so, and no service suffers") {
    Bench bench("/no/such/prober");
    const std::string why = "cannot run '/no/such/prober': No such file or directory";
    CHECK(bench.probe(with(http())) == unasked("the prober ended"));
    CHECK(bench.told == std::vector<std::string>{why});
    CHECK_FALSE(bench.probe(with(http())).asked);
    CHECK(bench.probe(with(http())) == unasked(why));
    CHECK(bench.probe(with(TcpProbe{kPort})) == kRefused);
}

TEST_CASE("prober: one that does not read is our fault too, and is ended after a while") {
    Bench bench;
    const TcpServer server(bench, answer("HTTP/1.1 200 OK\r\n\r\n"));
    CHECK(bench.probe(with(http())) == kHealthy);
    const pid_t pid = bench.prober.pid();
    kill(pid, SIGSTOP);
    for (int i = 0; i < 3; ++i) {
        CHECK(bench.probe(with(http(), 30ms)) == unasked("the prober does not answer"));
    }
    CHECK(bench.until([&] { return bench.prober.pid() != pid; }));
    CHECK(bench.told == std::vector<std::string>{"the prober did not read what it was asked, and was ended"});
    CHECK(bench.until([&] { return bench.probe(with(http())) == kHealthy; }));
}

TEST_CASE("prober: one that says more than it was asked is ended") {
    const std::string rogue = "/run/rogue-prober";
    REQUIRE(write_file_atomically(rogue, "#!/bin/sh\nwhile :; do head -c 16 /dev/zero >&0; done\n", 0755));
    Bench bench(rogue);
    CHECK(bench.probe(with(http())) == unasked("the prober ended"));
    CHECK(bench.told == std::vector<std::string>{"the prober said what it was not asked, and was ended"});
}

TEST_CASE("prober: a service that hangs is told from a prober that does") {
    Bench bench;
    const UniqueFd listener = bench.bound(SOCK_STREAM, kAddress);
    const pid_t pid = caged(bench);
    for (int i = 0; i < 5; ++i) {
        CHECK(bench.probe(with(http(), 30ms)) == unhealthy("no answer within 30ms"));
    }
    CHECK(bench.prober.pid() == pid);
}

TEST_CASE("prober: 200 services are asked at once") {
    Bench bench;
    const TcpServer server(bench, answer("HTTP/1.1 200 OK\r\n\r\n"));
    std::vector<std::unique_ptr<Probe>> probes;
    std::vector<ProbeResult> results;
    for (int i = 0; i < 200; ++i) {
        probes.push_back(bench.start(with(http(), 5s), [&](const ProbeResult& result) { results.push_back(result); }));
    }
    CHECK(bench.until([&] { return results.size() >= 200; }));
    CHECK(results == std::vector<ProbeResult>(200, kHealthy));
    CHECK(bench.until([&] { return descriptors_of(bench.prober.pid()) == 2; }));
}

TEST_CASE("prober: more probes than it has room for are not asked, and cost it nothing") {
    Bench bench;
    const UniqueFd listener = bench.bound(SOCK_STREAM, kAddress);
    REQUIRE(listen(listener.get(), 4000) == 0);
    const pid_t pid = caged(bench);
    std::vector<std::unique_ptr<Probe>> probes;
    std::vector<ProbeResult> results;
    constexpr std::size_t kAsked = kProberMaxProbes + 200;
    for (std::size_t i = 0; i < kAsked; ++i) {
        probes.push_back(bench.start(with(http(), 1s), [&](const ProbeResult& result) { results.push_back(result); }));
    }
    CHECK(bench.until([&] { return results.size() >= kAsked; }));
    const auto busy = std::count(results.begin(), results.end(), unasked("too many probes are under way"));
    const auto late = std::count(results.begin(), results.end(), unhealthy("no answer within 1s"));
    CHECK(busy >= 200);
    CHECK(busy + late == static_cast<std::ptrdiff_t>(kAsked));
    CHECK(late > 0);
    CHECK(bench.prober.pid() == pid);
    CHECK(bench.until([&] { return descriptors_of(pid) == 2; }));
}

TEST_CASE("prober: a cancelled probe gives its socket back at once") {
    Bench bench;
    const UniqueFd listener = bench.bound(SOCK_STREAM, kAddress);
    const pid_t pid = caged(bench);
    std::vector<std::unique_ptr<Probe>> probes;
    int called = 0;
    for (int i = 0; i < 10; ++i) {
        probes.push_back(bench.start(with(http(), 60s), [&](const ProbeResult&) { ++called; }));
    }
    REQUIRE(bench.until([&] { return descriptors_of(pid) == 12; }));
    probes.clear();
    CHECK(bench.until([&] { return descriptors_of(pid) == 2; }));
    CHECK(called == 0);
}

TEST_CASE("prober: a connection that a service keeps open is given up once its status is told") {
    Bench bench;
    const TcpServer server(bench, [](int fd, UniqueFd&) { say(fd, "HTTP/1.1 200 OK\r\n\r\n"); });
    CHECK(bench.probe(with(http(), 60s)) == kHealthy);
    CHECK(bench.until([&] { return descriptors_of(bench.prober.pid()) == 2; }));
}

TEST_CASE("prober: nothing that a service says ends it") {
    Bench bench;
    std::mt19937 random(20261121);
    const auto rubbish = [&] {
        constexpr std::string_view kSeeds[] = {"HTTP/1.1 200 OK\r\n\r\n",
                                               "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 ",
                                               "\r\n",
                                               "HTTP/1.",
                                               " 99999999999999999999 ",
                                               "\n\n\n\n"};
        std::string text;
        for (auto parts = random() % 8; parts > 0; --parts) {
            text += kSeeds[random() % std::size(kSeeds)];
            text.append(random() % 3 == 0 ? random() % 9000 : 0, static_cast<char>(random()));
            if (!text.empty() && random() % 2 == 0) {
                text[random() % text.size()] = static_cast<char>(random());
            }
        }
        return text;
    };
    const TcpServer server(bench, [&](int fd, UniqueFd&) {
        const std::string text = rubbish();
        (void)send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        shutdown(fd, SHUT_WR);
    });
    const pid_t pid = [&] {
        (void)bench.probe(with(http()));
        return bench.prober.pid();
    }();
    for (int i = 0; i < 300; ++i) {
        const ProbeResult result = bench.probe(with(http(), 500ms));
        CHECK(result.asked);
        // In our words, whatever the service's were.
        CHECK((result.healthy || result.reason.starts_with("status ") || result.reason.starts_with("no ") ||
               result.reason.starts_with("connection ")));
    }
    CHECK(bench.prober.pid() == pid);
    CHECK(bench.told.empty());
}

TEST_CASE("prober: it sleeps while nothing is asked") {
    Bench bench;
    const TcpServer server(bench, answer("HTTP/1.1 200 OK\r\n\r\n"));
    CHECK(bench.probe(with(http())) == kHealthy);
    const pid_t pid = bench.prober.pid();
    REQUIRE(bench.until([&] { return descriptors_of(pid) == 2 && status_of(pid, "State").starts_with("S"); }));
    const std::string before = status_of(pid, "voluntary_ctxt_switches");
    bench.run_for(300ms);
    CHECK(status_of(pid, "voluntary_ctxt_switches") == before);
}

TEST_CASE("prober: it ends with the process that started it, however that ends") {
    std::array<int, 2> ends{};
    REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    const pid_t owner = fork();
    if (owner == 0) {
        const auto loop = EventLoop::open();
        Prober prober(**loop, {VISCUM_BIN_DIR "/viscum-prober", kProberUser, kProberUser, {}});
        const auto status = prober.prepare();
        const pid_t pid = status ? prober.pid() : -1;
        [[maybe_unused]] const auto ignored = write(writer.get(), &pid, sizeof pid);
        pause();
        _exit(0);
    }
    writer.reset();
    pid_t pid = 0;
    REQUIRE(read(reader.get(), &pid, sizeof pid) == sizeof pid);
    REQUIRE(pid > 0);
    CHECK(eventually([&] { return status_of(pid, "Seccomp") == "2"; }));
    SUBCASE("it runs") {}
    SUBCASE("it is stopped, and cannot see its channel end") {
        kill(pid, SIGSTOP);
    }
    kill(owner, SIGKILL);
    REQUIRE(waitpid(owner, nullptr, 0) == owner);
    CHECK(eventually([&] { return is_gone(pid); }));
}

}  // namespace
}  // namespace viscum
