// SPDX-License-Identifier: GPL-2.0-only
// What a service file says when nothing is wrong with it.
#include <doctest/doctest.h>

#include "spec_texts.h"

using namespace viscum;
using namespace viscum::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kMega = 1024UL * 1024;

Claim claim(std::string_view prefix, PortRange ports, Protocol protocol) {
    return {*IpPrefix::parse(prefix), ports, protocol};
}

ServiceSpec expected() {
    ServiceSpec spec;
    spec.name = "plates";
    spec.intercept = {claim("203.0.113.10", {443, 443}, Protocol::tcp),
                      claim("2001:db8::10", {443, 443}, Protocol::tcp),
                      claim("198.51.100.0/28", {8000, 8100}, Protocol::udp)};
    spec.run.command = {"/usr/sbin/nginx", "-g", "daemon off;"};
    spec.run.user = "www-data";
    spec.run.env = {{"LOG_LEVEL", "info"}, {"PORT", "08"}, {"COUNTRY", "NO"}, {"EMPTY", ""}};
    spec.run.directory = "/srv";
    spec.run.rootfs = "/srv/plates";
    spec.run.writable = {"/var/cache/nginx", "/run"};
    spec.run.stop_signal = "QUIT";
    spec.run.stop_timeout = 5s;
    spec.names = {{"plates.example", spec.intercept[0].prefix.address},
                  {"plates.example", spec.intercept[1].prefix.address}};
    spec.sandbox.allow = {"cap_setuid", "root"};
    spec.limits.memory = {64 * kMega, LimitsSpec::Source::file};
    spec.limits.cpu = {50, LimitsSpec::Source::file};
    spec.limits.pids = {0, LimitsSpec::Source::none};
    spec.limits.open_files = {256, LimitsSpec::Source::file};
    spec.limits.tmp = 16 * kMega;
    spec.limits.required = false;
    spec.files = {{"/etc/app.conf", FileSpec::Source::text, "a\nb\n"},
                  {"/etc/nginx/nginx.conf", FileSpec::Source::file, "nginx.conf"},
                  {"/etc/tls/key.pem", FileSpec::Source::secret, "key.pem"}};
    spec.egress.internet = true;
    spec.egress.targets = {{*IpPrefix::parse("192.0.2.53"), {53, 53}, Protocol::udp},
                           {*IpPrefix::parse("2001:db8::1"), {443, 443}, Protocol::tcp}};
    spec.health.probe = HttpProbe{443, "/healthz", "plates.example", 204};
    spec.health.interval = 3s;
    spec.health.timeout = 500ms;
    spec.health.fall = 4;
    spec.health.rise = 5;
    spec.health.start_timeout = 1min;
    spec.restart = {RestartPolicy::on_failure, 300ms, 20s};
    spec.on_failure = OnFailure::drop;
    spec.drain_timeout = 10s;
    return spec;
}

constexpr std::string_view kBlock = R"(viscum: 1                  # version of this format
name: plates
intercept:                 # what it takes over
  - { address: 203.0.113.10, port: 443, protocol: tcp, name: plates.example }
  - address: 2001:db8::10
    port: 443
    name: Plates.Example
  - { address: 198.51.100.0/28, port: 8000-8100, protocol: udp }
run:
  command: [/usr/sbin/nginx, -g, "daemon off;"]
  user: www-data
  env: { LOG_LEVEL: info, PORT: 08, COUNTRY: NO, EMPTY: "" }
  directory: /srv
  rootfs: /srv/plates
  writable: [/var/cache/nginx, /run]
  stop_signal: QUIT
  stop_timeout: 5s
sandbox: { allow: [root, cap_setuid] }
limits: { memory: 64M, cpu: 50%, pids: none, open_files: 256, tmp: 16M, required: false }
files:
  - path: /etc/app.conf
    text: |
      a
      b
  - { path: /etc/nginx/nginx.conf, file: nginx.conf }
  - { path: /etc/tls/key.pem, secret: key.pem }
health:
  http: { port: 443, path: /healthz, host: plates.example, expect: 204 }
  interval: 3s
  timeout: 500ms
  fall: 4
  rise: 5
  start_timeout: 1m
restart: { policy: on-failure, backoff: 300ms, backoff_max: 20s }
on_failure: drop
egress: [internet, 192.0.2.53:53/udp, "[2001:db8::1]:443"]
drain_timeout: 10s
)";

