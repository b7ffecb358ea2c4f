// SPDX-License-Identifier: GPL-2.0-only
// What encloses a service, as its file says it: the root, the sandbox, limits and files.
#include <doctest/doctest.h>

#include "base/text.h"
#include "controller/spec/allowances.h"
#include "spec_texts.h"

using namespace viscum;
using namespace viscum::test;

namespace {

constexpr std::uint64_t kMega = 1024UL * 1024;

std::string service_with(const std::string& run, const std::string& more = "") {
    return "viscum: 1\nname: web\nintercept: [{ address: 203.0.113.10, port: 443 }]\nrun: " + run + "\n" + more;
}
std::string run_says(const std::string& run, const std::string& more = "") {
    return service_says(service_with(run, more));
}
/// `items` of `files`, which begins in line 5, column 8.
std::string files_say(const std::string& items) {
    return says("files: [" + items + "]\n");
}
LimitsSpec limits_of(const std::string& limits) {
    return service_of(kService + "limits: { " + limits + " }\n").limits;
}
std::string limits_say(const std::string& limits) {
    return says("limits: { " + limits + " }\n");
}

}  // namespace

TEST_CASE("spec: with an image the command may be left out, and its program be looked up") {
    CHECK(service_of(service_with("{ image: nginx:1.27 }")).run.image == "nginx:1.27");
    CHECK(service_of(service_with("{ image: images/plates.tar }")).run.command.empty());
    CHECK(run_says("{ image: a, command: [nginx, -g, x] }") == "accepted");
    CHECK(run_says("{ rootfs: /srv/a, command: [nginx] }") == "accepted");
    CHECK(run_says("{ rootfs: /srv/a }") ==
          "web.yaml:4:6: 'command' is missing (command: [/usr/sbin/nginx, -g, \"daemon off;\"])");
    CHECK(run_says("{ image: a, command: [./nginx] }") ==
          "web.yaml:4:28: program './nginx' is no absolute path (write /usr/sbin/nginx, or nginx to have it looked up "
          "in PATH)");
    CHECK(run_says("{ image: a }", "health: { exec: [check, -q] }\n") == "accepted");
    CHECK(run_says("{ command: [/a] }", "health: { exec: [check, -q] }\n") != "accepted");
}

TEST_CASE("spec: a root is a directory or an image, not both") {
    CHECK(run_says("{ image: a, rootfs: /srv/a, command: [/a] }") ==
          "web.yaml:4:8: 'image' beside 'rootfs' (one of the two, or none for the host's files)");
    CHECK(run_says("{ rootfs: srv, command: [/a] }") ==
          "web.yaml:4:16: 'srv' is no plain absolute path (an absolute path without '.' and '..', such as "
          "/var/cache/nginx)");
    CHECK(run_says("{ rootfs: /, command: [/a] }") == "web.yaml:4:16: '/' is the whole root (name something below it)");
    const std::string hint =
        " is no name of an image (such as nginx:1.27 or plates.tar: letters, digits and ._/:@-, a letter or digit "
        "first)";
    for (const std::string image :
         {"-a", "./plates.tar", "/srv/plates.tar", "../a", ".a", "a b", "a%2f", "gr\xc3\xbc"}) {
        CHECK(run_says("{ image: '" + image + "' }").ends_with(hint));
    }
    CHECK(run_says("{ image: \"a\\nb\" }") == "web.yaml:4:15: 'a\\x0ab'" + hint);
    CHECK(run_says("{ image: 'docker.io/library/nginx:1.27-alpine' }") == "accepted");
    CHECK(run_says("{ image: 'sha256:" + repeated("0", 64) + "' }") == "accepted");
    CHECK(run_says("{ image: " + repeated("a", 255) + " }") == "accepted");
    CHECK(run_says("{ image: " + repeated("a", 256) + " }").ends_with(hint));
}

