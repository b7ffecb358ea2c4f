// SPDX-License-Identifier: GPL-2.0-only
// What a service may begin by itself, and what it may not, with real sockets in its namespace and everybody around it.
#include <algorithm>
#include <future>

#include "base/file.h"
#include "tests/scene/scene.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr std::uint16_t kTells = 8080;  // nginx in the cloud tells who asks
constexpr std::uint16_t kEchoes = 8000;
const Endpoint kCloud = Endpoint::of("203.0.113.53", kTells);
const Endpoint kCloud6 = Endpoint::of("2001:db8:c::53", kTells);
constexpr Millis kPatience{700};  // for an answer that is not to come, or comes at once

struct Target {
    std::string name;
    Endpoint to;  // TCP and UDP alike
};

/// Everybody on port kEchoes.
std::vector<Target> targets() {
    const auto at = [](const char* address) { return Endpoint::of(address, kEchoes); };
    return {{"cloud", at("203.0.113.53")},     {"cloud6", at("2001:db8:c::53")},  {"provider", at("192.0.2.2")},
            {"client", at("10.77.0.11")},      {"client6", at("2001:db8:77::b")}, {"router", at("10.77.0.1")},
            {"router6", at("2001:db8:77::1")}, {"uplink", at("192.0.2.1")},       {"uplink6", at("2001:db8:1::1")},
            {"service", at("203.0.113.77")},   {"service6", at("2001:db8:c::77")}};
}

/// A scene where all of them answer: the cloud, the LAN, the router, and another service on addresses that the cloud
/// has not.
class Surroundings {
public:
    Surroundings() {
        scene_.start_in_cloud(nginx("peer", "$remote_addr", {"8080", "[::]:8080"}), kTells);
        // Each address by itself: what listens on all of them answers from the one that its route prefers.
        Argv words = {"cloud"};
        for (const char* address :
             {"203.0.113.53", "203.0.113.20", "192.0.2.2", "2001:db8:c::53", "2001:db8:c::20", "2001:db8:1::2"}) {
            words.insert(words.end(), {"tcp", address, "8000", "udp", address, "8000"});
        }
        scene_.start_in_cloud(Server{test_server(words), ""}, kEchoes);
        programs_.push_back(must(start_server(must(echo_on("0.0.0.0", "::", "router")), bed().hotspot(), kEchoes)));
        programs_.push_back(must(start_server(must(echo_on("0.0.0.0", "::", "client")), bed().client(1), kEchoes)));
        scene_.deploy(test_service(
            "other", {"203.0.113.77 8000", "203.0.113.77 8000 udp", "2001:db8:c::77 8000", "2001:db8:c::77 8000 udp"},
            echo_words("203.0.113.77", "2001:db8:c::77", "service")));
        REQUIRE(scene_.web(Endpoint::of("203.0.113.77", kEchoes), 2) == "service");
        REQUIRE(scene_.web(Endpoint::of("10.77.0.1", kEchoes), 2) == "router");
        REQUIRE(scene_.web(Endpoint::of("10.77.0.11", kEchoes), 2) == "client");
    }
    Scene& scene() { return scene_; }
    Bed& bed() { return scene_.bed(); }

    /// The service "net", with these lines behind its `egress:`.
    void deploy(const std::string& egress, const std::string& more = "") {
        ServiceFile file = test_service("net", {"203.0.113.20 80", "2001:db8:c::20 80"},
                                        {"net", "tcp", "203.0.113.20", "80", "tcp", "2001:db8:c::20", "80"});
        file.more = cat("egress: ", egress, "\nrestart: { backoff: 10ms, backoff_max: 100ms }\n", more);
        scene_.deploy(file);
    }
    [[nodiscard]] NetNs inside() { return must(NetNs::open(scene_.status("net").namespace_name)); }
    void end() {
        scene_.ctl({"remove", "net"});
        scene_.ctl({"remove", "other"});
        programs_.clear();
        scene_.check_no_leak();
    }

private:
    static Argv echo_words(const std::string& v4, const std::string& v6, const std::string& who) {
        Argv words = {who};
        for (const char* protocol : {"tcp", "udp"}) {
            // A dual-stack listener on :: has 0.0.0.0's port, too.
            if (v6 == "::") {
                words.insert(words.end(), {protocol, v6, std::to_string(kEchoes)});
            } else {
                words.insert(words.end(), {protocol, v4, std::to_string(kEchoes)});
                words.insert(words.end(), {protocol, v6, std::to_string(kEchoes)});
            }
        }
        return words;
    }
    static Result<Server> echo_on(const std::string& v4, const std::string& v6, const std::string& who) {
        return Server{test_server(echo_words(v4, v6, who)), ""};
    }

