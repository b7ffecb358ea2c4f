// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/launch/starters.h"

#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "controller/daemon/launch.h"
#include "tests/bench/measure/must.h"
#include "tests/bench/sandboxed/sandboxed.h"
#include "tests/support/program.h"

namespace viscum {
namespace {

constexpr const char* kStamp = "/srv/bin/viscum-bench-stamp";
constexpr const char* kRoot = "/srv/root";
constexpr const char* kBundles = "/srv/bundles";
// As distributions give it to podman and others.
constexpr const char* kFilter = "/usr/share/containers/seccomp.json";
constexpr std::size_t kFileLimit = 1 << 20;
constexpr std::uint64_t kPids = 512;  // as services have it where their file says nothing

std::string start_sandboxed(const Cgroups& groups, const std::string& name, const ServiceSpec& spec,
                            const NetNs& network) {
    Sandboxed program = must(Sandboxed::start(groups, name, spec, network));
    if (const ExitStatus end = must(program.finish()); !end.success()) {
        give_up(cat(name, ": ", end.describe()));
    }
    return must(program.log());
}

Starter service(const std::string& what, const std::string& name, const ServiceSpec& spec, const NetNs& network) {
    return {.name = what, .start = [=, &network, groups = must(Cgroups::open("bench"))] {
                return start_sandboxed(groups, name, spec, network);
            }};
}

std::string of_program(const Argv& argv) {
    const RunOutput output = run(argv);
    return output.success() ? output.out : cat("status ", output.status, ": ", output.err, output.out);
}

/// The system calls that need no capability; those that another architecture has are passed over.
nlohmann::json filter_of_containers() {
    const auto all = nlohmann::json::parse(must(read_file(kFilter, kFileLimit)), nullptr, false);
    nlohmann::json names = nlohmann::json::array();
    for (const auto& rule : all.value("syscalls", nlohmann::json::array())) {
        const auto empty = [](const nlohmann::json& in, const char* key) {
            return !in.contains(key) || in[key].empty();
        };
        const bool unless = !empty(rule, "excludes") || (!empty(rule, "includes") && !empty(rule["includes"], "caps"));
        if (rule.value("action", "") == "SCMP_ACT_ALLOW" && empty(rule, "args") && !unless) {
            names.insert(names.end(), rule["names"].begin(), rule["names"].end());
        }
    }
    const nlohmann::json allowed{{"names", names}, {"action", "SCMP_ACT_ALLOW"}};
    return {{"defaultAction", "SCMP_ACT_ERRNO"}, {"syscalls", nlohmann::json::array({allowed})}};
}

/// A bundle of `crun spec`, in the network namespace that is there already.
Argv crun(const std::string& network, bool full) {
    const std::string name = full ? "full" : "plain";
    const std::string bundle = cat(kBundles, "/", name);
    must(make_directory(bundle, 0755));
    (void)run({"crun", "spec", "-b", bundle});
    const std::string file = cat(bundle, "/config.json");
    auto config = nlohmann::json::parse(must(read_file(file, kFileLimit)), nullptr, false);
    config["root"] = {{"path", kRoot}, {"readonly", true}};
    config["process"]["args"] = {"/stamp"};
    config["process"]["terminal"] = false;
    for (auto& space : config["linux"]["namespaces"]) {
        if (space["type"] == "network") {
            space["path"] = net_ns_path(network);
        }
    }
    if (full) {
        config["linux"]["cgroupsPath"] = "/bench-crun";
        config["linux"]["resources"] = {{"memory", {{"limit", memory_of_machine() / 2}}}, {"pids", {{"limit", kPids}}}};
        config["linux"]["seccomp"] = filter_of_containers();
    }
    must(write_file_atomically(file, config.dump(), 0644));
    return {"crun", full ? "--cgroup-manager=cgroupfs" : "--cgroup-manager=disabled",
            "run",  "-b",
            bundle, cat("bench-", name)};
}

Argv podman() {
    return {"podman",
            "--cgroup-manager=cgroupfs",
            "--events-backend=none",
            "--storage-driver=vfs",
            "run",
            "--rm",
            "--network=none",
            "--log-driver=none",
            "--pids-limit=512",
            cat("--memory=", memory_of_machine() / 2),
            "--rootfs",
            kRoot,
            "/stamp"};
}

}  // namespace

std::optional<Stamp> last_stamp(const std::string& text) {
    const std::size_t at = text.rfind("stamp ");
    if (at == std::string::npos) {
        return std::nullopt;
    }
    Stamp stamp;
    int filter = 0;
    std::uint64_t network = 0;
    int length = 0;
    const std::string line = text.substr(at);
    if (std::sscanf(line.c_str(), "stamp %" SCNd64 " %ld %d %" SCNu64 "\n%n", &stamp.when, &stamp.pid, &filter,
                    &network, &length) != 4) {
        return std::nullopt;
    }
    stamp.filtered = filter == 2;
    stamp.network = network;
    stamp.groups = line.substr(static_cast<std::size_t>(length));
    return stamp;
}

std::string complaint(const Starter& starter, const Stamp& stamp, ino_t network) {
    std::vector<std::string> wrong;
    // A shim or another pid 1 may be beside it.
    if (starter.process_namespace != (stamp.pid <= 3)) {
        wrong.push_back(cat("its pid is ", stamp.pid));
    }
    if (starter.filter != stamp.filtered) {
        wrong.emplace_back(stamp.filtered ? "there is a filter of system calls" : "there is no filter of system calls");
    }
    if (starter.network != (stamp.network == network)) {
        wrong.emplace_back("it is in the wrong network namespace");
    }
    // Without a group of its own it is in that of who started it, whatever that is.
    const auto own = read_file("/proc/self/cgroup", kFileLimit);
    const bool grouped = own && !stamp.groups.empty() && stamp.groups != *own;
    if (starter.group != grouped) {
        wrong.push_back(cat("its groups are:\n", stamp.groups));
    }
    return join(wrong, "; ");
}

std::vector<Starter> make_starters(const std::string& name, const NetNs& network, std::vector<std::string>& missing) {
    must(make_directory(kRoot, 0755));
    must(write_file_atomically(cat(kRoot, "/stamp"), must(read_file(kStamp, kFileLimit)), 0755));
    ServiceSpec host;
    host.run.command = {kStamp};
    ServiceSpec directory;
    directory.run.command = {"/stamp"};
    directory.run.rootfs = kRoot;
    std::vector<Starter> all{service("viscum, the host's files", "bench.0", host, network),
                             service("viscum, a directory", "bench.1", directory, network)};
    std::vector<Starter> others;
    if (run({"crun", "--version"}).success()) {
        others.push_back({.name = "crun, a directory, with groups and a filter",
                          .start = [argv = crun(name, true)] { return of_program(argv); }});
        others.push_back({.name = "crun, a directory, without either",
                          .filter = false,
                          .group = false,
                          .start = [argv = crun(name, false)] { return of_program(argv); }});
    } else {
        missing.emplace_back("crun is not installed.");
    }
    if (run({"podman", "--version"}).success()) {
        others.push_back({.name = "podman, a directory, with groups and a filter",
                          .network = false,
                          .start = [argv = podman()] { return of_program(argv); }});
    } else {
        missing.emplace_back("podman is not installed.");
    }
    others.push_back({.name = "ip netns exec: no sandbox",
                      .process_namespace = false,
                      .filter = false,
                      .group = false,
                      .start = [name] {
                          return of_program({"ip", "netns", "exec", name, kStamp});
                      }});
    for (Starter& one : others) {
        const std::string said = one.start();
        if (last_stamp(said)) {
            all.push_back(std::move(one));
        } else {
            missing.push_back(cat(one.name, ": does not run here: ", said));
        }
    }
    return all;
}

}  // namespace viscum
