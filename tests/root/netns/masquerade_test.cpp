// SPDX-License-Identifier: GPL-2.0-only
#include "netns/masquerade.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <string>

#include "tests/root/netns/service_net.h"
#include "tests/support/endpoint.h"
#include "tests/support/program.h"
#include "tests/support/sandbox.h"

using namespace viscum;

namespace {

Masquerade wanted(const std::string& v4 = "198.19.0.0/16", const std::string& v6 = "fd76:6973:6375:6d::/64") {
    return {"test-masq", IpPrefix::parse(v4).value(), IpPrefix::parse(v6).value()};
}

/// The rule set as nft shows it, with handles: a rule that was made again has another one.
std::string shown(const std::string& table = "inet test-masq") {
    return run({"nft", "-a", "list", "table", table.substr(0, 4), table.substr(5)}).out;
}

void nft(const std::string& commands) {
    must(output_of({"nft", "-f", "-"}, {.input = commands}));
}

bool readable(int fd) {
    pollfd watched{fd, POLLIN, 0};
    return poll(&watched, 1, 0) == 1;
}

/// Makes the table; false, and says so, where this kernel cannot.
bool made(const Masquerade& masquerade = wanted()) {
    const auto status = make_masquerade(masquerade);
    if (!status && status.error().errno_code == EOPNOTSUPP) {
        skip(status.error().what);
        return false;
    }
    must(status);
    return true;
}

struct Rules {
    Rules() = default;
    ~Rules() { run({"nft", "flush", "ruleset"}); }
    Rules(const Rules&) = delete;
    Rules& operator=(const Rules&) = delete;
};

/// Two neighbours of the test's own namespace, each behind a veth: the inner one owns an alias of each family, the
/// outer one has no route but to its link.
struct Path {
    Path() : inner(must(NetNs::create("masq-in"))), outer(must(NetNs::create("masq-out"))) {
        join("in0", "masq-in", "192.0.2.1/24", "2001:db8:1::1/64");
        join("out0", "masq-out", "203.0.113.1/24", "2001:db8:2::1/64");
        in(inner, {"ip", "addr", "add", "192.0.2.2/24", "dev", "eth0"});
        in(inner, {"ip", "addr", "add", "198.19.0.5/32", "dev", "eth0"});
        in(inner, {"ip", "addr", "add", "2001:db8:1::2/64", "dev", "eth0", "nodad"});
        in(inner, {"ip", "addr", "add", "fd76:6973:6375:6d::5/128", "dev", "eth0", "nodad"});
        in(inner, {"ip", "route", "add", "default", "via", "192.0.2.1"});
        in(inner, {"ip", "route", "add", "default", "via", "2001:db8:1::1"});
        in(outer, {"ip", "addr", "add", "203.0.113.2/24", "dev", "eth0"});
        in(outer, {"ip", "addr", "add", "2001:db8:2::2/64", "dev", "eth0", "nodad"});
        must(output_of({"ip", "route", "add", "198.19.0.0/16", "via", "192.0.2.2"}));
        must(output_of({"ip", "route", "add", "fd76:6973:6375:6d::/64", "via", "2001:db8:1::2"}));
        must(set_net_sysctl("ipv4/ip_forward", "1"));
        must(set_net_sysctl("ipv6/conf/all/forwarding", "1"));
    }
    ~Path() {
        for (const auto* const device : {"in0", "out0"}) {
            run({"ip", "link", "delete", device});
        }
        CHECK(remove_net_ns_name("masq-in"));
        CHECK(remove_net_ns_name("masq-out"));
    }
    Path(const Path&) = delete;
    Path& operator=(const Path&) = delete;

