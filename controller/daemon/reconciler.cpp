// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/reconciler.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"

namespace viscum {
namespace {

constexpr Millis kRetry{500};      // after a failure, or against a tool that undoes what we do
constexpr Millis kTurnBudget{10};  // of one pass; what is left follows in the next turn

/// Steps that stay done unless another tool undoes them.
bool makes_network(const std::vector<Step>& plan) {
    return std::any_of(plan.begin(), plan.end(), [](const Step& step) {
        return step.kind != Step::Kind::write_rules && step.kind != Step::Kind::launch;
    });
}

}  // namespace

void Reconciler::touch_after(Millis delay) {
    const BootTime due = boot_now() + delay;
    if (timer_ != 0 && timer_due_ <= due) {
        return;
    }
    loop_.cancel(timer_);
    timer_due_ = due;
    timer_ = loop_.at(due, [this] {
        timer_ = 0;
        touch();
    });
}

Run* Reconciler::run_of(const BackendKey& key) const {
    const auto found = services_.all().find(key.service);
    return found == services_.all().end() ? nullptr : found->second.run(key.slot);
}

Wanted Reconciler::wanted() const {
    Wanted wanted;
    for (const auto& [name, service] : services_.all()) {
        for (const auto& run : service.runs) {
            if (run && wants_network(run->state(), run->has_process())) {
                WantedBackend backend = run->owned();
                backend.process = wants_process(run->state());
                backend.egress = run->egress();
                wanted.masquerade = wanted.masquerade || backend.egress.has_value();
                wanted.backends.emplace_hint(wanted.backends.end(), run->key(), std::move(backend));
            }
        }
        // A service that is gone but for its namespace claims nothing any more.
        const ServiceView view = service.view();
        for (auto& rule : rules_of(view)) {
            if (!service.removed || rule.admission != Admission::off) {
                wanted.rules.push_back(std::move(rule));
            }
        }
    }
    if (!wanted.rules.empty()) {
        for (const auto& lan : world_.lan_devices()) {
            if (lan.usable) {
                wanted.lan.insert(lan.device);
            }
        }
    }
    return wanted;
}

Result<Actual> Reconciler::actual() {
    auto actual = world_.observe();
    if (actual) {
        auto service = services_.all().begin();
        for (auto& [key, backend] : actual->backends) {
            while (service != services_.all().end() && service->first < key.service) {
                ++service;  // both are sorted
            }
            const bool known = service != services_.all().end() && service->first == key.service;
            const Run* run = known ? service->second.run(key.slot) : nullptr;
            backend.process = run != nullptr && run->has_process();
        }
    }
    return actual;
}

bool Reconciler::turn() {
    if (!dirty_) {
        return false;
    }
    dirty_ = false;
    unfinished_ = false;
    const auto present = actual();
    if (!present) {
        blind(present.error());
        return true;
    }
    blind_turns_ = 0;
    const Wanted goal = wanted();
    const auto plan = make_plan(goal, *present);
    if (plan.empty()) {
        reported_.clear();
    } else if (plan == last_plan_ && makes_network(plan) && boot_now() - last_plan_at_ < kRetry) {
        touch_after(kRetry);  // it was done and is undone: do not fight, repeat in a while
    } else {
        last_plan_ = plan;
        last_plan_at_ = boot_now();
        execute(plan, goal);
    }
    tell_of_lan();
    drop_dismantled();
    services_.settle(rules_problem_);
    if (dirty_) {
        touch_after(Millis(0));  // what settled wants a pass of its own, whether or not other news come
    }
    return true;
}

/// Nothing is done without seeing. Who waits for a deploy learns that, once it is more than a moment.
void Reconciler::blind(const Error& error) {
    const std::string line = cat("cannot see what the kernel has: ", error.what);
    if (reported_.insert(line).second) {
        log_error(line);
    }
    touch_after(kRetry);
    if (++blind_turns_ > kBlindTurns) {
        services_.settle(line);
    }
}

Status Reconciler::execute_one(const Step& step, const Wanted& wanted) {
    if (step.kind == Step::Kind::launch) {
        Run* run = run_of(step.backend);
        return run != nullptr ? run->launch() : Status{};
    }
    if (step.kind == Step::Kind::end_process) {
        return {};  // a run that stops has been asked to end; the backend stays wanted until it has
    }
    if (step.kind == Step::Kind::write_rules) {
        std::vector<Claim> fresh;
        std::set<std::string> tracked;
        for (const auto& rule : wanted.rules) {
            if (rule.claim.protocol == Protocol::udp && !tracked_.contains(*tracked.insert(rule.claim.text()).first)) {
                fresh.push_back(rule.claim);
            }
        }
        auto status = world_.execute(step, wanted);
        rules_problem_ = status ? "" : cat("its rules cannot be written: ", status.error().what);
        if (!status) {
            return status;
        }
        if (auto kept = fresh.empty() ? Status{} : world_.keep_tracked_flows(fresh); !kept) {
            return std::move(kept).error().in("cannot learn which UDP flows the cloud serves");
        }
        tracked_ = std::move(tracked);
        return {};
    }
    auto status = world_.execute(step, wanted);
    if (status && step.kind == Step::Kind::set_addresses) {
        if (Run* run = run_of(step.backend)) {
            run->network_mended();
        }
    }
    return status;
}

void Reconciler::execute(const std::vector<Step>& plan, const Wanted& wanted) {
    const BootTime until = boot_now() + kTurnBudget;
    std::erase_if(resting_, [](const auto& entry) { return entry.second <= boot_now(); });
    std::set<BackendKey> skipped;
    bool did_something = false;
    for (const auto& step : plan) {
        const bool of_backend = !step.backend.service.empty();
        if (of_backend && (resting_.contains(step.backend) || skipped.contains(step.backend))) {
            continue;
        }
        if (auto status = execute_one(step, wanted); !status) {
            Run* run = run_of(step.backend);
            const bool prepares = run != nullptr && run->state() == RunState::preparing;
            if (!prepares || !is_deployed(step.backend)) {  // or else the deploy tells it
                report(step, status.error());
            }
            skipped.insert(step.backend);
            if (prepares) {
                // A launch tells whose it is; other steps have their own words.
                run->launch_failed(step.kind == Step::Kind::launch ? status.error() : status.error().in(step.text()));
            } else if (of_backend) {
                resting_[step.backend] = boot_now() + kRetry;
            }
            touch_after(kRetry);
            continue;
        }
        did_something = true;
        done_(step);
        if (boot_now() > until) {
            unfinished_ = true;
            break;
        }
    }
    if (did_something) {
        // What was done may be what something else waited for. Timers let the loop see its other news first.
        touch_after(Millis(0));
    }
}

void Reconciler::report(const Step& step, const Error& error) {
    const std::string line = cat("cannot ", step.text(), ": ", error.what);
    if (reported_.insert(line).second) {
        log_warn(line);
    }
}

bool Reconciler::is_deployed(const BackendKey& key) const {
    const auto found = services_.all().find(key.service);
    return found != services_.all().end() && found->second.candidate && found->second.candidate->slot == key.slot;
}

/// Once for each device, also where the other tool takes its filter away and puts it back.
void Reconciler::tell_of_lan() {
    std::map<std::string, std::string> told;
    for (const auto& lan : world_.lan_devices()) {
        std::string& said = told[lan.device];
        said = told_[lan.device];
        if ((lan.attached || !lan.usable) && !lan.problem.empty() && lan.problem != said) {
            said = lan.problem;
            log_warn(cat(lan.device, ": ", lan.problem));
        }
    }
    told_ = std::move(told);
}

void Reconciler::drop_dismantled() {
    for (auto& [name, service] : services_.all()) {
        for (auto& run : service.runs) {
            if (!run || wants_network(run->state(), run->has_process())) {
                continue;
            }
            const BackendKey key = run->key();
            const auto present = world_.observe();
            const auto found = present ? present->backends.find(key) : decltype(present->backends.find(key)){};
            if (!present || (found != present->backends.end() && (found->second.link || found->second.net_ns))) {
                continue;
            }
            if (!run->dismantled()) {
                touch_after(kRetry);
                continue;
            }
            world_.forget(key);
            run.reset();
            touch();
        }
    }
}

}  // namespace viscum
