// SPDX-License-Identifier: GPL-2.0-only
#include "netns/net_ns.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/root/netns/service_net.h"

using namespace viscum;

namespace {

/// Takes a name away when the test ends.
struct Name {
    explicit Name(std::string name) : text(std::move(name)) {}
    ~Name() { CHECK(remove_net_ns_name(text)); }
    Name(const Name&) = delete;
    Name& operator=(const Name&) = delete;
    std::string text;
};

bool exists(const std::string& name) {
    struct stat info {};
    return lstat(net_ns_path(name).c_str(), &info) == 0;
}

void make_plain_file(const std::string& name) {
    must(make_directory("/run/netns", 0755));
    REQUIRE(UniqueFd(::open(net_ns_path(name).c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0)));
}

void mount_on(const NetNs& ns, const std::string& name) {
    const std::string source = "/proc/self/fd/" + std::to_string(ns.fd());
    REQUIRE(mount(source.c_str(), net_ns_path(name).c_str(), "none", MS_BIND, nullptr) == 0);
}

}  // namespace

TEST_CASE("net_ns: a namespace is made once, and then opened") {
    const Name name("test-once");
    const auto missing = NetNs::open(name.text);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().errno_code == ENOENT);
    const auto home = must(NetNs::current());
    const auto made = must(NetNs::create(name.text));
    CHECK(made.inode() != home.inode());
    CHECK(must(NetNs::create(name.text)).inode() == made.inode());
    CHECK(must(NetNs::open(name.text)).inode() == made.inode());
    CHECK(must(NetNs::current()).inode() == home.inode());
}

TEST_CASE("net_ns: a name that an interrupted create left behind is none, and is completed") {
    const Name name("test-half");
    make_plain_file(name.text);
    const auto half = NetNs::open(name.text);
    REQUIRE_FALSE(half);
    CHECK(half.error().errno_code == ENOENT);
    CHECK(must(net_ns_names("test-half")) == std::vector<std::string>{name.text});
    const auto made = must(NetNs::create(name.text));
    CHECK(must(NetNs::open(name.text)).inode() == made.inode());
}

TEST_CASE("net_ns: a name that is a directory is an error and stays what it is") {
    must(make_directory(net_ns_path("test-directory"), 0755));
    CHECK_FALSE(NetNs::create("test-directory"));
    CHECK(exists("test-directory"));
    CHECK(rmdir(net_ns_path("test-directory").c_str()) == 0);
}

TEST_CASE("net_ns: a namespace of another type is refused") {
    const Name name("test-other-type");
    make_plain_file(name.text);
    REQUIRE(mount("/proc/self/ns/uts", net_ns_path(name.text).c_str(), "none", MS_BIND, nullptr) == 0);
    const auto opened = NetNs::create(name.text);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().errno_code == EINVAL);
}

TEST_CASE("net_ns: no name reaches out of its directory") {
    for (const std::string text : {"", ".", "..", "../../etc/passwd", "a/b"}) {
        CAPTURE(text);
        CHECK_FALSE(NetNs::open(text));
        CHECK_FALSE(NetNs::create(text));
        CHECK_FALSE(remove_net_ns_name(text));
    }
}

TEST_CASE("net_ns: a name goes away once, and also when several mounts are stacked on it") {
    const auto made = must(NetNs::create("test-stacked"));
    mount_on(made, "test-stacked");
    mount_on(made, "test-stacked");
    CHECK(remove_net_ns_name("test-stacked"));
    CHECK_FALSE(exists("test-stacked"));
    CHECK(remove_net_ns_name("test-stacked"));
}

TEST_CASE("net_ns: removing a name touches no other name") {
    const Name longer("test-web.1");
    const Name shorter("test-web");
    const auto kept = must(NetNs::create(longer.text));
    must(NetNs::create(shorter.text));
    CHECK(remove_net_ns_name(shorter.text));
    CHECK(must(NetNs::open(longer.text)).inode() == kept.inode());
}

TEST_CASE("net_ns: a namespace that lost its name gets it back") {
    const Name name("test-kept");
    const auto made = must(NetNs::create(name.text));
    CHECK(made.keep_name(name.text));
    CHECK(remove_net_ns_name(name.text));
    CHECK(made.keep_name(name.text));
    CHECK(made.keep_name(name.text));
    CHECK(must(NetNs::open(name.text)).inode() == made.inode());
}

TEST_CASE("net_ns: a name that another namespace has is not taken from it") {
    const Name name("test-taken");
    const Name mine("test-mine");
    const auto taken = must(NetNs::create(name.text));
    const auto kept = must(NetNs::create(mine.text)).keep_name(name.text);
    REQUIRE_FALSE(kept);
    CHECK(kept.error().errno_code == EEXIST);
    CHECK(must(NetNs::open(name.text)).inode() == taken.inode());
}

TEST_CASE("net_ns: the names of an instance are found by prefix, sorted") {
    const Name b("test-names-b");
    const Name a("test-names-a");
    const Name foreign("foreign-names-a");
    for (const auto* name : {&b, &a, &foreign}) {
        must(NetNs::create(name->text));
    }
    CHECK(must(net_ns_names("test-names-")) == std::vector<std::string>{a.text, b.text});
}

TEST_CASE("net_ns: the body runs inside and the way back is taken also when it fails") {
    const Name name("test-inside");
    const auto home = must(NetNs::current());
    const auto made = must(NetNs::create(name.text));
    ino_t seen = 0;
    const auto status = made.inside([&]() -> Status {
        seen = must(NetNs::current()).inode();
        return Error{EPERM, "as asked"};
    });
    REQUIRE_FALSE(status);
    CHECK(status.error() == Error{EPERM, "as asked"});
    CHECK(seen == made.inode());
    CHECK(must(NetNs::current()).inode() == home.inode());

    seen = 0;
    const auto from_home = made.inside(home, [&]() -> Status {
        seen = must(NetNs::current()).inode();
        return Error{EPERM, "as asked"};
    });
    CHECK_FALSE(from_home);
    CHECK(seen == made.inode());
    CHECK(must(NetNs::current()).inode() == home.inode());
}

TEST_CASE("net_ns: names made here survive `ip netns`, and are removed after it") {
    // iproute2 makes the directory a mount of its own when it first sees it; what it covers could not be unmounted.
    const auto made = must(NetNs::create("test-before"));
    REQUIRE(mount("", "/run/netns", "none", MS_SHARED | MS_REC, nullptr) == 0);
    CHECK(must(NetNs::open("test-before")).inode() == made.inode());
    CHECK(remove_net_ns_name("test-before"));
    CHECK_FALSE(exists("test-before"));
}

TEST_CASE("net_ns: a sysctl is set in the namespace and nowhere else, and only when it differs") {
    const Name name("test-sysctl");
    const auto made = must(NetNs::create(name.text));
    const std::string key = "ipv4/ip_unprivileged_port_start";
    const auto read = [&] { return must(read_file("/proc/sys/net/" + key, 64)); };
    const auto before = read();
    std::string inside;
    must(made.inside([&]() -> Status {
        must(set_net_sysctl(key, "0"));
        must(set_net_sysctl(key, "0"));
        inside = read();
        // Two values, which the kernel writes with a tab between them.
        must(set_net_sysctl("ipv4/ping_group_range", "0 100"));
        return set_net_sysctl("ipv4/ping_group_range", "0 100");
    }));
    CHECK(inside == "0\n");
    CHECK(read() == before);
    const auto unknown = set_net_sysctl("ipv4/no_such_key", "1");
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().errno_code == ENOENT);
}
