// SPDX-License-Identifier: GPL-2.0-only
// Services that run from images, with a real program of other people's inside: busybox.
#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <climits>
#include <filesystem>

#include "base/file.h"
#include "tests/scene/scene.h"
#include "tests/support/oci_image.h"
#include "tests/support/sandbox.h"
#include "tests/support/syscall_tracer.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr const char* kBusybox = "/bin/busybox";
constexpr uid_t kImageUser = 1234;
constexpr const char* kStore = "/var/lib/viscum/images";

/// A filesystem for the store, which here lies on an overlay: that could hold no whiteouts. To be made before a scene.
class StoreMount {
public:
    StoreMount() {
        must(make_directory("/var/lib/viscum", 0755));
        must(make_directory(kStore, 0700));
        REQUIRE(mount("tmpfs", kStore, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") == 0);
    }
    ~StoreMount() {
        umount2(kStore, MNT_DETACH);
        std::filesystem::remove_all("/var/lib/viscum");
    }
    StoreMount(const StoreMount&) = delete;
    StoreMount& operator=(const StoreMount&) = delete;
};

/// What a client may ask the service about itself.
constexpr const char* kReport =
    "#!/bin/busybox sh\n"
    "printf 'Content-Type: text/plain\\r\\n\\r\\n'\n"
    "echo \"greeting $GREETING $OTHER\"\n"
    "touch /www/new 2>/dev/null && echo 'wrote the root'\n"
    "touch /tmp/new && echo 'wrote /tmp'\n"
    "ls /www /old | tr '\\n' ' '\n";

/// busybox's httpd, which says `who`. Two layers: the second replaces, hides and empties things of the first.
TestImage web_image(const std::string& who, const std::string& config = "") {
    const auto busybox = must(read_file(kBusybox, 8UL << 20));
    const std::vector<TarEntry> first = {
        {"bin/", "", '5', 0755},
        {"bin/busybox", busybox, '0', 0755},
        {"bin/httpd", "busybox", '2'},
        {"etc/", "", '5', 0755},
        {"etc/passwd", "root:x:0:0::/:/bin/sh\nweb:x:1234:1235::/:/bin/sh\n"},
        {"old/", "", '5', 0755},
        {"old/one", "1"},
        {"other/", "", '5', 0755},
        {"other/index.html", "elsewhere"},
        {"www/", "", '5', 0755},
        {"www/index.html", "nobody"},
        {"www/gone", "still there"},
        {"www/cgi-bin/", "", '5', 0755},
        {"www/cgi-bin/report", kReport, '0', 0755},
    };
    const std::vector<TarEntry> second = {
        {"www/", "", '5', 0755}, {"www/index.html", who},          {"www/.wh.gone", ""},
        {"old/", "", '5', 0755}, {"old/.wh..wh..opq", "", '0', 0}, {"old/two", "2"},
    };
    return {{first, second},
            config.empty() ? R"({"Entrypoint":["/bin/httpd","-f"],"Cmd":["-p","80","-h","/www"],)"
                             R"("Env":["GREETING=hello","OTHER=image"],"WorkingDir":"/www","User":"web"})"
                           : config};
}

bool lacks_programs() {
    for (const char* program : {kBusybox, "/usr/bin/zstd", "/bin/gzip"}) {
        if (access(program, X_OK) < 0) {
            skip(cat("needs ", program));
            return true;
        }
    }
    if (must(read_file("/proc/filesystems", 65'536)).find("\toverlay\n") == std::string::npos) {
        skip("the kernel has no overlayfs");
        return true;
    }
    return false;
}

/// A service on kWeb whose root is an image; `run` are further lines of `run:`.
struct ImageService {
    std::string image;
    std::string run{};
    std::string more{};

    [[nodiscard]] std::string text() const {
        return cat("viscum: 1\nname: web\nintercept:\n  - { address: 203.0.113.10, port: 80 }\nrun:\n  image: '", image,
                   "'\n", run, "health: { http: { port: 80 }, interval: 500ms, timeout: 500ms, fall: 2 }\n",
                   "restart: { backoff: 10ms, backoff_max: 100ms }\nlimits: { pids: 40, required: false }\n", more);
    }
    [[nodiscard]] std::string write() const { return must(write_service("web", text())); }
};

std::string page(Scene& scene, const std::string& path) {
    const HttpResult result = http_get(scene.bed().client(1), {.to = kWeb, .path = path});
    return result.status == 200 ? result.body : cat(result.status, " ", result.error);
}

std::string link_of(const std::string& path) {
    std::array<char, PATH_MAX> target{};
    const ssize_t size = readlink(path.c_str(), target.data(), target.size());
    return {target.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

/// Who and what the service's main process is, from outside.
void check_process(const Scene& scene, uid_t uid, gid_t gid, const std::string& directory) {
    const auto processes = scene.processes_of("web");
    REQUIRE_FALSE(processes.empty());
    const std::string proc = cat("/proc/", processes.front());
    const std::string status = must(read_file(proc + "/status", 65'536));
    CHECK_MESSAGE(status.find(cat("\nUid:\t", uid, "\t", uid, "\t", uid)) != std::string::npos, status);
    CHECK_MESSAGE(status.find(cat("\nGid:\t", gid, "\t", gid, "\t", gid)) != std::string::npos, status);
    CHECK(link_of(proc + "/cwd") == directory);
    CHECK(scene.status("web").user.starts_with(std::to_string(uid)));
}

/// Everything that the store holds but its lock and its empty directories.
std::vector<std::string> stored() {
    std::vector<std::string> found;
    for (const char* kind : {"layers", "manifests", "names", "new"}) {
        const auto names = list_directory(cat(kStore, "/", kind));
        for (const std::string& name : names ? *names : std::vector<std::string>()) {
            found.push_back(cat(kind, "/", name));
        }
    }
    return found;
}

/// The store's frame stays, as the state does.
void check_nothing_left(Scene& scene) {
    CHECK(join(stored(), "\n") == "");
    for (const std::string& name : must(list_directory(kStore))) {
        std::filesystem::remove_all(cat(kStore, "/", name));
    }
    scene.check_no_leak();
}

/// Deploys it under a tracer. How often viscumd has called rename(2) when it put the service's file into its place.
std::size_t deploy_traced(Scene& scene, const ImageService& service, const SyscallTracer::Options& options) {
    const auto tracer = must(SyscallTracer::seize(scene.viscumd().pid(), options));
    (void)scene.viscumd().ctl({"deploy", service.write()});
    tracer->stop();
    const auto calls = tracer->calls();
    const auto found = std::ranges::find_if(calls, [](const Syscall& call) {
        return call.name == "rename" && call.path.find("/services/web.yaml") != std::string::npos;
    });
    REQUIRE(found != calls.end());
    return found->nth;
}

}  // namespace

TEST_CASE("image: a service runs from an OCI image, as its configuration says, and changes nothing of it") {
    if (lacks_programs()) {
        return;
    }
    const StoreMount store;
    Scene scene;
    must(write_image_layout(web_image("one"), "/srv/one", Packing::gzip));
    scene.ctl({"image", "import", "/srv/one", "--name", "plates:1"});
    CHECK(scene.ctl({"image", "list"}).out.find("plates:1") != std::string::npos);
    scene.ctl({"deploy", ImageService{"plates:1"}.write()});
    CHECK(page(scene, "/") == "one");
    CHECK(page(scene, "/gone").starts_with("404"));
    const std::string report = "greeting hello image\nwrote /tmp\n/old: two  /www: cgi-bin index.html ";
    CHECK(page(scene, "/cgi-bin/report") == report);
    // A command beside the service sees what it sees.
    CHECK(scene.ctl({"exec", "web", "--", "/bin/busybox", "sh", "/www/cgi-bin/report"}).out.ends_with(report));
    check_process(scene, kImageUser, kImageUser + 1, "/www");
    const ServiceReport status = scene.status("web");
    CHECK(status.image.starts_with("plates:1 ("));
    CHECK(scene.ctl({"status", "web"}).out.find("plates:1") != std::string::npos);
    scene.ctl({"remove", "web"});
    scene.ctl({"image", "remove", "plates:1"});
    std::filesystem::remove_all("/srv/one");
    check_nothing_left(scene);
}

TEST_CASE("image: what viscumd keeps may lie behind a link, as on OpenWrt, and no service sees it") {
    if (lacks_programs()) {
        return;
    }
    const std::string state = "/etc/viscum/state";
    std::filesystem::create_directories(state + "/images");
    std::filesystem::create_directory_symlink(state, "/var/lib/viscum");
    REQUIRE(mount("tmpfs", (state + "/images").c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") == 0);
    {
        Scene scene;
        must(write_image_layout(web_image("one"), "/srv/one", Packing::gzip));
        scene.ctl({"image", "import", "/srv/one", "--name", "one"});
        scene.deploy(test_service("other", {"203.0.113.20 80"}, {"local", "tcp", "0.0.0.0", "80"}));
        scene.ctl({"drain", "other"});
        scene.ctl({"deploy", ImageService{"one"}.write()});
        CHECK(page(scene, "/") == "one");
        scene.reboot();
        CHECK(eventually(kLimit, [&] { return page(scene, "/") == "one"; }));
        CHECK(eventually(kLimit, [&] { return scene.status("other").admission == "drain"; }));
        CHECK(std::filesystem::is_symlink("/var/lib/viscum"));
        const auto kept = must(list_directory(state));
        CHECK(std::ranges::any_of(kept, [](const auto& name) { return name.starts_with("state."); }));
        const std::string look = "find /etc/viscum/ /var/lib/viscum/ 2>&1; true";
        CHECK(scene.ctl({"exec", "other", "--", "/bin/sh", "-c", look}).out.find("state") == std::string::npos);
        for (const char* name : {"web", "other"}) {
            scene.ctl({"remove", name});
        }
        scene.ctl({"image", "remove", "one"});
        std::filesystem::remove_all("/srv/one");
    }
    umount2((state + "/images").c_str(), MNT_DETACH);
    std::filesystem::remove("/var/lib/viscum");
    std::filesystem::remove_all(state);
}

TEST_CASE("image: what the service file says counts more than the image") {
    if (lacks_programs()) {
        return;
    }
    const StoreMount store;
    Scene scene;
    // The name lies beside the service file: deploying imports it.
    must(write_docker_archive(web_image("saved"), "/tmp/saved.tar", "plates:7", Packing::zstd));
    scene.ctl({"deploy", ImageService{"saved.tar",
                                      "  command: [/bin/busybox, httpd, -f]\n  user: 4321\n"
                                      "  directory: /other\n  env: { GREETING: good day }\n"}
                             .write()});
    CHECK(page(scene, "/") == "elsewhere");
    REQUIRE_FALSE(scene.processes_of("web").empty());
    const std::string environment =
        must(read_file(cat("/proc/", scene.processes_of("web").front(), "/environ"), 65'536));
    CHECK(environment.find(std::string("GREETING=good day\0", 18)) != std::string::npos);
    CHECK(environment.find(std::string("OTHER=image\0", 12)) != std::string::npos);
    check_process(scene, 4321, 4321, "/other");
    scene.ctl({"remove", "web"});
    scene.ctl({"image", "remove", "saved.tar"});
    check_nothing_left(scene);
}

TEST_CASE("image: updated and rolled back under a client without pause, and adopted by the next viscumd") {
    if (lacks_programs()) {
        return;
    }
    const StoreMount store;
    Scene scene;
    must(write_image_layout(web_image("one"), "/srv/one", Packing::gzip));
    must(write_image_layout(web_image("two"), "/srv/two", Packing::zstd));
    must(write_image_layout(web_image("sick", R"({"Entrypoint":["/bin/busybox","sleep","1000"]})"), "/srv/sick",
                            Packing::none));
    for (const char* name : {"one", "two", "sick"}) {
        scene.ctl({"image", "import", cat("/srv/", name), "--name", name});
    }
    scene.ctl({"deploy", ImageService{"one"}.write()});
    const auto flow = scene.flow(kWeb, 2);
    CHECK(flow->wait_for("one", boot_now(), kLimit));
    scene.ctl({"deploy", ImageService{"two"}.write()});
    CHECK(page(scene, "/") == "two");
    scene.ctl({"deploy", ImageService{"sick"}.write(), "--wait", "1s"}, 4);
    CHECK(page(scene, "/") == "two");
    CHECK(scene.status("web").image.starts_with("two ("));
    // The main process alone: httpd has a child for each connection.
    const pid_t before = scene.processes_of("web").front();
    scene.viscumd().kill();
    must(scene.viscumd().start_again());
    CHECK(scene.processes_of("web").front() == before);
    CHECK(scene.status("web").image.starts_with("two ("));
    const RunOutput used = scene.ctl({"image", "remove", "two"}, 5);
    CHECK(used.err.find("web") != std::string::npos);
    CHECK(page(scene, "/") == "two");
    // A name that moves on changes nothing that runs, over a restart of its process as well.
    scene.ctl({"image", "import", "/srv/one", "--name", "two"});
    scene.kill_service("web");
    CHECK(eventually(kLimit, [&] { return page(scene, "/") == "two"; }));
    const FlowSummary seen = flow->stop();
    check_flow("images that change", seen, 4);
    scene.ctl({"remove", "web"});
    for (const char* name : {"one", "two", "sick"}) {
        scene.ctl({"image", "remove", name});
        std::filesystem::remove_all(cat("/srv/", name));
    }
    (void)run({VISCUM_BIN_DIR "/viscum-image", "prune"});
    check_nothing_left(scene);
}

TEST_CASE("image: a file that is restored runs its own image, not the one of the version that goes") {
    if (lacks_programs()) {
        return;
    }
    const StoreMount store;
    Scene scene;
    for (const char* name : {"one", "two"}) {
        must(write_image_layout(web_image(name), cat("/srv/", name), Packing::gzip));
        scene.ctl({"image", "import", cat("/srv/", name), "--name", name});
    }
    scene.ctl({"deploy", ImageService{"one"}.write()});
    scene.ctl({"backup", "/tmp/images-test.tar"});
    scene.ctl({"deploy", ImageService{"two"}.write()});
    CHECK(page(scene, "/") == "two");
    CHECK(scene.viscumd().stop() == 0);
    scene.ctl({"restore", "/tmp/images-test.tar"});
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return page(scene, "/") == "one"; }));
    CHECK(eventually(kLimit, [&] { return !scene.status("web").updating; }));
    CHECK(scene.status("web").image.starts_with("one ("));
    scene.ctl({"remove", "web"});
    std::filesystem::remove("/tmp/images-test.tar");
    for (const char* name : {"one", "two"}) {
        scene.ctl({"image", "remove", name});
        std::filesystem::remove_all(cat("/srv/", name));
    }
    (void)run({VISCUM_BIN_DIR "/viscum-image", "prune"});
    check_nothing_left(scene);
}

TEST_CASE("image: a viscumd killed beside the writing of a file leaves each file with its own image") {
    if (lacks_programs()) {
        return;
    }
    if (!SyscallTracer::possible()) {
        return skip("system calls cannot be changed on this architecture");
    }
    const StoreMount store;
    Scene scene;
    for (const char* name : {"one", "two"}) {
        must(write_image_layout(web_image(name), cat("/srv/", name), Packing::gzip));
        scene.ctl({"image", "import", cat("/srv/", name), "--name", name});
    }
    const ImageService one{"one"};
    const ImageService two{"two"};
    scene.ctl({"deploy", one.write()});
    const std::size_t nth = deploy_traced(scene, two, {});
    for (const auto kind : {SyscallStrike::Kind::kill, SyscallStrike::Kind::kill_after}) {
        CHECK(deploy_traced(scene, one, {.strike = {{kind, "rename", nth}}}) == nth);
        scene.viscumd().kill();
        must(scene.viscumd().start_again());
        const std::string expected = kind == SyscallStrike::Kind::kill ? "two" : "one";
        CHECK(eventually(kLimit, [&] { return page(scene, "/") == expected; }));
        // A new process, of the image that is known.
        scene.reboot();
        CHECK(eventually(kLimit, [&] { return page(scene, "/") == expected; }));
        CHECK(scene.status("web").image.starts_with(expected + " ("));
    }
    scene.ctl({"remove", "web"});
    for (const char* name : {"one", "two"}) {
        scene.ctl({"image", "remove", name});
        std::filesystem::remove_all(cat("/srv/", name));
    }
    (void)run({VISCUM_BIN_DIR "/viscum-image", "prune"});
    check_nothing_left(scene);
}

TEST_CASE("image: the same file with another image on trial: the image before comes back") {
    if (lacks_programs()) {
        return;
    }
    const StoreMount store;
    Scene scene;
    must(write_image_layout(web_image("one"), "/srv/one", Packing::gzip));
    must(write_image_layout(web_image("two"), "/srv/two", Packing::gzip));
    const std::string file = ImageService{"plates"}.write();
    scene.ctl({"image", "import", "/srv/one", "--name", "plates"});
    scene.ctl({"deploy", file});
    scene.ctl({"image", "import", "/srv/two", "--name", "plates"});
    scene.ctl({"deploy", file, "--confirm", "1s"});
    CHECK(page(scene, "/") == "two");
    CHECK(eventually(kLimit, [&] { return page(scene, "/") == "one"; }));
    CHECK(eventually(kLimit, [&] { return !scene.status("web").updating; }));
    scene.viscumd().kill();
    must(scene.viscumd().start_again());
    CHECK(page(scene, "/") == "one");
    scene.ctl({"remove", "web"});
    scene.ctl({"image", "remove", "plates"});
    for (const char* name : {"one", "two"}) {
        std::filesystem::remove_all(cat("/srv/", name));
    }
    (void)run({VISCUM_BIN_DIR "/viscum-image", "prune"});
    check_nothing_left(scene);
}

TEST_CASE("image: a deployed one is back after a reboot, and one that is gone is said to be") {
    if (lacks_programs()) {
        return;
    }
    const StoreMount store;
    Scene scene;
    must(write_image_layout(web_image("one"), "/srv/one", Packing::gzip));
    const RunOutput missing = scene.ctl({"deploy", ImageService{"plates"}.write()}, 5);
    CHECK_MESSAGE(missing.err.find("plates") != std::string::npos, missing.err);
    scene.ctl({"image", "import", "/srv/one", "--name", "plates"});
    scene.ctl({"deploy", ImageService{"plates"}.write()});
    scene.reboot();
    CHECK(eventually(kLimit, [&] { return page(scene, "/") == "one"; }));
    scene.ctl({"remove", "web"});
    scene.ctl({"image", "remove", "plates"});
    std::filesystem::remove_all("/srv/one");
    check_nothing_left(scene);
}

}  // namespace viscum
