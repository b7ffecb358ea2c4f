// SPDX-License-Identifier: GPL-2.0-only
// An instance comes back from one file: on the same router, on a new one, and never by halves.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "controller/store/instance_lock.h"
#include "controller/store/store.h"
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

bool nothing_staged() {
    const auto names = must(list_directory("/var/lib/viscum"));
    return std::ranges::none_of(names, [](const auto& name) { return name.starts_with("restore"); });
}

/// Its claim is not permitted.
void write_bad_service() {
    must(write_file_atomically("/etc/viscum/services/bad.yaml",
                               "viscum: 1\nname: bad\nintercept:\n  - { address: 9.9.9.9, port: 53 }\n"
                               "run:\n  command: [/bin/true]\n",
                               0644));
}

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
    CHECK(nothing_staged());
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
    CHECK(scene.ctl({"restore", kFile}, 5).err.find("viscumd, or another restore") != std::string::npos);
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

TEST_CASE("backup: a version on trial comes back as one that was confirmed") {
    Router router;
    Scene& scene = router.scene;
    scene.ctl({"deploy", web_service("2").write(), "--confirm", "10m"});
    CHECK(scene.status("web").confirm_ms_left > 0);
    scene.ctl({"backup", kFile});
    router.stop_viscumd();
    scene.ctl({"restore", kFile});
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    CHECK(scene.status("web").confirm_ms_left < 0);
    CHECK_FALSE(std::filesystem::exists("/var/lib/viscum/before/web.yaml"));
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "echo"});
}

TEST_CASE("backup: a service that stays and claims the same is told of, and restores nothing") {
    Router router;
    Scene& scene = router.scene;
    scene.ctl({"backup", kFile});
    scene.ctl({"remove", "echo"});
    scene.deploy(test_service("late", {"203.0.113.20 7"}, {"local", "tcp", "203.0.113.20", "7"}));
    write_bad_service();  // stays as well, and is no reason: it is not served now, either
    router.stop_viscumd();
    const auto before = all_below("/etc/viscum");
    const auto refused = scene.ctl({"restore", kFile}, 5);
    CHECK_MESSAGE(refused.err.find("services/late.yaml, which stays without --exact: ") != std::string::npos,
                  refused.err);
    CHECK_MESSAGE(refused.err.find("9.9.9.9") == std::string::npos, refused.err);
    CHECK(all_below("/etc/viscum") == before);
    scene.ctl({"restore", kFile, "--exact"});
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.status("late").name.empty(); }));
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "echo"});
}

TEST_CASE("backup: directories that are links to a medium are followed, and a link to nothing is told of") {
    Router router;
    Scene& scene = router.scene;
    std::filesystem::copy("/etc/viscum/files", "/srv/stick");
    std::filesystem::remove_all("/etc/viscum/files");
    std::filesystem::create_directory_symlink("/srv/stick", "/etc/viscum/files");
    std::filesystem::create_symlink("/srv/nothing", "/etc/viscum/secrets/gone.pem");
    CHECK(scene.ctl({"backup", kFile}).err.find("secrets/gone.pem': a link to nothing") != std::string::npos);
    router.stop_viscumd();
    must(write_file_atomically("/srv/stick/page.txt", "another page\n", 0644));
    scene.ctl({"restore", kFile});
    CHECK(must(read_file("/srv/stick/page.txt", kMost)) == "a page\n");
    CHECK(std::filesystem::is_symlink("/etc/viscum/files"));
    must(scene.viscumd().start_again());
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "echo"});
    std::filesystem::remove_all("/srv/stick");
}

