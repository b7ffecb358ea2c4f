// SPDX-License-Identifier: GPL-2.0-only
// Bundles that somebody made to do harm, or that came to harm: what serves goes on, and nothing of them stays.
#include <sys/mount.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "tests/scene/workshop.h"
#include "tests/support/oci_image.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxBundle = 8UL << 20;
constexpr const char* kService =
    "viscum: 1\nname: web\nintercept:\n  - { address: 203.0.113.10, port: 80 }\n"
    "run: { image: web, command: [/bin/busybox, httpd, -f, -p, '80', -h, /site] }\n"
    "files: [{ path: /site/index.html, file: page }]\nhealth: { http: { port: 80 }, interval: 500ms }\n";

/// A file system of its own below the image store and the bundles: here they lie on one that holds no whiteouts.
class StateMount {
public:
    StateMount() {
        must(make_directory(path_, 0755));
        REQUIRE(mount("tmpfs", path_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0750,size=64m") == 0);
    }
    ~StateMount() {
        umount2(path_.c_str(), MNT_DETACH);
        std::filesystem::remove_all(path_);
    }
    StateMount(const StateMount&) = delete;
    StateMount& operator=(const StateMount&) = delete;
    /// Every path with its bytes, in order.
    [[nodiscard]] std::string contents() const {
        std::vector<std::string> all;
        for (const char* part : {"/bundles", "/images"}) {
            for (const auto& entry : std::filesystem::recursive_directory_iterator(path_ + part)) {
                const bool file = entry.is_regular_file() && !entry.is_symlink();
                all.push_back(cat(entry.path().string(), " ", file ? must(read_file(entry.path(), kMaxBundle)) : ""));
            }
        }
        std::ranges::sort(all);
        return join(all, "\n");
    }

private:
    std::string path_ = Instance{}.state_dir();
};

std::vector<TarEntry> good_layer() {
    return {{"bin/", "", '5', 0755},
            {"bin/busybox", must(read_file("/bin/busybox", kMaxBundle)), '0', 0755},
            {"site/", "", '5', 0755}};
}

struct Attack {
    const char* name;
    std::vector<TarEntry> entries;
};

/// What a layer must not hold: reliability.md, row 33.
std::vector<Attack> attacks() {
    return {
        {"a path that leaves", {{"../../etc/passwd", "x"}}},
        {"an absolute path", {{"/etc/passwd", "x"}}},
        {"a path through a link", {{"out", "/etc", '2'}, {"out/passwd", "x"}}},
        {"a hard link to the host", {{"mine", "/etc/shadow", '1'}}},
        {"a hard link that leaves", {{"mine", "../../../etc/shadow", '1'}}},
        {"a device", {{"disk", "", '4', 0666}}},
        {"a link in the place of /dev", {{"dev", "/tmp", '2'}}},
        {"a file in the place of /proc", {{"proc", "x"}}},
    };
}

}  // namespace

TEST_CASE("fault 33: what a bundle must not hold is refused, signed or not, and what serves goes on") {
    if (access("/bin/busybox", X_OK) < 0) {
        skip("needs /bin/busybox");
        return;
    }
    if (lacks_ssh_keygen()) {
        return;
    }
    const StateMount state;
    Scene scene;
    const Workshop workshop;
    scene.write_config("lan: [br-lan]\n" + workshop.trust());
    workshop.put("web.yaml", kService);
    workshop.put("page", "local\n");
    const auto bundle_of = [&](const std::string& version, const std::vector<std::vector<TarEntry>>& layers) {
        const std::string image = workshop.at("image-" + version);
        must(write_image_layout({layers, R"({"Cmd":["/bin/busybox"]})"}, image, Packing::gzip));
        Argv words = workshop.signed_by_key();
        words.insert(words.end(), {"--image", image});
        return workshop.make(scene, "web.yaml", version, words);
    };
    const std::string good = bundle_of("1", {good_layer()});
    scene.ctl({"bundle", "install", good, "--wait", "10s"});
    CHECK(scene.web() == "local");
    const auto flow = scene.flow();
    const std::string before = state.contents();

    int version = 2;
    for (const Attack& attack : attacks()) {
        CAPTURE(attack.name);
        const RunOutput answer =
            scene.ctl({"bundle", "install", bundle_of(std::to_string(version++), {good_layer(), attack.entries})}, 2);
        CHECK(answer.err.find("nothing was installed: ") != std::string::npos);
        CHECK(state.contents() == before);
    }
    // Every part of one that was signed, damaged and cut.
    const std::string bytes = must(read_file(bundle_of("50", {good_layer()}), kMaxBundle));
    const auto refuse = [&](const std::string& changed) {
        workshop.put("changed", changed);
        const RunOutput answer = scene.viscumd().ctl({"bundle", "install", workshop.at("changed")});
        CHECK_MESSAGE((answer.status == 2 || answer.status == 5), answer.status, answer.err);
        CHECK(state.contents() == before);
    };
    constexpr std::size_t kSteps = 24;
    const std::size_t parts = bytes.find("part service.yaml");
    for (std::size_t step = 0; step < kSteps; ++step) {
        const std::size_t at = step % 2 == 0 ? parts * step / kSteps : parts + (bytes.size() - parts) * step / kSteps;
        CAPTURE(at);
        std::string changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        refuse(changed);
        refuse(bytes.substr(0, at));
    }
    refuse(bytes + bytes);
    const FlowSummary seen = flow->stop();
    check_flow("beside hostile bundles", seen);
    CHECK(seen.cloud == 0);
    scene.ctl({"remove", "web"});
}

}  // namespace viscum
