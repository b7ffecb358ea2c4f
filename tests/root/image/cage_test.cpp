// SPDX-License-Identifier: GPL-2.0-only
// What code in the cage can do, once it has been taken over.
#include "controller/image/cage.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "base/text.h"
#include "controller/image/broker.h"
#include "controller/image/channel.h"
#include "tests/root/image/fixture.h"

using namespace viscum;

namespace {

/// What `inside` says over the channel, from a cage on /var/lib/img/cage.
std::vector<std::string> said_in_cage(const StoreFixture& fixture, const std::function<void(int channel)>& inside) {
    const std::string directory = fixture.place("cage");
    mkdir(directory.c_str(), 0700);
    std::array<int, 2> ends{};
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const UniqueFd ours(ends[0]);
    UniqueFd theirs(ends[1]);
    CageSpec spec;
    spec.directory = directory;
    spec.max_file = 1 << 20;
    spec.channel = theirs.get();
    spec.inside = [&] {
        inside(theirs.get());
        return 0;
    };
    spec.failed = [&](const Error& error) { (void)send_message(theirs.get(), 'E', error.what); };
    const auto child = start_in_cage(spec);
    REQUIRE(child);
    theirs.reset();
    std::vector<std::string> said;
    while (true) {
        auto message = receive_message(ours.get());
        REQUIRE(message);
        if (!*message) {
            break;
        }
        said.push_back(std::move((*message)->text));
    }
    int status = 0;
    CHECK(waitpid(*child, &status, 0) == *child);
    return said;
}

}  // namespace

TEST_CASE("cage: no file but its own, no device, no program, no network, no mount, no process") {
    StoreFixture fixture;
    const auto said = said_in_cage(fixture, [](int channel) {
        const auto tell = [channel](std::string_view what, long result) {
            (void)send_message(channel, 'T', cat(what, result < 0 ? ": no" : ": YES"));
        };
        tell("passwd", open("/etc/passwd", O_RDONLY | O_CLOEXEC));
        tell("proc", open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
        tell("climb", open("../../../../etc/passwd", O_RDONLY | O_CLOEXEC));
        tell("null", mknod("null", S_IFCHR | 0666, makedev(1, 3)));
        tell("whiteout with a mode", mknod("w", S_IFCHR | 0666, 0));
        tell("exec", execl("/bin/sh", "sh", nullptr));
        tell("fork", syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
        tell("socket", socket(AF_INET, SOCK_STREAM, 0));
        tell("unix", socket(AF_UNIX, SOCK_STREAM, 0));
        tell("mount", mount("tmpfs", "/", "tmpfs", 0, nullptr));
        tell("chroot", chroot("."));
        tell("kill", kill(1, SIGKILL));
        tell("ptrace", syscall(SYS_ptrace, 0, 0, 0, 0));
        tell("setuid", syscall(SYS_setuid, 0));
        tell("xattr", syscall(SYS_fsetxattr, channel, "trusted.x", "y", 1, 0));
        tell("executable memory", syscall(SYS_mmap, nullptr, 4096, 7, 0x22, -1, 0) == -1 ? -1 : 0);
        const int big = open("big", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        tell("big file", pwrite(big, "x", 1, 2 << 20) == 1 ? 0 : -1);
        tell("handle", syscall(SYS_open_by_handle_at, big, nullptr, 0));
    });
    CHECK(said.size() == 18);
    for (const auto& line : said) {
        CHECK_MESSAGE(line.ends_with(": no"), line);
    }
}

TEST_CASE("cage: what is needed to unpack works, and descriptors that were not named are closed") {
    StoreFixture fixture;
    const UniqueFd secret(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    const auto said = said_in_cage(fixture, [&secret](int channel) {
        const auto tell = [channel](std::string_view what, long result) {
            (void)send_message(channel, 'T', cat(what, result < 0 ? ": NO" : ": yes"));
        };
        tell("directory", mkdirat(AT_FDCWD, "d", 0755));
        const int fd = openat(AT_FDCWD, "d/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        tell("owner", fchown(fd, 1000, 1000));
        tell("mode", fchmod(fd, 01777));
        tell("whiteout", mknodat(AT_FDCWD, "w", S_IFCHR, 0));
        tell("closed", fcntl(secret.get(), F_GETFL) < 0 ? 0 : -1);
    });
    CHECK(said.size() == 5);
    for (const auto& line : said) {
        CHECK_MESSAGE(line.ends_with(": yes"), line);
    }
}

TEST_CASE("cage: what the child asks of its parent reaches no file outside of the store") {
    StoreFixture fixture;
    std::array<int, 2> ends{};
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const UniqueFd ours(ends[0]);
    const UniqueFd theirs(ends[1]);
    struct stat info {};
    REQUIRE(stat(fixture.place("").c_str(), &info) == 0);
    const auto ask = [&](char kind, const std::string& text, const char* path) {
        Message request;
        request.kind = kind;
        request.text = text;
        if (path != nullptr) {
            request.descriptors.emplace_back(open(path, O_RDONLY | O_CLOEXEC));
        }
        return answer_request(ours.get(), request, info.st_dev, [](const std::string&) { return UniqueFd(); });
    };
    const auto answer = [&] { return (*receive_message(theirs.get()))->kind; };
    REQUIRE(ask('O', "", "/tmp"));  // another file system
    CHECK(answer() == 'e');
    REQUIRE(ask('O', "", fixture.put("file", "x").c_str()));
    CHECK(answer() == 'e');
    REQUIRE(ask('O', "", nullptr));
    CHECK(answer() == 'e');
    CHECK_FALSE(ask('A', "../../../etc", nullptr));
    CHECK_FALSE(ask('X', "", nullptr));
}
