// SPDX-License-Identifier: GPL-2.0-only
// What is wrong with a service file: the whole sentence and its place.
#include <doctest/doctest.h>

#include "spec_texts.h"

using namespace viscum;
using namespace viscum::test;

namespace {

constexpr std::string_view kInterceptHint = "(intercept: [{ address: 203.0.113.10, port: 443, protocol: tcp }])";

/// What the parser says to a service whose `intercept` is `claims`, which begins in line 3, column 12.
std::string claims_say(const std::string& claims) {
    return service_says("viscum: 1\nname: web\nintercept: " + claims + "\nrun: { command: [/bin/web] }\n");
}
std::string address_says(const std::string& address) {
    return claims_say("[{ address: " + address + " }]");
}
std::string port_says(const std::string& port) {
    return claims_say("[{ address: 203.0.113.10, port: " + port + " }]");
}
std::string name_says(const std::string& name) {
    return service_says("viscum: 1\nname: " + name +
                        "\nintercept: [{ address: 203.0.113.10 }]\nrun: { command: [/a] }\n");
}
std::string run_says(const std::string& run) {
    return service_says("viscum: 1\nname: web\nintercept: [{ address: 203.0.113.10 }]\nrun: " + run + "\n");
}

}  // namespace

TEST_CASE("spec: what has to be there is asked for, all of it at once") {
    CHECK(service_says("on_failure: cloud\n") ==
          "web.yaml:1:1: 'viscum' is missing (begin the file with viscum: 1)\n"
          "web.yaml:1:1: 'name' is missing (name: web)\n"
          "web.yaml:1:1: 'intercept' is missing " +
              std::string(kInterceptHint) +
              "\n"
              "web.yaml:1:1: 'run' is missing (run: { command: [/usr/sbin/nginx, -g, \"daemon off;\"] })");
    CHECK(run_says("{ user: nobody }") ==
          "web.yaml:4:6: 'command' is missing (command: [/usr/sbin/nginx, -g, \"daemon off;\"])");
    CHECK(claims_say("[{ port: 443 }]") == "web.yaml:3:13: 'address' is missing (address: 203.0.113.10)");
    CHECK(claims_say("[]") == "web.yaml:3:12: 'intercept' is empty " + std::string(kInterceptHint));
}

TEST_CASE("spec: an empty file says so") {
    CHECK(service_says("") == "web.yaml:1:1: the file is empty");
    CHECK(service_says("# nothing\n\n") == "web.yaml:1:1: the file is empty");
    CHECK(service_says("~") == "web.yaml:1:1: the file is empty");
    CHECK(service_says("hello") == "web.yaml:1:1: the file is a single value where a map is expected");
    CHECK(service_says("- a") == "web.yaml:1:1: the file is a list where a map is expected");
}

TEST_CASE("spec: another version of the format is refused") {
    CHECK(service_says("viscum: 2\nname: web\nintercept: [{ address: 203.0.113.10 }]\nrun: { command: [/a] }\n") ==
          "web.yaml:1:9: unknown format version '2' (this program reads viscum: 1)");
}

TEST_CASE("spec: an unknown key names the known one that is near, or all of them") {
    CHECK(says("on_failur: cloud\n") == "web.yaml:5:1: unknown key 'on_failur' (did you mean 'on_failure'?)");
    CHECK(says("completely: 1\n") ==
          "web.yaml:5:1: unknown key 'completely' (known here: viscum, name, intercept, run, "
          "sandbox, limits, files, egress, health, restart, on_failure, drain_timeout, until, bundle)");
    CHECK(claims_say("[{ adress: 203.0.113.1, port: 80 }]") ==
          "web.yaml:3:13: 'address' is missing (address: 203.0.113.10)\n"
          "web.yaml:3:15: unknown key 'adress' (did you mean 'address'?)");
    CHECK(run_says("{ command: [/a], usr: x }") == "web.yaml:4:23: unknown key 'usr' (did you mean 'user'?)");
    CHECK(says("health: { tpc: {} }\n") == "web.yaml:5:11: unknown key 'tpc' (did you mean 'tcp'?)");
    CHECK(says("health: { http: { prot: 80 } }\n") == "web.yaml:5:19: unknown key 'prot' (did you mean 'port'?)");
    CHECK(says("restart: { polcy: never }\n") == "web.yaml:5:12: unknown key 'polcy' (did you mean 'policy'?)");
    CHECK(says("health: { process: { port: 1 } }\n") == "web.yaml:5:22: unknown key 'port' (there are no keys here)");
}

