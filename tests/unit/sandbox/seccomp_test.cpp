// SPDX-License-Identifier: GPL-2.0-only
// What the filter says of calls, of which none is made.
#include "controller/sandbox/seccomp.h"

#include <asm/ioctls.h>
#include <asm/unistd.h>
#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "controller/spec/allowances.h"
#include "tests/support/seccomp_program.h"

using namespace viscum;

namespace {

constexpr std::uint32_t kEperm = SECCOMP_RET_ERRNO | EPERM;
constexpr std::uint32_t kEnosys = SECCOMP_RET_ERRNO | ENOSYS;
constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
using Words = std::vector<std::uint64_t>;
constexpr std::uint64_t kUpper = std::uint64_t{1} << 32;

class Filter {
public:
    explicit Filter(const std::set<std::string>& allow = {}) {
        const auto bytes = seccomp_filter(allow);
        REQUIRE(bytes);
        REQUIRE(bytes->size() % sizeof(sock_filter) == 0);
        program_ = SeccompProgram(*bytes);
        REQUIRE(program_.fits());
    }

    [[nodiscard]] std::uint32_t ask(const seccomp_data& data) const { return program_.ask(data); }
    [[nodiscard]] std::uint32_t ask(long number, std::initializer_list<std::uint64_t> arguments = {}) const {
        seccomp_data data{};
        data.nr = static_cast<int>(number);
        data.arch = seccomp_arch_native();
        std::copy(arguments.begin(), arguments.end(), data.args);
        return ask(data);
    }

private:
    SeccompProgram program_{{}};
};

int number(std::string_view name) {
    return seccomp_syscall_resolve_name(std::string(name).c_str());
}

}  // namespace

TEST_CASE("seccomp: what every service is denied is known to this libseccomp") {
    // Without these the promise would be empty; others of the list belong to other processors or younger libraries.
    for (const auto* const name : {"mount",
                                   "umount2",
                                   "pivot_root",
                                   "move_mount",
                                   "open_tree",
                                   "fsopen",
                                   "fsmount",
                                   "mount_setattr",
                                   "chroot",
                                   "unshare",
                                   "setns",
                                   "bpf",
                                   "ptrace",
                                   "process_vm_readv",
                                   "process_vm_writev",
                                   "kcmp",
                                   "pidfd_getfd",
                                   "keyctl",
                                   "add_key",
                                   "request_key",
                                   "userfaultfd",
                                   "io_uring_setup",
                                   "io_uring_enter",
                                   "io_uring_register",
                                   "perf_event_open",
                                   "kexec_load",
                                   "init_module",
                                   "finit_module",
                                   "delete_module",
                                   "reboot",
                                   "swapon",
                                   "swapoff",
                                   "sethostname",
                                   "setdomainname",
                                   "acct",
                                   "quotactl",
                                   "syslog",
                                   "settimeofday",
                                   "clock_settime",
                                   "adjtimex",
                                   "clock_adjtime",
                                   "vhangup",
                                   "open_by_handle_at",
                                   "name_to_handle_at",
                                   "fanotify_init"}) {
        CAPTURE(name);
        CHECK(number(name) >= 0);
        CHECK(std::ranges::count(denied_calls({}), name) == 1);
    }
}

TEST_CASE("seccomp: a service is denied every listed call, whatever its arguments, and no other") {
    const Filter filter;
    const auto denied = denied_calls({});
    CHECK(std::ranges::is_sorted(denied));
    CHECK(std::ranges::adjacent_find(denied) == denied.end());
    std::vector<long> numbers{__NR_clone3, 467};  // 467: open_tree_attr, which younger libraries know
    for (const auto name : denied) {
        if (const long call = number(name); call >= 0) {
            CAPTURE(name);
            CHECK(filter.ask(call) == kEperm);
            CHECK(filter.ask(call, {~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL}) == kEperm);
            numbers.push_back(call);
        }
    }
    for (long call = 0; call <= 469; ++call) {
        if (std::ranges::count(numbers, call) == 0) {
            CAPTURE(call);
            const bool needs_arguments = call == __NR_socket || call == __NR_socketpair;
            CHECK(filter.ask(call) == (needs_arguments ? kEperm : kAllow));
        }
    }
}

TEST_CASE("seccomp: clone3 is as if the kernel did not have it, and clone makes no namespace") {
    const Filter filter;
    CHECK(filter.ask(__NR_clone3) == kEnosys);
    CHECK(filter.ask(__NR_clone, {CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SETTLS}) ==
          kAllow);
    CHECK(filter.ask(__NR_clone, {SIGCHLD}) == kAllow);
    CHECK(filter.ask(__NR_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}) == kAllow);
    for (const auto flag :
         Words{CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET}) {
        CHECK(filter.ask(__NR_clone, {flag}) == kEperm);
        CHECK(filter.ask(__NR_clone, {flag | CLONE_VM | SIGCHLD | kUpper}) == kEperm);
    }
}

