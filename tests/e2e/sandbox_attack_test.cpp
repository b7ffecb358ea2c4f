// SPDX-License-Identifier: GPL-2.0-only
// A service that turned evil, with a whole router around it: tests/e2e/attacker tries, one after the other, what a
// program could do to a machine, its network and its neighbours.
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "tests/e2e/packets.h"
#include "tests/scene/scene.h"
#include "tests/support/campaign.h"
#include "tests/support/oci_image.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

const Endpoint kEvil = Endpoint::of("203.0.113.20", 80);
constexpr const char* kAttacker = "/srv/bin/viscum-test-attacker";
constexpr std::size_t kAttempts = 240;  // fewer, and some were not even tried
constexpr Millis kAttackLimit{120'000};
constexpr std::uint16_t kPeerPort = 8000;

/// A report's lines that do not say "denied", and those that say that nothing was tried to its end, one a line.
std::string not_denied(const std::string& report) {
    std::vector<std::string> lines = split(report, '\n');
    std::erase_if(lines, [](const std::string& line) {
        const bool tried = line.find(": denied not tried") == std::string::npos;
        return line.empty() || line == "END" || (tried && line.find(": denied ") != std::string::npos);
    });
    return join(lines, "\n");
}

struct Peer {
    std::string name;
    std::string address;
    const NetNs* ns;
};

/// Everybody that a service could find: the LAN, the router from all sides, the cloud.
std::vector<Peer> peers(Scene& scene) {
    const Bed& bed = scene.bed();
    return {{"client", bed.client_address(1).text(), &bed.client(1)},
            {"client6", bed.client_address(1, true).text(), &bed.client(1)},
            {"router", "10.77.0.1", &bed.hotspot()},
            {"router6", "2001:db8:77::1", &bed.hotspot()},
            {"uplink", "192.0.2.1", &bed.hotspot()},
            {"uplink6", "2001:db8:1::1", &bed.hotspot()},
            {"loopback", "127.0.0.1", &bed.hotspot()},
            {"loopback6", "::1", &bed.hotspot()},
            {"cloud", "203.0.113.53", &bed.cloud()},
            {"cloud6", "2001:db8:c::53", &bed.cloud()},
            {"provider", "192.0.2.2", &bed.cloud()}};
}

std::vector<Program> start_peers(const std::vector<Peer>& all) {
    std::vector<Program> programs;
    for (const Peer& peer : all) {
        const std::string port = std::to_string(kPeerPort);
        Server server{test_server({peer.name, "tcp", peer.address, port, "udp", peer.address, port}), ""};
        programs.push_back(must(start_server(server, *peer.ns, kPeerPort)));
        const HttpRequest request{.to = Endpoint::of(peer.address, kPeerPort)};
        REQUIRE(eventually(kLimit, [&] { return http_get(*peer.ns, request).who() == peer.name; }));
    }
    return programs;
}

/// What comes in at the ends of the router: of what pretends to be somebody else, nothing may. Here that is tried out.
std::vector<FrameSocket> listen_for_spoofed(const Bed& bed) {
    std::vector<FrameSocket> ends;
    ends.push_back(must(FrameSocket::open(bed.client(1), "eth0")));
    ends.push_back(must(FrameSocket::open(bed.cloud(), "wan")));
    const Endpoint cloud = Endpoint::of("2001:db8:c::53", kPeerPort);
    (void)udp_query(bed.client(1), {.to = cloud, .payload = "viscum-rehearsed", .limit = 500ms});
    for (const FrameSocket& end : ends) {
        REQUIRE(end.receives("viscum-rehearsed", kLimit));
    }
    return ends;
}

/// The attacker's own program with the set-user-ID bit, where the bit counts.
class SetuidProgram {
public:
    SetuidProgram() {
        must(make_directory(kDirectory, 0755));
        REQUIRE(mount("tmpfs", kDirectory, "tmpfs", 0, "mode=0755") == 0);
        std::filesystem::copy_file(kAttacker, path());
        REQUIRE(chmod(path().c_str(), 04755) == 0);
    }
    ~SetuidProgram() {
        umount2(kDirectory, MNT_DETACH);
        (void)remove_directory(kDirectory);
    }
    SetuidProgram(const SetuidProgram&) = delete;
    SetuidProgram& operator=(const SetuidProgram&) = delete;
    [[nodiscard]] std::string path() const { return cat(kDirectory, "/who"); }

private:
    static constexpr const char* kDirectory = "/srv/setuid";
};

Argv words(const std::vector<Peer>& all, const std::string& setuid) {
    Argv out = {"attack"};
    for (const char* path : {"/etc/viscum/secrets", "/etc/viscum/secrets/other.key", "/etc/viscum/services",
                             "/etc/viscum/services/web.yaml", "/var/lib/viscum/state.0", "/run/viscum/runs",
                             "/run/viscum/log", "/sys/fs/bpf/viscum"}) {
        out.push_back(cat("read=", path));
    }
    out.push_back("socket=/run/viscum/viscumd.sock");
    for (const Peer& peer : all) {
        out.push_back(cat("peer=", peer.name, ",", peer.address, ",", kPeerPort));
    }
    out.push_back("peer=other service,203.0.113.10,80");
    out.push_back("peer=other service6,2001:db8:c::10,80");
    if (!setuid.empty()) {
        out.push_back(cat("setuid=", setuid));
    }
    return out;
}

ServiceFile evil(Argv arguments, const std::string& more) {
    arguments.insert(arguments.begin(), kAttacker);
    return {"evil",
            {"203.0.113.20 80", "2001:db8:c::20 80"},
            std::move(arguments),
            cat(more, "limits: { memory: 64M, pids: 64, tmp: 16M }\nrestart: { policy: never }\n")};
}

std::string report_of(Scene& scene) {
    std::string report;
    const bool whole = eventually(kAttackLimit, [&] {
        report = http_get(scene.bed().client(1), {.to = kEvil}).body;
        return report.ends_with("END\n");
    });
    CHECK_MESSAGE(whole, report);
    return report;
}

/// What all attackers have in common: nobody else notices, and the operator can see what happened.
void check_aftermath(Scene& scene, FlowClient& flow, const pid_t daemon) {
    CHECK(scene.web() == "local");
    const FlowSummary seen = flow.stop();
    check_flow("beside the attacker", seen);
    CHECK(seen.cloud == 0);
    CHECK(scene.viscumd().running());
    CHECK(scene.viscumd().pid() == daemon);
    const ServiceReport status = scene.status("evil");
    CHECK(status.state == "up");
    CHECK(status.restarts == 0);
    CHECK(status.oom_kills > 0);
    CHECK(status.forks_refused > 0);
    const std::string log = scene.ctl({"logs", "evil"}).out;
    CHECK_MESSAGE(log.find("fork bomb: denied EAGAIN") != std::string::npos, log);
    CHECK_MESSAGE(log.find("eat memory: denied SIGKILL") != std::string::npos, log);
    std::uint64_t fenced = 0;
    for (const ReasonCount& verdict : scene.report().verdicts) {
        fenced += verdict.reason.starts_with("fence-") ? verdict.packets : 0;
    }
    CHECK(fenced > 0);
}

/// The exposure score: how many of the attempts were denied.
void keep_score(const std::string& part, const std::string& who, const std::string& report,
                const std::string& exceptions) {
    const auto attempts = std::ranges::count(report, '\n') - 1;  // without "END"
    const auto done = exceptions.empty() ? 0 : 1 + std::ranges::count(exceptions, '\n');
    must(record({.part = cat("exposure-", part),
                 .title = cat("Exposure: ", who),
                 .repeat = "ctest -R attack",
                 .values = {{"attempts to get out, or to do harm", std::to_string(attempts)},
                            {"denied", std::to_string(attempts - done)},
                            {"not denied, and harmless", exceptions.empty() ? "none" : exceptions}}}));
}

void attack(const std::string& part, const std::string& who, const std::string& more, const std::string& exceptions) {
    Scene scene;
    const auto everybody = peers(scene);
    {
        const auto programs = start_peers(everybody);
        must(make_directory("/etc/viscum/secrets", 0700));
        must(write_file_atomically("/etc/viscum/secrets/other.key", "not yours", 0600));
        scene.deploy(web_service());
        const SetuidProgram setuid;
        const auto ends = listen_for_spoofed(scene.bed());
        const auto flow = scene.flow();
        scene.deploy(evil(words(everybody, setuid.path()), more));
        const std::string report = report_of(scene);
        CHECK(not_denied(report) == exceptions);
        CHECK(static_cast<std::size_t>(std::ranges::count(report, '\n')) > kAttempts);
        keep_score(part, who, report, not_denied(report));
        check_aftermath(scene, *flow, scene.viscumd().pid());
        for (const FrameSocket& end : ends) {
            CHECK_FALSE(end.receives("viscum-spoofed", 100ms));
        }
        scene.ctl({"remove", "evil"});
        scene.ctl({"remove", "web"});
        std::filesystem::remove_all("/etc/viscum/secrets");
    }
    scene.check_no_leak();
}

}  // namespace

