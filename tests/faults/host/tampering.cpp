// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/host/tampering.h"

#include <signal.h>

#include <thread>

#include "base/event_loop.h"
#include "base/file.h"
#include "base/text.h"

namespace viscum {
namespace {

using namespace std::chrono_literals;

constexpr const char* kCalls = "/tmp/tampering.calls";
constexpr const char* kWords = "/tmp/tampering.words";
constexpr std::size_t kLimit = 64 * 1024 * 1024;
constexpr Millis kAttachedWithin{20'000};

}  // namespace

Result<Tampering> Tampering::start(pid_t pid, const TamperSpec& spec) {
    (void)remove_file(kWords);
    (void)remove_file(kCalls);
    Argv argv = {"strace", "-o", kCalls, "-e", cat("trace=", spec.calls)};
    if (!spec.injection.empty()) {
        argv.insert(argv.end(), {"-e", cat("inject=", spec.injection)});
    }
    for (const std::string& path : spec.paths) {
        argv.insert(argv.end(), {"-P", path});
    }
    argv.insert(argv.end(), {"-p", std::to_string(pid)});
    auto strace = Program::start({argv, kWords});
    if (!strace) {
        return std::move(strace).error();
    }
    for (const BootTime deadline = boot_now() + kAttachedWithin; boot_now() < deadline;) {
        const auto words = read_file(kWords, kLimit);
        if (words && words->find(" attached") != std::string::npos) {
            return Tampering(*std::move(strace));
        }
        if (strace->ended_within(5ms)) {
            return Error{ESRCH, cat("strace: ", words ? *words : "")};
        }
    }
    return Error{ETIMEDOUT, "strace did not attach"};
}

Tampered Tampering::stop() {
    strace_.stop(SIGINT);
    Tampered found;
    const auto calls = read_file(kCalls, kLimit);
    for (const std::string& line : calls ? split(*calls, '\n') : std::vector<std::string>()) {
        if (const auto bracket = line.find('(');
            bracket != std::string::npos && line.find(" = ") != std::string::npos) {
            ++found.calls[line.substr(0, bracket)];
            found.injected += line.ends_with(" (INJECTED)") ? 1U : 0U;
        }
    }
    return found;
}

}  // namespace viscum
