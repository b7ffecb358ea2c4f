// SPDX-License-Identifier: GPL-2.0-only
// A service from the operator's machine to the device in one signed file.
#include <filesystem>

#include "base/file.h"
#include "tests/scene/workshop.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr const char* kBusybox = "/bin/busybox";

/// A web service whose page is one of its `files:`, which says `page`.
std::string make(const Scene& scene, const Workshop& workshop, const std::string& version, const std::string& page,
                 bool sign = true) {
    workshop.put("web.yaml",
                 "viscum: 1\nname: web\nintercept:\n  - { address: 203.0.113.10, port: 80 }\n"
                 "run: { command: [/bin/busybox, httpd, -f, -p, '80', -h, /site] }\n"
                 "files: [{ path: /site/index.html, file: page }]\nhealth: { http: { port: 80 }, interval: 500ms }\n");
    workshop.put("page", page);
    return workshop.make(scene, "web.yaml", version, sign ? workshop.signed_by_key() : Argv());
}

bool lacks_programs() {
    if (access(kBusybox, X_OK) < 0) {
        skip(cat("needs ", kBusybox));
        return true;
    }
    return lacks_ssh_keygen();
}

std::string page(Scene& scene) {
    return http_get(scene.bed().client(1), {.to = kWeb}).body;
}

/// A key's command over SSH, as sshd starts it, with a file on standard input.
RunOutput through_gate(const std::string& role, const std::string& command, const std::string& file) {
    return run({"/bin/sh", "-c", "exec \"$@\" < \"$0\"", file, "env", "SSH_ORIGINAL_COMMAND=" + command,
                VISCUM_BIN_DIR "/viscumctl", "gate", "--role", role, "--key", "ops"});
}

std::size_t bundles_kept() {
    auto names = must(list_directory(Instance{}.state_dir() + "/bundles"));
    std::erase(names, "versions");
    return names.size();
}

/// Takes the service away, and what by design stays of it: the version that came last, and the image store.
void take_away(Scene& scene) {
    scene.ctl({"remove", "web"});
    for (const char* part : {"/bundles", "/images"}) {
        std::filesystem::remove_all(Instance{}.state_dir() + part);
    }
    scene.check_no_leak();
}

}  // namespace

TEST_CASE("bundle: a signed service is served, its next version too, and nothing else is taken") {
    if (lacks_programs()) {
        return;
    }
    Scene scene;
    const Workshop workshop;
    scene.write_config("lan: [br-lan]\n" + workshop.trust());
    const RunOutput first =
        scene.ctl({"bundle", "install", make(scene, workshop, "1", "local one\n"), "--wait", "10s"});
    CHECK(first.err.find("bundle web 1, signed by SHA256:") != std::string::npos);
    CHECK(page(scene) == "local one\n");
    CHECK(scene.ctl({"bundle", "install", workshop.at("1.bundle")}).out.find("nothing to do") != std::string::npos);
    const auto flow = scene.flow();
    scene.ctl({"bundle", "install", make(scene, workshop, "1.1", "local two\n")});
    CHECK(page(scene) == "local two\n");
    check_flow("a bundle's next version", flow->stop());

    CHECK(scene.ctl({"bundle", "install", workshop.at("1.bundle")}, 5).err.find("older than 1.1") != std::string::npos);
    const auto unsigned_one = make(scene, workshop, "2", "local three\n", false);
    CHECK(scene.ctl({"bundle", "install", unsigned_one}, 5).err.find("it is not signed") != std::string::npos);
    // The file of the version before, which drains or is still there, is not taken as it stands.
    scene.write_config("lan: [br-lan]\n");
    workshop.put("older.yaml",
                 cat(must(read_file(workshop.at("web.yaml"), 4096)), "bundle: ", std::string(40, 'a'), "\n"));
    CHECK(scene.ctl({"deploy", workshop.at("older.yaml")}, 5).err.find("not the one that came last") !=
          std::string::npos);
    scene.write_config("lan: [br-lan]\n" + workshop.trust());
    const RunOutput plain = scene.ctl({"deploy", workshop.at("web.yaml")}, 5);
    CHECK(plain.err.find("takes signed bundles only") != std::string::npos);
    CHECK(plain.err.find("viscumctl bundle install") != std::string::npos);
    CHECK(page(scene) == "local two\n");
    // A viscumd that starts anew serves it from where it stands.
    scene.viscumd().stop();
    must(scene.viscumd().start_again());
    scene.ctl({"restart", "web"});
    CHECK(page(scene) == "local two\n");
    take_away(scene);
}