TEST_CASE("attack: a service as it is by default can do none of it") {
    attack("default", "a service as it is by default", "", "");
}

TEST_CASE("attack: one that runs as root can do none of it, either") {
    // It may signal and limit the shim, which is root as well: that is its own end, and nobody else's.
    attack("root", "a service that is allowed root", "  user: root\nsandbox: { allow: [root] }\n",
           "signal init: DONE SIGWINCH\nlimits of init: DONE read");
}

TEST_CASE("attack: one from an image that holds nothing but itself, and asks for root, can do none of it") {
    Scene scene;
    const auto everybody = peers(scene);
    {
        const auto programs = start_peers(everybody);
        const auto program = must(read_file(kAttacker, 16UL << 20));
        must(
            write_image_layout({{{{"attacker", program, '0', 0755}}}, R"({"User":"0"})"}, "/srv/image", Packing::gzip));
        scene.ctl({"image", "import", "/srv/image", "--name", "evil"});
        scene.deploy(web_service());
        const auto flow = scene.flow();
        ServiceFile file = evil(words(everybody, ""), "  image: evil\n");
        file.command.front() = "/attacker";
        scene.deploy(file);
        const std::string report = report_of(scene);
        CHECK(not_denied(report) == "");
        keep_score("image", "a service from an image", report, not_denied(report));
        check_aftermath(scene, *flow, scene.viscumd().pid());
        CHECK(scene.status("evil").user.find("0 ") != 0);
        scene.ctl({"remove", "evil"});
        scene.ctl({"remove", "web"});
        scene.ctl({"image", "remove", "evil"});
        std::filesystem::remove_all("/srv/image");
        std::filesystem::remove_all("/var/lib/viscum/images");
    }
    scene.check_no_leak();
}