    static void in(const NetNs& ns, const Argv& argv) { must(output_of(argv, {.ns = &ns})); }
    static void join(const std::string& device, const std::string& ns, const std::string& v4, const std::string& v6) {
        must(output_of({"ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", ns}));
        must(output_of({"ip", "addr", "add", v4, "dev", device}));
        must(output_of({"ip", "addr", "add", v6, "dev", device, "nodad"}));
        must(output_of({"ip", "link", "set", device, "up"}));
        in(must(NetNs::open(ns)), {"ip", "link", "set", "eth0", "up"});
    }

    NetNs inner, outer;
};

std::chrono::nanoseconds in(std::chrono::milliseconds wait) {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec) + wait;
}

constexpr std::chrono::milliseconds kPatience{5000};
constexpr std::chrono::milliseconds kNever{200};  // what has no way back does not come, however long one waits

/// Whom the server at `to` sees when `from` connects; :: where no connection comes to be.
IpAddress seen_source(const Path& path, const std::string& from, const std::string& to,
                      std::chrono::milliseconds wait = kPatience) {
    const auto server = Endpoint::of(to, 8080);
    const auto listener = must(open_socket(path.outer, SOCK_STREAM, server, server));
    REQUIRE(listen(listener.get(), 4) == 0);
    const auto client = must(open_socket(path.inner, SOCK_STREAM, server, Endpoint::of(from, 0)));
    const auto address = to_sockaddr(server);
    const int begun = connect(client.get(), address.get(), address.length);
    REQUIRE((begun == 0 || errno == EINPROGRESS));
    if (!wait_for_socket(listener.get(), POLLIN, in(wait))) {
        return {};
    }
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    const UniqueFd accepted(accept4(listener.get(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_CLOEXEC));
    REQUIRE(accepted);
    // The way back is translated as well.
    REQUIRE(send(accepted.get(), "x", 1, 0) == 1);
    CHECK(wait_for_socket(client.get(), POLLIN, in(kPatience)));
    char byte = 0;
    CHECK(recv(client.get(), &byte, 1, 0) == 1);
    return from_sockaddr(peer).address;
}

}  // namespace

TEST_CASE("masquerade: made as nft shows it, once") {
    const Rules rules;
    CHECK_FALSE(must(has_masquerade(wanted())));
    if (!made()) {
        return;
    }
    CHECK(must(has_masquerade(wanted())));
    const auto before = shown();
    for (const auto* const line :
         {"type nat hook postrouting priority srcnat; policy accept;", "ip saddr 198.19.0.0/16 masquerade",
          "ip6 saddr fd76:6973:6375:6d::/64 masquerade"}) {
        CHECK_MESSAGE(before.find(line) != std::string::npos, before);
    }
    CHECK(must(has_masquerade(wanted())));
    CHECK(shown() == before);  // to look writes nothing
    must(make_masquerade(wanted()));
    CHECK(must(has_masquerade(wanted())));
}

TEST_CASE("masquerade: every length of a prefix is read back as it was made") {
    const Rules rules;
    if (!made()) {
        return;
    }
    for (const auto& [v4, v6] : std::vector<std::pair<std::string, std::string>>{
             {"198.18.0.0/15", "fd00::/9"}, {"198.19.1.0/25", "fd76::1/128"}, {"198.19.0.1", "fd76:6973::/33"}}) {
        const auto other = wanted(v4, v6);
        CHECK_FALSE(must(has_masquerade(other)));
        must(make_masquerade(other));
        CHECK(must(has_masquerade(other)));
        CHECK_FALSE(must(has_masquerade(wanted())));
        CHECK_MESSAGE(shown().find("ip saddr " + other.v4.text() + " masquerade") != std::string::npos, shown());
    }
}

