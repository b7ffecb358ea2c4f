// SPDX-License-Identifier: GPL-2.0-only
// deploy --confirm: the version before comes back, unless somebody says that the new one is to stay.
#include "base/file.h"
#include "controller/store/store.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

constexpr const char* kLong = "10m";
const std::string kStored = Instance{}.services_dir() + "/web.yaml";

ServiceFile version_of_web(const std::string& answer) {
    ServiceFile file = web_service(answer);
    file.command = must(nginx(answer, answer, {"0.0.0.0:80", "[::]:80"})).command;
    return file;
}

std::string deployed_file() {
    const auto text = read_file(kStored, 64 * 1024);
    return text ? *text : text.error().what;
}

void deploy_on_trial(const Scene& scene, const ServiceFile& file, const std::string& time) {
    scene.ctl({"deploy", file.write(), "--confirm", time});
}

/// That no trial is known any more, and nothing is kept of one.
void check_no_trial(const Scene& scene) {
    CHECK(scene.status("web").confirm_ms_left == -1);
    CHECK(must(list_directory(Instance{}.state_dir() + "/before")).empty());
}

/// Of a test after which the service is there.
void check_end(Scene& scene) {
    check_no_trial(scene);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

/// Both generations of the state as a machine that was started anew would find them.
void pretend_another_boot() {
    for (const char* name : {"/state.0", "/state.1"}) {
        const std::string path = Instance{}.state_dir() + name;
        const auto bytes = read_file(path, 64 * 1024);
        std::uint64_t generation = 0;
        auto state = bytes ? decode_state(*bytes, &generation) : Result<SavedState>(bytes.error());
        if (state) {
            for (auto& [service, trial] : state->trials) {
                trial.boot = "another";
            }
            must(write_file_atomically(path, encode_state(*state, generation), 0640));
        }
    }
}

}  // namespace

TEST_CASE("confirm: without the word the version before comes back, and no connection fails") {
    Scene scene;
    const ServiceFile first = version_of_web("first");
    scene.deploy(first);
    const auto flow = scene.flow(kWeb);
    deploy_on_trial(scene, version_of_web("second"), "1500ms");
    CHECK(scene.web() == "second");
    CHECK(scene.status("web").confirm_ms_left > 0);
    CHECK(eventually(kLimit, [&] { return scene.web() == "first"; }));
    CHECK(eventually(kLimit, [&] { return !scene.status("web").updating; }));
    check_flow("a version that was not confirmed", flow->stop());
    CHECK(deployed_file() == first.text());
    // Who confirms now learns that it is too late.
    const RunOutput late = scene.ctl({"confirm", "web"}, 5);
    CHECK(late.err.find("the version before is back") != std::string::npos);
    CHECK(scene.ctl({"deploy", first.write()}).out.find("nothing to do") != std::string::npos);
    check_end(scene);
}

TEST_CASE("confirm: who says that it is not to stay has the version before back now, and no connection fails") {
    Scene scene;
    const ServiceFile first = version_of_web("first");
    scene.deploy(first);
    CHECK(scene.ctl({"revert", "web"}).out == "web: nothing to do, it is not on trial\n");
    const auto flow = scene.flow(kWeb);
    deploy_on_trial(scene, version_of_web("second"), kLong);
    CHECK(scene.web() == "second");
    CHECK(scene.ctl({"revert", "web"}).out == "web: the version before comes back\n");
    CHECK(eventually(kLimit, [&] { return scene.web() == "first"; }));
    CHECK(eventually(kLimit, [&] { return !scene.status("web").updating; }));
    check_flow("a version that was reverted", flow->stop());
    CHECK(deployed_file() == first.text());
    CHECK(scene.ctl({"revert"}).out == "nothing to do, no service is on trial\n");
    scene.ctl({"revert", "other"}, 6);
    check_end(scene);
}

TEST_CASE("confirm: with the word it stays, also over a restart of viscumd, and the word may be said twice") {
    Scene scene;
    scene.deploy(version_of_web("first"));
    const ServiceFile second = version_of_web("second");
    deploy_on_trial(scene, second, kLong);
    CHECK(scene.ctl({"confirm"}).out == "web: confirmed\n");
    CHECK(scene.ctl({"confirm", "web"}).out == "web: nothing to do, it is not on trial\n");
    CHECK(scene.ctl({"confirm"}).out == "nothing to do, no service is on trial\n");
    pretend_another_boot();
    scene.viscumd().stop();
    must(scene.viscumd().start_again());
    CHECK(scene.web() == "second");
    CHECK(deployed_file() == second.text());
    scene.ctl({"confirm", "other"}, 6);
    check_end(scene);
}