TEST_CASE("attack: the attacker is able, and does nearly all of it without a sandbox") {
    // As root, in a network namespace of its own; what would harm this machine is left out.
    const NetNs ns = must(NetNs::create("control"));
    const auto report = must(output_of({kAttacker, "report", "harmless"}, {.ns = &ns, .limit = kAttackLimit}));
    const auto lines = split(report, '\n');
    const auto done = std::ranges::count_if(lines, [](const auto& line) { return line.find(": DONE ") != line.npos; });
    MESSAGE(done, " of ", lines.size(), " attempts succeed");
    CHECK(done > 120);
    for (const char* name : {"mount a tmpfs",
                             "unshare net",
                             "clone user",
                             "setns net",
                             "bpf",
                             "trace a sibling",
                             "socket packet",
                             "socket raw ICMP",
                             "write /proc/sys/kernel/core_pattern",
                             "chroot",
                             "sethostname",
                             "capset",
                             "setuid",
                             "keyctl",
                             "userfaultfd",
                             "io_uring_setup",
                             "perf_event_open",
                             "reboot",
                             "adjtimex",
                             "read /proc/1/environ",
                             "read /proc/1/root/",
                             "write /proc/1/mem",
                             "signal init",
                             "writable mounts",
                             "no seccomp",
                             "capabilities"}) {
        CHECK_MESSAGE(report.find(cat(name, ": DONE ")) != std::string::npos, name);
    }
    must(remove_net_ns_name("control"));
}

TEST_CASE("attack: 20 MB of output fill neither the log nor the disk, and are counted") {
    Scene scene;
    scene.deploy(evil({"obey"}, ""));
    CHECK(http_get(scene.bed().client(1), {.to = kEvil, .path = "/flood"}).who() == "ready");
    CHECK(eventually(kLimit, [&] { return http_get(scene.bed().client(1), {.to = kEvil}).status == 200; }));
    CHECK(eventually(kLimit, [&] { return scene.status("evil").log_dropped > 0; }));
    std::uintmax_t logged = 0;
    for (const std::string& name : must(list_directory("/run/viscum/log"))) {
        logged += std::filesystem::file_size(cat("/run/viscum/log/", name));
    }
    CHECK(logged > 0);
    CHECK(logged <= 256 * 1024);
    scene.ctl({"remove", "evil"});
    scene.check_no_leak();
}

}  // namespace viscum
