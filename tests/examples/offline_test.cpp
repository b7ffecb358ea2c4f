// SPDX-License-Identifier: GPL-2.0-only
// A site without an uplink: what is served there, and what must not leave it.
#include <poll.h>

#include <filesystem>

#include "base/file.h"
#include "tests/examples/example.h"
#include "tests/support/campaign.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

const Endpoint kLibrary = Endpoint::of("203.0.113.60", 80);
const Endpoint kLibrary6 = Endpoint::of("2001:db8:c::60", 80);
const Endpoint kRecords = Endpoint::of("203.0.113.61", 80);
const Endpoint kRecords6 = Endpoint::of("2001:db8:c::61", 80);

/// Where there is no uplink nobody else is to serve: not when viscumd is gone either.
Scene::Options without_lease() {
    Scene::Options options;
    options.config_lines = "lan: [br-lan]\nlease: off\n";
    for (const Endpoint& address : {kLibrary, kLibrary6, kRecords, kRecords6}) {
        options.bed.cloud.push_back(address.address.text());
    }
    return options;
}

class OfflineSite : public Example {
public:
    OfflineSite() : Example("offline", without_lease()) {}
    /// The router's own way to the two is closed, or open again.
    void blackholes(const char* verb, const Endpoint& v4, const Endpoint& v6) {
        must(ip_batch(bed().hotspot(), cat("route ", verb, " blackhole ", v4.address.text(), "/32\n", "route ", verb,
                                           " blackhole ", v6.address.text(), "/128\n")));
    }
};

class Library : public OfflineSite {
public:
    Library() {
        install("library.conf");
        must(output_of({"/bin/sh", path("library.sh"), kDocuments}));
        deploy();
    }
    ~Library() { std::filesystem::remove_all(kDocuments); }
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;

    /// Whether a client gets every document, over both families, as it lies there.
    bool serves_all() {
        std::size_t whole = 0;
        const auto names = must(list_directory(kDocuments));
        for (const std::string& name : names) {
            const std::string document = must(read_file(cat(kDocuments, "/", name), 65'536));
            for (const Endpoint& to : {kLibrary, kLibrary6}) {
                const HttpResult page = http_get(bed().client(1), {.to = to, .path = cat("/", name)});
                whole += page.status == 200 && page.body == document ? 1U : 0U;
            }
        }
        CHECK(names.size() > 20);
        return whole == 2 * names.size();
    }
    bool serves() { return http_get(bed().client(1), {.to = kLibrary, .path = "/"}).status == 200; }
    bool has_route(const Endpoint& to) {
        return run({"ip", "route", "get", to.address.text()}, {.ns = &bed().hotspot()}).success();
    }

private:
    static constexpr const char* kDocuments = "/srv/library";
};

class Records : public OfflineSite {
public:
    Records() {
        install("records.conf");
        must(output_of({"nft", "-f", "-"}, {.ns = &bed().cloud(), .input = R"(
            table inet seen {
                chain arrives {
                    type filter hook prerouting priority -300;
                    ip daddr 203.0.113.61 counter
                    ip6 daddr 2001:db8:c::61 counter
                }
            })"}));
        deploy("records.yaml");
    }
    /// Packets for the records' addresses that the cloud has got.
    std::uint64_t seen_by_cloud() {
        std::uint64_t packets = 0;
        const auto words =
            split_words(must(output_of({"nft", "list", "table", "inet", "seen"}, {.ns = &bed().cloud()})));
        for (std::size_t at = 0; at + 1 < words.size(); ++at) {
            packets += words[at] == "packets" ? parse_decimal(words[at + 1], UINT64_MAX).value_or(0) : 0;
        }
        return packets;
    }
    /// The status line's number of a record that is put; empty where nobody takes it.
    std::string put(const Endpoint& to, Millis patience = kLimit) {
        const std::string answer = exchange(bed().client(1), to,
                                            "PUT /records/1 HTTP/1.0\r\nHost: records.example\r\n"
                                            "Content-Length: 13\r\n\r\nnot for cloud",
                                            patience);
        return answer.size() < 12 ? "" : answer.substr(9, 3);
    }
    /// Puts some over both families; how many were taken.
    int attempts(Millis patience = kPatience) {
        int taken = 0;
        for (int number = 0; number < 3; ++number) {
            for (const Endpoint& to : {kRecords, kRecords6}) {
                taken += put(to, patience).empty() ? 0 : 1;
            }
        }
        return taken;
    }

private:
    static constexpr Millis kPatience{300};
};

}  // namespace

TEST_CASE("offline: the library is served without an uplink, without a route, and after a power cut") {
    Library library;
    CHECK(library.serves_all());
    library.uplink_down();
    CHECK_FALSE(library.has_route(kLibrary));
    CHECK_FALSE(library.has_route(kLibrary6));
    const std::uint64_t before = library.uplink_bytes();
    CHECK(library.serves_all());
    library.scene().reboot();
    CHECK(eventually(kLimit, [&] { return library.serves(); }));
    CHECK(library.serves_all());
    library.blackholes("add", kLibrary, kLibrary6);
    CHECK(library.serves_all());
    library.blackholes("del", kLibrary, kLibrary6);
    CHECK(library.uplink_bytes() == before);
    CHECK(library.scene().status("offline").health == "healthy");
    library.uplink_up();
    library.end({"offline"});
}

TEST_CASE("offline: with lease: off the library is served for as long as viscumd is gone") {
    Library library;
    Scene& scene = library.scene();
    library.uplink_down();
    // What a lease would do: new flows are the cloud's, and there is none.
    scene.write_config("lan: [br-lan]\nlease: 1s\n");
    CHECK(scene.viscumd().stop() == 0);
    must(scene.viscumd().start_again());
    CHECK(library.serves());
    scene.viscumd().kill();
    CHECK(eventually(kLimit, [&] { return !library.serves(); }));
    scene.write_config("lan: [br-lan]\nlease: off\n");
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return library.serves(); }));
    scene.viscumd().kill();
    CHECK_FALSE(eventually(Millis(3000), [&] { return !library.serves(); }));
    CHECK(library.serves_all());
    must(scene.viscumd().start_again());
    library.uplink_up();
    library.end({"offline"});
}

