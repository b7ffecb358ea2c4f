// SPDX-License-Identifier: GPL-2.0-only
// What the filter leaves a taken-over exporter, on this machine and on others of its byte order: no call is made.
#include "controller/exporter/cage.h"

#include <doctest/doctest.h>
#include <linux/net.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <initializer_list>
#include <vector>

#include "tests/support/seccomp_program.h"

using namespace viscum;

namespace {

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t kEperm = SECCOMP_RET_ERRNO | EPERM;
constexpr std::uint64_t kUpper = std::uint64_t{1} << 32;
using Numbers = std::initializer_list<std::uint64_t>;

struct Machine {
    const char* name;
    std::uint32_t architecture;
    int socket;          // its number of socket(2), which libseccomp does not tell where there is socketcall(2) as well
    bool by_socketcall;  // its C libraries reach sockets by socketcall(2)
};

std::vector<Machine> machines() {
    if (std::endian::native == std::endian::big) {
        return {{"s390x", SCMP_ARCH_S390X, 359, true},
                {"mips", SCMP_ARCH_MIPS, 4183, false},
                {"mips64", SCMP_ARCH_MIPS64, 5040, false},
                {"ppc", SCMP_ARCH_PPC, 326, false}};
    }
    return {{"i386", SCMP_ARCH_X86, 359, true},
            {"mipsel", SCMP_ARCH_MIPSEL, 4183, false},
            {"mips64el", SCMP_ARCH_MIPSEL64, 5040, false},
            {"arm", SCMP_ARCH_ARM, 281, false},
            {"aarch64", SCMP_ARCH_AARCH64, 198, false},
            {"ppc64le", SCMP_ARCH_PPC64LE, 326, false},
            {"riscv64", SCMP_ARCH_RISCV64, 198, false},
            {"x86_64", SCMP_ARCH_X86_64, 41, false}};
}

class Cage {
public:
    explicit Cage(std::uint32_t architecture) : architecture_(architecture) {
        const auto bytes = exporter_filter(architecture);
        REQUIRE(bytes);
        program_ = SeccompProgram(*bytes);
        REQUIRE(program_.fits());
    }
    [[nodiscard]] std::uint32_t ask(int number, Numbers arguments) const {
        seccomp_data data{};
        data.nr = number;
        data.arch = architecture_;
        std::ranges::copy(arguments, data.args);
        return program_.ask(data);
    }
    /// kEperm where there is no such call.
    [[nodiscard]] std::uint32_t socketcall(std::uint64_t call, std::uint64_t argument = 0) const {
        const int number = seccomp_syscall_resolve_name_arch(architecture_, "socketcall");
        return number < 0 ? kEperm : ask(number, {call, argument});
    }

private:
    std::uint32_t architecture_;
    SeccompProgram program_{{}};
};

}  // namespace

TEST_CASE("exporter cage: no socket can be made but a local one, by whichever call") {
    for (const auto& machine : machines()) {
        CAPTURE(machine.name);
        const Cage cage(machine.architecture);
        CHECK(cage.ask(machine.socket, {AF_UNIX, SOCK_STREAM, 0}) == kAllow);
        for (const std::uint64_t family : Numbers{AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK}) {
            CHECK(cage.ask(machine.socket, {family, SOCK_STREAM, 0}) == kEperm);
        }
        // Its arguments lie in memory, where a filter does not see them: what looks like AF_UNIX is an address.
        for (const std::uint64_t argument : Numbers{0, AF_UNIX, 4096}) {
            CHECK(cage.socketcall(SYS_SOCKET, argument) == kEperm);
            CHECK(cage.socketcall(SYS_SOCKET | kUpper, argument) == kEperm);
            CHECK(cage.socketcall(SYS_SOCKETPAIR, argument) == kEperm);
        }
    }
}

TEST_CASE("exporter cage: where C libraries use socketcall for what the exporter does, that works") {
    for (const auto& machine : machines()) {
        CAPTURE(machine.name);
        const Cage cage(machine.architecture);
        for (const std::uint64_t call :
             Numbers{SYS_CONNECT, SYS_ACCEPT4, SYS_SEND, SYS_SENDTO, SYS_RECV, SYS_RECVFROM, SYS_SHUTDOWN}) {
            CAPTURE(call);
            CHECK((!machine.by_socketcall || cage.socketcall(call) == kAllow));
        }
        for (const std::uint64_t call : Numbers{SYS_BIND, SYS_LISTEN, SYS_SETSOCKOPT, SYS_SENDMSG, SYS_RECVMSG}) {
            CAPTURE(call);
            CHECK(cage.socketcall(call) == kEperm);
        }
    }
}

TEST_CASE("exporter cage: no memory becomes executable, no program is started, no file is opened") {
    const Cage cage(seccomp_arch_native());
    CHECK(cage.ask(SCMP_SYS(mprotect), {0, 4096, PROT_READ | PROT_WRITE}) == kAllow);
    CHECK(cage.ask(SCMP_SYS(mprotect), {0, 4096, PROT_READ | PROT_EXEC}) == kEperm);
    for (const int call : {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(openat), SCMP_SYS(clone), SCMP_SYS(ptrace)}) {
        CHECK(cage.ask(call, {}) == kEperm);
    }
}