    Scene scene_;
    std::vector<Program> programs_;
};

/// "tcp cloud, udp cloud": who of all answers the service. All are asked at once: most never answer.
std::string reached(const NetNs& ns) {
    std::vector<std::pair<std::string, std::future<bool>>> asked;
    for (const Target& target : targets()) {
        asked.emplace_back(cat("tcp ", target.name), std::async(std::launch::async, [&ns, to = target.to] {
                               return http_get(ns, {.to = to, .limit = kPatience}).outcome == Outcome::answered;
                           }));
        asked.emplace_back(cat("udp ", target.name), std::async(std::launch::async, [&ns, to = target.to] {
                               return udp_query(ns, {.to = to, .payload = "x", .limit = kPatience}).answered;
                           }));
    }
    std::vector<std::string> names;
    for (auto& [name, answered] : asked) {
        if (answered.get()) {
            names.push_back(name);
        }
    }
    return join(names, ", ");
}

std::uint64_t count(const Scene& scene, const std::string& reason) {
    const auto counts = scene.status("net").egress_counts;
    const auto found = std::ranges::find(counts, reason, &ReasonCount::reason);
    return found == counts.end() ? 0 : found->packets;
}

std::string who_asks(const NetNs& ns, const Endpoint& to) {
    return http_get(ns, {.to = to, .limit = 2s}).who();
}

/// From whom the cloud gets a datagram of the service's.
std::string datagram_source(Surroundings& around, const NetNs& ns, const IpAddress& address) {
    constexpr std::uint16_t kPort = 9999;
    const Endpoint here{address, kPort};
    const UniqueFd receiver = must(open_socket(around.bed().cloud(), SOCK_DGRAM, here, here));
    (void)udp_query(ns, {.to = here, .payload = "x", .limit = 100ms});
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    char byte = 0;
    const ssize_t size = recvfrom(receiver.get(), &byte, 1, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &length);
    return size < 0 ? "nobody" : from_sockaddr(from).address.text();
}

/// The ruleset of the router, of one table; empty where there is none.
std::string table(Surroundings& around, const std::string& name) {
    return run({"nft", "list", "table", "inet", name}, {.ns = &around.bed().hotspot()}).out;
}

void nft(Surroundings& around, const std::string& rules) {
    must(output_of({"nft", "-f", "-"}, {.ns = &around.bed().hotspot(), .input = rules}));
}

constexpr const char* kForeign =
    "table inet foreign {\n chain out { type filter hook forward priority 10; policy accept; }\n}\n";

}  // namespace

TEST_CASE("egress: a service that asks for none reaches nobody") {
    Surroundings around;
    around.deploy("none");
    {
        const NetNs ns = around.inside();
        CHECK(reached(ns) == "");
        CHECK(datagram_source(around, ns, kCloud.address) == "nobody");
        CHECK(datagram_source(around, ns, kCloud6.address) == "nobody");
    }
    CHECK(around.scene().status("net").egress == "none");
    CHECK(table(around, "viscum") == "");
    around.end();
}