TEST_CASE("spec: a path within the service is absolute, plain, and not the kernel's") {
    const std::string hint = " (an absolute path without '.' and '..', such as /var/cache/nginx)";
    for (const std::string path :
         {"var", "/var/", "//var", "/var//a", "/./var", "/var/..", "\"/a\\0b\"", "\"/a\\tb\""}) {
        CHECK(run_says("{ command: [/a], writable: [" + path + "] }") != "accepted");
        CHECK(run_says("{ command: [/a], directory: " + path + " }") != "accepted");
    }
    CHECK(run_says("{ command: [/a], writable: [/var/../etc] }") ==
          "web.yaml:4:34: '/var/../etc' is no plain absolute path" + hint);
    CHECK(run_says("{ command: [/a], writable: [/" + repeated("a", 255) + "] }") == "accepted");
    CHECK(run_says("{ command: [/a], writable: [/" + repeated("a", 256) + "] }") != "accepted");
    CHECK(run_says("{ command: [/a], writable: [" + repeated("/a", 513) + "] }") != "accepted");
    for (const std::string path : {"/proc", "/proc/sys", "/sys", "/sys/fs", "/dev", "/dev/shm"}) {
        CHECK(run_says("{ command: [/a], writable: [" + path + "] }").find(" is the kernel's (nothing in /") !=
              std::string::npos);
    }
    CHECK(run_says("{ command: [/a], writable: [/process, /..a, /.b] }") == "accepted");
    CHECK(run_says("{ command: [/a], directory: / }") == "accepted");
}

TEST_CASE("spec: writable directories are few, and none is there twice") {
    CHECK(run_says("{ command: [/a], writable: [/var, /var] }") == "web.yaml:4:40: '/var' is there twice");
    CHECK(run_says("{ command: [/a], writable: [/run/nginx, /var/cache, /var/cache/nginx] }") == "accepted");
    std::string many = "/d0";
    for (int i = 1; i < 16; ++i) {
        many += ", /d" + std::to_string(i);
    }
    CHECK(run_says("{ command: [/a], writable: [" + many + "] }") == "accepted");
    CHECK(run_says("{ command: [/a], writable: [" + many + ",\n  /e] }") ==
          "web.yaml:5:3: too many items of 'writable' (at most 16)");
}

TEST_CASE("spec: root is a user only where the sandbox allows it") {
    const std::string refused =
        "web.yaml:4:29: a service does not run as root (leave 'user' out for an account of its own, or write sandbox: "
        "{ allow: [root] })";
    CHECK(run_says("{ command: [/a], user: root }") == refused);
    CHECK(run_says("{ command: [/a], user: 0 }") == refused);
    CHECK(run_says("{ command: [/a], user: 0 }", "sandbox: { allow: [cap_setuid] }\n") == refused);
    CHECK(service_of(service_with("{ command: [/a], user: root }", "sandbox: { allow: [root] }\n")).run.user == "root");
    CHECK(service_of(service_with("{ image: a, user: 0 }", "sandbox: { allow: [root] }\n")).run.user == "0");
}

TEST_CASE("spec: with an image a user is a number, since names are the image's own") {
    CHECK(service_of(service_with("{ image: a, user: 101 }")).run.user == "101");
    CHECK(run_says("{ image: a, user: www-data }") ==
          "web.yaml:4:24: user 'www-data' is a name, and names are the image's own (write its number, or leave it out "
          "for the image's user)");
    CHECK(run_says("{ rootfs: /srv/a, command: [/a], user: www-data }") == "accepted");
}

