// SPDX-License-Identifier: GPL-2.0-only
// The programs under test, as an operator runs them: viscumd in the hotspot's namespace, viscumctl beside it.
#pragma once

#include <signal.h>

#include <optional>
#include <string>

#include "base/instance.h"
#include "base/result.h"
#include "netns/net_ns.h"
#include "tests/support/program.h"

namespace viscum {

class Viscumd {
public:
    struct Options {
        std::string config{};  // viscum.yaml; empty: what /etc/NAME/viscum.yaml holds already
        std::string instance = "viscum";
        Argv wrapper{};  // put in front of the command line: strace and the like
        std::string program = VISCUM_BIN_DIR "/viscumd";
    };
    /// Writes the configuration and starts viscumd in `ns`, which must outlive this object. Services and datapath
    /// outlive viscumd, as they should: the sandbox takes them.
    static Result<Viscumd> start(const NetNs& ns, const Options& options);

    /// Starts it again after it ended, with `more` on its command line. Returns once its socket accepts; an error tells
    /// the last lines of its log.
    Status start_again(const Argv& more = {});
    /// Another build of viscumd, from the next start on.
    void use_program(const std::string& path) { program_path_ = path; }
    [[nodiscard]] Argv command_line(const Argv& more = {}) const;
    /// SIGTERM; its exit status.
    int stop() { return program_ ? program_->stop(SIGTERM) : -1; }
    int kill() { return program_ ? program_->stop(SIGKILL) : -1; }
    Status pause() const { return program_->signal(SIGSTOP); }
    Status resume() const { return program_->signal(SIGCONT); }
    [[nodiscard]] pid_t pid() const { return program_ ? program_->pid() : 0; }
    [[nodiscard]] bool running() const { return program_ && program_->running(); }

    /// viscumctl in the same namespace; its exit codes are those of ipc/frame.h.
    [[nodiscard]] RunOutput ctl(const Argv& arguments,
                                std::chrono::milliseconds limit = std::chrono::seconds(60)) const;
    /// Everything that viscumd logged since the first start.
    [[nodiscard]] std::string log() const;
    [[nodiscard]] const Instance& instance() const { return instance_; }

private:
    Viscumd(const NetNs& ns, Instance instance, const Options& options)
        : ns_(&ns), instance_(std::move(instance)), wrapper_(options.wrapper), program_path_(options.program) {}
    [[nodiscard]] std::string log_file() const { return "/tmp/" + instance_.name + "d.log"; }
    Status wait_until_ready();

    const NetNs* ns_;
    Instance instance_;
    Argv wrapper_;
    std::string program_path_;
    std::optional<Program> program_;
};

/// Writes a service file to /tmp and returns its path.
Result<std::string> write_service(const std::string& name, const std::string& yaml);

}  // namespace viscum