TEST_CASE("egress: internet is what lies behind the uplink, by the router's address, and nothing else") {
    Surroundings around;
    around.deploy("internet");
    {
        const NetNs ns = around.inside();
        CHECK(reached(ns) == "tcp cloud, udp cloud, tcp cloud6, udp cloud6");
        CHECK(who_asks(ns, kCloud) == "192.0.2.1");
        CHECK(who_asks(ns, kCloud6) == "2001:db8:1::1");
        CHECK(datagram_source(around, ns, kCloud.address) == "192.0.2.1");
        CHECK(datagram_source(around, ns, kCloud6.address) == "2001:db8:1::1");
        // A large answer, for which the path needs more than a handshake.
        for (const char* address : {"203.0.113.53", "2001:db8:c::53"}) {
            CHECK(http_get(ns, {.to = Endpoint::of(address, 80), .path = "/big"}).body.size() == 1024 * 1024);
        }
    }
    const Scene& scene = around.scene();
    CHECK(scene.status("net").egress == "internet");
    CHECK(count(scene, "out") > 0);
    CHECK(count(scene, "in") > 0);
    CHECK(count(scene, "private") > 0);
    CHECK(scene.ctl({"status", "net"}).out.find("private") != std::string::npos);
    // It serves as it did.
    CHECK(scene.web(Endpoint::of("203.0.113.20", 80)) == "net");
    CHECK(scene.web(Endpoint::of("2001:db8:c::20", 80)) == "net");
    around.end();
}

TEST_CASE("egress: of a list, exactly what it names is reached, be it private or not") {
    Surroundings around;
    around.deploy("['203.0.113.53:8000/udp', '[2001:db8:c::53]:8000', '10.77.0.11:8000/tcp', '192.0.2.2:any/udp']");
    {
        const NetNs ns = around.inside();
        CHECK(reached(ns) == "udp cloud, tcp cloud6, udp provider, tcp client");
        CHECK(who_asks(ns, kCloud) != "192.0.2.1");
    }
    CHECK(count(around.scene(), "not-allowed") > 0);
    CHECK(around.scene().status("net").egress.find("203.0.113.53:8000/udp") != std::string::npos);
    around.end();
}

