// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/points/stage.h"

#include <signal.h>

#include <algorithm>
#include <thread>

#include "base/file.h"
#include "tests/faults/points/footprint.h"

namespace viscum {
namespace {

constexpr const char* kName = "web";
constexpr const char* kSecrets = "/etc/viscum/secrets";
constexpr Millis kQuiet{15};  // without a call, while it waits for events
constexpr Millis kComesRight{5'000};
constexpr const char* kLongTrial = "1h";
const Argv kViscumd = {VISCUM_BIN_DIR "/viscumd", "--shim", VISCUM_BIN_DIR "/viscum-shim"};

std::vector<std::string> runs_of(const Instance& instance) {
    const auto names = list_directory(instance.runs_dir());
    return names ? *names : std::vector<std::string>();
}

bool waits_for_events(const SyscallTracer& tracer) {
    const auto last = tracer.last();
    if (!last || last->name != "epoll_wait" || last->result) {
        return false;
    }
    std::this_thread::sleep_for(kQuiet);
    return tracer.last()->number == last->number;
}

}  // namespace

const std::vector<Operation>& operations() {
    static const std::vector<Operation> all = {
        {.name = "first-start", .before = Before::bare, .starts_viscumd = true},
        {.name = "start", .before = Before::up, .starts_viscumd = true},
        {.name = "deploy", .before = Before::absent},
        {.name = "update", .before = Before::up, .updates = true},
        {.name = "drain", .before = Before::up},
        {.name = "resume", .before = Before::drained},
        {.name = "remove", .before = Before::up},
        {.name = "repair", .before = Before::up},
        {.name = "stop", .before = Before::up, .ends_viscumd = true},
        {.name = "first-trial", .before = Before::absent},
        {.name = "trial", .before = Before::up, .updates = true},
        {.name = "trial-again", .before = Before::on_trial, .updates = true},
        {.name = "confirm", .before = Before::on_trial},
        {.name = "overrule", .before = Before::on_trial, .updates = true},
        {.name = "end-of-trial", .before = Before::on_trial, .updates = true},
    };
    return all;
}

const Operation* find_operation(const std::string& name) {
    const auto found = std::ranges::find(operations(), name, &Operation::name);
    return found == operations().end() ? nullptr : &*found;
}

Stage::Stage() {
    // Before the scene, which looks at what there is.
    must(make_directory(kSecrets, 0700));
    must(write_file_atomically(cat(kSecrets, "/key.pem"), "a secret\n", 0600));
    scene_ = std::make_unique<Scene>();
    bare_ = look();
    snapshot_ = must(take_snapshot());
    scene_->deploy(service());
    REQUIRE(eventually(kLimit, [this] { return settled(); }));
    with_service_ = look();
    served_ = disk();
}

ServiceFile Stage::service() const {
    ServiceFile file = test_service(kName, {"203.0.113.10 80", "2001:db8:c::10 80"},
                                    {"local", "tcp", "203.0.113.10", "80", "tcp", "2001:db8:c::10", "80"});
    file.more = cat("egress: internet\n",
                    "files:\n  - { path: /etc/key.pem, secret: key.pem }\n  - { path: /etc/app.conf, text: \"x\" }\n",
                    "limits: { memory: 64M, pids: 32 }\n",
                    "health: { http: { port: 80, path: / }, interval: 5s, timeout: 2s }\n",
                    "restart: { backoff: 10ms, backoff_max: 100ms }\n# version ", version_, "\n");
    return file;
}

std::vector<std::string> Stage::look() const {
    return footprint(scene_->viscumd().instance(), scene_->bed().hotspot());
}

RunOutput Stage::deploy_next(const Argv& options) {
    ++version_;
    Argv arguments = {"deploy", service().write()};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return scene_->viscumd().ctl(arguments);
}

/// What is deployed, and on trial, has the shortest time from now on.
RunOutput Stage::end_soon() const {
    return scene_->viscumd().ctl({"deploy", must(write_service("end", trial().file)), "--confirm", "1s"});
}

std::string Stage::let_trial_end() const {
    const TrialFacts back = *viscum::trial_after("end-of-trial", trial(), "");
    if (const auto output = end_soon(); !output.success()) {
        return cat("a trial has no end: ", output.err);
    }
    return eventually(kLimit, [&] { return trial() == back && settled(); })
               ? ""
               : cat("after the end of a trial: ", trial().text(), "\nand not: ", back.text());
}

std::string Stage::remove() const {
    const auto output = scene_->viscumd().ctl({"remove", kName, "--wait", "2s"});
    return output.success() ? "" : cat("cannot be removed: ", output.err);
}

std::string Stage::prepare(const Operation& operation) {
    Viscumd& viscumd = scene_->viscumd();
    if (!viscumd.running()) {
        if (auto started = viscumd.start_again(); !started) {
            return started.error().what;
        }
    }
    const ServiceReport now = scene_->status(kName);
    const bool wanted = operation.before != Before::bare && operation.before != Before::absent;
    const bool on_trial = operation.before == Before::on_trial;
    RunOutput output{0, "", ""};
    if (!wanted && !now.name.empty()) {
        if (auto problem = remove(); !problem.empty()) {
            return problem;
        }
    } else if (wanted && now.name.empty()) {
        output = deploy_next({});
    }
    if (output.success() && wanted && (now.confirm_ms_left >= 0) != on_trial) {
        output = on_trial ? deploy_next({"--confirm", kLongTrial}) : viscumd.ctl({"confirm"});
    }
    if (output.success() && wanted && now.drained != (operation.before == Before::drained)) {
        output = viscumd.ctl({now.drained ? "resume" : "drain", kName});
    }
    if (!output.success()) {
        return cat("cannot be prepared: ", output.err);
    }
    if (!eventually(kLimit, [this] { return settled(); })) {
        return "what is prepared does not settle";
    }
    if (operation.starts_viscumd) {
        viscumd.stop();
    }
    if (operation.before == Before::bare) {
        output = run({kViscumd[0], "--uninstall"}, {.ns = &scene_->bed().hotspot()});
    }
    return output.success() ? "" : cat("cannot be prepared: ", output.err);
}

Result<std::unique_ptr<SyscallTracer>> Stage::trace(const Operation& operation, const SyscallTracer::Options& options) {
    const NetNs& router = scene_->bed().hotspot();
    return operation.starts_viscumd
               ? SyscallTracer::start({.argv = kViscumd, .log_file = "/tmp/viscumd.log", .ns = &router}, options)
               : SyscallTracer::seize(scene_->viscumd().pid(), options);
}

RunOutput Stage::act(const Operation& operation, const SyscallTracer& tracer) {
    const Viscumd& viscumd = scene_->viscumd();
    const auto& name = operation.name;
    const auto ended = [&tracer] { return tracer.ended_within(Millis(0)); };
    if (operation.starts_viscumd) {
        (void)eventually(kLimit, [&] { return ended() || viscumd.ctl({"list"}).success(); });
        return {0, "", ""};
    }
    if (operation.ends_viscumd) {
        kill(viscumd.pid(), SIGTERM);
        (void)tracer.ended_within(kLimit);
        return {0, "", ""};
    }
    if (name == "repair") {
        auto output = run({"tc", "qdisc", "del", "dev", "lan2", "clsact"}, {.ns = &scene_->bed().hotspot()});
        (void)eventually(kLimit, [&] { return ended() || scene_->web(kWeb, 2) == "local"; });
        return output;
    }
    if (name == "end-of-trial") {
        const std::string before = trial().kept;
        auto output = end_soon();
        (void)eventually(kLimit, [&] { return !output.success() || ended() || trial().file == before; });
        return output;
    }
    if (name == "first-trial" || name == "trial" || name == "trial-again") {
        return deploy_next({"--wait", "10s", "--confirm", kLongTrial});
    }
    if (name == "deploy" || name == "update" || name == "overrule") {
        return deploy_next({"--wait", "10s"});
    }
    return viscumd.ctl({name, kName});
}

bool Stage::finished(const Operation& operation, const SyscallTracer& tracer) const {
    if (tracer.ended_within(Millis(0)) || (tracer.struck() && !tracer.struck()->result)) {
        return true;
    }
    const std::size_t runs = runs_of(scene_->viscumd().instance()).size();
    return (!operation.updates || runs == 1) && waits_for_events(tracer);
}

bool Stage::settled() const {
    const ServiceReport web = scene_->status(kName);
    if (web.name.empty()) {
        return scene_->web(kWeb, 2) == "cloud" && scene_->report().pid != 0;
    }
    // A version that has yet to take over has a directory as well.
    const bool one = !web.updating && runs_of(scene_->viscumd().instance()).size() == 1;
    return web.state == "up" && web.health == "healthy" && one &&
           (web.drained ? web.admission == "drain" && scene_->web(kWeb, 2) == "cloud"
                        : web.admission == "serve" && scene_->web(kWeb, 2) == "local");
}

DiskState Stage::disk() const {
    auto disk = must(read_disk_state(scene_->viscumd().instance()));
    disk.state.trials.clear();
    return disk;
}

TrialFacts Stage::trial() const {
    const Instance& instance = scene_->viscumd().instance();
    return trial_facts(instance, must(read_disk_state(instance)), kName);
}

std::optional<TrialFacts> Stage::trial_after(const Operation& operation, const TrialFacts& before) const {
    return viscum::trial_after(operation.name, before, service().text());
}

DiskState Stage::after(const Operation& operation, const DiskState& before,
                       const std::optional<TrialFacts>& trial) const {
    DiskState after = before;
    const auto& name = operation.name;
    if (trial) {
        after.services[kName] = trial->file;
        after.state = served_.state;
    } else if (name == "deploy" || name == "update") {
        after.services[kName] = service().text();
        after.state = served_.state;
    } else if (name == "drain") {
        after.state.drained.insert(kName);
    } else if (name == "resume") {
        after.state.drained.erase(kName);
    } else if (name == "remove") {
        after.services.erase(kName);
        after.state = {};
    }
    return after;
}

std::vector<std::string> Stage::leaks() const {
    // What stays by design; and a client that viscumd had not yet seen leave when the first look was taken.
    return must(leaks_since(snapshot_, kLimit, [](const std::string& line) {
        return is_state_of_viscumd(line) || line.starts_with("+ hotspot: qdisc clsact on lan") ||
               line == "- descriptor of viscumd: socket";
    }));
}

std::vector<std::string> Stage::orphans() const {
    std::vector<std::string> found;
    (void)eventually(kComesRight, [&] {
        found = difference(disk().services.empty() ? bare_ : with_service_, look());
        return found.empty();
    });
    return found;
}

}  // namespace viscum
