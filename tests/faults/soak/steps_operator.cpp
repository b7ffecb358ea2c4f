// SPDX-License-Identifier: GPL-2.0-only
// The operator's work, right ones and wrong ones, while everything else goes on.
#include <signal.h>

#include <memory>

#include "base/file.h"
#include "tests/faults/soak/steps.h"

namespace viscum {
namespace {

constexpr Millis kPatience{150'000};  // longer than any drain

/// A command that goes on beside the others; its exit code is told. Codes are not judged: viscumd may be away.
Fault begin(Stage& stage, const Argv& arguments, std::vector<Allowance> allows = {}) {
    Argv argv = {VISCUM_BIN_DIR "/viscumctl"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    auto program = std::make_shared<Program>(must(Program::start({.argv = argv, .ns = &stage.bed().hotspot()})));
    return {cat("viscumctl ", join(arguments, " ")), std::move(allows),
            [program] {
                const bool ended = program->ended_within(kPatience);
                CHECK_MESSAGE(ended, "viscumctl does not end");
                return cat(": ended with ", program->stop(SIGKILL));
            },
            true};
}

/// No connection is interrupted. What UDP servers have not read when they end is lost, and so is what a service began.
std::vector<Allowance> of_change(const std::string& service) {
    std::vector<Allowance> allows;
    if (service == "echo") {
        allows.push_back(losses(service));
    }
    add_egress(service, allows);
    return allows;
}

Fault update(Stage& stage, Dice& dice) {
    const std::string service = some_service(stage, dice);
    return begin(stage, {"deploy", stage.next_file(service)}, of_change(service));
}

Fault simple(Stage& stage, Dice& dice, const char* verb) {
    const std::string service = some_service(stage, dice);
    return begin(stage, {verb, service}, of_change(service));
}

Fault drain(Stage& stage, Dice& dice) {
    return simple(stage, dice, "drain");
}
Fault resume(Stage& stage, Dice& dice) {
    return simple(stage, dice, "resume");
}
Fault restart(Stage& stage, Dice& dice) {
    return simple(stage, dice, "restart");
}
Fault remove(Stage& stage, Dice& dice) {
    return simple(stage, dice, "remove");
}

/// Never healthy: the version before goes on.
Fault broken_update(Stage& stage, Dice&) {
    ServiceFile broken = test_service("web", {"203.0.113.10 80", "2001:db8:c::10 80"}, {"broken", "tcp", "::1", "80"});
    broken.more = "health: { tcp: { port: 80 }, start_timeout: 500ms }\n# broken\n";
    const std::string path = "/tmp/broken.yaml";
    must(write_file_atomically(path, broken.text(), 0644));
    return begin(stage, {"deploy", path});
}

Fault garbage(Stage& stage, Dice& dice) {
    std::string text(1 + below(dice, 4096), '\0');
    for (char& byte : text) {
        byte = static_cast<char>(dice() % 256);
    }
    const std::string path = "/tmp/garbage.yaml";
    must(write_file_atomically(path, text, 0644));
    return begin(stage, {"deploy", path});
}

Fault reload(Stage& stage, Dice& dice) {
    constexpr std::array kLines = {"lan: [br-lan]\nlease: 5s\n", "lan: [br-lan]\nlease: 6s\n",
                                   "lan: [br-lan]\nlease: 5s\nlog_level: debug\n", "lan: [br-lan\nlease: never\n"};
    const auto* const lines = one_of(dice, kLines);
    const std::string path = stage.viscumd().instance().config_file();
    // The directory may be full.
    const bool written = bool(
        write_file_atomically(path, cat("viscum: 1\nclaimable: [203.0.113.0/24, '2001:db8:c::/64']\n", lines), 0644));
    const bool runs = stage.viscumd().running();
    if (runs) {
        kill(stage.viscumd().pid(), SIGHUP);
    }
    return {cat(written ? "SIGHUP to viscumd, with " : "SIGHUP to viscumd, without ", split(lines, '\n').at(1)),
            {},
            [&stage] {
                stage.mend_config();
                return std::string();
            },
            true,
            false,
            runs};
}

}  // namespace

const std::vector<Kind>& operator_kinds() {
    static const std::vector<Kind> kKinds = {
        {"update", Millis(0), update},
        {"drain", Millis(0), drain},
        {"resume", Millis(0), resume},
        {"restart of a service", Millis(0), restart},
        {"removal", Millis(0), remove},
        {"update that is never healthy", Millis(0), broken_update},
        {"file of random bytes", Millis(0), garbage},
        {"configuration read again", Millis(0), reload},
    };
    return kKinds;
}

}  // namespace viscum