TEST_CASE("egress: origin is the real cloud at the very addresses that the service owns") {
    Surroundings around;
    around.deploy("origin");
    {
        const NetNs ns = around.inside();
        CHECK(reached(ns) == "");
        // The stand-ins, as the service's /etc/hosts names them.
        const auto hosts =
            must(read_file(cat("/proc/", around.scene().processes_of("net").front(), "/root/etc/hosts"), 65'536));
        std::vector<std::string> origins;
        for (const std::string& line : split(hosts, '\n')) {
            if (line.ends_with("origin")) {
                origins.push_back(line.substr(0, line.find_first_of(" \t")));
            }
        }
        REQUIRE(origins.size() == 2);
        for (const std::string& origin : origins) {
            CAPTURE(origin);
            CHECK(http_get(ns, {.to = Endpoint::of(origin, 80), .limit = 2s}).who() == "cloud");
            const bool v4 = Endpoint::of(origin, 80).address.is_v4();
            CHECK(who_asks(ns, Endpoint::of(origin, kTells)) == (v4 ? "192.0.2.1" : "2001:db8:1::1"));
            CHECK(udp_query(ns, {.to = Endpoint::of(origin, kEchoes), .payload = "x", .limit = kPatience}).answered);
        }
    }
    CHECK(around.scene().web(Endpoint::of("203.0.113.20", 80)) == "net");
    around.end();
}

TEST_CASE("egress: outlives the service's process, an update and viscumd") {
    Surroundings around;
    around.deploy("internet");
    const auto works = [&] {
        const NetNs ns = around.inside();
        return who_asks(ns, kCloud) == "192.0.2.1" && who_asks(ns, kCloud6) == "2001:db8:1::1";
    };
    CHECK(works());
    around.scene().kill_service("net");
    CHECK(eventually(kLimit, [&] { return around.scene().status("net").state == "up"; }));
    CHECK(works());
    around.deploy("internet", "# another version\n");
    CHECK(works());
    {
        const NetNs ns = around.inside();
        around.scene().viscumd().kill();
        CHECK(who_asks(ns, kCloud) == "192.0.2.1");
        CHECK(who_asks(ns, kCloud6) == "2001:db8:1::1");
        must(around.scene().viscumd().start_again());
        CHECK(who_asks(ns, kCloud) == "192.0.2.1");
    }
    const std::uint64_t before = count(around.scene(), "out");
    CHECK(before > 0);
    CHECK(works());
    CHECK(count(around.scene(), "out") > before);
    // And it ends with the file that asked for it.
    around.deploy("none");
    CHECK_FALSE(works());
    CHECK(eventually(kLimit, [&] { return table(around, "viscum").empty(); }));
    around.end();
}

TEST_CASE("egress: what another tool flushes is back, and what is not ours stays") {
    Surroundings around;
    around.deploy("internet");
    nft(around, kForeign);
    const std::string foreign = table(around, "foreign");
    const std::string ours = table(around, "viscum");
    CHECK(ours.find("masquerade") != std::string::npos);
    const NetNs ns = around.inside();
    for (const char* rules : {"delete table inet viscum\n", "flush table inet viscum\n"}) {
        CAPTURE(rules);
        nft(around, rules);
        CHECK(eventually(kLimit, [&] { return table(around, "viscum") == ours; }));
        CHECK(who_asks(ns, kCloud) == "192.0.2.1");
        CHECK(table(around, "foreign") == foreign);
    }
    nft(around, cat("flush ruleset\n", kForeign));
    CHECK(eventually(kLimit, [&] { return table(around, "viscum") == ours; }));
    CHECK(who_asks(ns, kCloud) == "192.0.2.1");
    CHECK(who_asks(ns, kCloud6) == "2001:db8:1::1");
    CHECK(table(around, "foreign") == foreign);
    around.scene().ctl({"remove", "net"});
    CHECK(table(around, "viscum") == "");
    CHECK(table(around, "foreign") == foreign);
    nft(around, "delete table inet foreign\n");
    around.deploy("none");
    around.end();
}

TEST_CASE("egress: flows that began while the masquerade was away are translated once it is back") {
    Surroundings around;
    around.deploy("internet");
    // A firewall has connections tracked on: what begins now is remembered as not to be translated.
    nft(around, "table inet foreign {\n chain c { type filter hook forward priority 0; ct state new counter; }\n}\n");
    const NetNs ns = around.inside();
    for (const char* address : {"203.0.113.53", "2001:db8:c::53"}) {
        CAPTURE(address);
        auto flow = must(UdpFlow::open(ns, {.to = Endpoint::of(address, kEchoes), .payload = "x", .limit = kPatience}));
        (void)around.scene().viscumd().pause();
        nft(around, "delete table inet viscum\n");
        auto tcp = std::async(std::launch::async,
                              [&] { return http_get(ns, {.to = Endpoint::of(address, kTells), .limit = 10s}).who(); });
        CHECK_FALSE(flow.query().answered);
        (void)around.scene().viscumd().resume();
        CHECK(eventually(kLimit, [&] { return flow.query().answered; }));
        CHECK(tcp.get().starts_with(Endpoint::of(address, 0).address.is_v4() ? "192.0.2.1" : "2001:db8:1::1"));
    }
    nft(around, "delete table inet foreign\n");
    around.end();
}

TEST_CASE("egress: what the router loses of a service's way, it gets back") {
    Surroundings around;
    around.deploy("internet");
    const NetNs ns = around.inside();
    const auto routes = [&] { return must(output_of({"ip", "-4", "route", "show"}, {.ns = &around.bed().hotspot()})); };
    const std::string before = routes();
    for (const std::string& line : split(before, '\n')) {
        if (line.starts_with("198.19.")) {
            must(ip_batch(around.bed().hotspot(), cat("route del ", line.substr(0, line.find(' ')), "\n")));
        }
    }
    CHECK(routes() != before);
    CHECK(eventually(kLimit, [&] { return routes() == before; }));
    CHECK(who_asks(ns, kCloud) == "192.0.2.1");
    const std::string link = around.scene().status("net").link;
    must(output_of({"tc", "qdisc", "del", "dev", link, "clsact"}, {.ns = &around.bed().hotspot()}));
    CHECK(eventually(kLimit, [&] { return who_asks(ns, kCloud) == "192.0.2.1"; }));
    CHECK(reached(ns) == "tcp cloud, udp cloud, tcp cloud6, udp cloud6");
    around.scene().ctl({"status", "net"});
    around.end();
}

}  // namespace viscum