TEST_CASE("spec: every allowance has its name, and a capability that cannot be given says why") {
    for (const auto& allowance : kAllowances) {
        CHECK(service_of(kService + cat("sandbox: { allow: [", allowance.name, "] }\n")).sandbox.allow.size() == 1);
    }
    for (const auto& capability : kCapabilities) {
        CHECK(service_of(kService + cat("sandbox: { allow: [", capability.name, "] }\n")).sandbox.allow.size() == 1);
    }
    CHECK(says("sandbox: { allow: [rot] }\n") ==
          "web.yaml:5:20: 'rot' is nothing that can be allowed (did you mean 'root'?)");
    CHECK(says("sandbox: { allow: [CAP_SETUID] }\n") ==
          "web.yaml:5:20: 'CAP_SETUID' is nothing that can be allowed (did you mean 'cap_setuid'?)");
    CHECK(says("sandbox: { allow: [cap_sys_admin, CAP_SYS_MODULE] }\n") ==
          "web.yaml:5:20: 'cap_sys_admin' cannot be given (it amounts to root on the host)\n"
          "web.yaml:5:35: 'CAP_SYS_MODULE' cannot be given (it loads code into the kernel)");
    CHECK(says("sandbox: { allow: [everything] }\n")
              .starts_with("web.yaml:5:20: 'everything' is nothing that can be allowed (one of root, writable-root, "));
    CHECK(says("sandbox: { allow: [root, root] }\n") == "web.yaml:5:26: 'root' is there twice");
    CHECK(says("sandbox: { allow: [] }\n") ==
          "web.yaml:5:19: 'allow' is empty (allow: [root], names of what it is let off of)");
    CHECK(says("sandbox: {}\n") == "web.yaml:5:10: 'allow' is missing (allow: [root], names of what it is let off of)");
    CHECK(says("sandbox: off\n") == "web.yaml:5:10: 'sandbox' is a single value where a map is expected");
}

TEST_CASE("spec: every capability of Linux can be given or is refused with a reason, none twice") {
    // linux/capability.h; one that is neither would be called unknown.
    const std::vector<std::string> all{"chown",
                                       "dac_override",
                                       "dac_read_search",
                                       "fowner",
                                       "fsetid",
                                       "kill",
                                       "setgid",
                                       "setuid",
                                       "setpcap",
                                       "linux_immutable",
                                       "net_bind_service",
                                       "net_broadcast",
                                       "net_admin",
                                       "net_raw",
                                       "ipc_lock",
                                       "ipc_owner",
                                       "sys_module",
                                       "sys_rawio",
                                       "sys_chroot",
                                       "sys_ptrace",
                                       "sys_pacct",
                                       "sys_admin",
                                       "sys_boot",
                                       "sys_nice",
                                       "sys_resource",
                                       "sys_time",
                                       "sys_tty_config",
                                       "mknod",
                                       "lease",
                                       "audit_write",
                                       "audit_control",
                                       "setfcap",
                                       "mac_override",
                                       "mac_admin",
                                       "syslog",
                                       "wake_alarm",
                                       "block_suspend",
                                       "audit_read",
                                       "perfmon",
                                       "bpf",
                                       "checkpoint_restore"};
    CHECK(all.size() == 41);
    for (const auto& name : all) {
        const auto said = says("sandbox: { allow: [cap_" + name + "] }\n");
        CAPTURE(name);
        CHECK((said == "accepted") == capability_number("cap_" + name).has_value());
        CHECK((said == "accepted" || said.find("' cannot be given (") != std::string::npos));
    }
}

