// SPDX-License-Identifier: GPL-2.0-only
// What a service on the host's files sees of them, and of the kernel.
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/text.h"
#include "tests/root/sandbox/inside.h"

namespace viscum {
namespace {

TEST_CASE("root: it cannot be changed") {
    Inside inside;
    SUBCASE("an account of its own") {}
    SUBCASE("root") {
        inside.input.identity = {};
        inside.service.sandbox.allow = {"root"};
    }
    CHECK(inside.say("for d in / /etc /usr/bin /var/lib /dev /srv; do touch $d/x 2> /dev/null && echo $d; done; "
                     "rm -f /etc/passwd 2> /dev/null; ls /etc/passwd") == "/etc/passwd\n");
    CHECK(inside.say("mount -o remount,rw / 2>&1 || echo refused").ends_with("refused\n"));
}

TEST_CASE("root: what is changed on the host shows at once") {
    put("/etc/changes", "old");
    Inside inside("while [ ! -e /tmp/go ]; do sleep 0.01; done; cat /etc/changes");
    const std::string before = must(read_file("/etc/changes", 100));
    Process process = inside.launch();
    std::string go;
    REQUIRE(eventually([&] {
        go = path_inside(process, "/tmp");
        return access(go.c_str(), F_OK) == 0 && access(path_inside(process, "/root/.").c_str(), F_OK) == 0;
    }));
    REQUIRE(eventually([&] { return must(read_file(path_inside(process, "/etc/hostname"), 100)) == "web\n"; }));
    put("/etc/changes", "new");
    put(go + "/go", "");
    CHECK(inside.finish(process).success());
    CHECK(inside.said() == "new\n");
}

TEST_CASE("root: the host's private directories are empty") {
    put("/etc/viscum/secrets/key", "secret");
    put("/etc/viscum/services/web.yaml", "viscum: 1");
    put("/etc/viscum/viscum.yaml", "lan: []");
    put("/var/lib/viscum/state.0", "state");
    put("/run/viscum/x", "x");
    put("/tmp/of-the-host", "x");
    Inside inside;
    SUBCASE("for an account of its own") {}
    SUBCASE("for root") {
        inside.input.identity = {};
        inside.service.sandbox.allow = {"root"};
    }
    CHECK(inside.say("ls -A /root /home /boot /etc/viscum /var/lib/viscum /run /tmp "
                     "/var/tmp /dev/shm | grep -v -e : -e '^$'") == "");
    CHECK(inside.say("cat /etc/shadow") == "");
}

TEST_CASE("root: other filesystems of the host are there, read-only") {
    const std::string path = "/srv/with blank";
    const std::string base = new_directory();
    REQUIRE(mount("tmpfs", base.c_str(), "tmpfs", 0, nullptr) == 0);
    REQUIRE(mount(base.c_str(), "/srv", nullptr, MS_BIND, nullptr) == 0);
    REQUIRE(make_directory(path, 0777));
    REQUIRE(mount("tmpfs", path.c_str(), "tmpfs", 0, "mode=0777") == 0);
    put(path + "/file", "content\n");
    {
        Inside inside;
        CHECK(inside.say("cat '/srv/with blank/file'; touch '/srv/with blank/x' 2>&1") ==
              "content\ntouch: cannot touch '/srv/with blank/x': Read-only file system\n");
    }
    REQUIRE(umount2(path.c_str(), MNT_DETACH) == 0);
    REQUIRE(umount2("/srv", MNT_DETACH) == 0);
    REQUIRE(umount2(base.c_str(), MNT_DETACH) == 0);
}

TEST_CASE("root: a mount that has gone meanwhile is no mistake") {
    Inside inside;
    inside.input.host_mounts.push_back({"/no/such/mount", "ext4"});
    CHECK(inside.say("echo runs") == "runs\n");
}

TEST_CASE("root: /tmp and its like are private, bounded together, and the service's own") {
    Inside inside;
    inside.service.limits.tmp = 1024 * 1024;
    inside.service.run.writable = {"/var/cache/web", "/run/web"};
    CHECK(inside.say("for d in /tmp /run /var/tmp /dev/shm /var/cache/web /run/web; do echo x > $d/x && "
                     "stat -c '%a %u %n' $d; done") == cat("1777 ", kOwnUid, " /tmp\n755 ", kOwnUid, " /run\n1777 ",
                                                           kOwnUid, " /var/tmp\n1777 ", kOwnUid, " /dev/shm\n755 ",
                                                           kOwnUid, " /var/cache/web\n755 ", kOwnUid, " /run/web\n"));
    CHECK(access("/tmp/x", F_OK) != 0);
    CHECK(access("/var/cache/web", F_OK) != 0);
    const std::string full =
        inside.say("head -c 600000 /dev/zero > /tmp/a; head -c 600000 /dev/zero > /run/b; wc -c < /run/b");
    CHECK(full.find("No space left on device") != std::string::npos);
    CHECK(inside.say("cd /tmp; seq 5000 | xargs touch 2> /dev/null; [ $(ls | wc -l) -lt 2000 ] && echo bounded") ==
          "bounded\n");
    CHECK(inside.say("ls -A /tmp") == "");
}

TEST_CASE("root: a memory limit bounds what it may write") {
    Inside inside;
    inside.input.memory_limit = 1024 * 1024;
    CHECK(inside.say("head -c 3000000 /dev/zero > /tmp/a; echo $?").ends_with("\n1\n"));
}

TEST_CASE("root: /dev holds what everybody needs, and nothing else") {
    Inside inside;
    CHECK(inside.say("ls -A /dev | tr '\\n' ' '") == "fd full null random shm stderr stdin stdout tty urandom zero \n");
    CHECK(inside.say("stat -c '%n %F %t:%T %a' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty") ==
          "/dev/null character special file 1:3 666\n/dev/zero character special file 1:5 666\n"
          "/dev/full character special file 1:7 666\n/dev/random character special file 1:8 666\n"
          "/dev/urandom character special file 1:9 666\n/dev/tty character special file 5:0 666\n");
    CHECK(inside.say("head -c 4 /dev/urandom | wc -c; echo x > /dev/null; echo x 2> /dev/null > /dev/full || echo full;"
                     "echo out > /dev/stdout") == "4\nfull\nout\n");
    CHECK(inside.say("mknod /tmp/null c 1 3 2> /dev/null || echo no") == "no\n");
}

TEST_CASE("root: devices elsewhere cannot be opened") {
    const std::string root = new_directory();
    for (const char* program : {"/bin/sh", "/bin/cat"}) {
        copy_program(root, program);
    }
    REQUIRE(mknod((root + "/zero").c_str(), S_IFCHR | 0666, makedev(1, 5)) == 0);
    REQUIRE(chmod((root + "/zero").c_str(), 0666) == 0);
    Inside inside;
    inside.input.host_mounts.clear();
    inside.service.run.rootfs = root;
    CHECK(inside.say("cat /zero 2>&1") == "cat: /zero: Permission denied\n");
}

TEST_CASE("root: /proc shows the service's own processes, and nothing of the machine") {
    Inside inside;
    SUBCASE("to an account of its own") {}
    SUBCASE("to root") {
        inside.input.identity = {};
        inside.service.sandbox.allow = {"root"};
    }
    CHECK(inside.say("echo /proc/[0-9]*") == "/proc/2\n");
    CHECK(inside.say("cat /proc/kcore /proc/keys /proc/key-users /proc/timer_list /proc/interrupts /proc/kmsg "
                     "/proc/sysrq-trigger /proc/slabinfo 2> /dev/null; ls -A /proc/acpi /proc/irq /proc/tty /proc/bus "
                     "/proc/fs | grep -v -e : -e '^$'") == "");
    CHECK(inside.say("echo 1 > /proc/sysrq-trigger || echo refused").ends_with("refused\n"));
    CHECK(inside
              .say("for f in kernel/hostname net/ipv4/ip_forward kernel/core_pattern vm/drop_caches; do "
                   "echo 1 2> /dev/null > /proc/sys/$f && echo $f; done; echo done")
              .ends_with("done\n"));
    CHECK(inside.say("for f in kernel/hostname net/ipv4/ip_forward kernel/core_pattern vm/drop_caches; do "
                     "(echo 1 > /proc/sys/$f) 2>&1 | grep -o 'Read-only\\|Permission\\|nonexistent'; done | sort -u | "
                     "grep -c .") != "0\n");
    CHECK(inside.say("cat /proc/uptime /proc/meminfo /proc/cpuinfo /proc/self/stat > /tmp/x && echo readable") ==
          "readable\n");
    CHECK(inside.say("echo name > /proc/self/comm && echo writable") == "writable\n");
}

TEST_CASE("root: with 'allow: [proc]' all of /proc is seen, and still nothing can be set") {
    Inside inside;
    inside.input.identity = {};
    inside.service.sandbox.allow = {"root", "proc"};
    CHECK(inside.say("echo /proc/[0-9]*") == "/proc/1 /proc/2\n");
    CHECK(inside.say("[ -s /proc/interrupts ] && head -c 1 /proc/interrupts | wc -c") == "");
    CHECK(inside.say("head -c 1 /proc/interrupts | wc -c") == "1\n");
    for (const char* file : {"sys/net/ipv4/ip_forward", "sys/kernel/hostname", "sysrq-trigger"}) {
        CAPTURE(std::string(file));
        if (access(cat("/proc/", file).c_str(), F_OK) != 0) {
            continue;  // a kernel without it
        }
        CHECK(inside.say(cat("(echo 1 > /proc/", file, ") 2>&1 | grep -c 'Read-only\\|Permission'")) == "1\n");
    }
}

TEST_CASE("root: there is no /sys, unless it is allowed, and then it cannot be changed") {
    Inside inside;
    CHECK(inside.say("ls -A /sys") == "");
    inside.service.sandbox.allow = {"sys"};
    CHECK(inside.say("ls -d /sys/class /sys/kernel") == "/sys/class\n/sys/kernel\n");
    CHECK(inside.say("awk '$5 == \"/sys\" {print $6}' /proc/self/mountinfo") == "ro,nosuid,nodev,noexec,relatime\n");
}

TEST_CASE("root: with 'allow: [writable-root]' changes stay in memory, and go with the service") {
    Inside inside;
    inside.input.identity = {};
    inside.service.sandbox.allow = {"root", "writable-root"};
    CHECK(inside.say("echo x > /etc/changed && echo y > /opt/changed && rm /etc/passwd && ls /etc/changed /etc/passwd "
                     "2> /dev/null") == "/etc/changed\n");
    CHECK(access("/etc/changed", F_OK) != 0);
    CHECK(access("/opt/changed", F_OK) != 0);
    CHECK(access("/etc/passwd", F_OK) == 0);
    CHECK(inside.say("ls /etc/changed /opt/changed 2> /dev/null; ls /etc/passwd") == "/etc/passwd\n");
}

TEST_CASE("root: no program gets rights by its file") {
    Inside inside;
    CHECK(inside.say("awk '{print $6}' /proc/self/mountinfo | grep -vc nosuid") == "0\n");
}

TEST_CASE("root: nothing of the host's mounts is left in the sandbox") {
    const std::string path = new_directory();
    REQUIRE(mount("tmpfs", path.c_str(), "tmpfs", 0, nullptr) == 0);
    Inside inside;
    const std::string mounts = inside.say("cut -d' ' -f4,5 /proc/self/mountinfo");
    CHECK(mounts.find(path) == std::string::npos);
    CHECK(mounts.find("/run/supervise") == std::string::npos);
    CHECK(mounts.find("/cgroup") == std::string::npos);
    CHECK(mounts.find("/dev/pts") == std::string::npos);
    REQUIRE(umount2(path.c_str(), MNT_DETACH) == 0);
}

TEST_CASE("root: nothing stays mounted on the host, and the run directory can be removed") {
    const auto before = must(read_file("/proc/self/mountinfo", 1 << 20));
    Inside inside("exec sleep 1000");
    inside.service.files = {{"/etc/made", FileSpec::Source::text, "x"}};
    Process process = inside.launch();
    REQUIRE(eventually([&] { return enter_and_finish(beside(inside, {"/bin/true"})).status.success(); }));
    CHECK(must(read_file("/proc/self/mountinfo", 1 << 20)) == before);
    CHECK(access("/etc/made", F_OK) != 0);
    CHECK(process.kill());
    inside.finish(process);
    CHECK(must(read_file("/proc/self/mountinfo", 1 << 20)) == before);
    REQUIRE(remove_directory(inside.spec.run_dir + "/log"));
    CHECK(remove_directory(inside.spec.run_dir));
}

}  // namespace
}  // namespace viscum
