// SPDX-License-Identifier: GPL-2.0-only
// What operators were told wrongly, or not at all.
#include <signal.h>

#include <filesystem>

#include "base/file.h"
#include "tests/scene/scene.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

const std::string kLan = "lan: [br-lan]\n";

void narrow(Scene& scene, const std::string& claimable) {
    must(write_file_atomically(scene.viscumd().instance().config_file(),
                               cat("viscum: 1\nclaimable: [", claimable, "]\n", kLan), 0644));
    REQUIRE(kill(scene.viscumd().pid(), SIGHUP) == 0);
}

}  // namespace

TEST_CASE("operator: a service that is not permitted any more is listed with the reason, and can be removed") {
    Scene scene;
    scene.deploy(web_service());
    narrow(scene, "198.51.100.0/24");
    CHECK(eventually(kLimit, [&] { return scene.status("web").reason.find("not served") != std::string::npos; }));
    CHECK(scene.status("web").reason.find("'claimable'") != std::string::npos);
    CHECK(scene.web() == "cloud");
    scene.ctl({"remove", "web"});
    scene.ctl({"status", "web"}, 6);
    CHECK_FALSE(read_file("/etc/viscum/services/web.yaml", 1 << 20));
    scene.check_no_leak();
}

TEST_CASE("operator: a service that is permitted again is served, and is no longer told of as unserved") {
    Scene scene;
    scene.deploy(web_service());
    narrow(scene, "198.51.100.0/24");
    CHECK(eventually(kLimit, [&] { return scene.status("web").reason.find("not served") != std::string::npos; }));
    scene.write_config(kLan);
    REQUIRE(kill(scene.viscumd().pid(), SIGHUP) == 0);
    CHECK(eventually(kLimit, [&] { return scene.status("web").admission == "serve"; }));
    CHECK(scene.status("web").reason.empty());
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("operator: a viscumd of an instance without a configuration leaves nothing") {
    Scene scene;
    const RunOutput output = run({VISCUM_BIN_DIR "/viscumd", "--instance", "nothere"}, {.ns = &scene.bed().hotspot()});
    CHECK(output.status == 2);
    CHECK(output.err.find("there is no '/etc/nothere/viscum.yaml'") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists("/run/nothere"));
    CHECK_FALSE(std::filesystem::exists("/var/lib/nothere"));
    scene.check_no_leak();
}

TEST_CASE("operator: how long a service has run is known over a restart of viscumd") {
    Scene scene;
    scene.deploy(web_service());
    CHECK(eventually(kLimit, [&] { return scene.status("web").up_ms >= 1500; }));
    scene.viscumd().kill();
    must(scene.viscumd().start_again());
    CHECK(scene.status("web").up_ms >= 1500);
    CHECK(scene.viscumd().log().find("what runs is adopted: 1 process") != std::string::npos);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("operator: a conflict is not blamed on the list of what may be claimed") {
    Scene scene;
    scene.deploy(web_service());
    ServiceFile other = web_service();
    other.name = "other";
    const RunOutput refused = scene.deploy(other, 5);
    CHECK(refused.err.find("conflicts with") != std::string::npos);
    CHECK(refused.err.find("claimable") == std::string::npos);
    scene.ctl({"remove", "web"});
    scene.check_no_leak();
}

TEST_CASE("operator: a deploy says where nothing will be intercepted") {
    Scene scene({.config_lines = "lan: [no-such-device]\n"});
    const RunOutput out = scene.deploy(web_service());
    CHECK((out.out + out.err).find("no device of 'lan:' is there") != std::string::npos);
    scene.ctl({"remove", "web"});
}

TEST_CASE("operator: a deploy of which nothing was logged does not send its operator to the log") {
    Scene scene;
    ServiceFile file = web_service();
    file.command = {"/no/such/program"};
    const RunOutput out = scene.deploy(file, 4);
    CHECK(out.err.find("cannot run '/no/such/program'") != std::string::npos);
    CHECK(out.err.find("viscumctl logs") == std::string::npos);
    scene.check_no_leak();
}

}  // namespace viscum