TEST_CASE("seccomp: sockets are of UNIX, IPv4, IPv6 and route netlink, and none of them raw") {
    const Filter filter;
    const auto ask = [&](int family, int type, int protocol) {
        return filter.ask(__NR_socket, {static_cast<std::uint64_t>(family), static_cast<std::uint64_t>(type),
                                        static_cast<std::uint64_t>(protocol)});
    };
    for (const int family : {AF_UNIX, AF_INET, AF_INET6}) {
        CHECK(ask(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) == kAllow);
        CHECK(ask(family, SOCK_DGRAM, 0) == kAllow);
    }
    CHECK(ask(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) == kAllow);
    CHECK(ask(AF_INET6, SOCK_STREAM, IPPROTO_MPTCP) == kAllow);
    CHECK(ask(AF_UNIX, SOCK_SEQPACKET, 0) == kAllow);
    CHECK(ask(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE) == kAllow);
    for (int protocol = 1; protocol < 32; ++protocol) {
        CHECK(ask(AF_NETLINK, SOCK_RAW, protocol) == kEperm);
    }
    for (int family = 0; family < 256; ++family) {
        if (family != AF_UNIX && family != AF_INET && family != AF_INET6 && family != AF_NETLINK) {
            CAPTURE(family);
            CHECK(ask(family, SOCK_STREAM, 0) == kEperm);
        }
    }
    CHECK(ask(-1, SOCK_STREAM, 0) == kEperm);
    for (const int family : {AF_INET, AF_INET6}) {
        for (const int type : {+SOCK_RAW, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, +SOCK_PACKET, +SOCK_DCCP}) {
            CHECK(ask(family, type, 0) == kEperm);
        }
        for (const int protocol : {+IPPROTO_SCTP, +IPPROTO_DCCP, +IPPROTO_UDPLITE, 115}) {
            CHECK(ask(family, SOCK_DGRAM, protocol) == kEperm);
        }
    }
    CHECK(filter.ask(__NR_socket, {AF_INET | kUpper, SOCK_STREAM, 0}) == kEperm);
    CHECK(filter.ask(__NR_socket, {AF_INET, SOCK_RAW | kUpper, 0}) == kEperm);
    CHECK(filter.ask(__NR_socket, {AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER | kUpper}) == kEperm);
    CHECK(filter.ask(__NR_socketpair, {AF_UNIX, SOCK_STREAM, 0}) == kAllow);
    CHECK(filter.ask(__NR_socketpair, {AF_TIPC, SOCK_STREAM, 0}) == kEperm);
}

TEST_CASE("seccomp: a terminal's input cannot be faked, whatever is written into the unused half of the request") {
    const Filter filter;
    for (const auto request : Words{TIOCSTI, TIOCLINUX, TIOCSETD}) {
        CHECK(filter.ask(__NR_ioctl, {0, request}) == kEperm);
        CHECK(filter.ask(__NR_ioctl, {0, request | kUpper}) == kEperm);
    }
    CHECK(filter.ask(__NR_ioctl, {0, TCGETS}) == kAllow);
    CHECK(filter.ask(__NR_ioctl, {0, FIONREAD}) == kAllow);
}

TEST_CASE("seccomp: the personality may be asked for and stay what it is") {
    const Filter filter;
    CHECK(filter.ask(__NR_personality, {0}) == kAllow);
    CHECK(filter.ask(__NR_personality, {0xffffffff}) == kAllow);
    CHECK(filter.ask(__NR_personality, {~0ULL}) == kAllow);
    for (const auto persona : Words{ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, MMAP_PAGE_ZERO, PER_LINUX32, PER_BSD}) {
        CHECK(filter.ask(__NR_personality, {persona}) == kEperm);
        CHECK(filter.ask(__NR_personality, {persona | kUpper}) == kEperm);
        CHECK(filter.ask(__NR_personality, {persona | 0x80000000}) == kEperm);
    }
}

TEST_CASE("seccomp: nobody brings core dumps back, and who wants none is told that it has its way") {
    constexpr std::uint32_t kPretend = SECCOMP_RET_ERRNO;
    const Filter filter;
    CHECK(filter.ask(__NR_prlimit64, {0, RLIMIT_CORE, 4096, 0}) == kPretend);
    CHECK(filter.ask(__NR_prlimit64, {0, RLIMIT_CORE | kUpper, 4096, 0}) == kPretend);
    CHECK(filter.ask(__NR_prlimit64, {0, RLIMIT_CORE, 0, 4096}) == kAllow);
    CHECK(filter.ask(__NR_prlimit64, {0, RLIMIT_NOFILE, 4096, 0}) == kAllow);
    CHECK(filter.ask(__NR_prlimit64, {1, RLIMIT_FSIZE, 4096, 0}) == kEperm);
    CHECK(filter.ask(__NR_prlimit64, {1, RLIMIT_CORE, 4096, 0}) == kEperm);
    CHECK(filter.ask(__NR_prlimit64, {1, RLIMIT_FSIZE, 0, 4096}) == kAllow);
#ifdef __NR_setrlimit
    CHECK(filter.ask(__NR_setrlimit, {RLIMIT_CORE, 4096}) == kPretend);
    CHECK(filter.ask(__NR_setrlimit, {RLIMIT_NOFILE, 4096}) == kAllow);
#endif
}

