// SPDX-License-Identifier: GPL-2.0-only
// The medium of viscumd's files answers what viscumd asks of it with an error.
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
constexpr const char* kCreatingCall = "openat";  // of what is opened to be written, all are created

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

std::vector<std::string> created_paths(const Instance& instance) {
    const std::string state = instance.state_dir() + "/state.";
    return {instance.services_dir() + "/web.yaml.new", state + "0.new", state + "1.new"};
}

std::vector<std::string> written_paths(const Instance& instance) {
    std::vector<std::string> paths = created_paths(instance);
    paths.insert(paths.end(), {instance.services_dir(), instance.state_dir(), instance.services_dir() + "/web.yaml"});
    return paths;
}

struct Point {
    Verb verb;
    std::string call;
    std::size_t number = 1;
    bool on = false;  // from this call on all of them fail
    std::string error;

    [[nodiscard]] std::string injection() const { return cat(call, ":error=", error, ":when=", number, on ? "+" : ""); }
    [[nodiscard]] TamperSpec spec(const Instance& instance) const {
        return call == kCreatingCall ? TamperSpec{kCreatingCall, injection(), created_paths(instance)}
                                     : TamperSpec{kWritingCalls, injection(), written_paths(instance)};
    }
};

/// What a medium answers to each call, and how that reads.
const std::map<std::string, std::vector<std::string>>& errors_of_calls() {
    static const std::map<std::string, std::vector<std::string>> errors{{"write", {"ENOSPC", "EIO", "EDQUOT"}},
                                                                        {"fsync", {"EIO", "ENOSPC"}},
                                                                        {"openat", {"ENOSPC", "EROFS"}},
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

/// How often a verb makes the calls of a point's specification.
std::map<std::string, std::size_t> count_calls(Scene& scene, const Verb& verb, const TamperSpec& spec) {
    verb.prepare(scene);
    auto counting = must(Tampering::start(scene.viscumd().pid(), spec));
    scene.ctl(verb.command());
    return counting.stop().calls;
}

/// Every call of each verb that changes a file, once alone and once with all that follow.
std::vector<Point> all_points(Scene& scene, std::mt19937& dice) {
    const Instance& instance = scene.viscumd().instance();
    std::vector<Point> points;
    for (const Verb& verb : verbs()) {
        auto counts = count_calls(scene, verb, {kWritingCalls, "", written_paths(instance)});
        CHECK(counts.contains("fsync"));
        counts.merge(count_calls(scene, verb, {kCreatingCall, "", created_paths(instance)}));
        CHECK(counts.contains(kCreatingCall));
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

/// Warnings and errors that are about something else.
std::string strangers_of(const std::string& log, const std::string& cause) {
    std::string strangers;
    for (const LogLine& line : log_lines(log)) {
        const bool level = line.level == "warning" || line.level == "error";
        strangers += level && line.text.find(cause) == std::string::npos ? cat(line.text, '\n') : "";
    }
    return strangers;
}

struct Tried {
    std::size_t refused = 0;
    std::size_t in_doubt = 0;
    std::size_t done = 0;
    std::size_t not_reached = 0;
};

/// Nothing is different but what the answer says may be.
void check_refused(Scene& scene, const RunOutput& output, const Point& point, const DiskState& now,
                   const DiskState& before, const DiskState& after, Tried& tried) {
    CHECK(join(judge_state(now, before, after), "\n") == "");
    CHECK(output.status == 1);
    CHECK(output.err.find(text_of(point.error)) != std::string::npos);
    if (output.err.find("may count all the same") != std::string::npos) {
        ++tried.in_doubt;
        CHECK(point.on);
        return;
    }
    ++tried.refused;
    CHECK(now.services == before.services);
    CHECK(now.state.drained == before.state.drained);
    // What was begun is taken down, and forgotten then.
    CHECK(eventually(kLimit, [&] { return disk_of(scene).same_as(before); }));
}

void try_point(Scene& scene, const Point& point, Tried& tried) {
    CAPTURE(point.verb.name);
    CAPTURE(point.injection());
    point.verb.prepare(scene);
    scene.ctl(point.verb.command());
    const DiskState after = disk_of(scene);
    point.verb.prepare(scene);
    const DiskState before = disk_of(scene);
    const std::size_t said_before = scene.viscumd().log().size();
    auto tampering = must(Tampering::start(scene.viscumd().pid(), point.spec(scene.viscumd().instance())));
    const RunOutput output = scene.viscumd().ctl(point.verb.command());
    const bool reached = tampering.stop().injected > 0;
    CHECK(scene.viscumd().running());
    const DiskState now = disk_of(scene);
    CHECK(join(now.broken, "\n") == "");
    const std::string logged = scene.viscumd().log().substr(said_before);
    CAPTURE(logged);
    CHECK(strangers_of(logged, text_of(point.error)) == "");
    if (!reached) {
        ++tried.not_reached;
        CHECK(output.status == 0);
    } else if (output.status != 0) {
        check_refused(scene, output, point, now, before, after, tried);
    } else {
        ++tried.done;
        CHECK(now.services == after.services);
        // What failed is a leftover that need not go, or what is made good later: then it is told.
        const bool told = cat(output.out, output.err, logged).find(text_of(point.error)) != std::string::npos;
        CHECK((told || (point.call == "unlink" && now.state == after.state)));
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
    CHECK(tried.not_reached * 10 <= chosen.size() + 5);
    CHECK((effort() == Effort::sample || (tried.refused > 0 && tried.done > 0)));
    check_flow("a medium that fails", flow->stop());
    tear_down(scene);
    scene.check_no_leak();
    must(record({"disk-errors",
                 "A write, sync or rename of state that fails",
                 cat("VISCUM_TEST_SEED=", campaign_seed(), effort() == Effort::full ? " VISCUM_FAULTS=full" : "",
                     " build/bin/faults_host -tc='fault 10:*'"),
                 {{"calls that fail, tried", cat(chosen.size(), " of ", points.size())},
                  {"refused, and the old state kept", std::to_string(tried.refused)},
                  {"refused, and said that it may count all the same", std::to_string(tried.in_doubt)},
                  {"done all the same", std::to_string(tried.done)},
                  {"not reached", std::to_string(tried.not_reached)}}}));
}

}  // namespace viscum
