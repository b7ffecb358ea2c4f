// SPDX-License-Identifier: GPL-2.0-only
// Licence plates are read on the hotspot: what crosses the uplink is their text.
#include <poll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <iomanip>
#include <sstream>
#include <thread>

#include "base/file.h"
#include "tests/examples/example.h"
#include "tests/support/campaign.h"
#include "tests/support/sandbox.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

const Endpoint kPlates = Endpoint::of("203.0.113.30", 8080);
const Endpoint kPlates6 = Endpoint::of("2001:db8:c::30", 8080);
constexpr const char* kPictures = "/tmp/pictures";

Scene::Options with_address() {
    Scene::Options options;
    options.bed.cloud.insert(options.bed.cloud.end(), {"203.0.113.30", "2001:db8:c::30"});
    return options;
}

bool lacks_reading() {
    if (!lacks({"python3", "tesseract"}).empty()) {
        return true;
    }
    const bool reads = run({"/usr/bin/python3", "-c", "import cv2"}).success() &&
                       access("/usr/share/opencv4/haarcascades/haarcascade_russian_plate_number.xml", R_OK) == 0;
    if (!reads) {
        skip("there is no python3-opencv or opencv-data");
    }
    return !reads;
}

struct Picture {
    std::string text;  // of its plate
    std::string bytes;
};