TEST_CASE("seccomp: nobody takes a real-time class") {
    const Filter filter({"cap_sys_nice"});
    for (const std::uint64_t policy : {1ULL, 2ULL, 6ULL, 0x40000001ULL}) {
        CHECK(filter.ask(__NR_sched_setscheduler, {0, policy, 4096}) == kEperm);
        CHECK(filter.ask(__NR_sched_setscheduler, {0, policy | kUpper, 4096}) == kEperm);
    }
    CHECK(filter.ask(__NR_sched_setscheduler, {0, 3, 4096}) == kAllow);  // SCHED_BATCH
}

TEST_CASE("seccomp: calls younger than the list are as if the kernel did not have them") {
    const Filter filter;
    for (const long call : {470L, 471L, 1000L, 0xeffffL}) {
        CHECK(filter.ask(call) == kEnosys);
    }
    CHECK(filter.ask(0xf0005) == kAllow);  // ARM's set_tls: no number of another processor's
}

TEST_CASE("seccomp: another ABI than the machine's own ends the process") {
    const Filter filter;
    seccomp_data data{};
    data.nr = __NR_getpid;
    for (const auto arch :
         std::vector<std::uint32_t>{SCMP_ARCH_X86, SCMP_ARCH_X86_64, SCMP_ARCH_ARM, SCMP_ARCH_AARCH64}) {
        data.arch = arch;
        CHECK(filter.ask(data) == (arch == seccomp_arch_native() ? kAllow : SECCOMP_RET_KILL_PROCESS));
    }
    if (seccomp_arch_native() == SCMP_ARCH_X86_64) {
        CHECK(filter.ask(0x40000000 | __NR_getpid) == SECCOMP_RET_KILL_PROCESS);  // x32
    }
}

TEST_CASE("seccomp: an allowance lets its own calls in and nothing else") {
    const auto all = denied_calls({});
    const auto let_in = [&](const char* allowance) {
        const auto left = denied_calls({allowance});
        std::vector<std::string> names;
        for (const auto name : all) {
            if (std::ranges::count(left, name) == 0) {
                names.emplace_back(name);
            }
        }
        const Filter filter({allowance});
        for (const auto& name : names) {
            CAPTURE(name);
            CHECK((number(name) < 0 || filter.ask(number(name)) == kAllow));
        }
        return names;
    };
    using Names = std::vector<std::string>;
    CHECK(let_in("bpf") == Names{"bpf"});
    CHECK(let_in("perf") == Names{"perf_event_open"});
    CHECK(let_in("userfaultfd") == Names{"userfaultfd"});
    CHECK(let_in("keyring") == Names{"add_key", "keyctl", "request_key"});
    CHECK(let_in("io_uring") == Names{"io_uring_enter", "io_uring_register", "io_uring_setup"});
    CHECK(let_in("cap_sys_chroot") == Names{"chroot"});
    CHECK(std::ranges::count(let_in("ptrace"), "ptrace") == 1);
    CHECK(std::ranges::count(let_in("namespaces"), "unshare") == 1);
    CHECK(let_in("cap_sys_nice").size() == 6);
    for (const auto* const name : {"root", "writable-root", "proc", "sys", "cap_setuid"}) {
        CHECK(let_in(name).empty());
        CHECK(seccomp_filter({name}).operator*() == *seccomp_filter({}));
    }
    CHECK(Filter({"namespaces"}).ask(__NR_clone, {CLONE_NEWUSER}) == kAllow);
    CHECK(Filter({"namespaces"}).ask(__NR_clone3) == kAllow);
    CHECK(Filter({"cap_net_raw"}).ask(__NR_socket, {AF_INET, SOCK_RAW, IPPROTO_ICMP}) == kAllow);
    CHECK(Filter({"cap_net_raw"}).ask(__NR_socket, {AF_PACKET, SOCK_RAW, 0}) == kEperm);
}

TEST_CASE("seccomp: capabilities come from their names alone") {
    CHECK(capability_mask({}) == 0);
    CHECK(capability_mask({"root", "bpf"}) == 0);
    CHECK(capability_mask({"cap_setuid", "cap_chown", "root"}) == 0x81);
    std::set<std::string> all;
    for (const auto& capability : kCapabilities) {
        all.emplace(capability.name);
    }
    CHECK(std::popcount(capability_mask(all)) == static_cast<int>(kCapabilities.size()));
}
