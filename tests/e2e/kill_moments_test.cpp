// SPDX-License-Identifier: GPL-2.0-only
// viscumd is killed at any moment: the next one finds its way, and clients do not notice.
#include <signal.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "tests/scene/scene.h"

namespace viscum {
namespace {

constexpr int kMoments = 20;
constexpr int kLongest = 60'000;  // microseconds from the request to the kill: longer than a deploy takes

/// Of VISCUM_TEST_SEED, to repeat a run.
std::uint32_t seed() {
    const char* const chosen = std::getenv("VISCUM_TEST_SEED");
    const auto number = chosen != nullptr ? parse_decimal(chosen, UINT32_MAX) : std::nullopt;
    return number ? static_cast<std::uint32_t>(*number) : std::random_device{}();
}

/// Either nothing is there, or the service is whole: one run, and served unless it is drained.
bool settled(const Scene& scene) {
    const ServiceReport web = scene.status("web");
    if (web.name.empty()) {
        return scene.web() == "cloud";
    }
    return web.state == "up" && web.health == "healthy" && !web.updating &&
           (web.drained ? web.admission == "drain" && scene.web() == "cloud"
                        : web.admission == "serve" && scene.web() == "local");
}

}  // namespace

TEST_CASE(
    "kill moments: a viscumd that is killed at random moments of its work leaves nothing undone and nobody unserved") {
    Scene scene;
    const std::uint32_t number = seed();
    MESSAGE("VISCUM_TEST_SEED=", number);
    std::mt19937 dice(number);
    const auto below = [&dice](int limit) { return static_cast<int>(dice() % static_cast<unsigned>(limit)); };
    const auto v4 = scene.flow(kWeb, 1);
    const auto v6 = scene.flow(kWeb6, 2);
    for (int moment = 0; moment < kMoments; ++moment) {
        const std::vector<Argv> verbs = {{"deploy", web_service(std::to_string(moment)).write()},
                                         {"deploy", web_service(std::to_string(moment)).write()},
                                         {"restart", "web"},
                                         {"drain", "web"},
                                         {"resume", "web"},
                                         {"remove", "web"}};
        Argv argv = verbs[static_cast<std::size_t>(below(static_cast<int>(verbs.size())))];
        const std::chrono::microseconds pause(below(kLongest));
        CAPTURE(moment);
        CAPTURE(join(argv, " "));
        CAPTURE(pause.count());
        argv.insert(argv.begin(), VISCUM_BIN_DIR "/viscumctl");
        if (argv.at(1) != "deploy" && scene.status("web").name.empty()) {
            scene.deploy(web_service("once more"));
        }
        auto request = must(Program::start({.argv = argv, .ns = &scene.bed().hotspot()}));
        std::this_thread::sleep_for(pause);
        scene.viscumd().kill();
        must(scene.viscumd().start_again());
        CHECK(eventually(kLimit, [&] { return settled(scene); }));
        request.stop(SIGKILL);
    }
    for (FlowClient* flow : {v4.get(), v6.get()}) {
        check_flow(cat(kMoments, " kills of viscumd at work"), flow->stop());
    }
    if (!scene.status("web").name.empty()) {
        scene.ctl({"remove", "web"});
    }
    scene.check_no_leak();
}

}  // namespace viscum
