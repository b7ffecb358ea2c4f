// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/points/shim_attempt.h"

#include <fcntl.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <map>

#include "tests/faults/oracle/oracle.h"
#include "tests/faults/points/errors.h"

namespace viscum {
namespace {

using Kind = ShimOperation::Kind;
constexpr const char* kName = "web";
constexpr std::uint64_t kReport = 3;  // the pipe to viscumd, or to the shim

/// A failure that the shim goes on without, on purpose.
struct Ignored {
    const char* operation;  // the beginning of its name
    const char* call;
    const char* path;    // the beginning of its path argument
    std::int64_t which;  // of prctl the option, of fcntl the command, of others the error; -1: any
    const char* reason;
};
constexpr Ignored kIgnored[] = {
    {"shim-", "close_range", "", -1, "kernels before 5.9 lack it: every descriptor is CLOEXEC as well"},
    {"shim-", "mount_setattr", "", ENOSYS, "kernels before 5.12 lack it: mount(2) sets the flags, one by one"},
    {"shim-", "fchown", "", -1, "only for a service that opens its own /dev/stdout"},
    {"shim-", "prctl", "", PR_SET_NAME, "how it shows in the process list"},
    {"shim-", "openat", "dropped", -1, "how much output was lost before"},
    {"shim-start", "poll", "", -1, "whether the service is executed is not known, so nothing is entered beside it"},
    {"shim-start", "fcntl", "", F_SETLK, "the same: it cannot be shown"},
    {"shim-again", "poll", "", -1, "as at the first start"},
    {"shim-again", "fcntl", "", F_SETLK, "as at the first start"},
    {"shim-start-lenient", "mount", "t", EPERM, "not every filesystem can lie below an overlay: it stays read-only"},
};

bool ignored_by_design(const ShimOperation& operation, const Syscall& call, int error) {
    return std::ranges::any_of(kIgnored, [&](const Ignored& one) {
        const auto which = call.name == "prctl"   ? static_cast<std::int64_t>(call.arguments[0])
                           : call.name == "fcntl" ? static_cast<std::int64_t>(call.arguments[1])
                                                  : error;
        return operation.name.starts_with(one.operation) && call.name == one.call && call.path.starts_with(one.path) &&
               (one.which < 0 || which == one.which);
    });
}

class Attempt {
public:
    Attempt(ShimStage& stage, const ShimPoint& point)
        : stage_(stage), scene_(stage.scene()), point_(point), operation_(*find_shim_operation(point.operation)) {}

    ShimVerdict carry_out() {
        if (const auto problem = stage_.prepare(operation_); !problem.empty()) {
            complain(problem);
            return std::move(verdict_);
        }
        logged_ = scene_.viscumd().log().size();
        shim_ = static_cast<pid_t>(scene_.status(kName).pid);
        const auto flow = scene_.flow(kWeb, 1);
        if (strike()) {
            judge();
        }
        judge_flow(flow->stop());
        if (!verdict_.problems.empty()) {
            complain(cat("viscumctl ended with ", output_.status, ": ", output_.out, output_.err, log()));
        }
        return std::move(verdict_);
    }

private:
    void complain(const std::string& problem) {
        if (!problem.empty()) {
            verdict_.problems.push_back(problem);
        }
    }

    void add(const std::vector<std::string>& problems) {
        verdict_.problems.insert(verdict_.problems.end(), problems.begin(), problems.end());
    }

    /// false: it could not be traced.
    bool strike() {
        const auto kind = point_.error == 0 ? SyscallStrike::Kind::kill : SyscallStrike::Kind::fail;
        auto tracer = stage_.trace(operation_, {.strike = {{kind, point_.call, point_.nth, point_.error}}});
        if (!tracer) {
            complain(tracer.error().what);
            return false;
        }
        output_ = stage_.act(operation_, **tracer);
        struck_ = (*tracer)->struck();
        struck_pid_ = (*tracer)->pid();
        verdict_.reached = struck_.has_value();
        (*tracer)->stop();
        if (!verdict_.reached && operation_.kind == Kind::remove) {
            complain(stage_.renew());  // its end came while it was traced
        }
        return true;
    }

