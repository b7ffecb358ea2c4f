// SPDX-License-Identifier: GPL-2.0-only
// A caching name server in the place of the cloud's resolver, which it asks for what it does not know.
#include <algorithm>
#include <iomanip>
#include <sstream>
#include <thread>

#include "tests/examples/example.h"
#include "tests/support/campaign.h"

namespace viscum {
namespace {

/// 192.0.2.80: what the cloud's resolver says for every name below www.example.
const std::string kFromCloud("\xc0\x00\x02\x50", 4);
/// 203.0.113.10: edge.example, which only the hotspot's knows.
const std::string kOfSite("\xcb\x00\x71\x0a", 4);

/// A query for an address, type A (RFC 1035, section 4).
std::string query(const std::string& name) {
    std::string text("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
    for (const std::string& label : split(name, '.')) {
        text += cat(static_cast<char>(label.size()), label);
    }
    return text + std::string("\x00\x00\x01\x00\x01", 5);
}

class Resolver : public Example {
public:
    Resolver() : Example("dns") {
        Server cloud = must(dnsmasq("cloud", ""));
        cloud.command.insert(cloud.command.end(), {"--address=/www.example/192.0.2.80", "--local-ttl=300"});
        scene().start_in_cloud(cloud, 53);
    }
    UdpResult ask(const std::string& name, const std::string& server = "203.0.113.53") {
        return udp_query(bed().client(1), {.to = Endpoint::of(server, 53), .payload = query(name)});
    }
    /// A client asks for the hundred names of a page or two, ten times.
    std::uint64_t bytes_of_a_morning() {
        const std::uint64_t before = uplink_bytes();
        for (int number = 0; number < 1000; ++number) {
            CHECK(ask(cat("n", number % 100, ".www.example")).reply.ends_with(kFromCloud));
        }
        return uplink_bytes() - before;
    }
    /// The median and 99th percentile of a hundred round trips, spread over more than a second.
    std::string round_trips(const std::string& name) {
        constexpr std::size_t kQueries = 100;
        std::vector<double> took;
        for (std::size_t number = 0; number < kQueries; ++number) {
            const UdpResult result = ask(name);
            if (result.answered) {
                took.push_back(std::chrono::duration<double, std::milli>(result.took).count());
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        REQUIRE_FALSE(took.empty());
        std::ranges::sort(took);
        std::ostringstream text;
        text << std::fixed << std::setprecision(2) << took[took.size() / 2] << " / " << took[took.size() * 99 / 100]
             << " ms, " << kQueries - took.size() << " lost";
        return text.str();
    }
    /// The same while two downloads fill the uplink.
    std::string round_trips_beside_downloads(const std::string& name) {
        const auto downloads = [this](const std::stop_token& stopped) {
            while (!stopped.stop_requested()) {
                (void)http_get(bed().client(2), {.to = kWeb, .path = "/big", .limit = std::chrono::seconds(20)});
            }
        };
        const std::jthread first(downloads);
        const std::jthread second(downloads);
        const std::uint64_t before = uplink_bytes();
        CHECK(eventually(kLimit, [&] { return uplink_bytes() - before > 500'000; }));
        return round_trips(name);
    }
};

}  // namespace

TEST_CASE("dns: the site's names are known over both families") {
    Example example("dns");
    example.deploy("names.yaml");
    for (const auto& address : {"203.0.113.53", "2001:db8:c::53"}) {
        const auto answer =
            udp_query(example.bed().client(1), {.to = Endpoint::of(address, 53), .payload = query("edge.example")});
        REQUIRE_MESSAGE(answer.answered, answer.error);
        CHECK(answer.source == Endpoint::of(address, 53));
        CHECK(answer.reply.ends_with(kOfSite));
    }
    example.end({"dns"});
}

TEST_CASE("dns: other names are the real resolver's, are asked for once, and outlive the uplink") {
    Resolver resolver;
    resolver.deploy();
    for (const auto& address : {"203.0.113.53", "2001:db8:c::53"}) {
        CHECK(resolver.ask("a.www.example", address).reply.ends_with(kFromCloud));
    }
    // Both of its addresses are asked for the first one; what the slower one says may still be under way.
    CHECK(eventually(kLimit, [&] {
        const std::uint64_t asked = resolver.uplink_bytes();
        return resolver.ask("a.www.example").reply.ends_with(kFromCloud) && resolver.uplink_bytes() == asked;
    }));
    resolver.uplink_down();
    CHECK(resolver.ask("a.www.example").reply.ends_with(kFromCloud));
    CHECK(resolver.ask("edge.example").reply.ends_with(kOfSite));
    resolver.uplink_up();
    CHECK(eventually(kLimit, [&] { return resolver.ask("b.www.example").reply.ends_with(kFromCloud); }));
    resolver.end({"dns"});
}

TEST_CASE("dns: when it dies the cloud answers the very next query") {
    Resolver resolver;
    resolver.deploy();
    CHECK(resolver.ask("edge.example").reply.ends_with(kOfSite));
    // It is started again, each time later; between its death and that the cloud answers, who knows no edge.example.
    bool answered = false;
    for (int tries = 0; tries < 5 && !answered; ++tries) {
        CHECK(eventually(kLimit, [&] { return !resolver.scene().processes_of("dns").empty(); }));
        resolver.scene().kill_service("dns");
        const UdpResult result = resolver.ask("edge.example");
        CHECK(result.answered);
        answered = result.answered && !result.reply.ends_with(kOfSite);
    }
    CHECK(answered);
    CHECK(eventually(kLimit, [&] { return resolver.ask("edge.example").reply.ends_with(kOfSite); }));
    resolver.end({"dns"});
}

TEST_CASE("dns: queries stay off the uplink, and do not wait behind downloads") {
    Resolver resolver;
    const std::uint64_t without = resolver.bytes_of_a_morning();
    const std::string far = resolver.round_trips("a.www.example");
    resolver.slow_uplink("8mbit");
    const std::string far_beside = resolver.round_trips_beside_downloads("a.www.example");
    resolver.deploy();
    const std::uint64_t with = resolver.bytes_of_a_morning();
    CHECK(with < without / 5);
    const std::string near = resolver.round_trips("a.www.example");
    const std::string near_beside = resolver.round_trips_beside_downloads("a.www.example");
    must(record({"example-dns",
                 "Example dns: 1,000 queries for 100 names; round trips, median / 99th percentile",
                 "examples -tc='dns: queries*'",
                 {{"over the uplink, asking the cloud", amount(without)},
                  {"over the uplink, asking the hotspot", amount(with)},
                  {"round trip to the cloud", far},
                  {"beside two downloads over 8 Mbit/s", far_beside},
                  {"round trip to the hotspot", near},
                  {"beside the same downloads", near_beside}}}));
    resolver.end({"dns"});
}

}  // namespace viscum
