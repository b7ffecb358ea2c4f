// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/sandboxed/sandboxed.h"

#include <poll.h>

#include "base/file.h"
#include "base/text.h"
#include "controller/daemon/launch.h"

namespace viscum {
namespace {

constexpr std::size_t kLogLimit = 1 << 20;

std::string run_dir(const std::string& name) {
    return cat("/run/bench/runs/", name);
}

std::string log_file(const std::string& name) {
    return cat("/run/", name, ".log");
}

}  // namespace

Result<Sandboxed> Sandboxed::start(const Cgroups& groups, const std::string& name, ServiceSpec spec, const NetNs& ns) {
    spec.name = name.substr(0, name.find('.'));
    if (auto made = make_directory(run_dir(name), 0700); !made) {
        return std::move(made).error();
    }
    if (auto made = groups.make(name, group_limits(spec.limits, memory_of_machine())); !made) {
        return std::move(made).error();
    }
    auto launch = make_launch(spec, Instance{"bench"}, {1, {}}, std::nullopt, groups.join_files(name));
    if (!launch) {
        return std::move(launch).error();
    }
    launch->run_dir = run_dir(name);
    launch->log_file = log_file(name);
    launch->shim_path = VISCUM_BIN_DIR "/viscum-shim";
    auto process = Process::launch(*launch, ns);
    if (!process) {
        return std::move(process).error();
    }
    return Sandboxed(groups, name, std::move(*process));
}

Sandboxed::~Sandboxed() {
    if (process_) {
        (void)process_->kill();
        (void)finish();
    }
}

Result<std::string> Sandboxed::log() const {
    return read_file(log_file(name_), kLogLimit);
}

Result<ExitStatus> Sandboxed::finish() {
    pollfd ended{process_->pidfd(), POLLIN, 0};
    while (poll(&ended, 1, -1) < 0 && errno == EINTR) {
    }
    ExitStatus status = process_->finish(run_dir(name_));
    process_.reset();
    if (auto removed = groups_->remove(name_); !removed) {
        return std::move(removed).error();
    }
    return status;
}

}  // namespace viscum
