// SPDX-License-Identifier: GPL-2.0-only
// A scan of all ports, by a client of the LAN: what a service claims is to be seen of it, and nothing else.
#include <poll.h>

#include <algorithm>
#include <array>
#include <set>

#include "controller/spec/service_spec.h"
#include "tests/scene/scene.h"
#include "tests/support/campaign.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kAtOnce = 400;  // connections under way
constexpr int kLastPort = 65'535;
constexpr auto kPatience = 10s;  // for one batch, every port of which answers: "open" or "refused"

struct Knock {
    UniqueFd fd;
    std::uint16_t port = 0;
};

struct Scan {
    std::set<std::uint16_t> open;
    std::size_t refused = 0;
    std::size_t silent = 0;  // neither, within kPatience
};

/// The error that a connection under way ended with; 0: it is there.
int outcome_of(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

void wait_for_all(std::vector<Knock>& knocks, Scan& scan) {
    const BootTime deadline = boot_now() + kPatience;
    while (!knocks.empty() && boot_now() < deadline) {
        std::vector<pollfd> watched;
        for (const Knock& knock : knocks) {
            watched.push_back({knock.fd.get(), POLLOUT, 0});
        }
        (void)poll(watched.data(), watched.size(), 1000);
        for (std::size_t index = knocks.size(); index-- > 0;) {
            if (watched[index].revents == 0) {
                continue;
            }
            if (outcome_of(knocks[index].fd.get()) == 0) {
                scan.open.insert(knocks[index].port);
            } else {
                ++scan.refused;
            }
            knocks.erase(knocks.begin() + static_cast<std::ptrdiff_t>(index));
        }
    }
    scan.silent += knocks.size();
    knocks.clear();
}

Scan scan_tcp(const NetNs& ns, const IpAddress& address) {
    Scan scan;
    std::vector<Knock> knocks;
    for (int port = 1; port <= kLastPort; ++port) {
        const Endpoint to{address, static_cast<std::uint16_t>(port)};
        UniqueFd fd = must(open_socket(ns, SOCK_STREAM, to, {}));
        // A reset at its end: tens of thousands of connections leave no TIME-WAIT behind.
        const linger at_once{1, 0};
        setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        const SocketAddress there = to_sockaddr(to);
        if (connect(fd.get(), there.get(), there.length) == 0) {
            scan.open.insert(to.port);
        } else if (errno == EINPROGRESS) {
            knocks.push_back({std::move(fd), to.port});
        } else {
            ++scan.refused;
        }
        if (knocks.size() == kAtOnce) {
            wait_for_all(knocks, scan);
        }
    }
    wait_for_all(knocks, scan);
    return scan;
}

/// Which of `ports` answer a datagram; all are asked at once.
std::set<std::uint16_t> scan_udp(const NetNs& ns, const IpAddress& address, const std::vector<std::uint16_t>& ports) {
    std::vector<Knock> knocks;
    for (const std::uint16_t port : ports) {
        const Endpoint to{address, port};
        Knock knock{must(open_socket(ns, SOCK_DGRAM, to, {})), port};
        const SocketAddress there = to_sockaddr(to);
        REQUIRE(connect(knock.fd.get(), there.get(), there.length) == 0);
        (void)send(knock.fd.get(), "x", 1, 0);
        knocks.push_back(std::move(knock));
    }
    const BootTime deadline = boot_now() + 1s;
    std::set<std::uint16_t> open;
    for (const Knock& knock : knocks) {
        std::array<char, 512> reply{};
        if (wait_for_socket(knock.fd.get(), POLLIN, deadline) &&
            recv(knock.fd.get(), reply.data(), reply.size(), 0) > 0) {
            open.insert(knock.port);
        }
    }
    return open;
}

std::string text(const std::set<std::uint16_t>& ports) {
    std::vector<std::string> words;
    for (const std::uint16_t port : ports) {
        words.push_back(std::to_string(port));
    }
    return join(words, " ");
}

/// It listens on far more than its file declares, on each of its addresses.
ServiceFile talkative() {
    Argv arguments = {"local"};
    for (const char* address : {"0.0.0.0", "::"}) {
        for (const char* port : {"22", "80", "8080", "9000", "53"}) {
            if (std::string(address) == "::") {
                arguments.insert(arguments.end(), {"tcp", "2001:db8:c::30", port, "udp", "2001:db8:c::30", port});
            } else {
                arguments.insert(arguments.end(), {"tcp", address, port, "udp", address, port});
            }
        }
    }
    ServiceFile file = test_service("talkative",
                                    {"203.0.113.30 80", "203.0.113.30 9000-9010", "203.0.113.30 53 udp",
                                     "2001:db8:c::30 8080", "2001:db8:c::30 53 udp"},
                                    arguments);
    file.more = "egress: [internet, origin]\n";
    return file;
}

}  // namespace