TEST_CASE("spec: a key that belongs elsewhere is told where") {
    for (const std::string key :
         {"command", "user", "env", "directory", "rootfs", "image", "writable", "stop_signal", "stop_timeout"}) {
        CHECK(says(key + ": x\n") == "web.yaml:5:1: '" + key + "' does not belong here (it stands within 'run')");
    }
    for (const std::string key : {"limits", "sandbox", "files", "egress", "name", "health", "until"}) {
        CHECK(run_says("{ command: [/a], " + key + ": x }") ==
              "web.yaml:4:23: '" + key + "' does not belong here (it stands beside 'run')");
    }
}

TEST_CASE("spec: a value of the wrong kind is told from the right one") {
    CHECK(claims_say("203.0.113.10") ==
          "web.yaml:3:12: 'intercept' is a single value where a list is expected " + std::string(kInterceptHint));
    CHECK(claims_say("{ address: 203.0.113.10 }") ==
          "web.yaml:3:12: 'intercept' is a map where a list is expected " + std::string(kInterceptHint));
    CHECK(claims_say("[203.0.113.10]") ==
          "web.yaml:3:13: an item of 'intercept' is a single value where a map is expected");
    CHECK(run_says("/bin/web") == "web.yaml:4:6: 'run' is a single value where a map is expected");
    CHECK(run_says("{ command: /bin/web }") ==
          "web.yaml:4:17: 'command' is a single value where a list is expected (a list of words: [/usr/sbin/nginx, -g, "
          "\"daemon off;\"])");
    CHECK(run_says("{ command: [/a, [b]] }") ==
          "web.yaml:4:22: an item of 'command' is a list where a single value is expected (a list of words: "
          "[/usr/sbin/nginx, -g, \"daemon off;\"])");
    CHECK(run_says("{ command: [/a], env: [A=b] }") ==
          "web.yaml:4:28: 'env' is a list where a map is expected (env: { NAME: value })");
    CHECK(says("health: { tcp: 443 }\n") == "web.yaml:5:16: 'tcp' is a single value where a map is expected");
    CHECK(says("restart: always\n") == "web.yaml:5:10: 'restart' is a single value where a map is expected");
    CHECK(name_says("[web]") ==
          "web.yaml:2:7: 'name' is a list where a single value is expected (1 to 32 of a-z, 0-9 and, within, '-')");
}

TEST_CASE("spec: null is no value") {
    constexpr std::string_view kHint = " has no value (null is no value here: put the text in quotes, or leave it out)";
    CHECK(says("health:\n") == "web.yaml:5:1: 'health'" + std::string(kHint));
    CHECK(says("drain_timeout: ~\n") == "web.yaml:5:1: 'drain_timeout'" + std::string(kHint));
    CHECK(name_says("null") == "web.yaml:2:1: 'name'" + std::string(kHint));
    CHECK(run_says("{ command: [/a, null] }") == "web.yaml:4:22: an item of 'command'" + std::string(kHint));
    CHECK(run_says("{ command: [/a], env: { A: } }") == "web.yaml:4:30: 'A'" + std::string(kHint));
}

