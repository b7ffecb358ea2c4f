// SPDX-License-Identifier: GPL-2.0-only
// The example that fills itself: nginx in the place of the cloud, which asks the cloud at the very same address.
#include <algorithm>
#include <iomanip>
#include <sstream>

#include "tests/examples/example.h"
#include "tests/support/campaign.h"

namespace viscum {

namespace {

constexpr std::size_t kBig = 1024 * 1024;  // bytes of /big

struct Page {
    std::string header;
    std::string body;

    /// "MISS", "HIT", …; empty where the cloud itself answered.
    [[nodiscard]] std::string cache() const {
        constexpr std::string_view kName = "\r\nX-Cache: ";
        const auto at = header.find(kName);
        const auto first = at + kName.size();
        return at == std::string::npos ? "" : header.substr(first, header.find('\r', first) - first);
    }
};

/// GET by HTTP/1.0, with its header.
Page get(const NetNs& ns, const Endpoint& to, const std::string& path) {
    const std::string text = exchange(ns, to, cat("GET ", path, " HTTP/1.0\r\nHost: www.example\r\n\r\n"));
    const auto end = text.find("\r\n\r\n");
    return end == std::string::npos ? Page{text, ""} : Page{text.substr(0, end + 2), text.substr(end + 4)};
}

class Cache : public Example {
public:
    Cache() : Example("cache") {
        install("cache.conf");
        deploy();
    }
    Page client_gets(int client, const std::string& path, const Endpoint& from = kWeb) {
        return get(bed().client(client), from, path);
    }
};

}  // namespace

TEST_CASE("cache: what one client asked for is served on the spot to the next, and crosses the uplink once") {
    Cache cache;
    const std::uint64_t before = cache.uplink_bytes();
    const Page first = cache.client_gets(1, "/big");
    CHECK(first.cache() == "MISS");
    CHECK(first.body.size() == kBig);
    const std::uint64_t filled = cache.uplink_bytes();
    CHECK(filled - before >= kBig);
    for (const Endpoint& address : {kWeb, kWeb6}) {
        const Page second = cache.client_gets(2, "/big", address);
        CHECK(second.cache() == "HIT");
        CHECK(second.body == first.body);
    }
    CHECK(cache.uplink_bytes() - filled < kBig / 10);
    const Page other = cache.client_gets(1, "/by-ipv6", kWeb6);
    CHECK(other.cache() == "MISS");
    CHECK(other.body == "cloud\n");
    const ServiceReport status = cache.scene().status("cache");
    CHECK(status.egress == "origin");
    CHECK_FALSE(status.egress_counts.empty());
    cache.end({"cache"});
}

TEST_CASE("cache: the cloud is asked at the address that the service owns, over both families") {
    Cache cache;
    // Its upstream takes turns between the families.
    for (const char* path : {"/1", "/2", "/3", "/4"}) {
        CHECK(cache.client_gets(1, path).body == "cloud\n");
    }
    const auto sockets = must(output_of({"ss", "-Htn"}, {.ns = &cache.bed().cloud()}));
    for (const char* ends : {"203.0.113.10:80 192.0.2.1:", "[2001:db8:c::10]:80 [2001:db8:1::1]:"}) {
        std::string plain;
        for (const char c : sockets) {
            plain += c == ' ' && plain.ends_with(' ') ? "" : std::string(1, c);
        }
        CHECK_MESSAGE(plain.find(ends) != std::string::npos, plain);
    }
    cache.end({"cache"});
}

TEST_CASE("cache: without an uplink it serves what it has") {
    Cache cache;
    CHECK(cache.client_gets(1, "/big").cache() == "MISS");
    CHECK(cache.client_gets(1, "/").cache() == "MISS");
    cache.uplink_down();
    for (const Endpoint& address : {kWeb, kWeb6}) {
        const Page page = cache.client_gets(2, "/big", address);
        CHECK(page.cache() == "HIT");
        CHECK(page.body.size() == kBig);
    }
    CHECK(cache.client_gets(2, "/").body == "cloud\n");
    CHECK(cache.client_gets(2, "/never-asked-before").header.find(" 50") != std::string::npos);
    CHECK(cache.scene().status("cache").health == "healthy");
    cache.uplink_up();
    CHECK(eventually(kLimit, [&] { return cache.client_gets(2, "/afterwards").body == "cloud\n"; }));
    cache.end({"cache"});
}

TEST_CASE("cache: of twenty downloads the uplink carries one") {
    constexpr int kDownloads = 20;
    Cache cache;
    cache.slow_uplink("20mbit");
    struct Round {
        std::uint64_t crossed = 0;
        std::string first;
        std::string median_later;
    };
    const auto round = [&](int downloads) {
        const std::uint64_t before = cache.uplink_bytes();
        std::vector<double> took;
        for (int number = 0; number < downloads; ++number) {
            const BootTime begun = boot_now();
            CHECK(cache.client_gets(1 + number % 2, "/big").body.size() == kBig);
            took.push_back(std::chrono::duration<double, std::milli>(boot_now() - begun).count());
        }
        const auto text = [](double value) {
            std::ostringstream out;
            out << std::fixed << std::setprecision(1) << value << " ms";
            return out.str();
        };
        const double first = took.front();
        std::sort(took.begin() + 1, took.end());
        return Round{cache.uplink_bytes() - before, text(first), text(took[1 + (took.size() - 1) / 2])};
    };
    const Round with = round(kDownloads);
    CHECK(with.crossed >= kBig);
    CHECK(with.crossed < 2 * kBig);
    cache.scene().ctl({"drain", "cache"});
    const Round without = round(kDownloads);
    CHECK(without.crossed >= kDownloads * kBig);
    must(record({"example-cache",
                 "Example cache: 20 downloads of 1 MiB over an uplink of 20 Mbit/s",
                 "examples -tc='cache: of twenty*'",
                 {{"over the uplink, with the cache", amount(with.crossed)},
                  {"over the uplink, without", amount(without.crossed)},
                  {"the first download", with.first},
                  {"a later one, median", with.median_later},
                  {"one without the cache, median", without.median_later}}}));
    cache.end({"cache"});
}

}  // namespace viscum
