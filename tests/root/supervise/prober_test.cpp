// SPDX-License-Identifier: GPL-2.0-only
// The prober as a process: its cage, its end, and what happens to probes then.
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <random>

#include "base/file.h"
#include "base/text.h"
#include "controller/prober/filter.h"
#include "tests/root/supervise/probe_bench.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

/// Starts the prober, and waits until its cage is shut: it answers.
pid_t caged(Bench& bench) {
    CHECK(bench.probe(with(UdpProbe{kPort, "x", ""})) == kRefused);
    REQUIRE(bench.prober.pid() > 0);
    return bench.prober.pid();
}

std::size_t descriptors_of(pid_t pid) {
    return must(list_directory(cat("/proc/", pid, "/fd"))).size();
}

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

TEST_CASE("prober: its cage, as the kernel tells it") {
    Bench bench;
    const pid_t pid = caged(bench);
    const std::string user = std::to_string(kProberUser);
    const std::string all_four = join({user, user, user, user}, "\t");
    CHECK(status_of(pid, "Uid") == all_four);
    CHECK(status_of(pid, "Gid") == all_four);
    CHECK(status_of(pid, "Groups").find_first_not_of(' ') == std::string::npos);
    for (const auto* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
        CAPTURE(set);
        CHECK(status_of(pid, set) == "0000000000000000");
    }
    CHECK(status_of(pid, "NoNewPrivs") == "1");
    CHECK(status_of(pid, "Seccomp") == "2");
    CHECK(status_of(pid, "Threads") == "1");
    CHECK(status_of(pid, "NSpid").ends_with("\t1"));
    for (const auto* kind : {"net", "mnt", "pid", "ipc", "uts", "cgroup"}) {
        CAPTURE(kind);
        const std::string its = target_of(cat("/proc/", pid, "/ns/", kind));
        CHECK_FALSE(its.empty());
        CHECK(its != target_of(cat("/proc/self/ns/", kind)));
    }
    CHECK(must(list_directory(cat("/proc/", pid, "/root"))).empty());
    CHECK(split(must(read_file(cat("/proc/", pid, "/mountinfo"), 1 << 20)), '\n').size() == 2);  // one line and its end
    CHECK(must(read_file(cat("/proc/", pid, "/environ"), 1 << 20)).empty());
    CHECK(bench.until([&] { return descriptors_of(pid) == 2; }));  // the channel and the epoll instance
}

TEST_CASE("prober: its limits are lowered, and leave nothing to be had") {
    Bench bench;
    const pid_t pid = caged(bench);
    const std::string limits = must(read_file(cat("/proc/", pid, "/limits"), 1 << 16));
    const auto limit = [&](const std::string& name) {
        for (const auto& line : split(limits, '\n')) {
            if (line.starts_with(name)) {
                std::vector<std::string> words;
                for (const auto& word : split(line.substr(name.size()), ' ')) {
                    if (!word.empty()) {
                        words.push_back(word);
                    }
                }
                return cat(words[0], " ", words[1]);
            }
        }
        return std::string("none");
    };
    CHECK(limit("Max file size") == "0 0");
    CHECK(limit("Max processes") == "0 0");
    CHECK(limit("Max address space") == "0 0");
    CHECK(limit("Max data size") == "0 0");
    CHECK((limit("Max core file size") == "1 1" || limit("Max core file size") == "0 0"));
    const auto files = parse_decimal(split(limit("Max open files"), ' ')[1], 1UL << 40);
    REQUIRE(files);
    CHECK(*files <= kProberMaxProbes + 8);
}

/// The wait status of a child that makes `call` under the prober's filter, and exits with 7 where that came back.
int under_filter(const std::function<void()>& call) {
    const pid_t pid = fork();
    if (pid == 0) {
        const ProberFilter filter = prober_filter();
        const sock_fprog program{static_cast<unsigned short>(filter.length), const_cast<sock_filter*>(filter.code)};
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
            _exit(1);
        }
        call();
        syscall(SYS_exit_group, 7);
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    return status;
}

TEST_CASE("prober: any system call but its own few ends it") {
    const auto ends = [](const std::function<void()>& call) {
        const int status = under_filter(call);
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
    };
    std::array<int, 2> pair{};
    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
    const UniqueFd one(pair[0]);
    const UniqueFd other(pair[1]);
    sockaddr_in somebody{};
    somebody.sin_family = AF_INET;
    msghdr message{};
    char byte = 0;

    CHECK(ends([] { syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY); }));
    CHECK(ends([] { syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0); }));
    CHECK(ends([&] { syscall(SYS_connect, one.get(), &somebody, sizeof somebody); }));
    CHECK(ends([&] { syscall(SYS_bind, one.get(), &somebody, sizeof somebody); }));
    CHECK(ends([&] { syscall(SYS_sendmsg, one.get(), &message, 0); }));
    CHECK(ends([&] { syscall(SYS_sendto, one.get(), "x", 1, 0, &somebody, sizeof somebody); }));
    CHECK(ends([&] { syscall(SYS_sendto, one.get(), "x", 1, 0, nullptr, sizeof somebody); }));
    CHECK(ends([&] { syscall(SYS_sendto, one.get(), "x", 1, 0, 1UL << 40, 0); }));
    CHECK(ends([&] { syscall(SYS_write, one.get(), "x", 1); }));
    CHECK(ends([&] { syscall(SYS_read, one.get(), &byte, 1); }));
    CHECK(ends([] { syscall(SYS_mmap, nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }));
    CHECK(ends([] { syscall(SYS_mprotect, nullptr, 0, PROT_EXEC); }));
    CHECK(ends([] { syscall(SYS_execve, "/bin/true", nullptr, nullptr); }));
    CHECK(ends([] { syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr); }));
    CHECK(ends([] { syscall(SYS_kill, 0, 0); }));
    CHECK(ends([] { syscall(SYS_ptrace, 0, 0, 0, 0); }));
    CHECK(ends([] { syscall(SYS_setsockopt, 0, 0, 0, nullptr, 0); }));
    CHECK(ends([] { syscall(SYS_ioctl, 0, 0, nullptr); }));
    CHECK(ends([] { syscall(SYS_io_uring_setup, 1, nullptr); }));
    CHECK(ends([] { syscall(SYS_getpid); }));