TEST_CASE("spec: a name is short and plain") {
    const std::string hint = " (1 to 32 of a-z, 0-9 and, within, '-')";
    CHECK(name_says("a/b") == "web.yaml:2:7: 'a/b' is no valid name" + hint);
    CHECK(name_says("../a") == "web.yaml:2:7: '../a' is no valid name" + hint);
    CHECK(name_says("Web") == "web.yaml:2:7: 'Web' is no valid name" + hint);
    CHECK(name_says("a_b") == "web.yaml:2:7: 'a_b' is no valid name" + hint);
    CHECK(name_says("a-") == "web.yaml:2:7: 'a-' is no valid name" + hint);
    CHECK(name_says("-a") == "web.yaml:2:7: '-a' is no valid name" + hint);
    CHECK(name_says("''") == "web.yaml:2:7: 'name' is empty" + hint);
    CHECK(name_says(repeated("a", 33)) == "web.yaml:2:7: '" + repeated("a", 33) + "' is no valid name" + hint);
    CHECK(name_says(repeated("a", 200)) == "web.yaml:2:7: '" + repeated("a", 40) + "...' is no valid name" + hint);
    CHECK(name_says("\"a\\e[2Jb\"") == "web.yaml:2:7: 'a\\x1b[2Jb' is no valid name" + hint);
    CHECK(name_says("\"a\\0b\"") == "web.yaml:2:7: 'name' holds a NUL byte");
}

TEST_CASE("spec: an address is strict, and a prefix is a network") {
    const std::string hint = " (an address or prefix, such as 203.0.113.10, 198.51.100.0/28 or 2001:db8::10)";
    CHECK(address_says("300.1.1.1") == "web.yaml:3:24: '300.1.1.1' is no IP address" + hint);
    CHECK(address_says("203.0.113") == "web.yaml:3:24: '203.0.113' is no IP address" + hint);
    CHECK(address_says("203.0.113.10:443") == "web.yaml:3:24: '203.0.113.10:443' is no IP address" + hint);
    CHECK(address_says("example.com") == "web.yaml:3:24: 'example.com' is no IP address" + hint);
    CHECK(address_says("'fe80::1%eth0'") == "web.yaml:3:24: 'fe80::1%eth0' is no IP address" + hint);
    CHECK(address_says("'::ffff:203.0.113.10'") == "web.yaml:3:24: '::ffff:203.0.113.10' is no IP address" + hint);
    CHECK(address_says("010.0.0.1") == "web.yaml:3:24: '010.0.0.1' has a leading zero (write 10, not 010)");
    CHECK(address_says("203.0.113.10/33") ==
          "web.yaml:3:24: '203.0.113.10/33' has no valid prefix length (0 to 32 for this family)");
    CHECK(address_says("2001:db8::/129") ==
          "web.yaml:3:24: '2001:db8::/129' has no valid prefix length (0 to 128 for this family)");
    CHECK(address_says("203.0.113.0/08") ==
          "web.yaml:3:24: '203.0.113.0/08' has no valid prefix length (0 to 32 for this family)");
    CHECK(address_says("203.0.113.77/28") ==
          "web.yaml:3:24: '203.0.113.77/28' is no network: bits behind the prefix "
          "length are set (the network is 203.0.113.64/28)");
    CHECK(address_says("2001:db8::10/64") ==
          "web.yaml:3:24: '2001:db8::10/64' is no network: bits behind the prefix "
          "length are set (the network is 2001:db8::/64)");
}

TEST_CASE("spec: a port is a number without leading zero, a range or any") {
    const std::string hint = " (a port is 1 to 65535, FIRST-LAST, or any)";
    CHECK(port_says("99999") == "web.yaml:3:44: port 99999 is out of range" + hint);
    CHECK(port_says("0") == "web.yaml:3:44: port 0 is out of range" + hint);
    CHECK(port_says("65536") == "web.yaml:3:44: port 65536 is out of range" + hint);
    CHECK(port_says("08") == "web.yaml:3:44: port 08 has a leading zero (write 8)");
    CHECK(port_says("'08'") == "web.yaml:3:44: port 08 has a leading zero (write 8)");
    CHECK(port_says("0x50") == "web.yaml:3:44: '0x50' is no port" + hint);
    CHECK(port_says("http") == "web.yaml:3:44: 'http' is no port" + hint);
    CHECK(port_says("-1") == "web.yaml:3:44: '' is no port" + hint);
    CHECK(port_says("80-") == "web.yaml:3:44: '' is no port" + hint);
    CHECK(port_says("80-99999") == "web.yaml:3:44: port 99999 is out of range" + hint);
    CHECK(port_says("90-80") == "web.yaml:3:44: port range 90-80 ends before it begins (write 80-90)");
    CHECK(port_says("80, protocol: sctp") == "web.yaml:3:58: 'protocol': unknown value 'sctp' (one of tcp, udp)");
}

