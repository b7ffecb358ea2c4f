// SPDX-License-Identifier: GPL-2.0-only
// An instance comes back from one file: on the same router, on a new one, and never by halves.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

constexpr std::size_t kMost = 64UL << 20;
constexpr const char* kFile = "/tmp/backup-test.tar";

/// All of an instance's own directories; with their modes.
std::vector<std::string> all_below(const std::string& dir) {
    std::vector<std::string> all;
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir, error)) {
        const auto text = entry.is_regular_file() ? must(read_file(entry.path(), kMost)) : "";
        struct stat info {};
        REQUIRE(lstat(entry.path().c_str(), &info) == 0);
        all.push_back(cat(entry.path().string(), ' ', info.st_mode, ' ', text));
    }
    std::ranges::sort(all);
    return all;
}

void empty(const std::string& dir) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(dir, error)) {
        std::filesystem::remove_all(entry.path(), error);
    }
}

/// nginx with a secret and a file of the operator's, and a drained service beside it.
struct Router {
    Router() {
        must(make_directory("/etc/viscum/secrets", 0700));
        must(make_directory("/etc/viscum/files", 0755));
        must(write_file_atomically("/etc/viscum/secrets/key.pem", "a secret\n", 0600));
        must(write_file_atomically("/etc/viscum/files/page.txt", "a page\n", 0644));
        auto web = web_service();
        web.more +=
            "files:\n  - { path: /etc/key.pem, secret: key.pem }\n  - { path: /etc/page.txt, file: page.txt }\n";
        scene.deploy(web);
        auto echo = test_service("echo", {"203.0.113.20 7"}, {"local", "tcp", "203.0.113.20", "7"});
        scene.deploy(echo);
        scene.ctl({"drain", "echo"});
        config = must(read_file("/etc/viscum/viscum.yaml", kMost));
    }
    ~Router() {
        std::error_code error;
        std::filesystem::remove(kFile, error);
        std::filesystem::remove_all("/etc/viscum/secrets", error);
        std::filesystem::remove_all("/etc/viscum/files", error);
    }
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    void stop_viscumd() { CHECK(scene.viscumd().stop() == 0); }
    void take_all_away() {
        stop_viscumd();
        CHECK(run({VISCUM_BIN_DIR "/viscumd", "--uninstall"}, {.ns = &scene.bed().hotspot()}).status == 0);
        empty("/etc/viscum");
        empty("/var/lib/viscum");
    }

    Scene scene;
    std::string config;
};

}  // namespace

