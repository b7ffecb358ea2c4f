// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/host/limits.h"

#include <signal.h>

#include "base/file.h"

namespace viscum {
namespace {

constexpr const char* kLog = "/tmp/limited.log";
constexpr Millis kAnswers{3'000};  // of one that has named the cause
constexpr std::size_t kLogLimit = 16 * 1024 * 1024;

std::string log_so_far() {
    const auto log = read_file(kLog, kLogLimit);
    return log ? *log : "";
}

rlimit limits_of(pid_t pid, int resource) {
    rlimit limits{};
    REQUIRE(prlimit(pid, static_cast<__rlimit_resource>(resource), nullptr, &limits) == 0);
    return limits;
}

}  // namespace

void limit_soft(pid_t pid, int resource, rlim_t soft) {
    const rlimit limits{soft, limits_of(pid, resource).rlim_max};
    REQUIRE(prlimit(pid, static_cast<__rlimit_resource>(resource), &limits, nullptr) == 0);
}

void limit_off(pid_t pid, int resource) {
    limit_soft(pid, resource, limits_of(pid, resource).rlim_max);
}

LimitedStart start_limited(Scene& scene, const LimitedOptions& options) {
    must(remove_file(kLog));
    auto viscumd = must(Program::start(
        {.argv = {"prlimit", options.limit, VISCUM_BIN_DIR "/viscumd", "--shim", VISCUM_BIN_DIR "/viscum-shim"},
         .log_file = kLog,
         .ns = &scene.bed().hotspot()}));
    const BootTime begun = boot_now();
    LimitedStart start;
    (void)eventually(kLimit, [&] {
        start.serves = scene.viscumd().ctl({"list"}, kAnswers).status == 0;
        const bool late = boot_now() - begun > kAnswers && log_so_far().find(options.cause) != std::string::npos;
        return start.serves || late || !viscumd.running();
    });
    start.waits = !start.serves && viscumd.running();
    start.log = log_so_far();
    if ((start.serves || start.waits) && options.while_up) {
        options.while_up(start);
    }
    start.status = viscumd.stop(SIGTERM);
    start.log = log_so_far();
    return start;
}

}  // namespace viscum
