// SPDX-License-Identifier: GPL-2.0-only
// The prober seen from outside: what it may do, and what it takes on its channel.
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <cstring>

#include "base/file.h"
#include "base/text.h"
#include "controller/prober/filter.h"
#include "tests/root/supervise/probe_bench.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

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

TEST_CASE("prober: it keeps the time limit by itself") {
    Raw raw;
    CHECK(raw.answer().code == ProberCode::ready);
    std::array<int, 2> pair{};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
    const UniqueFd service(pair[0]);
    UniqueFd socket(pair[1]);
    ProberQuestion question{};
    question.id = 1;
    question.kind = ProberKind::http;
    question.limit_ms = 20;
    iovec part{&question, sizeof question};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = socket.get();
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    REQUIRE(sendmsg(raw.channel.get(), &header, 0) > 0);
    socket.reset();
    CHECK(ended(service.get()));  // readable: the other end is closed
    char byte = 0;
    CHECK(recv(service.get(), &byte, 1, MSG_DONTWAIT) == 0);
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