TEST_CASE("spec: claims of one service do not overlap") {
    CHECK(claims_say("[{ address: 203.0.113.1, port: 80-90 }, { address: 203.0.113.1, port: 85 }]") ==
          "web.yaml:3:52: 203.0.113.1:85/tcp overlaps 203.0.113.1:80-90/tcp (that claim is at 3:13)");
    CHECK(claims_say("[{ address: 203.0.113.1, port: 80 }, { address: 203.0.113.1, port: 80, protocol: udp }, "
                     "{ address: 203.0.113.1, port: 81 }, { address: 203.0.113.0/24, port: 80 }]") == "accepted");
}

TEST_CASE("spec: a service has at most 256 claims and 256 words") {
    std::string claims = "{ address: 203.0.113.1, port: 1 }";
    for (int port = 2; port <= 256; ++port) {
        claims += ", { address: 203.0.113.1, port: " + std::to_string(port) + " }";
    }
    CHECK(claims_say("[" + claims + "]") == "accepted");
    CHECK(claims_say("[" + claims + ",\n  { address: 203.0.113.2 }]") ==
          "web.yaml:4:3: too many items of 'intercept' (at most 256)");
    CHECK(run_says("{ command: [/a" + repeated(", b", 255) + "] }") == "accepted");
    CHECK(run_says("{ command: [/a" + repeated(", b", 255) + ",\n  c] }") ==
          "web.yaml:5:3: too many items of 'command' (at most 256)");
    std::string env;
    for (int i = 0; i < 257; ++i) {
        env += "    A" + std::to_string(i) + ": 1\n";
    }
    CHECK(run_says("\n  command: [/a]\n  env:\n" + env) == "web.yaml:263:5: too many variables in 'env' (at most 256)");
    CHECK(run_says("{ command: [/a, " + repeated("b", 16384) + "] }") == "accepted");
    CHECK(run_says("{ command: [/a, " + repeated("b", 16385) + "] }") ==
          "web.yaml:4:22: an item of 'command' is too long (at most 16384 bytes)");
}

TEST_CASE("spec: a program is named by its absolute path") {
    const std::string hint = " (no shell and no PATH are involved: write /usr/sbin/nginx)";
    CHECK(run_says("{ command: [nginx] }") == "web.yaml:4:18: program 'nginx' is no absolute path" + hint);
    CHECK(run_says("{ command: [./nginx] }") == "web.yaml:4:18: program './nginx' is no absolute path" + hint);
    CHECK(run_says("{ command: [''] }") == "web.yaml:4:18: program '' is no absolute path" + hint);
    CHECK(run_says("{ command: [/] }") == "web.yaml:4:18: program '/' is no absolute path" + hint);
    CHECK(run_says("{ command: [] }") ==
          "web.yaml:4:17: 'command' is empty (a list of words: [/usr/sbin/nginx, -g, \"daemon off;\"])");
    CHECK(run_says("{ command: [/a, \"b\\0\"] }") == "web.yaml:4:22: an item of 'command' holds a NUL byte");
}

TEST_CASE("spec: user, environment and signal are checked") {
    const std::string hint = " (a user's name or number, or leave it out for an account of its own)";
    CHECK(run_says("{ command: [/a], user: 'a b' }") == "web.yaml:4:29: 'a b' is no user" + hint);
    CHECK(run_says("{ command: [/a], user: '' }") == "web.yaml:4:29: 'user' is empty" + hint);
    CHECK(run_says("{ command: [/a], user: 4294967295 }") == "web.yaml:4:29: '4294967295' is no user" + hint);
    CHECK(run_says("{ command: [/a], user: 00 }") == "web.yaml:4:29: '00' is no user" + hint);
    CHECK(run_says("{ command: [/a], env: { 1A: x, B-C: y, '': z } }") ==
          "web.yaml:4:30: '1A' is no name of an environment variable (letters, digits and '_', no digit first)\n"
          "web.yaml:4:37: 'B-C' is no name of an environment variable (letters, digits and '_', no digit first)\n"
          "web.yaml:4:45: '' is no name of an environment variable (letters, digits and '_', no digit first)");
    CHECK(run_says("{ command: [/a], env: { A: [b] } }") ==
          "web.yaml:4:33: 'A' is a list where a single value is expected");
    CHECK(run_says("{ command: [/a], stop_signal: KILL }") ==
          "web.yaml:4:36: 'stop_signal': unknown value 'KILL' (one of TERM, QUIT, INT, HUP, USR1, USR2)");
}