TEST_CASE("confirm: a deploy of the same file without --confirm is the word, one with it begins the time anew") {
    Scene scene;
    const ServiceFile first = version_of_web("first");
    scene.deploy(first);
    const ServiceFile second = version_of_web("second");
    deploy_on_trial(scene, second, "1h");
    const RunOutput again = scene.ctl({"deploy", second.write(), "--confirm", kLong});
    CHECK(again.out == "web: this version is deployed, and its trial begins anew\n");
    CHECK(again.err.find("viscumctl confirm web") != std::string::npos);
    const auto left = scene.status("web").confirm_ms_left;
    CHECK(left > 0);
    CHECK(left <= 600'000);
    scene.viscumd().kill();
    must(scene.viscumd().start_again());
    CHECK(scene.status("web").confirm_ms_left <= 600'000);
    deploy_on_trial(scene, second, "1h");
    CHECK(scene.status("web").confirm_ms_left > 600'000);
    // What comes back is the version before all the same.
    deploy_on_trial(scene, second, "1s");
    CHECK(eventually(kLimit, [&] { return scene.web() == "first"; }));
    CHECK(eventually(kLimit, [&] { return !scene.status("web").updating; }));
    deploy_on_trial(scene, second, kLong);
    CHECK(scene.ctl({"deploy", second.write()}).out == "web: confirmed\n");
    check_end(scene);
}

TEST_CASE("confirm: services that were deployed at once, and swapped their claims, come back at once") {
    Scene scene;
    const auto of = [](const std::string& name, const std::string& address, const std::string& answer) {
        ServiceFile file = version_of_web(answer);
        file.name = name;
        file.claims = {address + " 80"};
        return file;
    };
    const ServiceFile one = of("web", "203.0.113.10", "one");
    const ServiceFile two = of("two", "203.0.113.20", "two");
    const Endpoint other = Endpoint::of("203.0.113.20", 80);
    scene.deploy(one);
    scene.deploy(two);
    const ServiceFile swapped_one = of("web", "203.0.113.20", "one");
    ServiceFile swapped_two = of("two", "203.0.113.10", "two");
    // It takes a while: its trial would end later by itself.
    swapped_two.command.insert(swapped_two.command.begin(), {"/bin/sh", "-c", "sleep 0.7; exec \"$@\"", "sh"});
    scene.ctl({"deploy", swapped_one.write(), swapped_two.write(), "--confirm", "2s"});
    CHECK(scene.web() == "two");
    CHECK(scene.web(other) == "one");
    CHECK(eventually(kLimit, [&] { return scene.web() == "one" && scene.web(other) == "two"; }));
    CHECK(scene.viscumd().log().find("is not served") == std::string::npos);
    CHECK(scene.viscumd().log().find("was not deployed") == std::string::npos);
    CHECK(eventually(kLimit, [&] { return !scene.status("web").updating && !scene.status("two").updating; }));
    scene.ctl({"remove", "two"});
    check_end(scene);
}

TEST_CASE("confirm: what comes back is the last version that was confirmed") {
    Scene scene;
    scene.deploy(version_of_web("first"));
    deploy_on_trial(scene, version_of_web("second"), kLong);
    deploy_on_trial(scene, version_of_web("third"), "1s");
    CHECK(eventually(kLimit, [&] { return scene.web() == "first"; }));
    check_end(scene);
}

TEST_CASE("confirm: a first version goes again") {
    Scene scene;
    deploy_on_trial(scene, version_of_web("first"), "1s");
    CHECK(scene.web() == "first");
    CHECK(eventually(kLimit, [&] { return scene.report().services.empty(); }));
    CHECK(scene.web() == "cloud");
    scene.ctl({"confirm", "web"}, 6);
    CHECK(must(list_directory(Instance{}.state_dir() + "/before")).empty());
    scene.ctl({"deploy", version_of_web("first").write()});
    check_end(scene);
}

TEST_CASE("confirm: a trial goes on over a restart of viscumd, and may end while none runs") {
    Scene scene;
    scene.deploy(version_of_web("first"));
    deploy_on_trial(scene, version_of_web("second"), kLong);
    scene.viscumd().stop();
    must(scene.viscumd().start_again());
    CHECK(scene.web() == "second");
    const auto left = scene.status("web").confirm_ms_left;
    CHECK(left > 0);
    CHECK(left <= 600'000);
    deploy_on_trial(scene, version_of_web("third"), "1s");
    scene.viscumd().kill();
    const BootTime end = boot_now() + Millis(1'100);
    CHECK(eventually(kLimit, [&] { return boot_now() > end; }));
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.web() == "first"; }));
    CHECK(eventually(kLimit, [&] { return !scene.status("web").updating; }));
    check_end(scene);
}

TEST_CASE("confirm: after a restart of the machine the version before is there") {
    Scene scene;
    scene.deploy(version_of_web("first"));
    deploy_on_trial(scene, version_of_web("second"), kLong);
    pretend_another_boot();
    scene.reboot();
    CHECK(eventually(kLimit, [&] { return scene.web() == "first"; }));
    scene.ctl({"confirm", "web"}, 5);
    check_end(scene);
}

TEST_CASE("confirm: what was not confirmed goes also where the version before does not get healthy") {
    Scene scene;
    const std::string obstacle = "/srv/obstacle";
    ServiceFile first = version_of_web("first");
    first.command.insert(first.command.begin(), {"/bin/sh", "-c", "test ! -e " + obstacle + " && exec \"$@\"", "sh"});
    scene.deploy(first);
    must(write_file_atomically(obstacle, "", 0644));
    deploy_on_trial(scene, version_of_web("second"), "1s");
    CHECK(scene.web() == "second");
    CHECK(eventually(kLimit, [&] { return scene.web() == "cloud"; }));
    CHECK(deployed_file() == first.text());
    // Its file stands, and is tried on.
    must(remove_file(obstacle));
    CHECK(eventually(kLimit, [&] { return scene.web() == "first"; }));
    check_end(scene);
}

TEST_CASE(
    "confirm: where the version before waits for its own connections, the cloud serves, and not what was on trial") {
    Scene scene;
    ServiceFile first = version_of_web("first");
    first.more += "drain_timeout: 60s\n";
    scene.deploy(first);
    auto open = must(KeptConnection::open(scene.bed().client(1), {.to = kWeb}));
    CHECK(open.get().who() == "first");
    deploy_on_trial(scene, version_of_web("second"), "1s");
    CHECK(scene.web() == "second");
    CHECK(eventually(kLimit, [&] { return scene.web() == "cloud"; }));
    CHECK(open.get().who() == "first");
    { const auto closed = std::move(open); }
    CHECK(eventually(kLimit, [&] { return scene.web() == "first"; }));
    check_end(scene);
}

TEST_CASE("confirm: a trial means nothing once another file is there, or none") {
    Scene scene;
    scene.deploy(version_of_web("first"));
    deploy_on_trial(scene, version_of_web("second"), "2s");
    // As a deploy leaves it that is killed between the file and what is known beside it.
    scene.viscumd().kill();
    const ServiceFile third = version_of_web("third");
    must(write_file_atomically(kStored, third.text(), 0640));
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.web() == "third"; }));
    check_no_trial(scene);
    deploy_on_trial(scene, version_of_web("second"), "2s");
    // The same of a removal.
    scene.viscumd().kill();
    must(remove_file(kStored));
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.report().services.empty(); }));
    CHECK(scene.web() == "cloud");
    CHECK(must(list_directory(Instance{}.state_dir() + "/before")).empty());
    const BootTime end = boot_now() + Millis(2'200);
    CHECK(eventually(kLimit, [&] { return boot_now() > end; }));
    CHECK(scene.report().services.empty());
    scene.check_no_leak();
}

