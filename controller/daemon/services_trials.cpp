// SPDX-License-Identifier: GPL-2.0-only
// Versions on trial: the one before is kept until somebody says that the new one is to stay.
#include "base/log.h"
#include "base/text.h"
#include "controller/daemon/answers.h"
#include "controller/daemon/services.h"
#include "controller/daemon/trial_clock.h"

namespace viscum {

std::optional<Millis> Services::trial_left(const std::string& name) const {
    const auto trial = saved_.trials.find(name);
    return trial != saved_.trials.end() && is_on(trial->second)
               ? std::optional(std::chrono::ceil<Millis>(until(trial->second) - boot_now()))
               : std::nullopt;
}

/// What may come back is durable before what takes its place.
Result<VersionTrial> Services::begin_trial(const std::string& name, const Candidate& candidate) {
    VersionTrial trial;
    if (const auto known = saved_.trials.find(name); known != saved_.trials.end() && known->second.until_ms != 0) {
        trial = known->second;  // a version that was never confirmed is not what comes back
    } else {
        const auto kept = store_.keep_before(name);
        if (!kept) {
            return kept.error();
        }
        trial.first = !*kept;
        const auto image = saved_.images.find(name);
        trial.image_before = image == saved_.images.end() ? "" : image->second;
    }
    trial.boot = boot_id();
    trial.until_ms = end_after(*candidate.confirm);
    trial.digest = digest_of(candidate.text);
    return trial;
}

/// What belongs to the file is durable before it, and counts once it is there: a kill in between leaves the old version
/// with what is its own, or the new one with its.
Status Services::write_down(const std::string& name, const Candidate& candidate) {
    const SavedState before = saved_;
    const bool was_on_trial = before.trials.contains(name);
    NextVersion next{digest_of(candidate.text), candidate.image ? candidate.image->digest : "", std::nullopt};
    Status status;
    if (candidate.confirm) {
        auto begun = begin_trial(name, candidate);
        begun ? static_cast<void>(next.trial = *std::move(begun)) : static_cast<void>(status = begun.error());
    } else if (was_on_trial && (!candidate.wait || candidate.comes_back)) {
        next.trial = before.trials.at(name);  // nobody has said a word
    }
    SavedState after = before;
    after.next[name] = next;
    settle_next(after, name, &candidate.text);
    if (status && after != before) {
        status = save([&](SavedState& state) { state.next[name] = next; });
    }
    if (status) {
        status = store_.save_service(name, candidate.text);
    }
    if (!status) {
        (void)store_.save_state(before);
        saved_ = before;
        if (candidate.confirm && !trial_left(name)) {
            forget_before(name);
        }
        return status;
    }
    if (candidate.confirm) {
        services_.at(name).deploy = candidate.deploy;
        end_together(after, name, candidate.deploy);
    }
    if (const auto settled = store_.save_state(after); !settled) {
        log_warn(settled.error().what);  // what counts stands there, and is settled by the next change or start
    }
    saved_ = std::move(after);
    if (was_on_trial && !saved_.trials.contains(name)) {
        forget_before(name);
    }
    await_trials();
    return {};
}

/// The viscumd before may have ended around the writing of a file.
void Services::settle_versions(std::vector<std::string>* problems) {
    const auto known = saved_.next;
    for (const auto& [name, next] : known) {
        const auto text = store_.service_text(name);
        if (!text && text.error().errno_code != ENOENT) {
            problems->push_back(text.error().what);
            continue;
        }
        settle_next(saved_, name, text ? &*text : nullptr);
    }
}

void Services::forget_before(const std::string& name) {
    if (const auto status = store_.forget_before(name); !status) {
        log_warn(status.error().what);
        forget_others_later();
    }
}

void Services::forget_others_later() {
    context_.loop.cancel(forget_timer_);
    forget_timer_ = context_.loop.after(kTrialRetry, [this] {
        std::vector<std::string> problems;  // the first time they were told
        store_.forget_others_before(saved_.trials, &problems);
        if (!problems.empty()) {
            forget_others_later();
        }
    });
}

Status Services::drop_trial(const std::string& name, const std::optional<std::string>& image) {
    const auto change = [&](SavedState& state) {
        state.trials.erase(name);
        if (image) {
            image->empty() ? static_cast<void>(state.images.erase(name))
                           : static_cast<void>(state.images[name] = *image);
        }
    };
    if (auto status = save(change); !status) {
        return status;
    }
    forget_before(name);
    return {};
}

void Services::await_trials() {
    context_.loop.cancel(trial_timer_);
    trial_timer_ = 0;
    std::optional<Millis> first;
    for (const auto& [name, trial] : saved_.trials) {
        if (is_on(trial) && (!first || until(trial) < *first)) {
            first = until(trial);
        }
    }
    if (first) {
        trial_timer_ = context_.loop.at(*first, [this] { context_.changed(); });
    }
}

void Services::end_together(SavedState& state, const std::string& name, std::uint64_t deploy) const {
    for (const auto& [other, service] : services_) {
        const auto trial = state.trials.find(other);
        if (deploy != 0 && service.deploy == deploy && trial != state.trials.end() && is_on(trial->second)) {
            trial->second.until_ms = state.trials.at(name).until_ms;
        }
    }
}

Status Services::prolong(const std::string& name, std::uint64_t deploy, Millis confirm) {
    services_.at(name).deploy = deploy;
    const auto change = [&](SavedState& state) {
        state.trials.at(name).until_ms = end_after(confirm);
        end_together(state, name, deploy);
    };
    auto status = save(change);
    await_trials();
    return status;
}

std::optional<Response> Services::answer_on_trial(const std::string& name, std::uint64_t client,
                                                  std::optional<Millis> confirm) {
    const auto trial = saved_.trials.find(name);
    if (trial == saved_.trials.end() || trial->second.until_ms == 0) {
        return std::nullopt;
    }
    if (is_over(trial->second)) {
        return failure(Code::refused, cat(name, ": it was not confirmed, and the version before comes back"),
                       "deploy it again once that is there");
    }
    if (confirm) {
        if (const auto status = prolong(name, client, *confirm); !status) {
            return failure(Code::failed, cat(name, ": its trial is as long as it was: ", status.error().what), "");
        }
        tell_asked("trial", name, cat("its trial begins anew, for ", format_duration(*confirm)));
        Response response = done(cat(name, ": this version is deployed, and its trial begins anew"), true);
        response.hint = confirm_hint(name, *confirm);
        return response;
    }
    bool changed = false;
    const std::string problem = confirm_one(name, &changed);
    return problem.empty() ? done(cat(name, ": confirmed"), changed)
                           : failure(Code::failed, cat(name, ": not confirmed: ", problem), "");
}

/// Empty: confirmed, or there was nothing to confirm.
std::string Services::confirm_one(const std::string& name, bool* changed) {
    const auto found = services_.find(name);
    if (found != services_.end() && found->second.candidate && found->second.candidate->confirm) {
        return "it is not healthy yet";
    }
    const auto trial = saved_.trials.find(name);
    if (trial == saved_.trials.end()) {
        return "";
    }
    if (!is_on(trial->second)) {
        return cat("too late: the version before ", trial->second.until_ms == 0 ? "is back" : "comes back");
    }
    if (const auto status = drop_trial(name, std::nullopt); !status) {
        return status.error().what;
    }
    log_info(cat("'", name, "' is confirmed"));
    tell_asked("confirmed", name, "confirmed: this version stays");
    *changed = true;
    return "";
}

/// Empty: its trial is over, or there was none.
std::string Services::revert_one(const std::string& name, bool* changed) {
    const auto found = services_.find(name);
    if (found != services_.end() && found->second.candidate && found->second.candidate->confirm) {
        return "it is not healthy yet";
    }
    if (!trial_left(name)) {
        return "";
    }
    if (const auto status = prolong(name, services_.at(name).deploy, Millis(0)); !status) {
        return status.error().what;
    }
    log_info(cat("'", name, "' is not to stay"));
    tell_asked("reverted", name, "reverted: this version is not to stay");
    context_.changed();
    *changed = true;
    return "";
}

void Services::end_trials_of(const std::string& name, std::uint64_t client, bool keep) {
    if (!name.empty() && (!services_.contains(name) || services_.at(name).removed)) {
        answer_(client, no_such_service(name));
        return;
    }
    std::vector<std::string> names;
    for (const auto& [other, service] : services_) {
        const bool waits = trial_left(other) || (service.candidate && service.candidate->confirm);
        if (name.empty() ? waits : other == name) {
            names.push_back(other);
        }
    }
    Response response = done("", false);
    std::vector<std::string> lines;
    for (const auto& other : names) {
        bool changed = false;
        const std::string problem = keep ? confirm_one(other, &changed) : revert_one(other, &changed);
        if (!problem.empty()) {
            response.code = Code::refused;
        }
        response.changed = response.changed || changed;
        lines.push_back(cat(other, ": ",
                            !problem.empty() ? cat(keep ? "not confirmed: " : "not reverted: ", problem)
                            : !changed       ? "nothing to do, it is not on trial"
                            : keep           ? "confirmed"
                                             : "the version before comes back"));
    }
    response.message = lines.empty() ? "nothing to do, no service is on trial" : join(lines, "\n");
    answer_(client, response);
}

}  // namespace viscum