TEST_CASE("spec: durations and counts have a unit and sane bounds") {
    const std::string unit = " (a number and ms, s, m or h, such as 500ms or 2s)";
    CHECK(says("drain_timeout: 5\n") == "web.yaml:5:16: 'drain_timeout': '5' is no duration" + unit);
    CHECK(says("drain_timeout: 1.5s\n") == "web.yaml:5:16: 'drain_timeout': '1.5s' is no duration" + unit);
    CHECK(says("drain_timeout: 25h\n") == "web.yaml:5:16: 'drain_timeout': 25h is out of range (0ms to 24h)");
    CHECK(says("health: { interval: 99ms }\n") == "web.yaml:5:21: 'interval': 99ms is out of range (100ms to 1h)");
    CHECK(says("health: { timeout: 9ms }\n") == "web.yaml:5:20: 'timeout': 9ms is out of range (10ms to 1h)");
    CHECK(says("health: { timeout: 5s }\n") == "web.yaml:5:20: 'timeout' is longer than 'interval', 2s");
    CHECK(says("health: { start_timeout: 2h }\n") ==
          "web.yaml:5:26: 'start_timeout': 2h is out of range (100ms to 1h)");
    CHECK(says("health: { fall: 0 }\n") == "web.yaml:5:17: 'fall': 0 is out of range (1 to 100)");
    CHECK(says("health: { rise: 101 }\n") == "web.yaml:5:17: 'rise': 101 is out of range (1 to 100)");
    CHECK(says("health: { rise: 03 }\n") == "web.yaml:5:17: 'rise': 03 has a leading zero (1 to 100)");
    CHECK(says("health: { rise: two }\n") == "web.yaml:5:17: 'rise': 'two' is no whole number (1 to 100)");
    CHECK(says("restart: { backoff: 1ms }\n") == "web.yaml:5:21: 'backoff': 1ms is out of range (10ms to 1h)");
    CHECK(says("restart: { backoff_max: 25h }\n") == "web.yaml:5:25: 'backoff_max': 25h is out of range (10ms to 24h)");
    CHECK(says("restart: { backoff: 2s, backoff_max: 1s }\n") ==
          "web.yaml:5:38: 'backoff_max' is shorter than 'backoff', 2s");
    CHECK(run_says("{ command: [/a], stop_timeout: 11m }") ==
          "web.yaml:4:37: 'stop_timeout': 11m is out of range (0ms to 10m)");
}

TEST_CASE("spec: policies are words of a list") {
    CHECK(says("on_failure: local\n") ==
          "web.yaml:5:13: 'on_failure': unknown value 'local' (one of cloud, drop, keep)");
    CHECK(says("restart: { policy: no }\n") ==
          "web.yaml:5:20: 'policy': unknown value 'no' (one of always, on-failure, never)");
}

