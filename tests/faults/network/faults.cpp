// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/network/faults.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/file.h"
#include "tests/support/sandbox.h"

namespace viscum {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kLogBytes = 16UL * 1024 * 1024;

std::string text_of(const std::string& path) {
    const auto text = read_file(path, kLogBytes);
    return text ? *text : "";
}

bool is_traced(pid_t pid) {
    return text_of(cat("/proc/", pid, "/status")).find("TracerPid:\t0\n") == std::string::npos;
}

std::string call_of(const std::string& fault) {
    return fault.substr(0, fault.find(':'));
}

Program attach_strace(pid_t pid, const std::string& fault, const std::string& log) {
    const std::string call = call_of(fault);
    unlink(log.c_str());
    return must(Program::start({.argv = {"strace", "-p", std::to_string(pid), "-o", log, "-e", cat("trace=", call),
                                         "-e", cat("inject=", fault)}}));
}

}  // namespace

std::string in_hotspot(Scene& scene, const Argv& argv) {
    return must(output_of(argv, {.ns = &scene.bed().hotspot()}));
}

std::string said_in_hotspot(Scene& scene, const Argv& argv) {
    const RunOutput output = run(argv, {.ns = &scene.bed().hotspot()});
    return cat(output.out, output.err, output.status);
}

LanReport lan_of(const Scene& scene, const std::string& device) {
    const auto lan = scene.report().lan;
    const auto found = std::ranges::find(lan, device, &LanReport::device);
    return found == lan.end() ? LanReport{} : *found;
}

bool has_lan(const Scene& scene, const std::string& device) {
    return lan_of(scene, device).attached;
}

bool served(const NetNs& client) {
    return std::ranges::all_of(std::array{kWeb, kWeb6}, [&](const Endpoint& to) {
        return http_get(client, {.to = to, .limit = 300ms}).who() == "local";
    });
}

std::unique_ptr<FlowClient> steady_flow(Scene& scene, const Endpoint& to, int client) {
    return std::make_unique<FlowClient>(scene.bed().client(client),
                                        FlowClient::Options{.request = {.to = to, .limit = 10s}, .pause = 2ms});
}

bool comes_and_goes(const std::string& line) {
    return is_probe(line) || line.ends_with(" descriptor of viscumd: ") ||
           line.ends_with(" descriptor of viscum-prober: socket");
}

bool is_descriptor(const std::string& line) {
    return line.find(" descriptor of viscumd: ") != std::string::npos ||
           line.find(" descriptor of viscum-prober: ") != std::string::npos;
}

std::vector<std::string> complaints(Scene& scene, std::size_t from) {
    std::vector<std::string> lines;
    const std::string log = scene.viscumd().log();
    for (const LogLine& line : log_lines(std::string_view(log).substr(std::min(from, log.size())))) {
        if (line.level == "warning" || line.level == "error") {
            lines.push_back(line.text);
        }
    }
    return lines;
}

DiskState disk(Scene& scene) {
    return must(read_disk_state(scene.viscumd().instance()));
}

void check_state(Scene& scene, const DiskState& before, const DiskState& after) {
    CHECK(join(judge_state(disk(scene), before, after), "\n") == "");
}

void check_deployed(Scene& scene, const DiskState& before, const ServiceFile& file, bool done) {
    if (!done) {
        // A service's number is forgotten once it is taken down.
        (void)eventually(kLimit, [&] { return judge_state(disk(scene), before, before).empty(); });
        check_state(scene, before, before);
        return;
    }
    const DiskState now = disk(scene);
    auto expected = before.services;
    expected[file.name] = file.text();
    CHECK(join(now.broken, "\n") == "");
    CHECK(now.services == expected);
    REQUIRE(now.state.numbers.contains(file.name));
    SavedState state = before.state;
    state.numbers[file.name] = now.state.numbers.at(file.name);
    CHECK(now.state == state);
}

Injection::Injection(pid_t pid, const std::string& fault)
    : pid_(pid), call_(call_of(fault)), log_(cat("/tmp/strace.", pid)), strace_(attach_strace(pid, fault, log_)) {
    REQUIRE(eventually(kLimit, [&] { return is_traced(pid); }));
}

Injection::~Injection() {
    strace_.stop(SIGINT);
    (void)eventually(kLimit, [&] { return !is_traced(pid_); });
}

std::size_t Injection::injected() const {
    const auto lines = split(text_of(log_), '\n');
    return static_cast<std::size_t>(
        std::ranges::count_if(lines, [](const std::string& line) { return line.ends_with("(INJECTED)"); }));
}

std::size_t Injection::calls() const {
    const auto lines = split(text_of(log_), '\n');
    return static_cast<std::size_t>(
        std::ranges::count_if(lines, [this](const std::string& line) { return line.starts_with(call_ + "("); }));
}

bool have_strace() {
    const bool there = run({"strace", "-V"}).success();
    if (!there) {
        skip("needs strace");
    }
    return there;
}

}  // namespace viscum