TEST_CASE("spec: limits have units, defaults, bounds and an end") {
    CHECK(limits_of("memory: 64M").memory == LimitsSpec::Limit<std::uint64_t>{64 * kMega, LimitsSpec::Source::file});
    CHECK(limits_of("memory: 4096K").memory.value == 4 * kMega);
    CHECK(limits_of("memory: 1G").memory.value == 1024 * kMega);
    CHECK_FALSE(limits_of("memory: none").memory.any());
    CHECK_FALSE(limits_of("pids: none").pids.any());
    CHECK(limits_of("cpu: 6400%").cpu.value == 6400);
    CHECK_FALSE(limits_of("cpu: none").cpu.any());
    CHECK(limits_of("pids: 1").pids == LimitsSpec::Limit<std::uint32_t>{1, LimitsSpec::Source::file});
    CHECK(service_of(kService).limits == LimitsSpec{});
    CHECK(service_of(kService + "limits: {}\n").limits == LimitsSpec{});

    const std::string size = " is no size (a whole number and K, M or G, such as 64M)";
    CHECK(limits_say("memory: 64") == "web.yaml:5:19: 'memory': '64'" + size);
    CHECK(limits_say("memory: 64m") == "web.yaml:5:19: 'memory': '64m'" + size);
    CHECK(limits_say("memory: 64MB") == "web.yaml:5:19: 'memory': '64MB'" + size);
    CHECK(limits_say("memory: 1.5G") == "web.yaml:5:19: 'memory': '1.5G'" + size);
    CHECK(limits_say("memory: -1M") == "web.yaml:5:19: 'memory': '-1M'" + size);
    CHECK(limits_say("memory: M") == "web.yaml:5:19: 'memory': 'M'" + size);
    CHECK(limits_say("memory: 99999999999G") == "web.yaml:5:19: 'memory': '99999999999G'" + size);
    CHECK(limits_say("memory: 4095K") == "web.yaml:5:19: 'memory': 4095K is out of range (4M to 1024G)");
    CHECK(limits_say("memory: 1025G") == "web.yaml:5:19: 'memory': 1025G is out of range (4M to 1024G)");
    const std::string part = " is no part of a CPU (a percentage of one CPU: 50% is half of it, 200% are two)";
    CHECK(limits_say("cpu: 0.5") == "web.yaml:5:16: 'cpu': '0.5'" + part);
    CHECK(limits_say("cpu: 50") == "web.yaml:5:16: 'cpu': '50'" + part);
    CHECK(limits_say("cpu: '%'") == "web.yaml:5:16: 'cpu': '%'" + part);
    CHECK(limits_say("cpu: 0%") == "web.yaml:5:16: 'cpu': 0% is out of range (1% to 6400%)");
    CHECK(limits_say("cpu: 6401%") == "web.yaml:5:16: 'cpu': 6401% is out of range (1% to 6400%)");
    CHECK(limits_say("pids: 0") == "web.yaml:5:17: 'pids': 0 is out of range (1 to 4194304)");
    CHECK(limits_say("open_files: 15") == "web.yaml:5:23: 'open_files': 15 is out of range (16 to 1048576)");
    CHECK(limits_say("open_files: none") == "web.yaml:5:23: 'open_files' always has a limit (16 to 1048576)");
    CHECK(limits_say("tmp: 0") == "web.yaml:5:16: 'tmp': '0'" + size);
    CHECK(limits_say("tmp: 0M") == "web.yaml:5:16: 'tmp': 0M is out of range (64K to 1024G)");
    CHECK(limits_say("required: no") == "web.yaml:5:21: 'required': unknown value 'no' (one of true, false)");
    CHECK(limits_say("memmory: 64M") == "web.yaml:5:11: unknown key 'memmory' (did you mean 'memory'?)");
}

TEST_CASE("spec: what lies in /tmp fits into the memory") {
    CHECK(limits_of("memory: 256M").tmp == 32 * kMega);
    CHECK(limits_of("memory: 16M").tmp == 8 * kMega);
    CHECK(limits_of("memory: 16M, tmp: 16M").tmp == 16 * kMega);
    CHECK(limits_of("memory: none").tmp == 32 * kMega);
    CHECK(limits_say("memory: 16M, tmp: 17M") ==
          "web.yaml:5:29: 'tmp' is larger than 'memory', 16M (it counts as memory)");
}