TEST_CASE("spec: there is one probe, and its fields are checked") {
    CHECK(says("health: { http: {}, tcp: {} }\n") ==
          "web.yaml:5:21: a second probe, 'tcp' beside 'http' (one of http, tcp, udp, exec and process)");
    CHECK(says("health: { tcp: { port: 99999 } }\n") ==
          "web.yaml:5:24: port 99999 is out of range (a port is 1 to 65535)");
    CHECK(says("health: { tcp: { port: 80-90 } }\n") == "web.yaml:5:24: '80-90' is no port (a port is 1 to 65535)");
    CHECK(says("health: { udp: {} }\n") == "web.yaml:5:16: 'port' is missing (no claim names a single port to probe)");
    CHECK(says("health: { http: { path: healthz } }\n") ==
          "web.yaml:5:25: path 'healthz' is not valid (begins with '/', and is percent-encoded)");
    CHECK(says("health: { http: { path: \"/a\\r\\nHost: b\" } }\n") ==
          "web.yaml:5:25: path '/a\\x0d\\x0aHost: b' is not valid (begins with '/', and is percent-encoded)");
    CHECK(says("health: { http: { host: \"a\\nb\" } }\n") ==
          "web.yaml:5:25: host 'a\\x0ab' is not valid (a host name, with :PORT where needed)");
    CHECK(says("health: { http: { expect: 99 } }\n") == "web.yaml:5:27: 'expect': 99 is out of range (100 to 599)");
    CHECK(says("health: { http: { expect: [200, 204] } }\n") ==
          "web.yaml:5:27: 'expect' is a list where a single value is expected (100 to 599)");
    CHECK(says("health: { exec: [check] }\n") ==
          "web.yaml:5:18: program 'check' is no absolute path (no shell and no "
          "PATH are involved: write /usr/sbin/nginx)");
}

TEST_CASE("spec: an end is a time that everybody understands alike") {
    constexpr std::string_view kHint = " (such as 2026-12-31T23:59:00Z, or with an offset: 2026-12-31T23:59:00+01:00)";
    const auto refused = [&](const std::string& text, const std::string& why) {
        CHECK(says("until: " + text + "\n") == "web.yaml:5:8: 'until': '" + text + "' " + why + std::string(kHint));
    };
    refused("2026-12-31", "is of no time zone");
    refused("2026-12-31T23:59:00", "is of no time zone");
    refused("2026-12-31T23:59Z", "is no time");
    refused("2026-02-30T00:00:00Z", "is no time");
    refused("tomorrow", "is no time");
    CHECK(says("until: []\n") ==
          "web.yaml:5:8: 'until' is a list where a single value is expected" + std::string(kHint));
    CHECK(claims_say("[{ address: 203.0.113.10, until: 2026 }]") ==
          "web.yaml:3:45: 'until': '2026' is no time" + std::string(kHint));
}

TEST_CASE("spec: the bytes of a udp probe have known escapes only") {
    const std::string hint = " (text with \\xNN, \\r, \\n, \\t, \\0 or \\\\)";
    CHECK(says("health: { udp: { port: 1, send: '\\q' } }\n") == "web.yaml:5:33: unknown escape '\\q'" + hint);
    CHECK(says("health: { udp: { port: 1, send: '\\x1' } }\n") == "web.yaml:5:33: unknown escape '\\x1'" + hint);
    CHECK(says("health: { udp: { port: 1, send: '\\xzz' } }\n") == "web.yaml:5:33: unknown escape '\\xzz'" + hint);
    CHECK(says("health: { udp: { port: 1, send: 'a\\' } }\n") == "web.yaml:5:33: unknown escape '\\'" + hint);
    CHECK(says("health: { udp: { port: 1, expect: \"\\xff\" } }\n") ==
          "web.yaml:5:35: 'expect' is in double quotes, where \\xNN is a character, not a byte (put it in single "
          "quotes)");
    CHECK(says("health: { udp: { port: 1, send: " + repeated("a", 1400) + " } }\n") == "accepted");
    CHECK(says("health: { udp: { port: 1, send: " + repeated("a", 1401) + " } }\n") ==
          "web.yaml:5:33: 'send' is too long (at most 1400 bytes)");
}

TEST_CASE("spec: the first 20 mistakes are told, in file order") {
    std::string text = "drain_timeout: 1\n";
    for (int i = 0; i < 30; ++i) {
        text += "unknown" + std::to_string(i) + ": 1\n";
    }
    const auto parsed = parse_service(text + kService, "web.yaml");
    const auto* found = std::get_if<Diagnostics>(&parsed);
    REQUIRE(found != nullptr);
    REQUIRE(found->size() == 20);
    for (int i = 0; i < 20; ++i) {
        CHECK((*found)[static_cast<std::size_t>(i)].line == i + 1);
    }
}
