// SPDX-License-Identifier: GPL-2.0-only
// The filter in the kernel, on processes that are root with every capability: what fails, fails by the filter alone.
#include "controller/sandbox/seccomp.h"

#include <asm/unistd.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "base/unique_fd.h"
#include "tests/support/sandbox.h"

using namespace viscum;

namespace {

constexpr int kNotInstalled = 99;

bool install(const std::string& filter) {
    // The program is only read.
    sock_fprog program{static_cast<unsigned short>(filter.size() / sizeof(sock_filter)),
                       const_cast<sock_filter*>(reinterpret_cast<const sock_filter*>(filter.data()))};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

/// The wait status of a child that runs `body` under the filter and exits with what it returns.
int under_filter(const std::set<std::string>& allow, const std::function<int()>& body) {
    const auto filter = seccomp_filter(allow);
    REQUIRE(filter);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        _exit(install(*filter) ? body() : kNotInstalled);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    return status;
}

/// The errno of a call made under the filter; 0: it succeeded.
int error_of(const std::set<std::string>& allow, const std::function<long()>& call) {
    const int status = under_filter(allow, [&] { return call() < 0 ? errno : 0; });
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

int error_of(long number, std::initializer_list<long> given = {}) {
    std::array<long, 6> a{};
    std::copy(given.begin(), given.end(), a.begin());
    return error_of({}, [&] { return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]); });
}

/// Runs a program under the filter, its output thrown away; its exit status, or 128 and the signal.
int run_filtered(const std::vector<std::string>& command) {
    std::vector<char*> argv;
    for (const auto& word : command) {
        argv.push_back(const_cast<char*>(word.c_str()));  // execv takes them so
    }
    argv.push_back(nullptr);
    const int status = under_filter({}, [&] {
        const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
        for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
            dup2(null.get(), fd);
        }
        execv(argv[0], argv.data());
        return 127;
    });
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("seccomp: root with every capability is denied each call of the list by its bare number") {
    int tried = 0;
    for (const auto name : denied_calls({})) {
        const int number = seccomp_syscall_resolve_name(std::string(name).c_str());
        if (number >= 0) {
            CAPTURE(name);
            // Arguments of which no call makes sense, were the filter to let it in.
            CHECK(error_of(number, {-1, -1, -1, -1, -1, -1}) == EPERM);
            ++tried;
        }
    }
    CHECK(tried > 60);
    CHECK(error_of(467, {-1, 0, -1}) == EPERM);  // open_tree_attr
    CHECK(error_of(__NR_clone3, {0, 0}) == ENOSYS);
    CHECK(error_of(469 + 100) == ENOSYS);
}

TEST_CASE("seccomp: namespaces and foreign sockets are denied by argument, and what services need is not") {
    for (const long flag :
         {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET}) {
        CHECK(error_of(__NR_clone, {flag | SIGCHLD}) == EPERM);
    }
    CHECK(error_of(__NR_socket, {AF_PACKET, SOCK_RAW, 0}) == EPERM);
    CHECK(error_of(__NR_socket, {AF_INET, SOCK_RAW, IPPROTO_ICMP}) == EPERM);
    CHECK(error_of(__NR_socket, {AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6}) == EPERM);
    CHECK(error_of(__NR_socket, {AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER}) == EPERM);
    CHECK(error_of(__NR_socket, {AF_NETLINK, SOCK_RAW, NETLINK_ROUTE}) == 0);
    for (const long family : {AF_UNIX, AF_INET, AF_INET6}) {
        CHECK(error_of(__NR_socket, {family, SOCK_STREAM | SOCK_CLOEXEC, 0}) == 0);
    }
    CHECK(error_of({"cap_net_raw"}, [] { return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP); }) == 0);
    CHECK(error_of({"namespaces"}, [] { return unshare(CLONE_NEWUTS); }) == 0);
    CHECK(error_of({"bpf"}, [] { return syscall(__NR_bpf, -1, nullptr, 0); }) == EINVAL);
}

TEST_CASE("seccomp: a thread begins without clone3, and a child by fork, vfork and posix_spawn") {
    CHECK(error_of({}, [] { return fork() == 0 ? (_exit(0), 0) : wait(nullptr); }) == 0);
    CHECK(run_filtered({"/bin/sh", "-c", "true & wait; (echo x | cat) && exec true"}) == 0);
}

TEST_CASE("seccomp: programs as they come run under the filter") {
    const std::vector<std::vector<std::string>> commands{
        {"/bin/busybox", "ash", "-c", "ls -l / > /dev/null; echo $((1 + 1)) | grep 2; kill -0 $$"},
        {"/usr/sbin/nginx", "-t", "-c", VISCUM_SOURCE_DIR "/examples/nginx/nginx.conf"},
        {"/usr/sbin/dnsmasq", "--test"},
        {"/usr/bin/iperf3", "--version"},
        {"/usr/bin/python3", "-c",
         "import threading, socket, subprocess, multiprocessing as m\n"
         "t = threading.Thread(target=print); t.start(); t.join()\n"
         "s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname())\n"
         "assert socket.getaddrinfo('localhost', 80)\n"
         "assert subprocess.run(['/bin/true']).returncode == 0\n"
         "p = m.Process(target=print); p.start(); p.join(); assert p.exitcode == 0\n"},
        {"/usr/bin/perl", "-e", "use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0) or die; qx(/bin/true); die if $?"},
    };
    int ran = 0;
    for (const auto& command : commands) {
        if (access(command[0].c_str(), X_OK) == 0) {
            CAPTURE(command[0]);
            CHECK(run_filtered(command) == 0);
            ++ran;
        }
    }
    if (ran == 0) {
        skip("needs busybox, nginx, dnsmasq, iperf3, python3 or perl");
    }
}
