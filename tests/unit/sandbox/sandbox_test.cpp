// SPDX-License-Identifier: GPL-2.0-only
#include "controller/sandbox/sandbox.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/text.h"

using namespace viscum;

namespace {

/// "PATH:TYPE" of each.
std::string seen(const std::string& mountinfo) {
    std::vector<std::string> out;
    for (const auto& mount : read_host_mounts(mountinfo)) {
        out.push_back(mount.path + ":" + mount.type);
    }
    return join(out, " ");
}

struct Desk {
    ServiceSpec spec;
    SandboxInput input;
    Desk() {
        spec.name = "plates";
        input.spec = &spec;
        input.instance = "edge";
        input.identity = {0x70000001, 0x70000001, {}, "", "/"};
    }
    std::vector<std::string> lines() const {
        const auto sandbox = make_sandbox(input);
        REQUIRE_MESSAGE(sandbox, sandbox.error().what);
        return describe(*sandbox);
    }
    /// The instructions of one kind.
    std::string of(const std::string& kind) const {
        std::vector<std::string> out;
        for (const auto& line : lines()) {
            if (line == kind || line.starts_with(kind + " ")) {
                out.push_back(line);
            }
        }
        return join(out, "\n");
    }
    std::string refusal() const {
        const auto sandbox = make_sandbox(input);
        return sandbox ? "" : sandbox.error().what;
    }
};

}  // namespace

TEST_CASE("host mounts: those with files, without the kernel's and without the root") {
    CHECK(seen("22 27 0:21 / /proc rw - proc proc rw\n"
               "23 27 0:22 / /sys rw - sysfs sysfs rw\n"
               "24 27 0:6 / /dev rw - devtmpfs devtmpfs rw\n"
               "25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw\n"
               "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
               "28 27 254:1 / /srv rw,relatime shared:2 master:3 - ext4 /dev/vdb rw\n"
               "29 27 0:40 / /run rw - tmpfs tmpfs rw\n"
               "30 27 0:41 / /mnt/user rw - fuse.sshfs x rw\n"
               "31 27 0:42 / /mnt/ntfs rw - fuseblk x rw\n"
               "32 28 0:43 / /srv/cgroup rw - cgroup2 x rw\n"
               "33 27 0:44 / /var rw - btrfs x rw\n") == "/mnt/ntfs:fuseblk /srv:ext4 /var:btrfs");
}

TEST_CASE("host mounts: names are unescaped") {
    CHECK(seen("1 0 1:1 / / rw - ext4 x rw\n2 1 1:2 / /a\\040b\\134c\\011d rw - ext4 x rw\n"
               "3 1 1:2 / /not\\09octal\\ rw - xfs x rw\n") == "/a b\\c\td:ext4 /not\\09octal\\:xfs");
}

TEST_CASE("host mounts: what a later one hides is not there") {
    const std::string root = "1 0 1:1 / / rw - ext4 x rw\n";
    // Over the very place.
    CHECK(seen(root + "2 1 1:2 / /srv rw - ext4 x rw\n3 2 1:3 / /srv rw - xfs x rw\n") == "/srv:xfs");
    // Over a directory on the way; it is not so where that was there first.
    CHECK(seen(root + "2 1 1:2 / /srv/data rw - ext4 x rw\n3 1 1:3 / /srv rw - xfs x rw\n") == "/srv:xfs");
    CHECK(seen(root + "3 1 1:3 / /srv rw - xfs x rw\n2 3 1:2 / /srv/data rw - ext4 x rw\n") ==
          "/srv:xfs /srv/data:ext4");
    // On something that is hidden itself.
    CHECK(seen(root + "2 1 1:2 / /srv rw - ext4 x rw\n4 2 1:4 / /srv/data rw - ext4 x rw\n"
                      "3 2 1:3 / /srv rw - xfs x rw\n5 3 1:5 / /srv/new rw - ext4 x rw\n") == "/srv:xfs /srv/new:ext4");
    // A name that only begins alike.
    CHECK(seen(root + "2 1 1:2 / /srv2 rw - ext4 x rw\n3 1 1:3 / /srv rw - xfs x rw\n") == "/srv:xfs /srv2:ext4");
    // The root over the root.
    CHECK(seen(root + "2 1 1:2 / /srv rw - ext4 x rw\n6 1 1:6 / / rw - ext4 x rw\n7 6 1:7 / /opt rw - ext4 x rw\n") ==
          "/opt:ext4");
    // proc(5): the top of the tree may be its own parent.
    CHECK(seen("1 1 0:2 / / rw - rootfs rootfs rw\n2 1 1:1 / / rw - ext4 x rw\n3 2 1:2 / /srv rw - ext4 x rw\n") ==
          "/srv:ext4");
}