TEST_CASE("exposure: a scan of all ports finds of a service what its file declares, and nothing else of anybody") {
    Scene scene({.bed = {.cloud = {"203.0.113.10", "2001:db8:c::10", "203.0.113.30", "2001:db8:c::30"}}});
    const NetNs& client = scene.bed().client(1);
    const IpAddress address = Endpoint::of("203.0.113.30", 0).address;
    const IpAddress address6 = Endpoint::of("2001:db8:c::30", 0).address;
    const IpAddress router = Endpoint::of("10.77.0.1", 0).address;
    const IpAddress router6 = Endpoint::of("2001:db8:77::1", 0).address;
    // nginx in the cloud has port 80 of every address.
    CHECK(text(scan_udp(client, address, {53})) == "");
    scene.deploy(talkative());
    std::size_t undeclared = 0;
    for (const auto& [to, expected] : std::vector<std::pair<IpAddress, std::string>>{
             {address, "80 9000"}, {address6, "80 8080"}, {router, ""}, {router6, ""}}) {
        CAPTURE(to.text());
        const Scan scan = scan_tcp(client, to);
        undeclared += text(scan.open) == expected ? 0 : scan.open.size();
        CHECK(text(scan.open) == expected);
        CHECK(scan.silent == 0);
        CHECK(scan.open.size() + scan.refused == kLastPort);
    }
    // Port 80 of IPv6 is the cloud's.
    CHECK(scene.web(Endpoint{address, 80}) == "local");
    CHECK(scene.web(Endpoint{address6, 80}) == "cloud");
    std::vector<std::uint16_t> ports = {22, 53, 67, 68, 80, 123, 161, 443, 546, 547, 5353, 8080, 9000, 9005};
    for (std::uint16_t port = 32'000; port < 32'200; ++port) {
        ports.push_back(port);
    }
    CHECK(text(scan_udp(client, address, ports)) == "53");
    CHECK(text(scan_udp(client, address6, ports)) == "53");
    CHECK(text(scan_udp(client, router, ports)) == "");
    must(record({.part = "exposure-ports",
                 .title = "Exposure: a scan of a service with 5 claims that listens on more, and of its router",
                 .repeat = "ctest -R exposure",
                 .values = {{"TCP ports tried, service and router, both families", std::to_string(4 * kLastPort)},
                            {"UDP ports tried", std::to_string(3 * ports.size())},
                            {"open and not declared", std::to_string(undeclared)}}}));
    scene.ctl({"remove", "talkative"});
    scene.check_no_leak();
}

TEST_CASE("exposure: the addresses that stand for a service on the router answer no client") {
    Scene scene({.bed = {.cloud = {"203.0.113.10", "2001:db8:c::10", "203.0.113.30", "2001:db8:c::30"}}});
    scene.deploy(talkative());
    const NetNs& client = scene.bed().client(1);
    // What the router has a route for: the aliases of every link.
    std::vector<IpAddress> aliases;
    for (const char* family : {"-4", "-6"}) {
        const auto routes = must(output_of({"ip", family, "route", "show"}, {.ns = &scene.bed().hotspot()}));
        for (const std::string& line : split(routes, '\n')) {
            const std::string destination = line.substr(0, line.find(' '));
            const auto found = IpAddress::parse(destination.substr(0, destination.find('/')));
            if (found && (AliasRange{}.v4.contains(*found) || AliasRange{}.v6.contains(*found))) {
                aliases.push_back(*found);
            }
        }
    }
    REQUIRE(aliases.size() >= 2);
    for (const IpAddress& alias : aliases) {
        CAPTURE(alias.text());
        // One that stands for the service: nobody asked for this answer. A port that is open in there, and others.
        for (const std::uint16_t port : {std::uint16_t{22}, std::uint16_t{80}, std::uint16_t{8080}}) {
            const HttpResult result = http_get(client, {.to = {alias, port}, .limit = 700ms});
            CHECK_MESSAGE(result.outcome != Outcome::answered, port, ": ", result.who());
        }
        CHECK(text(scan_udp(client, alias, {22, 53, 80, 8080})) == "");
    }
    scene.ctl({"remove", "talkative"});
    scene.check_no_leak();
}

}  // namespace viscum
