// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/render.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "base/text.h"

using namespace viscum;
using namespace std::chrono_literals;

namespace {

ServiceReport plates() {
    ServiceReport service;
    service.name = "plates";
    service.state = "up";
    service.health = "healthy";
    service.admission = "serve";
    service.namespace_name = "viscum-plates";
    service.link = "vs1a2b3c4d";
    service.pid = 4711;
    service.restarts = 2;
    service.last_exit = "killed by SIGKILL";
    service.up_ms = 187'000;
    service.digest = "0123456789abcdef";
    ClaimReport https;
    https.claim = "203.0.113.10:443/tcp";
    https.admission = "serve";
    https.flows = 12'345;
    https.flows_cloud = 3;
    https.packets_in = 99'999;
    https.bytes_in = 1'234'567;
    https.packets_out = 1;
    https.bytes_out = 999;
    https.cloud = {{"no-listener", 12}, {"not-admitted", 0}, {"draining", 3}};
    ClaimReport quic;
    quic.claim = "[2001:db8::10]:443/udp";
    quic.admission = "serve";
    service.claims = {https, quic};
    return service;
}

ServiceReport broken() {
    ServiceReport service;
    service.name = "maps";
    service.state = "backoff";
    service.health = "unhealthy";
    service.admission = "off";
    service.reason = "exited with 1; starts again in 5s";
    service.updating = true;
    service.claims = {ClaimReport{}};
    service.claims[0].claim = "198.51.100.7:53/udp";
    service.claims[0].admission = "off";
    return service;
}

DaemonReport daemon_report() {
    DaemonReport report;
    report.instance = "viscum";
    report.version = "0.1.0";
    report.grade = "socket";
    report.pid = 812;
    report.lease_ms_left = 27'400;
    report.lan = {{"eth1", "br-lan", true, ""}, {"wlan0", "", false, "no such device"}};
    report.verdicts = {{"unclaimed", 1'234'567}, {"served", 99'999}, {"vlan", 0}, {"no-listener", 12}};
    report.services = {plates(), broken()};
    return report;
}

std::size_t longest_line(const std::string& text) {
    std::size_t longest = 0;
    for (const auto& line : split(text, '\n')) {
        longest = std::max(longest, line.size());
    }
    return longest;
}

}  // namespace

TEST_CASE("render: sizes, counts and times have the precision that people need") {
    CHECK(human_bytes(0) == "0 B");
    CHECK(human_bytes(999) == "999 B");
    CHECK(human_bytes(1000) == "1.0 kB");
    CHECK(human_bytes(1'234'567) == "1.2 MB");
    CHECK(human_bytes(34'999'999) == "34 MB");
    CHECK(human_bytes(std::numeric_limits<std::uint64_t>::max()) == "18446 PB");
    CHECK(human_count(9999) == "9999");
    CHECK(human_count(10'000) == "10k");
    CHECK(human_count(1'250'000) == "1.2M");
    CHECK(human_count(std::numeric_limits<std::uint64_t>::max()) == "18446P");
    CHECK(human_time(-5ms) == "0ms");
    CHECK(human_time(850ms) == "850ms");
    CHECK(human_time(59'999ms) == "59s");
    CHECK(human_time(303s) == "5m 3s");
    CHECK(human_time(7500s) == "2h 5m");
    CHECK(human_time(std::chrono::hours(76)) == "3d 4h");
}

TEST_CASE("render: what others wrote cannot move the cursor") {
    CHECK(printable("a\x1b[2Jb\r\n\tc\x7f") == "a?[2Jb?  c?");
    CHECK(printable("\xc2\x9b"
                    "2J caf\xc3\xa9") == "\xc2?2J caf\xc3\xa9");
}

TEST_CASE("render: a text is cut between characters") {
    CHECK(cut_to("caf\xc3\xa9s", 4) == "caf\xc3\xa9");
    CHECK(cut_to("caf\xc3\xa9s", 9) == "caf\xc3\xa9s");
    CHECK(cut_to("abc", 0).empty());
}

TEST_CASE("render: the list") {
    CHECK(render_list({plates(), broken()}, false) ==
          "NAME    STATE    HEALTH     ADMISSION  CLAIMS  FLOWS  UPTIME\n"
          "plates  up       healthy    serve           2    12k   3m 7s\n"
          "maps    backoff  unhealthy  off             1      0       -\n"
          "\n"
          "maps: exited with 1; starts again in 5s\n"
          "maps: updating: the version before finishes its connections\n");
    CHECK(render_list({}, false) == "no services; deploy one with: viscumctl deploy FILE\n");
}

TEST_CASE("render: the daemon") {
    CHECK(render_daemon(daemon_report(), false) ==
          "viscumd 0.1.0, instance 'viscum', pid 812, grade socket\n"
          "  lease      27s left\n"
          "  lan        eth1, port of br-lan: attached\n"
          "             wlan0: not attached: no such device\n"
          "  flows      12k served, 3 to the cloud\n"
          "  traffic    1.2 MB in, 999 B out\n"
          "  packets    1.2M unclaimed, 99k served, 12 no-listener\n"
          "\n"
          "NAME    STATE    HEALTH     ADMISSION  CLAIMS  FLOWS  UPTIME\n"
          "plates  up       healthy    serve           2    12k   3m 7s\n"
          "maps    backoff  unhealthy  off             1      0       -\n"
          "\n"
          "maps: exited with 1; starts again in 5s\n"
          "maps: updating: the version before finishes its connections\n");
}

TEST_CASE("render: a LAN device without a filter is no fault where nothing is claimed, and is one otherwise") {
    DaemonReport report = daemon_report();
    report.lan = {{"lan0", "", false, ""}, {"wlan0", "", false, "no such device"}};
    CHECK(render_daemon(report, true).find("lan0: \x1b[31mnot attached\x1b[0m\n") != std::string::npos);
    report.services = {ServiceReport()};  // of a file that is not served
    const std::string text = render_daemon(report, true);
    CHECK(text.find("lan0: not attached, as no service claims anything\n") != std::string::npos);
    CHECK(text.find("wlan0: \x1b[31mnot attached: no such device\x1b[0m\n") != std::string::npos);
}

TEST_CASE("render: a daemon without a LAN device, and with an ended lease, says what that means") {
    DaemonReport report;
    report.lease_ms_left = 0;
    const std::string text = render_daemon(report, false);
    CHECK(text.find("lease      expired: new flows go to the cloud\n") != std::string::npos);
    CHECK(text.find("lan        no device matches 'lan:' of the configuration, so nothing is intercepted\n") !=
          std::string::npos);
    report.lease_ms_left = -1;
    CHECK(render_daemon(report, false).find("lease      off\n") != std::string::npos);
}

TEST_CASE("render: a service in full, with a remark on a claim that has served nothing") {
    CHECK(render_service(plates(), false) ==
          "plates: up, healthy, admission serve\n"
          "  up         3m 7s\n"
          "  pid        4711\n"
          "  restarts   2; the last end: killed by SIGKILL\n"
          "  namespace  viscum-plates\n"
          "  link       vs1a2b3c4d\n"
          "  file       0123456789abcdef\n"
          "\n"
          "203.0.113.10:443/tcp  serve\n"
          "  flows      12k served, 3 to the cloud\n"
          "  traffic    1.2 MB in (99k packets), 999 B out (1 packet)\n"
          "  to cloud   12 no-listener, 3 draining (packets)\n"
          "\n"
          "[2001:db8::10]:443/udp  serve\n"
          "  flows      0 served, 0 to the cloud\n"
          "  remark     has served nothing: no client has asked for it on a LAN device\n");
    CHECK(render_service(broken(), false) ==
          "maps: backoff, unhealthy, admission off\n"
          "  why        exited with 1; starts again in 5s\n"
          "  updating   the version before finishes its connections\n"
          "  restarts   0\n"
          "  namespace  -\n"
          "  link       -\n"
          "  file       -\n"
          "\n"
          "198.51.100.7:53/udp  off\n"
          "  flows      0 served, 0 to the cloud\n");
    ServiceReport drained = plates();
    drained.drained = true;
    CHECK(render_service(drained, false)
              .find("  why        drained by the operator\n"
                    "  hint       viscumctl resume plates ends the drain\n") != std::string::npos);
    ServiceReport bypassed = plates();
    bypassed.claims[1].flows_cloud = 7;
    CHECK(render_service(bypassed, false).find("all that came for it went to the cloud") != std::string::npos);
}

TEST_CASE("render: a claim that ends is shown with its end, and one that has ended in the list, too") {
    auto service = plates();
    service.claims[0].until = "2026-12-31T23:59:00Z";
    CHECK(render_service(service, false).find("  until      2026-12-31T23:59:00Z\n") != std::string::npos);
    CHECK(render_list({service}, false).find("ended") == std::string::npos);
    service.claims[0].ended = true;
    service.claims[0].admission = "drain";
    CHECK(render_service(service, false).find("2026-12-31T23:59:00Z (ended)\n") != std::string::npos);
    CHECK(render_list({service}, false).find("plates: 1 of 2 claims ended, which takes no new flows\n") !=
          std::string::npos);
    // Where none is left the reason says it.
    service.admission = "drain";
    service.reason = "ended at 2026-12-31T23:59:00Z: new flows go to the cloud";
    CHECK(render_list({service}, false).find("claims ended") == std::string::npos);
    CHECK(render_list({service}, false).find("plates: ended at 2026-12-31T23:59:00Z: new flows") != std::string::npos);
}

TEST_CASE("render: what encloses a service is shown where it says something") {
    ServiceReport service = plates();
    service.claims.clear();
    service.user = "1879052301";
    service.egress = "none";
    service.limits = {"memory 64M", "pids 512"};
    CHECK(render_service(service, false) ==
          "plates: up, healthy, admission serve\n"
          "  up         3m 7s\n"
          "  pid        4711\n"
          "  restarts   2; the last end: killed by SIGKILL\n"
          "  user       1879052301\n"
          "  limits     memory 64M, pids 512\n"
          "  namespace  viscum-plates\n"
          "  link       vs1a2b3c4d\n"
          "  file       0123456789abcdef\n");
    service.user = "0 (root)";
    service.allows = {"cap_setuid", "root"};
    service.limits = {"memory 64M", "cpu 50% (not kept: no controller)"};
    service.image = "nginx (0123456789ab)";
    service.bundle = "1.4 (0123456789ab)";
    service.memory_bytes = 12'000'000;
    service.pids = 1;
    service.cpu_ms = 4'200;
    service.oom_kills = 2;
    service.forks_refused = 1;
    service.log_dropped = 512;
    service.egress = "internet, origin";
    service.egress_counts = {{"out", 12}, {"in", 0}, {"not-allowed", 3}};
    const std::string text = render_service(service, false);
    CHECK(text.find("  user       0 (root)\n"
                    "  sandbox    opened for cap_setuid, root\n"
                    "  image      nginx (0123456789ab)\n"
                    "  bundle     1.4 (0123456789ab)\n"
                    "  limits     memory 64M, cpu 50% (not kept: no controller)\n"
                    "  uses       12 MB of memory, 1 process, 4s of CPU\n"
                    "  exceeded   2 processes killed, out of memory, 1 fork refused,\n"
                    "             512 B of output not logged\n"
                    "  egress     internet, origin\n"
                    "             12 out, 3 not-allowed (packets)\n"
                    "  namespace  ") != std::string::npos);
    INFO(text);
    CHECK(render_service(service, true).find("\x1b[33mopened for cap_setuid, root\x1b[0m") != std::string::npos);
    service.egress = "none";
    CHECK(render_service(service, false).find("  egress     none\n             12 out") != std::string::npos);
    service.allows = {"\x1b[2J"};
    CHECK(render_service(service, false).find("opened for ?[2J\n") != std::string::npos);
}

TEST_CASE("render: an audit marks what is exposed, and ends with the score") {
    AuditReport audit{"plates", true, 12, "OK", {}};
    audit.items = {{"user", true, 0, "runs as uid 1879052301, an account of its own"},
                   {"egress", false, 8, "may reach all of the Internet"}};
    CHECK(render_audit(audit, false) ==
          "  ok  user          runs as uid 1879052301, an account of its own\n"
          "  !!  egress   0.8  may reach all of the Internet\n"
          "\n"
          "plates: exposure 1.2 of 10, OK\n");
    audit.running = false;
    audit.word = "UNSAFE";
    audit.score = 100;
    CHECK(render_audit(audit, false)
              .ends_with("plates: exposure 10.0 of 10, UNSAFE\nIt does not run: this is what its file says.\n"));
    CHECK(render_audit(audit, true).find("\x1b[31mUNSAFE\x1b[0m") != std::string::npos);
}

TEST_CASE("render: everything fits 80 columns") {
    DaemonReport report = daemon_report();
    for (int i = 0; i < 12; ++i) {
        report.verdicts.push_back({cat("some-reason-", i), 123'456U});
    }
    report.services[0].name = "twenty-characters-xx";
    CHECK(longest_line(render_daemon(report, false)) <= 80);
    report.services[0].claims[0].claim = "[2001:db8:1111:2222:3333:4444:5555:6666]:10000-10100/udp";
    report.services[0].claims[0].cloud = report.verdicts;
    report.services[0].allows = {"root",      "writable-root", "namespaces",    "userfaultfd", "cap_net_bind_service",
                                 "cap_chown", "cap_setuid",    "cap_sys_chroot"};
    report.services[0].egress_counts = report.verdicts;
    report.services[0].egress = "internet, origin";
    for (int i = 0; i < 64; ++i) {
        report.services[0].egress += cat(", [2001:db8::", i, "]:443/tcp");
    }
    CHECK(longest_line(render_service(report.services[0], false)) <= 80);
}

TEST_CASE("render: colours are added where they are wanted, and change no column") {
    const std::string plain = render_daemon(daemon_report(), false) + render_service(plates(), false);
    std::string coloured = render_daemon(daemon_report(), true) + render_service(plates(), true);
    CHECK(plain.find('\x1b') == std::string::npos);
    CHECK(coloured.find("\x1b[32mhealthy\x1b[0m") != std::string::npos);
    CHECK(coloured.find("\x1b[31munhealthy\x1b[0m") != std::string::npos);
    for (auto at = coloured.find('\x1b'); at != std::string::npos; at = coloured.find('\x1b')) {
        coloured.erase(at, coloured.find('m', at) - at + 1);
    }
    CHECK(coloured == plain);
}
