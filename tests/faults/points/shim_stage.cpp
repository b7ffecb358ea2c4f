// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/points/shim_stage.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "tests/faults/points/errors.h"
#include "tests/faults/points/footprint.h"
#include "tests/faults/points/shim_facts.h"

namespace viscum {
namespace {

using Kind = ShimOperation::Kind;

constexpr const char* kName = "web";
constexpr const char* kSecrets = "/etc/viscum/secrets";
constexpr const char* kTold = "/tmp/viscum-exec.log";
constexpr const char* kShim = "viscum-shim";
constexpr const char* kServer = "viscum-test-server";
constexpr Millis kQuiet{15};  // without a call, while it waits
constexpr Millis kComesRight{5'000};

/// Since `tracer` follows it, it has done something and waits again.
bool waits(const SyscallTracer& tracer, const std::string& in) {
    const auto last = tracer.last();
    if (!last || last->name != in || last->result) {
        return false;
    }
    std::this_thread::sleep_for(kQuiet);
    return tracer.last()->number == last->number;
}

/// Puts a line into the pipe that is the standard output of a process.
bool print_as(pid_t pid, const std::string& line) {
    const UniqueFd output(::open(cat("/proc/", pid, "/fd/1").c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK));
    return output && write(output.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

}  // namespace

const std::vector<ShimOperation>& shim_operations() {
    static const std::vector<ShimOperation> all = {
        {.name = "shim-start", .kind = Kind::deploy, .sample = 24},
        {.name = "shim-start-lenient", .kind = Kind::deploy, .lenient = true},
        {.name = "shim-service", .kind = Kind::deploy, .of_child = true, .sample = 20},
        {.name = "shim-service-lenient", .kind = Kind::deploy, .of_child = true, .lenient = true},
        {.name = "shim-again", .kind = Kind::again},
        {.name = "shim-work", .kind = Kind::work},
        {.name = "shim-stop", .kind = Kind::remove},
        {.name = "shim-enter", .kind = Kind::command},
        {.name = "shim-command", .kind = Kind::command, .of_child = true},
    };
    return all;
}

const ShimOperation* find_shim_operation(const std::string& name) {
    const auto found = std::ranges::find(shim_operations(), name, &ShimOperation::name);
    return found == shim_operations().end() ? nullptr : &*found;
}

std::string ShimPoint::text() const {
    return cat(operation, "/", call, "/", nth, error == 0 ? "" : cat("/", error_name(error)));
}

std::optional<ShimPoint> ShimPoint::parse(std::string_view text) {
    const auto words = split(text, '/');
    const auto nth = words.size() >= 3 ? parse_decimal(words[2], 1'000'000) : std::nullopt;
    if (!nth || words.size() > 4 || find_shim_operation(words[0]) == nullptr) {
        return std::nullopt;
    }
    const int error = words.size() == 4 ? error_number(words[3]) : 0;
    if (words.size() == 4 && error == 0) {
        return std::nullopt;
    }
    return ShimPoint{words[0], words[1], static_cast<std::size_t>(*nth), error};
}

ShimStage::ShimStage() {
    // Whoever started this process may have left it descriptors: where close_range(2) fails, viscumd would hand them
    // on.
    REQUIRE(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0);
    // Before the scene, which looks at what there is.
    must(make_directory(kSecrets, 0700));
    must(write_file_atomically(cat(kSecrets, "/key.pem"), "a secret\n", 0600));
    scene_ = std::make_unique<Scene>();
    bare_ = look();
    for (const bool lenient : {false, true}) {
        REQUIRE(deploy(lenient) == "");
        look_at_clean(lenient);
        REQUIRE(remove() == "");
    }
}

void ShimStage::look_at_clean(bool lenient) {
    Clean& clean = clean_[lenient ? 1 : 0];
    clean.service = service_facts(main_process());
    clean.shim = shim_facts(static_cast<pid_t>(scene_->status(kName).pid));
    clean.command = rights(scene_->ctl({"exec", kName, "--", "cat", "/proc/self/status"}).out);
    clean.footprint = look();
    REQUIRE(clean.service.size() > 50);
    REQUIRE(clean.shim.size() > 50);
    REQUIRE(clean.command.size() == rights(must(read_file("/proc/self/status", 65'536))).size());
}

ServiceFile ShimStage::service(bool lenient) const {
    ServiceFile file = test_service(kName, {"203.0.113.10 80"}, {"local", "tcp", "203.0.113.10", "80"});
    file.more = cat("  writable: [/var/cache/web]\n  stop_timeout: 300ms\n",
                    "files:\n  - { path: /etc/key.pem, secret: key.pem }\n  - { path: /etc/app.conf, text: \"x\" }\n",
                    "limits: { memory: 64M, pids: 32 }\n",
                    "health: { tcp: { port: 80 }, interval: 5s, timeout: 2s, rise: 1 }\n",
                    "restart: { backoff: 10ms, backoff_max: 50ms }\n",
                    lenient ? "sandbox: { allow: [writable-root, sys, cap_net_bind_service, cap_kill] }\n" : "",
                    "# version ", version_, "\n");
    return file;
}

std::vector<std::string> ShimStage::look() const {
    auto lines = footprint(scene_->viscumd().instance(), scene_->bed().hotspot());
    // Its output is kept while viscumd runs, how much of it was lost as long as the run, and how it ended last as well.
    std::erase_if(lines, [](const std::string& line) {
        return line.find("/log/") != std::string::npos || line.ends_with(".0/dropped") || line.ends_with(".0/exit");
    });
    return lines;
}

std::string ShimStage::deploy(bool lenient) {
    ++version_;
    lenient_ = lenient;
    const auto output = scene_->viscumd().ctl({"deploy", service(lenient).write(), "--wait", "10s"});
    if (!output.success()) {
        return cat("cannot be deployed: ", output.err);
    }
    return eventually(kLimit, [this] { return settled(); }) ? "" : "does not settle";
}

std::string ShimStage::remove() {
    const auto output = scene_->viscumd().ctl({"remove", kName, "--wait", "2s"});
    return output.success() ? "" : cat("cannot be removed: ", output.err);
}

std::string ShimStage::renew() {
    scene_->viscumd().kill();
    const auto started = scene_->viscumd().start_again();
    return started ? "" : started.error().what;
}

std::string ShimStage::prepare(const ShimOperation& operation) {
    const bool there = !scene_->status(kName).name.empty();
    const bool wanted = operation.kind != Kind::deploy;
    // A shim opens its log with the first line.
    const bool other = lenient_ != operation.lenient || operation.kind == Kind::work;
    if (there && (!wanted || other)) {
        if (auto problem = remove(); !problem.empty()) {
            return problem;
        }
    }
    if (wanted && (!there || other)) {
        return deploy(operation.lenient);
    }
    lenient_ = operation.lenient;
    return eventually(kLimit, [this] { return settled(); }) ? "" : "what is prepared does not settle";
}

Result<std::unique_ptr<SyscallTracer>> ShimStage::trace(const ShimOperation& operation,
                                                        const SyscallTracer::Options& options) const {
    SyscallTracer::Options all = options;
    all.then_free = true;
    if (operation.kind == Kind::work || operation.kind == Kind::remove) {
        return SyscallTracer::seize(static_cast<pid_t>(scene_->status(kName).pid), all);
    }
    all.from_birth = true;
    all.parent = operation.of_child ? kShim : "";
    if (operation.kind != Kind::command) {
        all.child = operation.of_child ? kServer : kShim;
        return SyscallTracer::seize(scene_->viscumd().pid(), all);
    }
    all.child = operation.of_child ? "cat" : kShim;
    std::filesystem::remove(kTold);
    return SyscallTracer::start({.argv = {VISCUM_BIN_DIR "/viscumctl", "exec", kName, "--", "cat", "/proc/self/status"},
                                 .log_file = kTold,
                                 .ns = &scene_->bed().hotspot()},
                                all);
}

RunOutput ShimStage::act(const ShimOperation& operation, SyscallTracer& tracer) const {
    const Viscumd& viscumd = scene_->viscumd();
    switch (operation.kind) {
        case Kind::deploy: return viscumd.ctl({"deploy", service(operation.lenient).write(), "--wait", "10s"});
        case Kind::again: {
            const ServiceReport before = scene_->status(kName);
            kill(main_process(), SIGKILL);
            const bool back = eventually(kLimit, [&] {
                const ServiceReport now = scene_->status(kName);
                return now.pid != before.pid && settled();
            });
            return {back ? 0 : 1, "", back ? "" : "the service does not come back"};
        }
        case Kind::work: {
            const auto orphan = print_as(main_process(), "one\ntwo\n")
                                    ? viscumd.ctl({"exec", kName, "--", "setsid", "--fork", "true"})
                                    : RunOutput{1, "", "its output is not open"};
            (void)eventually(kLimit, [&] {
                const auto calls = tracer.calls();
                const bool reaped = std::ranges::find(calls, "wait4", &Syscall::name) != calls.end();
                return tracer.struck() || tracer.ended_within(Millis(0)) || (reaped && waits(tracer, "poll"));
            });
            return orphan;
        }
        case Kind::remove: return viscumd.ctl({"remove", kName, "--wait", "2s"});
        case Kind::command: {
            const int status = tracer.wait(kLimit);
            const auto told = read_file(kTold, 65'536);
            return {status, told ? *told : "", ""};
        }
    }
    return {};
}

bool ShimStage::settled() const {
    const ServiceReport web = scene_->status(kName);
    if (web.name.empty()) {
        return scene_->report().pid != 0 && scene_->web(kWeb, 2) == "cloud";
    }
    const bool held = web.reason.starts_with("held down");  // it was killed too often
    return web.state == "up" && web.health == "healthy" && !web.updating && main_process() != 0 &&
           scene_->web(kWeb, 2) == (held ? "cloud" : "local");
}

pid_t ShimStage::main_process() const {
    const auto processes = scene_->processes_of(kName);
    return processes.empty() ? 0 : processes.front();
}

std::vector<std::string> ShimStage::unlike_clean() const {
    const Clean& clean = clean_[lenient_ ? 1 : 0];
    std::vector<std::string> lines;
    // A probe's connection is open for a moment, and the shim may not have got to its end yet.
    (void)eventually(kComesRight, [&] {
        lines = difference(clean.service, service_facts(main_process()));
        for (const auto& line : difference(clean.shim, shim_facts(static_cast<pid_t>(scene_->status(kName).pid)))) {
            lines.push_back("shim " + line);
        }
        std::erase_if(lines, [](const std::string& line) { return line.find("/viscum/log/") != std::string::npos; });
        return lines.empty();
    });
    return lines;
}

std::vector<std::string> ShimStage::command_unlike_clean(const std::string& told) const {
    return difference(clean_[lenient_ ? 1 : 0].command, rights(told));
}

std::vector<std::string> ShimStage::orphans() const {
    const bool there = !scene_->status(kName).name.empty();
    std::vector<std::string> found;
    (void)eventually(kComesRight, [&] {
        found = difference(there ? clean_[lenient_ ? 1 : 0].footprint : bare_, look());
        return found.empty();
    });
    return found;
}

}  // namespace viscum
