// SPDX-License-Identifier: GPL-2.0-only
// Rows 1, 2, 15, 17: programs are killed, stopped, ended and started again.
#include <signal.h>

#include "base/file.h"
#include "tests/faults/oracle/oracle.h"
#include "tests/faults/soak/steps.h"
#include "tests/support/process_tree.h"

namespace viscum {
namespace {

bool is_called(pid_t pid, const std::string& name) {
    const auto found = read_file(cat("/proc/", pid, "/comm"), 64);
    return found && *found == cat(name, "\n");
}

/// 0 where there is none. A pid of the last status may be another's by now.
pid_t shim_of(Stage& stage, const std::string& service) {
    const auto pid = static_cast<pid_t>(stage.known(service).pid);
    return pid > 0 && is_called(pid, "viscum-shim") ? pid : 0;
}

pid_t main_process_of(Stage& stage, const std::string& service) {
    const pid_t shim = shim_of(stage, service);
    const auto processes = shim > 0 ? descendants(shim) : std::vector<pid_t>();
    return processes.empty() ? 0 : processes.front();
}

pid_t prober_pid() {
    for (const pid_t pid : descendants(1)) {
        if (is_called(pid, "viscum-prober")) {
            return pid;
        }
    }
    return 0;
}

std::string start_viscumd(Stage& stage) {
    if (stage.viscumd().running()) {
        return "";
    }
    auto started = stage.viscumd().start_again();
    stage.expect_viscumd(bool(started));
    return started ? "" : cat(": it does not start: ", started.error().what.substr(0, 200));
}

Fault end_viscumd(Stage& stage, bool kill) {
    if (!stage.viscumd().running()) {
        return not_begun("viscumd is away");
    }
    stage.expect_viscumd(false);
    (void)stage.viscumd().resume();  // a stopped one could not end
    const int status = kill ? stage.viscumd().kill() : stage.viscumd().stop();
    std::string what = kill ? "SIGKILL to viscumd" : cat("SIGTERM to viscumd, which ended with ", status);
    if (const auto disk = read_disk_state(stage.viscumd().instance()); !disk || !disk->broken.empty()) {
        FAIL_CHECK("the state is broken after a kill: ", disk ? join(disk->broken, "; ") : disk.error().what);
    }
    return {what, {losses("control", 20)}, [&stage] { return start_viscumd(stage); }, false, true};
}

Fault kill_viscumd(Stage& stage, Dice&) {
    return end_viscumd(stage, true);
}

Fault restart_viscumd(Stage& stage, Dice&) {
    return end_viscumd(stage, false);
}

Fault stop_viscumd(Stage& stage, Dice&) {
    if (!stage.viscumd().running() || !stage.viscumd().pause()) {
        return not_begun("viscumd is away");
    }
    return {"SIGSTOP to viscumd",
            {losses("control", 20)},
            [&stage] {
                (void)stage.viscumd().resume();
                return std::string();
            },
            false,
            true};
}

Fault kill_process(pid_t pid, const std::string& what, std::vector<Allowance> allows) {
    if (pid <= 0 || kill(pid, SIGKILL) != 0) {
        return not_begun(cat(what, ": it is not there"));
    }
    return {cat("SIGKILL to ", what), std::move(allows), [] { return std::string(); }};
}

Fault stop_process(pid_t pid, const std::string& what) {
    if (pid <= 0 || kill(pid, SIGSTOP) != 0) {
        return not_begun(cat(what, ": it is not there"));
    }
    return {cat("SIGSTOP to ", what), {}, [pid] { return std::string(kill(pid, SIGCONT) == 0 ? "" : ": it is gone"); }};
}

std::vector<Allowance> of_death(const std::string& service) {
    std::vector<Allowance> allows = {resets(service), losses(service)};
    add_egress(service, allows);
    return allows;
}

Fault kill_service(Stage& stage, Dice& dice) {
    const std::string service = some_service(stage, dice);
    return kill_process(main_process_of(stage, service), cat(service, "'s main process"), of_death(service));
}

Fault stop_service(Stage& stage, Dice& dice) {
    const std::string service = some_service(stage, dice);
    return stop_process(main_process_of(stage, service), cat(service, "'s main process"));
}

Fault kill_shim(Stage& stage, Dice& dice) {
    const std::string service = some_service(stage, dice);
    return kill_process(shim_of(stage, service), cat(service, "'s shim"), of_death(service));
}

Fault stop_shim(Stage& stage, Dice& dice) {
    const std::string service = some_service(stage, dice);
    return stop_process(shim_of(stage, service), cat(service, "'s shim"));
}

Fault kill_prober(Stage&, Dice&) {
    return kill_process(prober_pid(), "viscum-prober", {});
}

Fault stop_prober(Stage&, Dice&) {
    return stop_process(prober_pid(), "viscum-prober");
}

}  // namespace

const std::vector<Kind>& process_kinds() {
    static const std::vector<Kind> kKinds = {
        {"kill of a service", Millis(0), kill_service},
        {"hang of a service", Millis(3'000), stop_service},
        {"kill of a shim", Millis(0), kill_shim},
        {"hang of a shim", Millis(3'000), stop_shim},
        {"kill of viscumd", Millis(1'000), kill_viscumd, true},
        {"hang of viscumd", Millis(7'000), stop_viscumd},
        {"restart of viscumd", Millis(500), restart_viscumd, true},
        {"kill of the prober", Millis(0), kill_prober, true},
        {"hang of the prober", Millis(3'000), stop_prober},
    };
    return kKinds;
}

std::string some_service(Stage& stage, Dice& dice) {
    const std::string service = one_of(dice, kServices);
    return service == "net" && stage.steady() ? "web" : service;
}

void add_egress(const std::string& service, std::vector<Allowance>& allows) {
    if (service == "net") {
        allows.insert(allows.end(), {resets("egress", 2), losses("egress", 2)});
    }
}

std::vector<Kind> all_kinds() {
    std::vector<Kind> all;
    for (const auto* kinds : {&process_kinds(), &operator_kinds(), &network_kinds(), &resource_kinds()}) {
        all.insert(all.end(), kinds->begin(), kinds->end());
    }
    return all;
}

}  // namespace viscum
