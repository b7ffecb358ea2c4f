// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/host/limits.h"

#include <signal.h>

#include "base/file.h"

namespace viscum {
namespace {

constexpr const char* kLog = "/tmp/limited.log";
constexpr Millis kAnswers{3'000};
constexpr std::size_t kLogLimit = 16 * 1024 * 1024;

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

LimitedStart start_limited(Scene& scene, const std::string& limit, const std::function<void()>& while_up) {
    must(remove_file(kLog));
    auto viscumd = must(
        Program::start({.argv = {"prlimit", limit, VISCUM_BIN_DIR "/viscumd", "--shim", VISCUM_BIN_DIR "/viscum-shim"},
                        .log_file = kLog,
                        .ns = &scene.bed().hotspot()}));
    LimitedStart start;
    (void)eventually(kAnswers, [&] {
        start.serves = scene.viscumd().ctl({"list"}, kAnswers).status == 0;
        return start.serves || !viscumd.running();
    });
    start.waits = !start.serves && viscumd.running();
    if (start.serves && while_up) {
        while_up();
    }
    start.status = viscumd.stop(SIGTERM);
    const auto log = read_file(kLog, kLogLimit);
    start.log = log ? *log : "";
    return start;
}

}  // namespace viscum
