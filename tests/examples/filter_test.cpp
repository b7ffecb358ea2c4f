// SPDX-License-Identifier: GPL-2.0-only
// Of a camera's frames those with movement cross the uplink.
#include <poll.h>

#include <filesystem>

#include "base/file.h"
#include "tests/examples/example.h"
#include "tests/support/campaign.h"

namespace viscum {
namespace {

constexpr const char* kCloud4 = "203.0.113.70";
constexpr const char* kCloud6 = "[2001:db8:c::70]";
constexpr const char* kFrames = "/tmp/frames";
constexpr int kSeconds = 30;
constexpr std::size_t kSent = 300;   // frames in that time
constexpr std::size_t kMoving = 60;  // of them

Scene::Options with_address() {
    Scene::Options options;
    options.bed.cloud.insert(options.bed.cloud.end(), {"203.0.113.70", "2001:db8:c::70"});
    return options;
}

class Filter : public Example {
public:
    Filter() : Example("filter", with_address()) {
        scene().start_in_cloud(
            Server{{"/usr/bin/python3", path("frames.py"), "9000", kFrames}, "/tmp/cloud-frames.log"}, 9000);
        install("filter.py");
    }
    ~Filter() { std::filesystem::remove_all(kFrames); }
    Filter(const Filter&) = delete;
    Filter& operator=(const Filter&) = delete;

    static std::size_t arrived() {
        const auto names = list_directory(kFrames);
        return names ? names->size() : 0;
    }
    struct Round {
        std::size_t frames = 0;   // that arrived
        std::uint64_t bytes = 0;  // over the uplink
    };
    /// A camera sends for so long; at least `expected` frames are waited for, and the ends of all connections.
    Round camera_sends(const std::string& address, int seconds, std::size_t expected) {
        const std::size_t had = arrived();
        const std::uint64_t before = uplink_bytes();
        must(output_of({path("camera.sh"), cat(address, ":9000"), std::to_string(seconds)},
                       {.ns = &bed().client(1), .limit = kLimit * 3}));
        CHECK(eventually(kLimit, [&] { return arrived() >= had + expected; }));
        CHECK(eventually(kLimit, [&] {
            return must(
                       output_of({"ss", "-Htn", "state", "established", "sport", "=", ":9000"}, {.ns = &bed().cloud()}))
                .empty();
        }));
        return {arrived() - had, uplink_bytes() - before};
    }
};

bool lacks_ffmpeg() {
    return !lacks({"ffmpeg", "python3"}).empty();
}

/// A camera that has just connected.
UniqueFd connected(const NetNs& ns) {
    const Endpoint to = Endpoint::of(kCloud4, 9000);
    UniqueFd fd = must(open_socket(ns, SOCK_STREAM, to, {}));
    const SocketAddress address = to_sockaddr(to);
    (void)connect(fd.get(), address.get(), address.length);
    REQUIRE(wait_for_socket(fd.get(), POLLOUT, boot_now() + kLimit));
    return fd;
}

/// Whether its connection has ended; sends one byte where it has not.
bool trickle(const UniqueFd& camera) {
    char said = 0;
    const ssize_t size = recv(camera.get(), &said, 1, MSG_DONTWAIT);
    return size == 0 || (size < 0 && errno != EAGAIN) || send(camera.get(), "x", 1, MSG_NOSIGNAL) < 0;
}

}  // namespace

TEST_CASE("filter: cameras that trickle lose their places, and the fifth has none") {
    if (lacks_ffmpeg()) {
        return;
    }
    Filter filter;
    filter.deploy();
    const pid_t server = filter.scene().processes_of("filter").front();
    const NetNs& client = filter.bed().client(1);
    // It is healthy before it listens, and until then a camera is the cloud's.
    const auto is_clouds = [&] {
        const auto peers = must(
            output_of({"ss", "-Htn", "state", "established", "sport", "=", ":9000"}, {.ns = &filter.bed().cloud()}));
        return peers.find(filter.bed().client_address(1).text()) != std::string::npos;
    };
    std::vector<UniqueFd> cameras;
    REQUIRE(eventually(kLimit, [&] {
        UniqueFd camera = connected(client);
        if (!is_clouds()) {
            cameras.push_back(std::move(camera));
        }
        return cameras.size() == 4;
    }));
    // An ffmpeg each: all four have their places.
    CHECK(eventually(kLimit, [&] { return filter.scene().processes_of("filter").size() == 5; }));
    const UniqueFd fifth = connected(client);
    CHECK(eventually(kLimit, [&] { return trickle(fifth); }));
    CHECK(eventually(4 * kLimit, [&] {
        std::erase_if(cameras, trickle);
        return cameras.empty();
    }));
    CHECK(filter.camera_sends(kCloud4, 10, 20).frames < 50);
    CHECK(filter.scene().processes_of("filter") == std::vector<pid_t>{server});
    filter.end({"filter"});
}

TEST_CASE("filter: frames with movement reach the cloud, and those without stay; without it all do") {
    if (lacks_ffmpeg()) {
        return;
    }
    Filter filter;
    const Filter::Round without = filter.camera_sends(kCloud4, kSeconds, kSent);
    CHECK(without.frames == kSent);
    filter.deploy();
    for (const char* address : {kCloud6, kCloud4}) {
        const Filter::Round with = filter.camera_sends(address, kSeconds, kMoving);
        CHECK(with.frames >= kMoving);
        CHECK(with.frames <= kMoving + kMoving / 3);
        CHECK(with.bytes < without.bytes / 2);
        must(record({"example-filter",
                     "Example filter: 30 s of a camera, with movement in 6 of them",
                     "examples -tc='filter: frames*'",
                     {{"frames at the cloud, without the filter", std::to_string(without.frames)},
                      {"frames at the cloud, with it", std::to_string(with.frames)},
                      {"over the uplink, without", amount(without.bytes)},
                      {"over the uplink, with it", amount(with.bytes)}}}));
    }
    // Eight seconds, and nothing has moved: its first frame tells that there is a camera.
    const Filter::Round still = filter.camera_sends(kCloud4, 8, 1);
    CHECK(still.frames >= 1);
    CHECK(still.frames <= 8);
    filter.end({"filter"});
}

TEST_CASE("filter: when it is killed the camera's next connection is the cloud's, with all frames") {
    if (lacks_ffmpeg()) {
        return;
    }
    Filter filter;
    filter.deploy();
    CHECK(filter.camera_sends(kCloud4, 10, 20).frames < 50);
    filter.scene().ctl({"drain", "filter"});  // what is started again gets no camera, so that there is time to look
    filter.scene().kill_service("filter");
    CHECK(filter.camera_sends(kCloud4, 10, 100).frames == 100);
    filter.scene().ctl({"resume", "filter"});
    CHECK(eventually(kLimit, [&] { return filter.scene().status("filter").health == "healthy"; }));
    CHECK(filter.camera_sends(kCloud4, 10, 20).frames < 50);
    filter.end({"filter"});
}

}  // namespace viscum