TEST_CASE("host mounts: lines that are none are passed over") {
    CHECK(seen("").empty());
    CHECK(seen("\n \n1\n1 2 3 4 5 6 7\n- - -\n1 0 1:1 / /x rw -\n").empty());
    CHECK(seen("5 5 1:1 / /x rw - ext4 x rw\n") == "/x:ext4");                          // its own parent
    CHECK(seen("5 6 1:1 / /x rw - ext4 x rw\n6 5 1:1 / /y rw - ext4 x rw\n").empty());  // a ring
}

TEST_CASE("sandbox: on the host's files it is the host's root, with what is private hidden") {
    Desk desk;
    desk.input.host_mounts = {{"/home", "ext4"},         {"/root/x", "ext4"},     {"/opt", "ext4"}, {"/tmp", "tmpfs"},
                              {"/var/lib/edge", "ext4"}, {"/var/tmp/x", "tmpfs"}, {"/var", "ext4"}, {"/homes", "ext4"}};
    CHECK(desk.of("root") == "root /");
    CHECK(desk.of("mount") == "mount /opt\nmount /var\nmount /homes");
    const std::string hidden = desk.of("hide");
    for (const char* path : {"/root", "/home", "/boot", "/etc/edge", "/var/lib/edge", "/etc/shadow", "/proc/kcore",
                             "/proc/sysrq-trigger"}) {
        CHECK_MESSAGE(hidden.find(std::string("hide ") + path) != std::string::npos, path);
    }
    CHECK(desk.lines().front() == "hostname plates");
    CHECK(desk.lines().back() == "end");
}

TEST_CASE("sandbox: an image's layers come from the top, and nothing of the host is named") {
    Desk desk;
    desk.input.layers = {"/store/low", "/store/top"};
    desk.input.host_mounts = {{"/opt", "ext4"}};
    CHECK(desk.of("layer") == "layer /store/top\nlayer /store/low");
    CHECK(desk.of("root").empty());
    CHECK(desk.of("mount").empty());
    CHECK(desk.of("hide").find("/etc/") == std::string::npos);
}

TEST_CASE("sandbox: what can be written is bounded by 'limits: {tmp:}' and by memory") {
    Desk desk;
    desk.spec.limits.tmp = 1 << 20;
    CHECK(desk.of("scratch") == cat("scratch ", (1 << 20) + 65536, " ", 256 + 1024));
    desk.input.memory_limit = 1 << 16;
    CHECK(desk.of("scratch") == cat("scratch ", 2 * 65536, " ", 16 + 1024));
}

TEST_CASE("sandbox: directories of its own, each before what is in it") {
    Desk desk;
    desk.spec.run.writable = {"/srv/a/b", "/tmp", "/srv/a"};
    CHECK(desk.of("own") ==
          "own /run 0755 1879048193 1879048193\nown /tmp 1777 1879048193 1879048193\n"
          "own /var/tmp 1777 1879048193 1879048193\nown /dev/shm 1777 1879048193 1879048193\n"
          "own /srv/a 0755 1879048193 1879048193\nown /srv/a/b 0755 1879048193 1879048193");
}

TEST_CASE("sandbox: files name their sources") {
    Desk desk;
    desk.input.hosts = {{*IpAddress::parse("198.19.0.1"), "a b"}, {*IpAddress::parse("fd76::1"), "c"}};
    desk.spec.files = {{"/etc/a", FileSpec::Source::text, "some text"},
                       {"/etc/b", FileSpec::Source::file, "b.conf"},
                       {"/etc/c", FileSpec::Source::secret, "c.key"}};
    CHECK(desk.of("text") ==
          "text /etc/hosts 127.0.0.1\tlocalhost plates\n::1\tlocalhost ip6-localhost ip6-loopback\n"
          "198.19.0.1\ta b\nfd76::1\tc\n\ntext /etc/hostname plates\n\ntext /etc/a some text");
    CHECK(desk.of("file") == "file /etc/b /etc/edge/files/b.conf");
    CHECK(desk.of("secret") == "secret /etc/c /etc/edge/secrets/c.key 1879048193 1879048193");
}

