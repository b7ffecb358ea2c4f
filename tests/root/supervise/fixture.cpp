// SPDX-License-Identifier: GPL-2.0-only
#include "tests/root/supervise/fixture.h"

#include <fcntl.h>
#include <poll.h>

#include <climits>
#include <csignal>

#include "base/event_loop.h"
#include "base/file.h"
#include "base/text.h"
#include "controller/supervise/account.h"

namespace viscum {
namespace {

constexpr std::size_t kLimit = 16UL << 20;
constexpr std::size_t kPrefix = std::string_view("2026-11-21T17:44:11.123Z ").size();
int runs = 0;

std::string without_times(const std::string& log) {
    std::string out;
    for (const auto& line : split(log, '\n')) {
        out += line.size() < kPrefix ? line : line.substr(kPrefix);  // shorter where the disk was full
        out += '\n';
    }
    out.pop_back();
    return out;
}

std::vector<pid_t> processes() {
    std::vector<pid_t> pids;
    for (const auto& name : must(list_directory("/proc"))) {
        if (const auto pid = parse_decimal(name, INT_MAX)) {
            pids.push_back(static_cast<pid_t>(*pid));
        }
    }
    return pids;
}

/// By a line of /proc/PID/status.
std::vector<pid_t> processes_where(const std::string& key, const std::string& value) {
    std::vector<pid_t> found;
    for (const pid_t pid : processes()) {
        if (status_of(pid, key) == value) {
            found.push_back(pid);
        }
    }
    return found;
}

std::string proc_file(pid_t pid, std::string_view name) {
    const auto text = read_file(cat("/proc/", pid, "/", name), kLimit);
    return text ? *text : "";  // it has ended meanwhile
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
    const BootTime limit = boot_now() + std::chrono::seconds(10);
    while (!condition()) {
        if (boot_now() > limit) {
            return false;
        }
        poll(nullptr, 0, 5);
    }
    return true;
}

bool ended(int fd) {
    pollfd watched{fd, POLLIN, 0};
    return poll(&watched, 1, 10'000) == 1;
}

Run::Run(Argv command) : ns(must(NetNs::current())) {
    const std::string base = cat("/run/supervise/", ++runs);
    REQUIRE(make_directory(base + "/log", 0755));
    service.name = "web";
    service.sandbox.allow = {"root"};
    input.instance = "viscum";
    input.host_mounts = read_host_mounts(must(read_file("/proc/self/mountinfo", kLimit)));
    spec.name = "web";
    spec.command = std::move(command);
    spec.env = make_environment(must(look_up_account("")), {});
    spec.run_dir = base;
    spec.log_file = base + "/log/web.log";
    spec.shim_path = VISCUM_BIN_DIR "/viscum-shim";
}

Run& Run::as(const std::string& user) {
    const Account account = must(look_up_account(user));
    input.identity = {account.uid, account.gid, account.groups, account.name, account.home};
    service.sandbox.allow.erase("root");
    return with({});
}

Run& Run::with(const std::map<std::string, std::string>& env) {
    const Identity& user = input.identity;
    spec.env = make_environment({user.uid, user.gid, user.groups, user.uid == 0 ? "/root" : user.home, user.name}, env);
    return *this;
}

LaunchSpec& Run::prepared() {
    input.spec = &service;
    spec.sandbox = must(make_sandbox(input));
    return spec;
}

Process Run::launch() {
    return must(Process::launch(prepared(), ns));
}

Run::~Run() {
    auto left = Process::adopt(spec.run_dir);
    if (left && *left) {
        (void)(*left)->kill();
        ended((*left)->pidfd());
        (void)(*left)->finish(spec.run_dir);
    }
}

ExitStatus Run::finish(Process& process) const {
    REQUIRE(ended(process.pidfd()));
    return process.finish(spec.run_dir);
}

ExitStatus Run::launch_and_finish() {
    Process process = launch();
    return finish(process);
}

std::string Run::log() const {
    const auto text = read_file(spec.log_file, kLimit);
    return text ? *text : "";
}

std::string Run::said() const {
    const auto old = read_file(spec.log_file + ".1", kLimit);
    return without_times((old ? *old : "") + log());
}

std::string Run::words() {
    launch_and_finish();
    return said();
}

std::string path_inside(const Process& process, const std::string& path) {
    const auto service = children_of(process.pid());
    return service.empty() ? "" : cat("/proc/", service[0], "/root", path);
}

EnterSpec beside(const Run& run, Argv command) {
    return {run.spec.shim_path, run.spec.run_dir, std::move(command), {}};
}

Output enter_and_finish(EnterSpec spec) {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    spec.out = spec.err = writer.get();
    auto process = enter(spec);
    // EAGAIN: it is still being started.
    (void)eventually([&] {
        if (!process && process.error().errno_code == EAGAIN) {
            process = enter(spec);
        }
        return process || process.error().errno_code != EAGAIN;
    });
    writer.reset();
    if (!process) {
        return {{ExitStatus::Kind::failed, 0, process.error().what}, ""};
    }
    Output output;
    char bytes[4096];
    for (ssize_t got = 0; (got = read(reader.get(), bytes, sizeof bytes)) > 0;) {
        output.text.append(bytes, static_cast<std::size_t>(got));
    }
    REQUIRE(ended(process->pidfd()));
    output.status = process->reap();
    return output;
}

std::vector<pid_t> children_of(pid_t pid) {
    return processes_where("PPid", std::to_string(pid));
}

std::vector<pid_t> processes_named(const std::string& name) {
    return processes_where("Name", name);
}

std::vector<pid_t> processes_with(const std::string& text) {
    std::vector<pid_t> found;
    for (const pid_t pid : processes()) {
        if (proc_file(pid, "cmdline").find(text) != std::string::npos) {
            found.push_back(pid);
        }
    }
    return found;
}

std::string status_of(pid_t pid, const std::string& key) {
    for (const auto& line : split(proc_file(pid, "status"), '\n')) {
        if (line.starts_with(key + ":\t")) {
            return line.substr(key.size() + 2);
        }
    }
    return "";
}

std::string target_of(const std::string& link) {
    char target[PATH_MAX];
    const auto length = readlink(link.c_str(), target, sizeof target);
    return length < 0 ? "" : std::string(target, static_cast<std::size_t>(length));
}

}  // namespace viscum