TEST_CASE("backup: an instance that is not there has none, and is not made by the question") {
    Router router;
    const auto refused = run({VISCUM_BIN_DIR "/viscumctl", "--instance", "typo", "backup", kFile},
                             {.ns = &router.scene.bed().hotspot()});
    CHECK(refused.status == 1);
    CHECK_MESSAGE(refused.err.find("instance 'typo' has no '/etc/typo/viscum.yaml'") != std::string::npos, refused.err);
    const auto none_made = [] {
        for (const char* dir : {"/etc/typo", "/var/lib/typo", "/run/typo"}) {
            CHECK_FALSE(std::filesystem::exists(dir));
        }
    };
    none_made();
    CHECK_FALSE(std::filesystem::exists(kFile));
    router.scene.ctl({"backup", kFile});
    const auto dry = run({VISCUM_BIN_DIR "/viscumctl", "--instance", "typo", "restore", kFile, "--dry-run"},
                         {.ns = &router.scene.bed().hotspot()});
    CHECK(dry.success());
    none_made();
    router.scene.ctl({"remove", "web"});
    router.scene.ctl({"remove", "echo"});
}

TEST_CASE("backup: what a restore that was killed has unpacked goes with the next start of viscumd") {
    Router router;
    Scene& scene = router.scene;
    router.stop_viscumd();
    for (const char* dir : {"/var/lib/viscum/restore", "/var/lib/viscum/restore-dry.99999999"}) {
        must(make_directory(cat(dir, "/etc/secrets"), 0700));
        must(write_file_atomically(cat(dir, "/etc/secrets/key.pem"), "a secret\n", 0600));
    }
    must(scene.viscumd().start_again());
    CHECK(nothing_staged());
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "echo"});
}

TEST_CASE("backup: a service that was not served comes back as it was, and is told of") {
    Router router;
    Scene& scene = router.scene;
    // As if another had written them by hand.
    write_bad_service();
    must(write_file_atomically("/etc/viscum/services/torn.yaml", "viscum: 1\nnam", 0644));
    scene.ctl({"backup", kFile});
    const std::string bad = must(read_file("/etc/viscum/services/bad.yaml", kMost));
    router.take_all_away();
    const auto restored = scene.ctl({"restore", kFile});
    CHECK_MESSAGE(restored.err.find("not to be served: etc/services/bad.yaml: ") != std::string::npos, restored.err);
    CHECK_MESSAGE(restored.err.find("not to be served: etc/services/torn.yaml:") != std::string::npos, restored.err);
    CHECK(must(read_file("/etc/viscum/services/bad.yaml", kMost)) == bad);
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    for (const char* name : {"web", "echo", "bad", "torn"}) {
        scene.ctl({"remove", name});
    }
}

TEST_CASE("backup: a restore that is repeated before viscumd starts knows no image of the version before") {
    Router router;
    Scene& scene = router.scene;
    scene.ctl({"backup", kFile});
    scene.ctl({"deploy", web_service("2").write()});
    router.stop_viscumd();
    std::vector<std::string> problems;
    {
        auto store = must(Store::open(Instance{}));
        auto state = store.load_state(&problems);
        state.images["web"] = "sha256:0123";  // as if it ran from one
        must(store.save_state(state));
    }
    for (int time = 0; time < 2; ++time) {
        scene.ctl({"restore", kFile});
        const auto next = read_state(Instance{}, &problems).next;
        REQUIRE(next.contains("web"));
        CHECK(next.at("web").image.empty());
    }
    CHECK(problems.empty());
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.web() == "local"; }));
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "echo"});
}

TEST_CASE("backup: who looks on or comes second takes nothing away from the one who writes") {
    Router router;
    Scene& scene = router.scene;
    const std::string unfinished = "/var/lib/viscum/state.0.new";
    must(write_file_atomically(unfinished, "viscumd is about to rename it", 0640));
    scene.ctl({"backup", kFile});
    CHECK(std::filesystem::exists(unfinished));
    router.stop_viscumd();
    {
        const auto lock = must(take_lock(Instance{}));
        const std::string staged = "/var/lib/viscum/restore/etc";
        must(make_directory(staged, 0700));
        const auto refused = scene.ctl({"restore", kFile}, 5);
        CHECK_MESSAGE(refused.err.find("viscumd, or another restore, has instance 'viscum'") != std::string::npos,
                      refused.err);
        CHECK(std::filesystem::exists(staged));
        scene.ctl({"restore", kFile, "--dry-run"});
        CHECK(std::filesystem::exists(staged));
    }
    must(scene.viscumd().start_again());
    CHECK_FALSE(std::filesystem::exists(unfinished));
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "echo"});
}

}  // namespace viscum