/// The whole answer to a POST by HTTP/1.0; empty where there is none.
std::string post(const NetNs& ns, const Endpoint& to, const std::string& body) {
    const UniqueFd fd = must(open_socket(ns, SOCK_STREAM, to, {}));
    const SocketAddress address = to_sockaddr(to);
    (void)connect(fd.get(), address.get(), address.length);
    const std::string request =
        cat("POST /plates HTTP/1.0\r\nContent-Type: image/jpeg\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
    for (std::size_t sent = 0; sent < request.size();) {
        REQUIRE(wait_for_socket(fd.get(), POLLOUT, boot_now() + 10s));
        const ssize_t size = send(fd.get(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
        if (size <= 0) {
            break;  // an answer may come before all was said
        }
        sent += static_cast<std::size_t>(size);
    }
    std::string answer;
    std::array<char, 4096> buffer{};
    while (wait_for_socket(fd.get(), POLLIN, boot_now() + 30s)) {
        const ssize_t size = recv(fd.get(), buffer.data(), buffer.size(), 0);
        if (size <= 0) {
            break;
        }
        answer.append(buffer.data(), static_cast<std::size_t>(size));
    }
    return answer;
}

std::string report(const std::string& text, const std::string& by) {
    return cat("{\"plates\": [\"", text, "\"], \"read_by\": \"", by, "\"}");
}

class Plates : public Example {
public:
    explicit Plates(int pictures) : Example("plates", with_address()) {
        scene().start_in_cloud(
            Server{{"/usr/bin/python3", path("plates.py"), "cloud", "8080"}, "/tmp/cloud-plates.log"}, kPlates.port);
        install("plates.py");
        must(output_of({"/usr/bin/python3", path("draw.py"), kPictures, std::to_string(pictures), "7"}));
        for (const std::string& name : must(list_directory(kPictures))) {
            pictures_.push_back(
                {name.substr(0, name.find('.')), must(read_file(cat(kPictures, "/", name), 1024 * 1024))});
        }
        REQUIRE(pictures_.size() == static_cast<std::size_t>(pictures));
    }
    ~Plates() { std::filesystem::remove_all(kPictures); }
    Plates(const Plates&) = delete;
    Plates& operator=(const Plates&) = delete;

    [[nodiscard]] const std::vector<Picture>& pictures() const { return pictures_; }
    std::string camera_posts(const std::string& body, const Endpoint& to = kPlates) {
        return post(bed().client(1), to, body);
    }
    /// The first picture in the corner of a larger one, with noise around it.
    [[nodiscard]] std::string enlarged(int width, int height) const {
        const std::string file = "/tmp/enlarged.jpg";
        must(output_of({"/usr/bin/python3", "-c",
                        "import sys, cv2, numpy\n"
                        "width, height = int(sys.argv[2]), int(sys.argv[3])\n"
                        "large = numpy.random.RandomState(1).randint(0, 256, (height, width, 3), numpy.uint8)\n"
                        "large[:720, :1280] = cv2.imread(sys.argv[1])\n"
                        "cv2.imwrite(sys.argv[4], large, [cv2.IMWRITE_JPEG_QUALITY, 85])\n",
                        cat(kPictures, "/", pictures_[0].text, ".jpg"), std::to_string(width), std::to_string(height),
                        file}));
        return must(read_file(file, 4 * 1024 * 1024));
    }
    /// What the cloud has been told, or has read itself.
    std::string cloud_knows() { return http_get(bed().cloud(), {.to = kPlates, .path = "/plates"}).body; }
    bool cloud_learns(const std::string& text, const std::string& by) {
        return eventually(kLimit, [&] { return cloud_knows().find(report(text, by)) != std::string::npos; });
    }

    struct Round {
        std::uint64_t crossed = 0;  // bytes
        std::size_t bytes = 0;      // of the pictures
        std::vector<std::string> right;
        std::string median;
    };
    /// Every picture once; all are answered by `by`.
    Round round(const std::string& by) {
        Round result;
        const std::uint64_t before = uplink_bytes();
        std::vector<double> took;
        for (const Picture& picture : pictures_) {
            const BootTime begun = boot_now();
            const std::string answer = camera_posts(picture.bytes, took.size() % 2 == 0 ? kPlates : kPlates6);
            took.push_back(std::chrono::duration<double>(boot_now() - begun).count());
            CHECK_MESSAGE(answer.find(cat("\"read_by\": \"", by, "\"")) != std::string::npos, answer);
            if (answer.find(report(picture.text, by)) != std::string::npos) {
                result.right.push_back(picture.text);
            }
            result.bytes += picture.bytes.size();
        }
        for (const std::string& text : result.right) {
            CHECK(cloud_learns(text, by));
        }
        result.crossed = uplink_bytes() - before;
        std::ranges::sort(took);
        std::ostringstream median;
        median << std::fixed << std::setprecision(2) << took[took.size() / 2] << " s";
        result.median = median.str();
        return result;
    }

private:
    std::vector<Picture> pictures_;
};

}  // namespace

TEST_CASE("plates: pictures stay on the hotspot, their texts reach the cloud; without it the cloud reads the same") {
    if (lacks_reading()) {
        return;
    }
    Plates plates(12);
    plates.slow_uplink("8mbit");
    const Plates::Round without = plates.round("cloud");
    CHECK(without.crossed > without.bytes);
    plates.deploy();
    const Plates::Round with = plates.round("edge");
    CHECK(with.crossed < with.bytes / 20);
    CHECK(with.right == without.right);
    CHECK(with.right.size() > plates.pictures().size() / 2);
    const std::string right = cat(with.right.size(), " of ", plates.pictures().size());
    MESSAGE("right: ", right, "; over the uplink: ", with.crossed, " of ", without.crossed, " bytes");
    must(record({"example-plates",
                 "Example plates: 12 pictures over an uplink of 8 Mbit/s",
                 "examples -tc='plates: pictures*'",
                 {{"plates read right", right},
                  {"over the uplink, read by the cloud", amount(without.crossed)},
                  {"over the uplink, read on the hotspot", amount(with.crossed)},
                  {"an answer of the cloud's, median", without.median},
                  {"an answer of the hotspot's, median", with.median}}}));
    plates.end({"plates"});
}

TEST_CASE("plates: texts wait for the uplink, and a reader that is killed is the cloud's turn") {
    if (lacks_reading()) {
        return;
    }
    Plates plates(4);
    plates.deploy();
    Plates::Round known = plates.round("edge");
    REQUIRE_FALSE(known.right.empty());
    const auto picture = *std::ranges::find(plates.pictures(), known.right.front(), &Picture::text);
    const auto times_told = [&] {
        const std::string all = plates.cloud_knows();
        const std::string one = report(picture.text, "edge");
        int count = 0;
        for (auto at = all.find(one); at != std::string::npos; at = all.find(one, at + 1)) {
            ++count;
        }
        return count;
    };
    const int told = times_told();
    plates.uplink_down();
    CHECK(plates.camera_posts(picture.bytes).find(report(picture.text, "edge")) != std::string::npos);
    CHECK(times_told() == told);
    plates.uplink_up();
    CHECK(eventually(3 * kLimit, [&] { return times_told() > told; }));

    plates.scene().ctl({"drain", "plates"});  // what is started again gets no camera, so that there is time to look
    plates.scene().kill_service("plates");
    CHECK(plates.camera_posts(picture.bytes).find(report(picture.text, "cloud")) != std::string::npos);
    plates.end({"plates"});
}

TEST_CASE("plates: what is no picture, too large, or of a false length is refused, and pictures are read afterwards") {
    if (lacks_reading()) {
        return;
    }
    Plates plates(1);
    plates.deploy();
    CHECK(plates.camera_posts("GIF89a, says it").find(" 415 ") != std::string::npos);
    CHECK(plates.camera_posts("").find(" 415 ") != std::string::npos);
    CHECK(plates.camera_posts(std::string(5 * 1024 * 1024, 'x')).find(" 413 ") != std::string::npos);
    const std::string half = plates.pictures()[0].bytes.substr(0, 200);
    CHECK(plates.camera_posts(half).find("\"read_by\"") == std::string::npos);
    CHECK(plates.camera_posts(plates.pictures()[0].bytes).find("\"read_by\": \"edge\"") != std::string::npos);
    CHECK(plates.scene().status("plates").health == "healthy");
    // What was read is for the cloud to tell.
    CHECK(http_get(plates.bed().client(1), {.to = kPlates, .path = "/plates"}).status == 404);
    plates.end({"plates"});
}

TEST_CASE("plates: the largest picture allowed is read within the memory limit, and one that is larger is refused") {
    if (lacks_reading()) {
        return;
    }
    Plates plates(1);
    plates.deploy();
    const std::vector<pid_t> reader = plates.scene().processes_of("plates");
    CHECK(plates.camera_posts(plates.enlarged(2048, 1024)).find(report(plates.pictures()[0].text, "edge")) !=
          std::string::npos);
    CHECK(plates.camera_posts(plates.enlarged(2048, 1025)).find(" 413 ") != std::string::npos);
    // Five come in at once with what the limit allows, beside the probe's.
    const std::string largest = plates.enlarged(2048, 1024) + std::string(3 * 1024 * 1024, '\0');
    std::atomic<int> read = 0;
    {
        std::vector<std::jthread> cameras;
        for (int number = 0; number < 5; ++number) {
            cameras.emplace_back([&] {
                const std::string answer = post(plates.bed().client(1), kPlates, largest);
                read += answer.find("\"read_by\": \"edge\"") != std::string::npos ? 1 : 0;
            });
        }
    }
    CHECK(read == 5);
    CHECK(plates.scene().processes_of("plates") == reader);
    plates.end({"plates"});
}

TEST_CASE("plates: clients that trickle lose their places, in the headers or in the body") {
    if (lacks_reading()) {
        return;
    }
    Plates plates(1);
    plates.deploy();
    const std::vector<pid_t> reader = plates.scene().processes_of("plates");
    std::vector<UniqueFd> slow;
    const SocketAddress address = to_sockaddr(kPlates);
    for (int number = 0; number < 6; ++number) {  // of eight places: the probe needs one
        slow.push_back(must(open_socket(plates.bed().client(1), SOCK_STREAM, kPlates, {})));
        (void)connect(slow.back().get(), address.get(), address.length);
        REQUIRE(wait_for_socket(slow.back().get(), POLLOUT, boot_now() + kLimit));
        const std::string begun = number % 2 == 0 ? "POST /plates HTTP/1.0\r\nX-Slow: "
                                                  : "POST /plates HTTP/1.0\r\nContent-Length: 100000\r\n\r\n";
        REQUIRE(send(slow.back().get(), begun.data(), begun.size(), MSG_NOSIGNAL) > 0);
    }
    CHECK(eventually(2 * kLimit, [&] {
        std::erase_if(slow, [](const UniqueFd& fd) {
            std::array<char, 4096> said{};
            const ssize_t size = recv(fd.get(), said.data(), said.size(), MSG_DONTWAIT);
            const bool ended = size == 0 || (size < 0 && errno != EAGAIN);
            return ended || send(fd.get(), "x", 1, MSG_NOSIGNAL) < 0;
        });
        return slow.empty();
    }));
    CHECK(plates.camera_posts(plates.pictures()[0].bytes).find("\"read_by\": \"edge\"") != std::string::npos);
    CHECK(plates.scene().processes_of("plates") == reader);
    plates.end({"plates"});
}

}  // namespace viscum