    void judge() {
        if (!eventually(kLimit, [this] { return stage_.settled(); })) {
            complain(cat("it does not settle:\n", scene_.viscumd().ctl({"status"}).out));
            return;
        }
        if (verdict_.reached) {
            judge_struck();
        } else if (!output_.success()) {
            complain("nothing was struck, and it failed all the same");
        }
        const bool there = !scene_.status(kName).name.empty();
        if (there) {
            judge_sandbox();
        }
        if (there == (operation_.kind == Kind::remove || (operation_.kind == Kind::deploy && !output_.success()))) {
            complain(there ? "the service is still there" : "the service is gone");
        }
        look_for_orphans();
        if (there && operation_.kind == Kind::deploy) {
            complain(stage_.remove());
            look_for_orphans();
        }
    }

    /// Fail closed: whoever went on after an error did so on purpose; otherwise somebody says why it did not.
    void judge_struck() {
        verdict_.went_on = goes_on();
        const bool at_work = operation_.kind == Kind::work || operation_.kind == Kind::remove;
        if (at_work && point_.error != 0 && !verdict_.went_on) {
            complain("the shim has ended for an error");
        }
        if (!at_work && verdict_.went_on && point_.error != 0 &&
            !ignored_by_design(operation_, *struck_, point_.error)) {
            complain(cat("the failure of ", struck_->text(), " (", struck_->arguments[0], ", ", struck_->arguments[1],
                         ") is ignored"));
        }
        if (!verdict_.went_on && operation_.kind != Kind::remove && !says_why()) {
            complain(cat("nobody says why: ", struck_->text()));
        }
        if (operation_.kind == Kind::remove && !output_.success()) {
            complain("the removal failed");
        }
        for (const LogLine& line : log_lines(log())) {
            // That it was killed for the test is said as well.
            const bool known = operation_.kind == Kind::again && line.text.find("SIGKILL") != std::string::npos;
            if ((line.level == "warning" || line.level == "error") && !known && !names_cause(line.text)) {
                complain(cat("beside the cause the log says: ", line.text));
            }
        }
    }

    [[nodiscard]] bool goes_on() const {
        const auto shim = static_cast<pid_t>(scene_.status(kName).pid);
        switch (operation_.kind) {
            case Kind::deploy:
            case Kind::again: return struck_pid_ == (operation_.of_child ? stage_.main_process() : shim);
            case Kind::work: return shim == shim_;
            case Kind::remove: return point_.error != 0;
            case Kind::command: return output_.success();
        }
        return false;
    }

    [[nodiscard]] bool says_why() const {
        return names_cause(cat(output_.out, output_.err, log())) ||
               (operation_.kind == Kind::command && point_.error == 0);
    }

    [[nodiscard]] bool names_cause(const std::string& said) const {
        const auto says = [&said](const std::string& text) { return said.find(text) != std::string::npos; };
        // Where the pipe itself fails by which it would be told.
        const bool mute = struck_->name == "write" && struck_->arguments[0] == kReport;
        if (point_.error != 0 && !mute) {
            return says(std::strerror(point_.error)) || says(cat("error ", point_.error));
        }
        return says("ended together with its shim") || says("killed by SIGKILL") ||
               says("the new process ended at once");
    }

    void judge_sandbox() {
        auto unlike = stage_.unlike_clean();
        // It may have run for a moment before it was ended.
        if (output_.out.find("NoNewPrivs:") != std::string::npos) {
            const auto more = stage_.command_unlike_clean(output_.out);
            unlike.insert(unlike.end(), more.begin(), more.end());
        }
        // Mounts that could not be made writable are less than the service may have, not more.
        if (verdict_.went_on && operation_.lenient && struck_->name == "mount") {
            std::erase_if(unlike, [](const std::string& line) {
                return line.find("+ mount ") != std::string::npos ? line.find(" ro,") != std::string::npos
                                                                  : line.find("- mount ") != std::string::npos;
            });
        }
        verdict_.unlike = !unlike.empty();
        add(unlike);
    }

    void look_for_orphans() {
        const auto left = stage_.orphans();
        verdict_.orphans.insert(verdict_.orphans.end(), left.begin(), left.end());
        add(left);
    }

