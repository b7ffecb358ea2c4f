// SPDX-License-Identifier: GPL-2.0-only
// What only one service is to know is known to it alone.
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <filesystem>

#include "base/file.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

constexpr const char* kSecrets = "/etc/viscum/secrets";
constexpr const char* kPlace = "/etc/tls/key.pem";
constexpr std::size_t kMostOfFile = 32UL << 20;

/// Not in this program's text as it is written to disk.
std::string secret() {
    return cat("-----BEGIN KEY-----", hex(fnv1a(cat("e2e", getpid())), 16), "-----END KEY-----");
}

class Secrets {
public:
    Secrets() {
        must(make_directory(kSecrets, 0700));
        must(write_file_atomically(cat(kSecrets, "/key.pem"), secret() + "\n", 0600));
    }
    ~Secrets() { std::filesystem::remove_all(kSecrets); }
    Secrets(const Secrets&) = delete;
    Secrets& operator=(const Secrets&) = delete;
};

/// nginx that tells the secret to whoever asks for it: proof that it can read it.
ServiceFile telling_service(const std::string& more = "") {
    const std::string config =
        cat("daemon off; master_process off; pid /tmp/pid; error_log stderr warn; events {} http { access_log off; "
            "client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c; uwsgi_temp_path /tmp/d; "
            "scgi_temp_path /tmp/e; server { listen 80; location = /secret { alias ",
            kPlace, "; } location / { return 200 \\\"local\\\\n\\\"; } } }");
    ServiceFile file = web_service();
    file.claims = {"203.0.113.10 80"};
    file.command = {file.command.front(), "-e", "stderr", "-c", "/etc/telling.conf"};
    file.more = cat("files:\n  - { path: ", kPlace, ", secret: key.pem }\n  - { path: /etc/telling.conf, text: \"",
                    config, "\" }\nrestart: { policy: never }\n", more);
    return file;
}

bool holds_secret(const std::string& text) {
    return text.find(secret()) != std::string::npos;
}

/// The files below a directory that hold the secret's bytes.
std::vector<std::string> files_with_secret(const std::string& top) {
    std::vector<std::string> found;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator it(top, error), end; !error && it != end; it.increment(error)) {
        std::error_code ignored;
        const std::string path = it->path().string();
        if (path == kSecrets || path == "/srv/bin") {
            it.disable_recursion_pending();
        } else if (it->symlink_status(ignored).type() == std::filesystem::file_type::regular) {
            const auto text = read_file(path, kMostOfFile);
            if (text && holds_secret(*text)) {
                found.push_back(path);
            }
        }
    }
    return found;
}

void check_nowhere_else() {
    for (const char* top : {"/run", "/var/lib/viscum", "/etc/viscum", "/tmp", "/srv", "/sys/fs/bpf"}) {
        CHECK(join(files_with_secret(top), "\n") == "");
    }
    // Cores: where the kernel would write one of a process with "/" as its directory.
    for (const char* top : {"/", "/var/lib/viscum"}) {
        const auto names = must(list_directory(top));
        for (const std::string& name : names) {
            CHECK_FALSE(name.starts_with("core"));
        }
    }
}

void check_told_to_nobody(Scene& scene) {
    for (const Argv& verb :
         {Argv{"status", "web"}, {"status"}, {"list"}, {"logs", "web"}, {"audit", "web"}, {"plan"}}) {
        Argv json = verb;
        json.emplace_back("--json");
        for (const Argv& arguments : {verb, json}) {
            const RunOutput output = scene.viscumd().ctl(arguments);
            CAPTURE(join(arguments, " "));
            CHECK_FALSE(holds_secret(output.out));
            CHECK_FALSE(holds_secret(output.err));
        }
    }
    CHECK_FALSE(holds_secret(scene.viscumd().log()));
}

}  // namespace

TEST_CASE("secrets: the service reads its own, which is its own alone, in memory and read-only") {
    Scene scene;
    const Secrets secrets;
    scene.deploy(telling_service());
    ServiceFile other = test_service("other", {"203.0.113.20 80"}, {"other", "tcp", "203.0.113.20", "80"});
    scene.deploy(other);
    CHECK(http_get(scene.bed().client(1), {.to = kWeb, .path = "/secret"}).body == secret() + "\n");
    {
        const std::string path = cat("/proc/", scene.processes_of("web").front(), "/root", kPlace);
        struct stat info {};
        REQUIRE(stat(path.c_str(), &info) == 0);
        CHECK((info.st_mode & 07777) == 0400);
        CHECK(std::to_string(info.st_uid) == scene.status("web").user);
        CHECK(info.st_uid != 0);
        struct statfs where {};
        REQUIRE(statfs(path.c_str(), &where) == 0);
        CHECK(where.f_type == TMPFS_MAGIC);
        struct statvfs flags {};
        REQUIRE(statvfs(path.c_str(), &flags) == 0);
        CHECK((flags.f_flag & ST_RDONLY) != 0);
        const std::string elsewhere = cat("/proc/", scene.processes_of("other").front(), "/root");
        CHECK(stat((elsewhere + kPlace).c_str(), &info) < 0);
        CHECK(stat((elsewhere + kSecrets + "/key.pem").c_str(), &info) < 0);
    }
    check_told_to_nobody(scene);
    check_nowhere_else();
    scene.ctl({"remove", "web"});
    scene.ctl({"remove", "other"});
    check_nowhere_else();
    std::filesystem::remove_all(kSecrets);
    scene.check_no_leak();
}

TEST_CASE("secrets: a service that crashes leaves none behind") {
    Scene scene;
    const Secrets secrets;
    scene.deploy(telling_service());
    scene.signal_service("web", SIGABRT);
    CHECK(eventually(kLimit, [&] { return scene.status("web").state == "failed"; }));
    CHECK(scene.status("web").last_exit.find("SIGABRT") != std::string::npos);
    CHECK(scene.status("web").last_exit.find("core") == std::string::npos);
    check_told_to_nobody(scene);
    check_nowhere_else();
    scene.ctl({"remove", "web"});
    std::filesystem::remove_all(kSecrets);
    scene.check_no_leak();
}

TEST_CASE("secrets: one that is not there is named, and a new one counts from the next start on") {
    Scene scene;
    const RunOutput missing = scene.ctl({"deploy", telling_service().write(), "--wait", "2s"}, 4);
    CHECK_MESSAGE(missing.err.find("key.pem") != std::string::npos, missing.err);
    const Secrets secrets;
    scene.deploy(telling_service());
    must(write_file_atomically(cat(kSecrets, "/key.pem"), "renewed\n", 0600));
    CHECK(http_get(scene.bed().client(1), {.to = kWeb, .path = "/secret"}).body == secret() + "\n");
    scene.ctl({"restart", "web"});
    CHECK(http_get(scene.bed().client(1), {.to = kWeb, .path = "/secret"}).body == "renewed\n");
    scene.ctl({"remove", "web"});
    std::filesystem::remove_all(kSecrets);
    scene.check_no_leak();
}

}  // namespace viscum