TEST_CASE("masquerade: whatever another tool changes in the table is seen, and mended") {
    const Rules rules;
    if (!made()) {
        return;
    }
    for (const std::string change :
         {"flush ruleset", "flush chain inet test-masq leave", "delete table inet test-masq",
          "add rule inet test-masq leave counter", "insert rule inet test-masq leave accept",
          "add chain inet test-masq other", "add table inet test-masq { flags dormant; }",
          "add chain inet test-masq leave { policy drop; }",
          "delete table inet test-masq\nadd table inet test-masq\nadd chain inet test-masq leave { type nat hook "
          "postrouting priority 5; }\nadd rule inet test-masq leave ip saddr 198.19.0.0/16 masquerade\nadd rule inet "
          "test-masq leave ip6 saddr fd76:6973:6375:6d::/64 masquerade"}) {
        CAPTURE(change);
        nft(change + "\n");
        CHECK_FALSE(must(has_masquerade(wanted())));
        must(make_masquerade(wanted()));
        CHECK(must(has_masquerade(wanted())));
    }
}

TEST_CASE("masquerade: other tables stay as they are") {
    const Rules rules;
    if (!made()) {
        return;
    }
    nft("add table ip test-masq\nadd table inet other\nadd chain inet other leave { type nat hook postrouting priority "
        "100; }\nadd rule inet other leave counter\n");
    const auto other = shown("inet other");
    CHECK(must(has_masquerade(wanted())));
    must(make_masquerade(wanted()));
    CHECK(must(has_masquerade(wanted())));
    must(remove_masquerade("test-masq"));
    CHECK_FALSE(must(has_masquerade(wanted())));
    CHECK(shown().empty());
    CHECK(shown("inet other") == other);
    CHECK(run({"nft", "list", "table", "ip", "test-masq"}).success());
    must(remove_masquerade("test-masq"));
}

TEST_CASE("masquerade: the watch tells of every change of rules, and of nothing else") {
    const Rules rules;
    const auto watch = must(NftWatch::open());
    CHECK_FALSE(watch.drain());
    if (!made()) {
        return;
    }
    CHECK(readable(watch.fd()));
    CHECK(watch.drain());
    CHECK_FALSE(readable(watch.fd()));
    CHECK_FALSE(watch.drain());
    CHECK(must(has_masquerade(wanted())));
    CHECK_FALSE(watch.drain());
    nft("flush ruleset\n");
    CHECK(watch.drain());
    CHECK_FALSE(must(has_masquerade(wanted())));
}

TEST_CASE("masquerade: what overflows the watch counts as news, and the watch goes on") {
    const Rules rules;
    const auto watch = must(NftWatch::open());
    const int tiny = 1;
    REQUIRE(setsockopt(watch.fd(), SOL_SOCKET, SO_RCVBUF, &tiny, sizeof tiny) == 0);
    if (!made()) {
        return;
    }
    for (int i = 0; i < 20; ++i) {
        must(make_masquerade(wanted()));
    }
    CHECK(watch.drain());
    CHECK_FALSE(watch.drain());
    must(remove_masquerade("test-masq"));
    CHECK(watch.drain());
}

TEST_CASE("masquerade: what leaves from an alias comes from the router, in both families, and nothing else does") {
    const Rules rules;
    const Path path;
    const auto router4 = IpAddress::parse("203.0.113.1").value();
    const auto router6 = IpAddress::parse("2001:db8:2::1").value();
    CHECK(seen_source(path, "198.19.0.5", "203.0.113.2", kNever) == IpAddress{});
    if (!made()) {
        return;
    }
    CHECK(seen_source(path, "198.19.0.5", "203.0.113.2") == router4);
    CHECK(seen_source(path, "fd76:6973:6375:6d::5", "2001:db8:2::2") == router6);
    // Without the alias the address is left alone, and the answer finds no way back.
    CHECK(seen_source(path, "192.0.2.2", "203.0.113.2", kNever) == IpAddress{});
}

TEST_CASE("masquerade: a namespace without any rule has none, and none to remove") {
    const auto ns = must(NetNs::create("masq-empty"));
    must(ns.inside([]() -> Status {
        CHECK_FALSE(must(has_masquerade(wanted())));
        return remove_masquerade("test-masq");
    }));
    must(remove_net_ns_name("masq-empty"));
}