    /// A connection that was open when the service was killed ends with it.
    void judge_flow(const FlowSummary& summary) {
        const bool killed = verdict_.reached && !verdict_.went_on && operation_.kind != Kind::command;
        const std::size_t kills = (killed ? 1U : 0U) + (operation_.kind == Kind::again ? 1U : 0U);
        verdict_.requests = summary.requests;
        verdict_.failed = summary.failed;
        verdict_.resets_allowed = std::min(summary.resets, kills);
        verdict_.resets = summary.resets - verdict_.resets_allowed;
        if (verdict_.failed + verdict_.resets > 0) {
            complain(cat(summary.text(), "\n", join(summary.failures, "\n")));
        }
    }

    /// What viscumd has logged since the operation began.
    [[nodiscard]] std::string log() const {
        const std::string all = scene_.viscumd().log();
        return all.substr(std::min(logged_, all.size()));
    }

    ShimStage& stage_;
    Scene& scene_;
    const ShimPoint& point_;
    const ShimOperation& operation_;
    ShimVerdict verdict_;
    std::size_t logged_ = 0;
    pid_t shim_ = 0;  // before
    std::optional<Syscall> struck_;
    pid_t struck_pid_ = 0;
    RunOutput output_;
};

/// These cannot, of a descriptor that is open.
bool can_fail(const Syscall& call) {
    return call.name != "fcntl" || (call.arguments[1] != F_GETFD && call.arguments[1] != F_SETFD);
}

/// The calls of one run in which nothing goes wrong.
std::vector<ShimPoint> clean_trace(ShimStage& stage, const ShimOperation& operation) {
    REQUIRE(stage.prepare(operation) == "");
    std::vector<ShimPoint> points;
    {
        const auto tracer = must(stage.trace(operation, {}));
        const auto output = stage.act(operation, *tracer);
        // A tracer sees the end of a command first, and viscumctl then finds none.
        const bool success = output.success() || operation.kind == Kind::command;
        CHECK_MESSAGE(success, operation.name, ": ", output.err);
        tracer->stop();
        for (const Syscall& call : tracer->calls()) {
            points.push_back({operation.name, call.name, call.nth, 0, can_fail(call)});
            if (operation.of_child && call.name == "execve") {
                break;
            }
        }
        CHECK((!operation.of_child || points.back().call == "execve"));
    }
    if (operation.kind == Kind::remove) {
        REQUIRE(stage.renew() == "");
    }
    return points;
}

}  // namespace

ShimVerdict attempt(ShimStage& stage, const ShimPoint& point) {
    return Attempt(stage, point).carry_out();
}

std::vector<ShimPoint> enumerate(ShimStage& stage, const ShimOperation& operation) {
    auto points = clean_trace(stage, operation);
    const auto again = clean_trace(stage, operation);
    std::erase_if(points, [&](const ShimPoint& point) {
        return std::ranges::none_of(
            again, [&](const ShimPoint& other) { return other.call == point.call && other.nth == point.nth; });
    });
    return points;
}

const std::vector<int>& shim_errors(const std::string& call) {
    // What no other program of ours calls, and what kernels that lack a call answer where the shim has another way.
    static const std::map<std::string, std::vector<int>> more = {
        {"mount_setattr", {ENOMEM, EPERM, ENOSYS}},
        {"move_mount", {ENOMEM, EINVAL}},
        {"pivot_root", {ENOMEM, EINVAL}},
        {"close_range", {ENOMEM, ENOSYS}},
        {"sethostname", {EPERM}},
        {"mknod", {ENOSPC, EPERM}},
        {"mknodat", {ENOSPC, EPERM}},
        {"chdir", {ENOMEM, EIO}},
        {"fchdir", {EIO}},
        {"dup", {EMFILE}},
        {"dup2", {EMFILE}},
        {"dup3", {EMFILE}},
        {"setgroups", {ENOMEM, EPERM}},
        {"setresgid", {EPERM}},
        {"setresuid", {EAGAIN, EPERM}},
        {"setrlimit", {EPERM}},
        {"prlimit64", {EPERM}},
        {"seccomp", {ENOMEM, EINVAL}},
        {"keyctl", {EDQUOT, ENOMEM}},
        {"setsid", {EPERM}},
        {"execve", {ENOMEM, EIO}},
        {"execveat", {ENOMEM, EIO}},
        {"kill", {EPERM}},
        {"fstatfs", {EIO}},
    };
    const auto found = more.find(call);
    return found != more.end() ? found->second : errors_that_fit(call);
}

}  // namespace viscum
