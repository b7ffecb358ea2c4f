// SPDX-License-Identifier: GPL-2.0-only
// The medium of viscumd's files answers a write, a sync or a rename with an error.
#include <optional>

#include "base/file.h"
#include "tests/faults/host/tampering.h"
#include "tests/faults/oracle/oracle.h"
#include "tests/scene/scene.h"
#include "tests/support/campaign.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr std::size_t kSample = 5;
constexpr const char* kWritingCalls = "write,fsync,rename,unlink";

/// A verb, and what brings the instance to where the verb is to be tried.
struct Verb {
    std::string name;
    std::function<Argv()> command;
    std::function<void(Scene&)> prepare;
};

std::string file_of(const std::string& version) {
    return web_service(version).write();
}

/// The web service in its first version and served, whatever was before.
void set_up(Scene& scene) {
    scene.ctl({"deploy", file_of("1")});
    scene.ctl({"resume", "web"});
}

/// It may be going already: a deploy that failed takes its own down.
void tear_down(Scene& scene) {
    const RunOutput removed = scene.viscumd().ctl({"remove", "web"});
    CHECK((removed.status == 0 || removed.status == 6));
    CHECK(eventually(kLimit, [&] { return scene.status("web").name.empty(); }));
}

std::vector<Verb> verbs() {
    return {{"deploy",
             [] {
                 return Argv{"deploy", file_of("1")};
             },
             tear_down},
            {"update",
             [] {
                 return Argv{"deploy", file_of("2")};
             },
             set_up},
            {"drain",
             [] {
                 return Argv{"drain", "web"};
             },
             set_up},
            {"remove",
             [] {
                 return Argv{"remove", "web"};
             },
             [](Scene& scene) {
                 set_up(scene);
                 scene.ctl({"drain", "web"});
             }}};
}

std::vector<std::string> written_paths(const Instance& instance) {
    const std::string service = instance.services_dir() + "/web.yaml";
    const std::string state = instance.state_dir() + "/state.";
    return {instance.services_dir(), instance.state_dir(), service, service + ".new", state + "0.new", state + "1.new"};
}

struct Point {
    Verb verb;
    std::string call;
    std::size_t number = 1;
    bool on = false;  // from this call on all of them fail
    std::string error;

    [[nodiscard]] std::string injection() const { return cat(call, ":error=", error, ":when=", number, on ? "+" : ""); }
};

/// What a medium answers to each call, and how that reads.
const std::map<std::string, std::vector<std::string>>& errors_of_calls() {
    static const std::map<std::string, std::vector<std::string>> errors{{"write", {"ENOSPC", "EIO", "EDQUOT"}},
                                                                        {"fsync", {"EIO", "ENOSPC"}},
                                                                        {"rename", {"ENOSPC", "EIO"}},
                                                                        {"unlink", {"EIO", "EROFS"}}};
    return errors;
}

std::string text_of(const std::string& error) {
    static const std::map<std::string, std::string> texts{{"ENOSPC", "No space left on device"},
                                                          {"EIO", "Input/output error"},
                                                          {"EDQUOT", "Disk quota exceeded"},
                                                          {"EROFS", "Read-only file system"}};
    return texts.at(error);
}

DiskState disk_of(Scene& scene) {
    return must(read_disk_state(scene.viscumd().instance()));
}

/// Every call of each verb that changes a file, once alone and once with all that follow.
std::vector<Point> all_points(Scene& scene, std::mt19937& dice) {
    std::vector<Point> points;
    for (const Verb& verb : verbs()) {
        verb.prepare(scene);
        auto counting = must(
            Tampering::start(scene.viscumd().pid(), {kWritingCalls, "", written_paths(scene.viscumd().instance())}));
        scene.ctl(verb.command());
        const auto counts = counting.stop();
        CHECK(counts.contains("fsync"));
        for (const auto& [call, count] : counts) {
            const auto& errors = errors_of_calls().at(call);
            for (std::size_t number = 1; number <= count; ++number) {
                for (const bool on : {false, true}) {
                    points.push_back({verb, call, number, on, errors[dice() % errors.size()]});
                }
            }
        }
    }
    return points;
}

/// The verb again with a medium that works: it is done, and the file and the state say so.
void check_repaired(Scene& scene, const Verb& verb, const DiskState& after) {
    verb.prepare(scene);
    scene.ctl(verb.command());
    const DiskState now = disk_of(scene);
    CHECK(join(judge_state(now, after, after), "\n") == "");
}

struct Tried {
    std::size_t refused = 0;
    std::size_t done = 0;
};

void try_point(Scene& scene, const Point& point, Tried& tried) {
    CAPTURE(point.verb.name);
    CAPTURE(point.injection());
    point.verb.prepare(scene);
    scene.ctl(point.verb.command());
    const DiskState after = disk_of(scene);
    point.verb.prepare(scene);
    const DiskState before = disk_of(scene);
    const std::size_t said_before = scene.viscumd().log().size();
    auto tampering = must(Tampering::start(
        scene.viscumd().pid(), {kWritingCalls, point.injection(), written_paths(scene.viscumd().instance())}));
    const RunOutput output = scene.viscumd().ctl(point.verb.command());
    tampering.stop();
    CHECK(scene.viscumd().running());
    const DiskState now = disk_of(scene);
    CHECK(join(now.broken, "\n") == "");
    const std::string said = cat(output.out, output.err, scene.viscumd().log().substr(said_before));
    if (output.status == 0) {
        ++tried.done;
        CHECK(now.services == after.services);
        // What failed is a file that is not needed any more, or what is made good later: then the log says so.
        CHECK((now.state == after.state || said.find(text_of(point.error)) != std::string::npos));
    } else {
        ++tried.refused;
        CHECK(join(judge_state(now, before, after), "\n") == "");
        CHECK(output.status == 1);
        CHECK(output.err.find(text_of(point.error)) != std::string::npos);
        const bool doubt = said.find("may count all the same") != std::string::npos;
        CHECK((doubt || now.services == before.services));
        CHECK((doubt || point.on || now.state.drained == before.state.drained));
        CHECK((!doubt || point.on));
    }
    check_repaired(scene, point.verb, after);
}

}  // namespace

TEST_CASE("fault 10: a write, sync or rename that fails leaves the old state, is told, and the next try is whole") {
    if (!run({"strace", "--version"}).success()) {
        return skip("there is no strace");
    }
    MESSAGE("VISCUM_TEST_SEED=", campaign_seed());
    std::mt19937 dice(campaign_seed());
    Scene scene;
    const auto flow = scene.flow();
    const auto points = all_points(scene, dice);
    const auto chosen = draw(points.size(), effort() == Effort::full ? points.size() : kSample, dice);
    Tried tried;
    for (const std::size_t point : chosen) {
        try_point(scene, points[point], tried);
    }
    check_flow("a medium that fails", flow->stop());
    tear_down(scene);
    scene.check_no_leak();
    must(record({"disk-errors",
                 "A write, sync or rename of state that fails",
                 cat("VISCUM_TEST_SEED=", campaign_seed(), effort() == Effort::full ? " VISCUM_FAULTS=full" : "",
                     " build/bin/faults_host -tc='fault 10:*'"),
                 {{"calls that fail, tried", cat(chosen.size(), " of ", points.size())},
                  {"refused, and the old state kept", std::to_string(tried.refused)},
                  {"done all the same", std::to_string(tried.done)}}}));
}

}  // namespace viscum
