// SPDX-License-Identifier: GPL-2.0-only
// viscumctl events: what happened is told, in order and with why, also when viscumd is dead.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/file.h"
#include "controller/ipc/event.h"
#include "tests/scene/scene.h"

namespace viscum {
namespace {

std::vector<Event> journal(const Scene& scene, const Argv& more = {}) {
    Argv argv{"events", "--json"};
    argv.insert(argv.end(), more.begin(), more.end());
    std::vector<Event> events;
    for (const auto& line : split(scene.ctl(argv).out, '\n')) {
        if (!line.empty()) {
            const auto event = read_event(line);
            REQUIRE_MESSAGE(event, line);
            events.push_back(*event);
        }
    }
    return events;
}

/// "started - deployed", in the order of the journal.
std::string kinds(const std::vector<Event>& events) {
    std::vector<std::string> words;
    for (const auto& event : events) {
        words.push_back(event.service.empty() ? cat(event.kind, '-') : event.kind);
    }
    return join(words, " ");
}

std::string text_of(const std::vector<Event>& events, const std::string& kind) {
    for (const auto& event : events) {
        if (event.kind == kind) {
            return event.text;
        }
    }
    return cat("no event '", kind, "'");
}

bool tells(const Scene& scene, const std::string& kind, std::ptrdiff_t times = 1) {
    return eventually(kLimit, [&] {
        const auto events = journal(scene);
        return std::ranges::count(events, kind, &Event::kind) >= times;
    });
}

}  // namespace

TEST_CASE("events: the story of a service reads right and in order, and outlives viscumd") {
    Scene scene;
    scene.deploy(web_service());
    scene.kill_service("web");
    CHECK(tells(scene, "healthy"));
    CHECK(tells(scene, "local", 2));
    scene.ctl({"drain", "web"});
    CHECK(tells(scene, "cloud", 2));
    scene.ctl({"resume", "web"});
    CHECK(tells(scene, "local", 3));
    auto told = journal(scene);
    // One turn may see the end of the process and the rules that follow it.
    CHECK(kinds(told) ==
          "started- lan-attached- lan-attached- deployed local exited cloud healthy local drained cloud resumed local");
    CHECK(text_of(told, "deployed").find("deployed: file ") == 0);
    CHECK(text_of(told, "exited") == "its process ended: killed by SIGKILL; it is started again after a pause");
    CHECK(text_of(told, "cloud").find("its new flows go to the cloud: its process ended, and ") == 0);
    CHECK(text_of(told, "local") == "its new flows are served here");
    for (std::size_t i = 1; i < told.size(); ++i) {
        CHECK(told[i - 1].time_ms <= told[i].time_ms);
    }

    SUBCASE("stopped in order, read without it, and started again") {
        CHECK(scene.viscumd().stop() == 0);
        CHECK(journal(scene).back().kind == "stopped");
        must(scene.viscumd().start_again());
        const auto after = journal(scene);
        CHECK(after.back().kind == "started");
        CHECK(after.back().text.find("it adopted 1 process") != std::string::npos);
        CHECK(after.back().text.find("without a word") == std::string::npos);
        CHECK(after.size() == told.size() + 2);  // what runs on is no event
    }
    SUBCASE("killed: the next one says so") {
        scene.viscumd().kill();
        CHECK(scene.ctl({"events", "web", "-n", "1"}).out.find("web  its new flows are served here again") !=
              std::string::npos);
        must(scene.viscumd().start_again());
        CHECK(journal(scene).back().text.ends_with("; the one before ended without a word"));
    }
    SUBCASE("one service's, the last ones, and the young ones") {
        CHECK(kinds(journal(scene, {"web", "-n", "2"})) == "resumed local");
        CHECK(kinds(journal(scene, {"other"})).empty());
        CHECK(kinds(journal(scene, {"--since", "1h"})) == kinds(told));
        CHECK(scene.ctl({"events", "--since", "soon"}, 2).err.find("is no time") != std::string::npos);
        CHECK(scene.ctl({"events", "Web"}, 6).err.find("no service") != std::string::npos);
    }
    SUBCASE("it is removed, and its story stays") {
        scene.ctl({"remove", "web"});
        CHECK(tells(scene, "gone"));
        told = journal(scene, {"web"});
        CHECK(kinds({told.end() - 2, told.end()}) == "removed gone");
    }
}

TEST_CASE("events: an update that fails, a file that is refused, and a configuration that is not used say why") {
    Scene scene;
    scene.deploy(web_service());
    auto broken = web_service();
    broken.command = {"/bin/false"};
    scene.deploy(broken, 4);
    CHECK(text_of(journal(scene, {"web"}), "deploy-failed") ==
          "not deployed: exited with 1; the version before serves on");
    auto greedy = web_service();
    greedy.claims = {"192.0.2.1 80"};
    scene.deploy(greedy, 5);
    CHECK(text_of(journal(scene, {"web"}), "deploy-refused").find("this router refuses it") != std::string::npos);
    scene.write_config("lan: [br-lan]\nsurprise: 1\n");
    must(Status{});
    kill(scene.viscumd().pid(), SIGHUP);
    CHECK(tells(scene, "config-refused"));
    scene.write_config("lan: [br-lan]\n");
    kill(scene.viscumd().pid(), SIGHUP);
    CHECK(tells(scene, "config"));
}

TEST_CASE("events: what another tool removes is told when it is put back") {
    Scene scene;
    scene.deploy(web_service());
    must(output_of({"tc", "filter", "del", "dev", "lan1", "ingress"}, {&scene.bed().hotspot(), "", Millis(10'000)}));
    CHECK(tells(scene, "lan-mended"));
    CHECK(text_of(journal(scene), "lan-mended") == "lan1: the filter was put back: another tool had removed it");
}

TEST_CASE("events: a file that cannot be written disturbs nobody, and is told once") {
    Scene scene;
    const std::string path = scene.viscumd().instance().events_file();
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    scene.deploy(web_service());
    scene.kill_service("web");
    CHECK(eventually(kLimit, [&] { return scene.status("web").restarts == 1 && scene.web() == "local"; }));
    scene.ctl({"drain", "web"});
    const std::string log = scene.viscumd().log();
    const auto told = log.find("what happens is not written down");
    CHECK(told != std::string::npos);
    CHECK(log.find("what happens is not written down", told + 1) == std::string::npos);
    std::filesystem::remove(path);
    scene.ctl({"resume", "web"});
    CHECK(tells(scene, "resumed"));
}

TEST_CASE("events: -f follows over a change of the file, and over a torn line") {
    Scene scene;
    const std::string path = scene.viscumd().instance().events_file();
    scene.deploy(web_service());
    auto follower = must(Program::start({{VISCUM_BIN_DIR "/viscumctl", "events", "web", "-f", "-n", "1", "--json"},
                                         "/tmp/events.out",
                                         &scene.bed().hotspot()}));
    const auto followed = [] {
        std::ifstream in("/tmp/events.out");
        std::ostringstream text;
        text << in.rdbuf();
        return text.str();
    };
    const auto sees = [&](const std::string& words) {
        return eventually(kLimit, [&] { return followed().find(words) != std::string::npos; });
    };
    // It listens before it shows the past: what comes after that line is followed.
    CHECK(sees("\"time\""));
    scene.ctl({"drain", "web"});
    CHECK(sees("\"drained\""));
    scene.ctl({"resume", "web"});
    CHECK(sees("\"resumed\""));
    // A power cut tears the last line, and what follows fills the file: it becomes the generation before.
    std::ofstream(path, std::ios::app) << R"({"time":"2026-01-02T03:04:05.678Z","kind":"dra)";
    std::ofstream(path, std::ios::app) << std::string(64UL * 1024, '\0');
    scene.ctl({"remove", "web"});
    CHECK(std::filesystem::exists(path + ".1"));
    CHECK(sees("\"removed\""));
    CHECK(sees("\"gone\""));
    for (const auto& line : split(followed(), '\n')) {
        CHECK((line.empty() || read_event(line)));
    }
    CHECK(follower.stop(SIGTERM) == 0);
    CHECK(text_of(journal(scene, {"web"}), "deployed").find("deployed: file ") == 0);
}

}  // namespace viscum
