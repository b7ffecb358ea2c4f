// SPDX-License-Identifier: GPL-2.0-only
// Where viscum-shim is struck at work: one scene, and one service in two makes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/scene/scene.h"
#include "tests/support/syscall_tracer.h"

namespace viscum {

struct ShimOperation {
    enum class Kind : std::uint8_t {
        deploy,   // of a service that is not there
        again,    // the service was killed, and is started again
        work,     // it prints, and leaves an orphan
        remove,   // it is asked to end
        command,  // viscumctl exec
    };
    std::string name;
    Kind kind = Kind::deploy;
    /// Whose calls: viscum-shim's, or what its child does before it becomes the service, or the command.
    bool of_child = false;
    /// The root is changed in memory, and some rights are kept: other ways through the shim.
    bool lenient = false;
    std::size_t sample = 8;
};
const std::vector<ShimOperation>& shim_operations();
/// nullptr: there is none of that name.
const ShimOperation* find_shim_operation(const std::string& name);

/// A point: a call by its name, and how often that was called by the process so far.
struct ShimPoint {
    std::string operation;
    std::string call;
    std::size_t nth = 0;
    int error = 0;  // 0: SIGKILL in its place
    bool can_fail = true;

    /// "shim-start/openat/12", "shim-start/openat/12/ENOMEM"
    [[nodiscard]] std::string text() const;
    static std::optional<ShimPoint> parse(std::string_view text);
};

class ShimStage {
public:
    ShimStage();

    [[nodiscard]] Scene& scene() { return *scene_; }
    [[nodiscard]] const Scene& scene() const { return *scene_; }
    /// Everything as the operation finds it. Empty, or what went wrong.
    std::string prepare(const ShimOperation& operation);
    /// Follows the process from its birth, or from now on where it is there.
    Result<std::unique_ptr<SyscallTracer>> trace(const ShimOperation& operation,
                                                 const SyscallTracer::Options& options) const;
    /// Carries it out; returns once that is answered, and the service is up again where it was killed.
    RunOutput act(const ShimOperation& operation, SyscallTracer& tracer) const;
    /// The service's file is there, and it is up and healthy; or neither.
    [[nodiscard]] bool settled() const;
    /// The main process; 0: none.
    [[nodiscard]] pid_t main_process() const;
    /// What is less, or more, than in a run without faults: of the service's process, and of its shim.
    [[nodiscard]] std::vector<std::string> unlike_clean() const;
    /// The same of a command that told its /proc/self/status.
    [[nodiscard]] std::vector<std::string> command_unlike_clean(const std::string& told) const;
    /// What is there and should not be, or is missing; it gets a while to come right.
    [[nodiscard]] std::vector<std::string> orphans() const;
    /// Takes the service away. Empty, or what went wrong.
    std::string remove();
    /// viscumd is killed and started again. A tracer can keep the end of a shim from its parent.
    std::string renew();

private:
    struct Clean {
        std::vector<std::string> service;
        std::vector<std::string> shim;
        std::vector<std::string> command;
        std::vector<std::string> footprint;
    };
    [[nodiscard]] ServiceFile service(bool lenient) const;
    [[nodiscard]] std::vector<std::string> look() const;
    std::string deploy(bool lenient);
    void look_at_clean(bool lenient);

    std::unique_ptr<Scene> scene_;
    int version_ = 1;
    bool lenient_ = false;  // which make is deployed
    std::vector<std::string> bare_;
    Clean clean_[2];
};

}  // namespace viscum