constexpr std::string_view kFlow = R"({
	"viscum": 1, "name": "plates",
	"intercept": [
		{ "address": "203.0.113.10", "port": "443", "protocol": "tcp", "name": "plates.example" },
		{ "address": "2001:db8::10", "port": 443, "name": "plates.example" },
		{ "address": "198.51.100.0/28", "port": "8000-8100", "protocol": "udp" } ],
	"run": { "command": [ "/usr/sbin/nginx", "-g", "daemon off;" ], "user": "www-data",
		"env": { "LOG_LEVEL": "info", "PORT": 08, "COUNTRY": NO, "EMPTY": "" },
		"directory": "/srv", "rootfs": "/srv/plates", "writable": [ "/var/cache/nginx", "/run" ],
		"stop_signal": "QUIT", "stop_timeout": "5s" },
	"sandbox": { "allow": [ "root", "cap_setuid" ] },
	"limits": { "memory": "64M", "cpu": "50%", "pids": "none", "open_files": 256, "tmp": "16M", "required": false },
	"files": [ { "path": "/etc/app.conf", "text": "a\nb\n" },
		{ "path": "/etc/nginx/nginx.conf", "file": "nginx.conf" }, { "path": "/etc/tls/key.pem", "secret": "key.pem" } ],
	"health": { "http": { "port": 443, "path": "/healthz", "host": "plates.example", "expect": 204 },
		"interval": "3s", "timeout": "500ms", "fall": 4, "rise": 5, "start_timeout": "1m" },
	"restart": { "policy": "on-failure", "backoff": "300ms", "backoff_max": "20s" },
	"on_failure": "drop", "egress": [ "internet", "192.0.2.53:53/udp", "[2001:db8::1]:443" ], "drain_timeout": "10s"
}
)";

std::string with_crlf(std::string_view text) {
    std::string out;
    for (const char c : text) {
        out += c == '\n' ? "\r\n" : std::string(1, c);
    }
    return out;
}

HealthSpec health_of(std::string_view more) {
    return service_of(kService + std::string(more)).health;
}

}  // namespace

TEST_CASE("spec: every field of a service is read, in block style") {
    CHECK(service_says(kBlock) == "accepted");
    CHECK(service_of(kBlock) == expected());
}

TEST_CASE("spec: flow style, JSON with tabs included, says the same") {
    CHECK(service_says(kFlow) == "accepted");
    CHECK(service_of(kFlow) == expected());
}

TEST_CASE("spec: CRLF line ends, a byte order mark and a document marker say the same") {
    CHECK(service_of(with_crlf(kBlock)) == expected());
    CHECK(service_of("\xef\xbb\xbf" + std::string(kBlock)) == expected());
    CHECK(service_of("---\n" + std::string(kBlock) + "...\n") == expected());
    CHECK(service_of(kBlock.substr(0, kBlock.size() - 1)) == expected());
}

TEST_CASE("spec: a service has a default for all but version, name, intercept and command") {
    ServiceSpec spec;
    spec.name = "web";
    spec.intercept = {claim("203.0.113.10", {443, 443}, Protocol::tcp)};
    spec.run.command = {"/bin/web"};
    spec.health.probe = TcpProbe{443};
    CHECK(service_of(kService) == spec);
}

TEST_CASE("spec: a claim without port is any port, and tcp") {
    const auto spec = service_of(
        "viscum: 1\nname: a\nintercept: [{address: 203.0.113.0/24}, "
        "{address: 203.0.113.0/24, port: any, protocol: udp}, {address: 203.0.113.1, port: 1-65535}]\n"
        "run: {command: [/bin/a]}\n");
    REQUIRE(spec.intercept.size() == 3);
    CHECK(spec.intercept[0].text() == "203.0.113.0/24:any/tcp");
    CHECK(spec.intercept[1].text() == "203.0.113.0/24:any/udp");
    CHECK(spec.intercept[2].text() == "203.0.113.1:any/tcp");
    CHECK(claim("2001:db8::10", {443, 443}, Protocol::tcp).text() == "[2001:db8::10]:443/tcp");
    CHECK(claim("198.51.100.0/28", {8000, 8100}, Protocol::udp).text() == "198.51.100.0/28:8000-8100/udp");
}