TEST_CASE("offline: records are put and not deleted, and one client that holds many connections is refused more") {
    if (!lacks({"nft"}).empty()) {
        return;
    }
    Records records;
    const NetNs& client = records.bed().client(1);
    CHECK(records.put(kRecords) == "201");
    const std::string removal = "DELETE /records/1 HTTP/1.0\r\nHost: records.example\r\n\r\n";
    CHECK(exchange(client, kRecords, removal).starts_with("HTTP/1.1 405"));
    CHECK(http_get(client, {.to = kRecords, .path = "/records/1"}).body == "not for cloud");
    std::vector<UniqueFd> held;
    const SocketAddress address = to_sockaddr(kRecords);
    const std::string begun = "PUT /records/2 HTTP/1.0\r\nHost: records.example\r\nContent-Length: 13\r\n\r\n";
    for (int number = 0; number < 16; ++number) {
        held.push_back(must(open_socket(client, SOCK_STREAM, kRecords, {})));
        (void)connect(held.back().get(), address.get(), address.length);
        REQUIRE(wait_for_socket(held.back().get(), POLLOUT, boot_now() + kLimit));
        REQUIRE(send(held.back().get(), begun.data(), begun.size(), MSG_NOSIGNAL) > 0);
    }
    CHECK(eventually(kLimit, [&] { return records.put(kRecords) == "503"; }));
    CHECK(http_get(records.bed().client(2), {.to = kRecords, .path = "/records/1"}).status == 200);
    held.clear();
    CHECK(eventually(kLimit, [&] { return records.put(kRecords) == "204"; }));
    CHECK(records.scene().status("records").health == "healthy");
    must(output_of({"nft", "delete", "table", "inet", "seen"}, {.ns = &records.bed().cloud()}));
    records.end({"records"});
}

TEST_CASE("offline: of what must not leave the site the cloud sees no packet, whatever becomes of the local copy") {
    if (!lacks({"nft"}).empty()) {
        return;
    }
    Records records;
    CHECK(records.put(kRecords) == "201");
    CHECK(records.put(kRecords6) == "204");  // the same record once more
    // Dead, or just started again.
    for (int number = 0; number < 3; ++number) {
        CHECK(eventually(kLimit, [&] { return !records.scene().processes_of("records").empty(); }));
        records.scene().kill_service("records");
        (void)records.attempts();
    }
    CHECK(eventually(kLimit, [&] { return records.scene().status("records").admission == "serve"; }));
    // Hung.
    records.scene().signal_service("records", SIGSTOP);
    CHECK(records.attempts() == 0);
    CHECK(eventually(kLimit, [&] { return records.scene().status("records").health == "unhealthy"; }));
    CHECK(records.attempts() == 0);
    records.scene().signal_service("records", SIGCONT);
    // Drained.
    records.scene().ctl({"drain", "records"});
    CHECK(records.attempts() == 0);
    CHECK(records.seen_by_cloud() == 0);
    // Removed, and the way out is closed as the page says.
    records.blackholes("add", kRecords, kRecords6);
    records.scene().ctl({"remove", "records", "--wait", "5s"});
    CHECK(records.attempts() == 0);
    CHECK(records.seen_by_cloud() == 0);
    records.blackholes("del", kRecords, kRecords6);
    // It is open: this is what the count would have shown.
    CHECK(records.attempts(kLimit) == 6);
    const std::uint64_t afterwards = records.seen_by_cloud();
    CHECK(afterwards > 0);
    must(record({"example-offline",
                 "Example offline: records that are put while the local copy is dead, hung and drained",
                 "examples -tc='offline: of what*'",
                 {{"packets of them at the cloud", "0"}, {"six, once it is removed", cat(afterwards)}}}));
    must(output_of({"nft", "delete", "table", "inet", "seen"}, {.ns = &records.bed().cloud()}));
    records.end({});
}

}  // namespace viscum