TEST_CASE("bundle: what comes back after a trial has the files that it had") {
    if (lacks_programs()) {
        return;
    }
    Scene scene;
    const Workshop workshop;
    scene.ctl({"bundle", "install", make(scene, workshop, "1", "local one\n")});
    scene.ctl({"bundle", "install", make(scene, workshop, "2", "local two\n"), "--confirm", "1500ms"});
    CHECK(page(scene) == "local two\n");
    CHECK(bundles_kept() == 2);
    CHECK(scene.status("web").bundle.starts_with("2 ("));
    CHECK(eventually(kLimit, [&] { return page(scene) == "local one\n"; }));
    CHECK(eventually(kLimit, [&] { return scene.status("web").bundle.starts_with("1 ("); }));
    // Its own files stay, also now that something else came last.
    CHECK(eventually(kLimit, [&] { return !scene.status("web").updating; }));
    scene.ctl({"image", "prune"});
    scene.ctl({"restart", "web"});
    CHECK(page(scene) == "local one\n");
    scene.ctl({"bundle", "install", make(scene, workshop, "3", "local three\n")});
    CHECK(page(scene) == "local three\n");
    CHECK(eventually(kLimit, [&] { return !scene.status("web").updating; }));
    scene.ctl({"image", "prune"});
    CHECK(bundles_kept() == 1);
    take_away(scene);
}

TEST_CASE("bundle: a key that may deploy can install what is signed, and nothing older, over SSH") {
    if (lacks_programs()) {
        return;
    }
    Scene scene;
    const Workshop workshop;
    scene.write_config("lan: [br-lan]\n" + workshop.trust());
    const std::string first = make(scene, workshop, "1", "local one\n");
    const std::string second = make(scene, workshop, "2", "local two\n");
    CHECK(through_gate("observe", "bundle install -", second).status == 5);
    CHECK(through_gate("deploy", "bundle lacks -", second).out == "service.yaml\nfiles/page\n");
    const RunOutput installed = through_gate("deploy", "viscumctl bundle install - --wait 10s", second);
    CHECK_MESSAGE(installed.success(), installed.err);
    CHECK(page(scene) == "local two\n");
    CHECK(through_gate("observe", "bundle list", second).out.starts_with("web 2 "));
    CHECK(through_gate("deploy", "bundle install -", first).status == 5);
    CHECK(through_gate("deploy", "bundle install - --allow-downgrade", first).err.find("no option") !=
          std::string::npos);
    CHECK(through_gate("deploy", "bundle install " + first, first).status == 5);
    CHECK(through_gate("deploy", "bundle make - 3", first).status == 5);
    CHECK(through_gate("deploy", "deploy -", workshop.at("web.yaml")).status == 5);
    CHECK(page(scene) == "local two\n");
    take_away(scene);
}

TEST_CASE("bundle: what cannot become one says why, and makes none") {
    if (lacks_programs()) {
        return;
    }
    Scene scene;
    const Workshop workshop;
    const std::string out = workshop.at("none");
    (void)make(scene, workshop, "1", "page");
    const auto refuse = [&](const std::string& text, const std::string& version, const std::string& why) {
        workshop.put("other.yaml", text);
        const RunOutput answer = scene.ctl({"bundle", "make", workshop.at("other.yaml"), version, "--out", out}, 2);
        CHECK_MESSAGE(answer.err.find(why) != std::string::npos, answer.err);
        CHECK_FALSE(std::filesystem::exists(out));
    };
    const std::string good = must(read_file(workshop.at("web.yaml"), 4096));
    refuse("viscum: 1\n", "1", "other.yaml");
    refuse(good, "one", "'one' is no version");
    refuse(good + "bundle: " + std::string(40, 'a') + "\n", "1", "leave 'bundle:' out");
    refuse(good + "...\n", "1", "block style");
    refuse("viscum: 1\nname: web\nintercept: [{ address: 203.0.113.10, port: 80 }]\nrun: { image: web.tar }\n", "1",
           "--image FILE says where it is");
    scene.check_no_leak();
}

}  // namespace viscum
