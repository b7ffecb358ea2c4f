// SPDX-License-Identifier: GPL-2.0-only
// From the request to the first instruction of the service's program, with everything on: the groups with their limits,
// the sandbox with its filter, the network namespace that is there already. Beside it crun, where it is installed, with
// the namespaces, mounts and limits of `crun spec`, in the same rounds. Milliseconds: median, and the whole range.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/event_loop.h"
#include "base/file.h"
#include "base/text.h"
#include "controller/daemon/launch.h"
#include "tests/support/program.h"
#include "tests/support/sandbox.h"

namespace viscum {
namespace {

constexpr int kRounds = 50;
constexpr int kQuickRounds = 5;
constexpr const char* kStamp = "/srv/bin/viscum-bench-stamp";

template <class T>
T must(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "%s\n", result.error().what.c_str());
        std::exit(1);
    }
    return *std::move(result);
}
void must(const Status& status) {
    if (!status) {
        std::fprintf(stderr, "%s\n", status.error().what.c_str());
        std::exit(1);
    }
}

/// The last number in a text.
double last_number(const std::string& text) {
    const auto end = text.find_last_of("0123456789");
    const auto begin = text.find_last_not_of("0123456789", end);
    double value = 0;
    if (end != std::string::npos) {
        std::from_chars(text.data() + begin + 1, text.data() + end + 1, value);
    }
    return value;
}

double now_ns() {
    return static_cast<double>(boot_now().count());
}

class Launcher {
public:
    explicit Launcher(ServiceSpec spec) : spec_(std::move(spec)), ns_(must(NetNs::create("bench"))) {
        must(make_directory(dir_, 0700));
    }

    double round() {
        const double from = now_ns();
        must(groups_.make("bench.0", group_limits(spec_.limits, memory_of_machine())));
        auto launch = must(make_launch(spec_, instance_, {1, {}}, std::nullopt, groups_.join_files("bench.0")));
        launch.run_dir = dir_;
        launch.log_file = "/run/bench.log";
        launch.shim_path = VISCUM_BIN_DIR "/viscum-shim";
        Process process = must(Process::launch(launch, ns_));
        pollfd ended{process.pidfd(), POLLIN, 0};
        poll(&ended, 1, -1);
        const ExitStatus end = process.finish(dir_);
        if (!end.success()) {
            std::fprintf(stderr, "%s\n", end.describe().c_str());
            std::exit(1);
        }
        must(groups_.remove("bench.0"));
        return (last_number(must(read_file("/run/bench.log", 1 << 20))) - from) / 1e6;
    }

private:
    ServiceSpec spec_;
    Instance instance_{"bench"};
    Cgroups groups_ = must(Cgroups::open("bench"));
    NetNs ns_;
    std::string dir_ = "/run/bench/runs/bench.0";
};

class Crun {
public:
    Crun() : there_(access("/usr/bin/crun", X_OK) == 0) {
        if (!there_) {
            return;
        }
        must(make_directory("/srv/bundle/rootfs", 0755));
        must(write_file_atomically("/srv/bundle/rootfs/stamp", must(read_file(kStamp, 1 << 20)), 0755));
        (void)run({"/usr/bin/crun", "spec", "-b", "/srv/bundle"});
        auto config = nlohmann::json::parse(must(read_file("/srv/bundle/config.json", 1 << 20)));
        config["process"]["args"] = {"/stamp"};
        config["process"]["terminal"] = false;
        must(write_file_atomically("/srv/bundle/config.json", config.dump(), 0644));
        there_ = round() > 0;
    }
    [[nodiscard]] bool there() const { return there_; }

    static double round() {
        const double from = now_ns();
        const auto out = run({"/usr/bin/crun", "--cgroup-manager=disabled", "run", "-b", "/srv/bundle", "bench"});
        return (last_number(out.out) - from) / 1e6;
    }

private:
    bool there_;
};

void show(const char* name, std::vector<double> times) {
    std::sort(times.begin(), times.end());
    std::printf("%-24s median %5.2f   %5.2f to %5.2f   of %zu\n", name, times[times.size() / 2], times.front(),
                times.back(), times.size());
}

int compare(int rounds) {
    ServiceSpec host;
    host.name = "bench";
    host.run.command = {kStamp};
    ServiceSpec directory = host;
    must(make_directory("/srv/root", 0755));
    must(write_file_atomically("/srv/root/stamp", must(read_file(kStamp, 1 << 20)), 0755));
    directory.run.rootfs = "/srv/root";
    directory.run.command = {"/stamp"};

    Launcher on_host(host);
    Launcher on_directory(directory);
    const Crun crun;
    std::vector<double> times[3];
    for (int i = 0; i < rounds; ++i) {
        times[0].push_back(on_host.round());
        times[1].push_back(on_directory.round());
        if (crun.there()) {
            times[2].push_back(Crun::round());
        }
    }
    show("viscum, host's files", times[0]);
    show("viscum, a directory", times[1]);
    if (crun.there()) {
        show("crun run", times[2]);
    } else {
        std::puts("crun: not installed, or it does not run here");
    }
    return 0;
}

}  // namespace
}  // namespace viscum

int main(int argc, char** argv) {
    const bool quick = argc > 1 && std::string_view(argv[1]) == "--quick";
    return viscum::run_in_sandbox([quick] { return viscum::compare(quick ? viscum::kQuickRounds : viscum::kRounds); });
}