TEST_CASE("backup: all that was deployed is served again on a router that has nothing, and what was drained is") {
    Router router;
    Scene& scene = router.scene;
    scene.ctl({"backup", kFile});
    struct stat info {};
    REQUIRE(stat(kFile, &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    router.take_all_away();
    CHECK(scene.web() == "cloud");
    const auto dry = scene.ctl({"restore", kFile, "--dry-run"});
    CHECK(dry.out.find("new      etc/services/web.yaml") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists("/etc/viscum/viscum.yaml"));
    scene.ctl({"restore", kFile});
    CHECK(must(read_file("/etc/viscum/viscum.yaml", kMost)) == router.config);
    CHECK(must(read_file("/etc/viscum/secrets/key.pem", kMost)) == "a secret\n");
    REQUIRE(stat("/etc/viscum/secrets/key.pem", &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    CHECK(scene.status("echo").drained);
    // Nothing is left of how it came.
    CHECK_FALSE(std::filesystem::exists("/var/lib/viscum/restore"));
    CHECK_FALSE(std::filesystem::exists("/var/lib/viscum/restore-dry"));
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "echo"});
}

TEST_CASE("backup: it follows an instance onto another name, and by pipes") {
    Router router;
    Scene& scene = router.scene;
    const auto made = run({VISCUM_BIN_DIR "/viscumctl", "backup", "-"}, {.ns = &scene.bed().hotspot()});
    REQUIRE(made.success());
    const auto restored = run({VISCUM_BIN_DIR "/viscumctl", "--instance", "other", "restore", "-"},
                              {.ns = &scene.bed().hotspot(), .input = made.out});
    CHECK_MESSAGE(restored.success(), restored.err);
    CHECK(must(read_file("/etc/other/viscum.yaml", kMost)) == router.config);
    CHECK(must(read_file("/etc/other/files/page.txt", kMost)) == "a page\n");
    CHECK(std::filesystem::exists("/etc/other/services/web.yaml"));
    for (const char* dir : {"/etc/other", "/var/lib/other", "/run/other"}) {
        std::filesystem::remove_all(dir);
    }
}

TEST_CASE("backup: what runs goes on while a backup takes its place, and what it lacks stays or goes as asked") {
    Router router;
    Scene& scene = router.scene;
    scene.ctl({"backup", kFile});
    CHECK(scene.ctl({"restore", kFile}, 5).err.find("viscumd runs") != std::string::npos);
    scene.deploy(web_service("2"));
    scene.deploy(test_service("late", {"203.0.113.20 9"}, {"local", "tcp", "203.0.113.20", "9"}));
    const auto flow = scene.flow();
    router.stop_viscumd();
    const auto kept = scene.ctl({"restore", kFile});
    CHECK(kept.out.find("changed  etc/services/web.yaml") != std::string::npos);
    CHECK(kept.out.find("kept     etc/services/late.yaml") != std::string::npos);
    CHECK(scene.ctl({"restore", kFile, "--exact"}).out.find("removed  etc/services/late.yaml") != std::string::npos);
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.status("late").name.empty(); }));
    CHECK(eventually(kLimit, [&] { return scene.web() == "local" && !scene.status("web").updating; }));
    check_flow("a restore", flow->stop(), resets_of_changes(2));
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "echo"});
}

TEST_CASE("backup: what is cut off or changed restores nothing") {
    Router router;
    Scene& scene = router.scene;
    scene.ctl({"backup", kFile});
    const std::string whole = must(read_file(kFile, kMost));
    router.stop_viscumd();
    const auto before = all_below("/etc/viscum");
    const auto refuses = [&](const std::string& bytes) {
        must(write_file_atomically(kFile, bytes, 0600));
        const auto output = run({VISCUM_BIN_DIR "/viscumctl", "restore", kFile}, {.ns = &scene.bed().hotspot()});
        // What no checksum covers, such as a tar's time of a file, may differ: then it is the same backup.
        const bool same = output.status == 0 && output.out.find("changed  ") == std::string::npos &&
                          output.out.find("new  ") == std::string::npos;
        CHECK((output.status == 2 || same));
        CHECK(all_below("/etc/viscum") == before);
        return output.status == 2;
    };
    std::size_t refused = 0;
    for (std::size_t size = 0; size < whole.size() - 1024; size += 331) {
        const bool is_refused = refuses(whole.substr(0, size));
        CHECK(is_refused);
    }
    for (std::size_t at = 0; at < whole.size(); at += 257) {
        std::string changed = whole;
        changed[at] = static_cast<char>(changed[at] ^ 0x11);
        refused += refuses(changed) ? 1U : 0U;
    }
    CHECK(refused > 0);
    CHECK(refuses("hello"));
    must(scene.viscumd().start_again());
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "echo"});
}

TEST_CASE("backup: a service that this router's backup must not claim restores nothing") {
    Router router;
    Scene& scene = router.scene;
    // As if another had written it by hand.
    must(write_file_atomically("/etc/viscum/services/bad.yaml",
                               "viscum: 1\nname: bad\nintercept:\n  - { address: 9.9.9.9, port: 53 }\n"
                               "run:\n  command: [/bin/true]\n",
                               0644));
    scene.ctl({"backup", kFile});
    router.stop_viscumd();
    const auto before = all_below("/etc/viscum");
    CHECK(scene.ctl({"restore", kFile}, 5).err.find("9.9.9.9") != std::string::npos);
    CHECK(all_below("/etc/viscum") == before);
    std::filesystem::remove("/etc/viscum/services/bad.yaml");
    must(scene.viscumd().start_again());
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "echo"});
}

}  // namespace viscum