#ifdef __x86_64__
    CHECK(ends([] { syscall(0x40000000 + SYS_close, -1); }));  // the same call of another ABI
#endif

    // And those that it makes.
    const int status = under_filter([&] {
        epoll_event event{};
        timespec now{};
        syscall(SYS_sendto, one.get(), "x", 1, 0, nullptr, 0);
        syscall(SYS_recvfrom, other.get(), &byte, 1, MSG_DONTWAIT, nullptr, nullptr);
        syscall(SYS_recvmsg, other.get(), &message, MSG_DONTWAIT);
        syscall(SYS_epoll_ctl, -1, EPOLL_CTL_ADD, 0, &event);
        syscall(SYS_epoll_pwait, -1, &event, 1, 0, nullptr, 8);
        syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &now);
        syscall(SYS_close, -1);
    });
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 7));
    CHECK(prober_filter().length < 64);
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

/// The prober alone, on a channel of the test's.
struct Raw {
    Raw() {
        std::array<int, 2> ends{};
        REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
        channel = UniqueFd(ends[0]);
        const UniqueFd its(ends[1]);
        const std::string user = std::to_string(kProberUser);
        pid = fork();
        if (pid == 0) {
            dup2(its.get(), 0);
            execl(VISCUM_BIN_DIR "/viscum-prober", "viscum-prober", user.c_str(), user.c_str(), nullptr);
            _exit(127);
        }
    }
    ~Raw() {
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
    }
    Raw(const Raw&) = delete;
    Raw& operator=(const Raw&) = delete;

    ProberAnswer answer() const {
        ProberAnswer out{};
        REQUIRE(recv(channel.get(), &out, sizeof out, 0) == sizeof out);
        return out;
    }
    int end() {
        int status = 0;
        REQUIRE(waitpid(pid, &status, 0) == pid);
        pid = -1;
        return status;
    }

    UniqueFd channel;
    pid_t pid = -1;
};

TEST_CASE("prober: the end of its channel ends it, and so does what viscumd never says") {
    ProberQuestion valid{};
    valid.id = 1;
    valid.kind = ProberKind::http;
    valid.limit_ms = 1000;
    valid.send_size = 4;
    const auto message = [](const ProberQuestion& question, std::size_t tail) {
        std::string text(reinterpret_cast<const char*>(&question), sizeof question);
        return text + std::string(tail, 'x');
    };
    struct Sample {
        std::string text;
        int status;
    };
    ProberQuestion longer = valid;
    longer.send_size = 0xffff;
    ProberQuestion unknown = valid;
    unknown.kind = static_cast<ProberKind>(9);
    ProberQuestion expecting = valid;
    expecting.expect_size = kProberMaxExpect + 1;
    for (const auto& sample :
         {Sample{"", 0}, Sample{"x", 3}, Sample{message(valid, 3), 3}, Sample{message(valid, 5), 3},
          Sample{message(longer, 4), 3}, Sample{message(unknown, 4), 3},
          Sample{message(expecting, 4 + kProberMaxExpect + 1), 3}, Sample{message(valid, 60'000), 3}}) {
        CAPTURE(sample.text.size());
        Raw raw;
        CHECK(raw.answer().code == ProberCode::ready);
        if (sample.text.empty()) {
            raw.channel.reset();
        } else {
            CHECK(send(raw.channel.get(), sample.text.data(), sample.text.size(), MSG_NOSIGNAL) > 0);
        }
        const int status = raw.end();
        CHECK((WIFEXITED(status) && WEXITSTATUS(status) == sample.status));
    }
}

TEST_CASE("prober: a question without its socket is answered") {
    Raw raw;
    CHECK(raw.answer().code == ProberCode::ready);
    ProberQuestion question{};
    question.id = 7;
    question.kind = ProberKind::udp;
    CHECK(send(raw.channel.get(), &question, sizeof question, MSG_NOSIGNAL) > 0);
    const ProberAnswer answer = raw.answer();
    CHECK(answer.id == 7);
    CHECK(answer.code == ProberCode::busy);
    question.kind = ProberKind::cancel;  // of one that is not there
    CHECK(send(raw.channel.get(), &question, sizeof question, MSG_NOSIGNAL) > 0);
    question.kind = ProberKind::http;
    CHECK(send(raw.channel.get(), &question, sizeof question, MSG_NOSIGNAL) > 0);
    CHECK(raw.answer().code == ProberCode::busy);
}

}  // namespace
}  // namespace viscum