TEST_CASE("spec: a claim ends at its own end or the service's, whichever is first") {
    const auto ends = [](const std::string& more) {
        const auto spec = service_of(
            "viscum: 1\nname: a\nintercept: [{address: 203.0.113.1, port: 80, until: 2026-12-31T23:59:00Z}, "
            "{address: 203.0.113.2, port: 80, until: '2027-01-01T00:59:00+01:00'}, {address: 203.0.113.3, port: 80}]\n"
            "run: {command: [/bin/a]}\n" +
            more);
        std::vector<std::string> out;
        for (const auto& claim : spec.intercept) {
            const auto end = spec.end_of(claim);
            out.push_back(end ? format_wall_time(*end) : "never");
        }
        return out;
    };
    CHECK(ends("") == std::vector<std::string>{"2026-12-31T23:59:00Z", "2026-12-31T23:59:00Z", "never"});
    CHECK(ends("until: 2030-01-01T00:00:00Z\n") ==
          std::vector<std::string>{"2026-12-31T23:59:00Z", "2026-12-31T23:59:00Z", "2030-01-01T00:00:00Z"});
    CHECK(ends("until: 2020-01-01T00:00:00Z\n") == std::vector<std::string>(3, "2020-01-01T00:00:00Z"));
}

TEST_CASE("spec: without a probe the first single tcp port is asked, or else the process looked at") {
    const auto probe = [](const std::string& claims, const std::string& health) {
        return service_of("viscum: 1\nname: a\nintercept: [" + claims + "]\nrun: {command: [/bin/a]}\n" + health)
            .health.probe;
    };
    const std::string udp = "{address: 203.0.113.1, port: 53, protocol: udp}, ";
    const std::string range = "{address: 203.0.113.1, port: 80-90}, ";
    const std::string single = "{address: 203.0.113.2, port: 8443}, {address: 203.0.113.3, port: 443}";
    CHECK(probe(udp + range + single, "") == HealthSpec{TcpProbe{8443}}.probe);
    CHECK(probe(udp + range + single, "health: { interval: 5s }\n") == HealthSpec{TcpProbe{8443}}.probe);
    CHECK(probe(udp + range, "") == HealthSpec{ProcessProbe{}}.probe);
    CHECK(probe(udp + range, "health: {}\n") == HealthSpec{ProcessProbe{}}.probe);
}

TEST_CASE("spec: each kind of probe is read") {
    CHECK(health_of("health: { tcp: { port: 81 } }\n").probe == HealthSpec{TcpProbe{81}}.probe);
    CHECK(health_of("health: { tcp: {} }\n").probe == HealthSpec{TcpProbe{443}}.probe);
    CHECK(health_of("health: { http: {} }\n").probe == HealthSpec{HttpProbe{443, "/", "", 200}}.probe);
    CHECK(health_of("health: { udp: { port: 53, send: ping, expect: pong } }\n").probe ==
          HealthSpec{UdpProbe{53, "ping", "pong"}}.probe);
    CHECK(health_of("health: { udp: { port: 53 } }\n").probe == HealthSpec{UdpProbe{53, "", ""}}.probe);
    CHECK(health_of("health: { exec: [/bin/check, -q] }\n").probe == HealthSpec{ExecProbe{{"/bin/check", "-q"}}}.probe);
    CHECK(health_of("health: { process: {} }\n").probe == HealthSpec{ProcessProbe{}}.probe);
}

TEST_CASE("spec: the bytes of a udp probe are written with escapes, plain or in single quotes") {
    const std::string bytes("\x00\xff\x7f\r\n\t\0\\x", 9);
    const UdpProbe probe{53, bytes, bytes};
    const std::string text = R"(\x00\xff\x7F\r\n\t\0\\x)";
    CHECK(health_of("health: { udp: { port: 53, send: " + text + ", expect: '" + text + "' } }\n").probe ==
          HealthSpec{probe}.probe);
}

TEST_CASE("spec: an unwritten timeout is never longer than the interval") {
    CHECK(health_of("health: { interval: 500ms }\n").timeout == 500ms);
    CHECK(health_of("health: { interval: 5s }\n").timeout == 1s);
    CHECK(service_of(kService + "restart: { backoff: 1m }\n").restart.backoff_max == 60s);
}

TEST_CASE("spec: values are text, whatever YAML would make of them") {
    const auto spec = service_of(
        "viscum: '1'\nname: no\nintercept: [{ address: 203.0.113.10, port: '443' }]\n"
        "run: { command: [/bin/web, 08, yes, 1e3, 0x10, ''], user: 1000, env: { A: 1.50 } }\n");
    CHECK(spec.name == "no");
    CHECK(spec.run.command == std::vector<std::string>{"/bin/web", "08", "yes", "1e3", "0x10", ""});
    CHECK(spec.run.user == "1000");
    CHECK(spec.run.env.at("A") == "1.50");
}

TEST_CASE("spec: every name of the allowed form is accepted") {
    for (const std::string name : {"a", "0", "a-b", "web2", "a--b", "12345678901234567890123456789012"}) {
        CHECK(service_of("viscum: 1\nname: " + name + "\nintercept: [{address: 203.0.113.1}]\nrun: {command: [/a]}\n")
                  .name == name);
    }
}