TEST_CASE("spec: a file has one content") {
    CHECK(files_say("{ path: /etc/a, text: '' }, { path: /etc/b, file: A-1_b.c }, { path: /etc/c, secret: c }") ==
          "accepted");
    CHECK(files_say("{ path: /etc/a }") ==
          "web.yaml:5:9: what the file holds is missing (one of text, file and secret)");
    CHECK(files_say("{ path: /etc/a, text: x, secret: y }") ==
          "web.yaml:5:34: 'secret' beside 'text' (one of text, file and secret)");
    CHECK(files_say("{ text: x }") == "web.yaml:5:9: 'path' is missing (path: /etc/app.conf)");
    CHECK(files_say("/etc/a") == "web.yaml:5:9: an item of 'files' is a single value where a map is expected");
    CHECK(files_say("{ path: /etc/a, text: \"a\\0b\" }") == "web.yaml:5:31: 'text' holds a NUL byte");
    const auto large = repeated("a", 200'000);
    CHECK(service_of(kService + "files: [{ path: /etc/a, text: " + large + " }]\n").files.at(0).content == large);
}

TEST_CASE("spec: files and secrets are plain names of the instance's own directories") {
    const std::string hint = " is no name of a file (1 to 64 of letters, digits, '.', '_' and '-', no '.' first)";
    for (const std::string key : {"file", "secret"}) {
        for (const std::string name : {"../a", "a/b", ".a", "..", "/a", "a b"}) {
            CHECK(files_say("{ path: /etc/a, " + key + ": '" + name + "' }").ends_with("'" + name + "'" + hint));
        }
        CHECK(files_say("{ path: /etc/a, " + key + ": " + repeated("a", 64) + " }") == "accepted");
        CHECK(files_say("{ path: /etc/a, " + key + ": " + repeated("a", 65) + " }") != "accepted");
    }
}

TEST_CASE("spec: no two files are in each other's way, nor in that of a directory") {
    CHECK(files_say("{ path: /etc/a, text: x }, { path: /etc/a, text: x }") ==
          "web.yaml:5:44: '/etc/a' is there twice");
    CHECK(files_say("{ path: /etc/a, text: x }, { path: /etc/a/b, text: x }") ==
          "web.yaml:5:44: '/etc/a/b' lies below '/etc/a'");
    CHECK(files_say("{ path: /etc/a/b, text: x }, { path: /etc/a, text: x }") ==
          "web.yaml:5:46: '/etc/a' lies above '/etc/a/b'");
    CHECK(files_say("{ path: /dev/null, text: x }") ==
          "web.yaml:5:17: '/dev/null' is the kernel's (nothing in /dev can be replaced)");
    for (const std::string path : {"/tmp", "/run", "/var", "/var/tmp"}) {
        CHECK(files_say("{ path: " + path + ", text: x }") ==
              "web.yaml:5:17: '" + path + "' is a directory of the service's own, or above one");
    }
    const auto beside = [](const std::string& path) {
        return run_says("{ command: [/a], writable: [/var/cache] }", "files: [{ path: " + path + ", text: x }]\n");
    };
    CHECK(beside("/var/cache/seed") == "accepted");
    CHECK(beside("/var/cache").ends_with("'/var/cache' is a directory of the service's own, or above one"));
    CHECK(beside("/var").ends_with("'/var' is a directory of the service's own, or above one"));
    std::string many;
    for (int i = 0; i < 64; ++i) {
        many += "{ path: /f" + std::to_string(i) + ", text: x },\n";
    }
    CHECK(files_say(many) == "accepted");
    CHECK(files_say(many + "{ path: /g, text: x }") == "web.yaml:69:1: too many items of 'files' (at most 64)");
}

TEST_CASE("spec: of a secret the file says the name, and nothing more is known here") {
    const auto spec = service_of(kService + "files: [{ path: /etc/k, secret: key.pem }]\n");
    REQUIRE(spec.files.size() == 1);
    CHECK(spec.files[0] == FileSpec{"/etc/k", FileSpec::Source::secret, "key.pem"});
}

TEST_CASE("spec: allowances that lift each other's bounds are refused together") {
    CHECK(run_says("{ command: [/a], user: root }", "sandbox: { allow: [root, namespaces] }\n") ==
          "web.yaml:5:10: 'namespaces' is not allowed together with 'root' or 'cap_setuid' (root in a namespace of its "
          "own could lift its own limits)");
    CHECK(run_says("{ command: [/a] }", "sandbox: { allow: [namespaces, cap_setuid] }\n") != "accepted");
    CHECK(run_says("{ command: [/a] }", "sandbox: { allow: [namespaces, keyring] }\n") == "accepted");
    CHECK(run_says("{ command: [/a], user: nobody }", "sandbox: { allow: [keyring] }\n") != "accepted");
    CHECK(run_says("{ command: [/a] }", "sandbox: { allow: [io_uring, cap_net_raw] }\n") ==
          "web.yaml:5:10: 'io_uring' is not allowed together with 'cap_net_raw' (sockets that io_uring makes pass no "
          "filter)");
    CHECK(run_says("{ command: [/a] }", "sandbox: { allow: [io_uring] }\n") == "accepted");
}