TEST_CASE("sandbox: the process has its user, its limits, no capability and its groups") {
    Desk desk;
    desk.input.cgroup_files = {"/sys/fs/cgroup/edge/plates.0/cgroup.procs"};
    desk.input.seccomp = std::string(24, '\0');
    desk.spec.run.directory = "/srv";
    CHECK(desk.of("cgroup") == "cgroup /sys/fs/cgroup/edge/plates.0/cgroup.procs");
    CHECK(desk.of("user") == "user 1879048193 1879048193 -");
    CHECK(desk.of("capabilities") == "capabilities 0");
    CHECK(desk.of("seccomp") == "seccomp 24");
    CHECK(desk.of("directory") == "directory /srv");
    CHECK(desk.of("rlimit") ==
          "rlimit nofile 1024 1024\nrlimit core 1 1\nrlimit memlock 65536 65536\nrlimit msgqueue 65536 65536\n"
          "rlimit nproc 1024 1024");
    desk.input.identity = {1000, 1000, {4, 24}, "me", "/"};
    desk.spec.limits.open_files.source = LimitsSpec::Source::none;
    CHECK(desk.of("user") == "user 1000 1000 4,24");
    CHECK(desk.of("rlimit").find("nproc") == std::string::npos);  // others have this user, too
    CHECK(desk.of("rlimit").find("nofile") == std::string::npos);
}

TEST_CASE("sandbox: opting out is item by item") {
    Desk desk;
    CHECK(desk.of("sys").empty());
    CHECK(desk.of("writable").empty());
    CHECK(desk.of("proc") == "proc hidepid=2,gid=4294967294");
    desk.spec.sandbox.allow = {"sys", "writable-root", "proc"};
    CHECK(desk.of("sys") == "sys");
    CHECK(desk.of("writable") == "writable");
    CHECK(desk.of("proc") == "proc ");
    CHECK(desk.of("hide").find("/proc/kcore") == std::string::npos);
    CHECK(desk.of("readonly").find("readonly /proc/sys") != std::string::npos);
    CHECK(desk.of("hide").find("/proc/sysrq-trigger") != std::string::npos);
}

TEST_CASE("sandbox: what is impossible is refused with its field") {
    Desk desk;
    SUBCASE("root") {
        desk.input.identity = {};
        CHECK(desk.refusal() == "to run as root needs 'sandbox: {allow: [root]}'");
    }
    SUBCASE("writable") {
        for (const char* path : {"/", "/proc", "/dev/x", "/sys", "srv", "/a/../b", "/a/", "//a", "/a/./b"}) {
            desk.spec.run.writable = {path};
            CHECK_MESSAGE(desk.refusal().starts_with("'run: {writable: ["), path);
        }
    }
    SUBCASE("files") {
        for (const char* path : {"/", "/proc/sys/x", "/dev/null", "/sys", "etc/x", "/etc/../x"}) {
            desk.spec.files = {{path, FileSpec::Source::text, ""}};
            CHECK_MESSAGE(desk.refusal().starts_with("'files:' cannot put anything at '"), path);
        }
        for (const char* name : {"", "../x", "/x", "a/../../x", "."}) {
            desk.spec.files = {{"/etc/x", FileSpec::Source::secret, name}};
            CHECK_MESSAGE(desk.refusal().starts_with("'files:' cannot take '"), name);
        }
        desk.spec.files = {{"/etc/x", FileSpec::Source::text, std::string("a\0b", 3)}};
        CHECK(desk.refusal() == "'a' holds a NUL");
        desk.spec.files = {{"/etc/x", FileSpec::Source::text, std::string(5 << 20, 'x')}};
        CHECK(desk.refusal() == "'files:' holds too much text");
    }
    SUBCASE("too much") {
        desk.input.host_mounts.assign(1000, {"/x", "ext4"});
        CHECK(desk.refusal() == "too many mounts of the host, layers or files for one sandbox");
    }
}