TEST_CASE("confirm: what was put back when viscumd was killed is brought back by the next one") {
    Scene scene;
    const ServiceFile first = version_of_web("first");
    scene.deploy(first);
    deploy_on_trial(scene, version_of_web("second"), kLong);
    scene.viscumd().kill();
    pretend_another_boot();
    must(write_file_atomically(kStored, first.text(), 0640));
    must(scene.viscumd().start_again());
    CHECK(eventually(kLimit, [&] { return scene.web() == "first"; }));
    scene.ctl({"confirm", "web"}, 5);
    check_end(scene);
}

TEST_CASE("confirm: the version before that is lost does not take the other one with it") {
    Scene scene;
    scene.deploy(version_of_web("first"));
    deploy_on_trial(scene, version_of_web("second"), "1s");
    must(remove_file(Instance{}.state_dir() + "/before/web.yaml"));
    CHECK(eventually(kLimit,
                     [&] { return scene.viscumd().log().find("the version before is lost") != std::string::npos; }));
    CHECK(scene.web() == "second");
    check_end(scene);
}

TEST_CASE("confirm: a time that is none, too short or too long is refused, and nothing is deployed") {
    Scene scene;
    const std::string file = version_of_web("first").write();
    for (const char* time : {"soon", "100ms", "25h"}) {
        scene.ctl({"deploy", file, "--confirm", time}, 2);
    }
    CHECK(scene.report().services.empty());
    scene.check_no_leak();
}

}  // namespace viscum
