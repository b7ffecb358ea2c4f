// SPDX-License-Identifier: GPL-2.0-only
// Versions on trial: the one before is kept until somebody says that the new one is to stay.
#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "controller/daemon/answers.h"
#include "controller/daemon/services.h"

namespace viscum {
namespace {

constexpr Millis kRetry{10'000};
constexpr std::size_t kBootIdLimit = 64;

/// Of the clock that a trial's end is told in; it starts anew with the machine.
const std::string& boot_id() {
    static const std::string id = [] {
        const auto text = read_file("/proc/sys/kernel/random/boot_id", kBootIdLimit);
        return text ? text->substr(0, text->find('\n')) : std::string("unknown");
    }();
    return id;
}

Millis until(const VersionTrial& trial) {
    return Millis(static_cast<Millis::rep>(trial.until_ms));
}

bool is_over(const VersionTrial& trial) {
    return trial.until_ms != 0 && (trial.boot != boot_id() || until(trial) <= boot_now());
}

bool is_on(const VersionTrial& trial) {
    return trial.until_ms != 0 && !is_over(trial);
}

}  // namespace

std::optional<Millis> Services::trial_left(const std::string& name) const {
    const auto trial = saved_.trials.find(name);
    return trial != saved_.trials.end() && is_on(trial->second)
               ? std::optional(std::chrono::ceil<Millis>(until(trial->second) - boot_now()))
               : std::nullopt;
}

/// What may come back is durable before what takes its place.
Result<VersionTrial> Services::begin_trial(const std::string& name, Millis confirm) {
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
    trial.until_ms = static_cast<std::uint64_t>(std::chrono::ceil<Millis>(boot_now() + confirm).count());
    return trial;
}

Status Services::write_down(const std::string& name, const Candidate& candidate) {
    std::optional<VersionTrial> trial;
    if (candidate.confirm) {
        auto begun = begin_trial(name, *candidate.confirm);
        if (!begun) {
            return std::move(begun).error();
        }
        trial = *std::move(begun);
    }
    const SavedState before = saved_;
    // The image first: a file whose image is not known would take whatever has its name by then.
    auto status = save([&](SavedState& state) {
        candidate.image ? static_cast<void>(state.images[name] = candidate.image->digest)
                        : static_cast<void>(state.images.erase(name));
        if (trial) {
            state.trials[name] = *trial;
        } else if (candidate.wait && !candidate.comes_back) {
            state.trials.erase(name);  // a file that was found, or put back, is nobody's word
        }
    });
    if (status) {
        status = store_.save_service(name, candidate.text);
    }
    if (!status) {
        (void)save([&before](SavedState& state) { state = before; });
        return status;
    }
    if (trial) {
        await_trial(*trial);
    } else if (before.trials.contains(name) && !saved_.trials.contains(name)) {
        forget_before(name);
    }
    return {};
}

void Services::forget_before(const std::string& name) {
    if (const auto status = store_.forget_before(name); !status) {
        log_warn(status.error().what);
    }
}

void Services::await_trial(const VersionTrial& trial) {
    if (is_on(trial)) {
        context_.loop.at(until(trial), [this] { context_.changed(); });
    }
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
        return "too late: the version before is back";
    }
    if (const auto status = save([&name](SavedState& state) { state.trials.erase(name); }); !status) {
        return status.error().what;
    }
    forget_before(name);
    log_info(cat("'", name, "' is confirmed"));
    *changed = true;
    return "";
}

void Services::confirm(const std::string& name, std::uint64_t client) {
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
        const std::string problem = confirm_one(other, &changed);
        if (!problem.empty()) {
            response.code = Code::refused;
        }
        response.changed = response.changed || changed;
        lines.push_back(cat(other, ": ",
                            !problem.empty() ? cat("not confirmed: ", problem)
                            : changed        ? "confirmed"
                                             : "nothing to do, it is not on trial"));
    }
    response.message = lines.empty() ? "nothing to do, no service is on trial" : join(lines, "\n");
    answer_(client, response);
}

std::vector<std::string> Services::trials_over() const {
    std::vector<std::string> names;
    for (const auto& [name, trial] : saved_.trials) {
        const auto service = services_.find(name);
        // What the operator deploys meanwhile has a word to say.
        const bool deployed =
            service != services_.end() && service->second.candidate && service->second.candidate->wait;
        if (is_over(trial) && !deployed) {
            names.push_back(name);
        }
    }
    return names;
}

bool Services::is_trial_over() const {
    return !saved_.trials.empty() && boot_now() >= next_end_ && !trials_over().empty();
}

/// The file and what belongs to it. Repeated after an interruption it leads to the same.
Status Services::put_back(const std::string& name) {
    const VersionTrial trial = saved_.trials.at(name);
    const auto text = trial.first ? Result<std::string>("") : store_.before(name);
    if (!text) {
        return text.error();
    }
    if (auto status = trial.first ? store_.remove_service(name) : store_.save_service(name, *text); !status) {
        return status;
    }
    const auto change = [&](SavedState& state) {
        state.trials[name].until_ms = 0;
        trial.image_before.empty() ? static_cast<void>(state.images.erase(name))
                                   : static_cast<void>(state.images[name] = trial.image_before);
    };
    if (auto status = save(change); !status) {
        return status;
    }
    log_warn(cat("'", name, "' was not confirmed: ",
                 trial.first ? "it goes, as there was no version before" : "the version before comes back"));
    coming_back_[name] = *text;
    forget_before(name);
    return {};
}

void Services::bring_back(const std::string& name, const ClaimCheck& check, std::vector<std::string>* problems) {
    const auto found = services_.find(name);
    if (found == services_.end() || found->second.removed) {
        look_at_files_ = true;
        return;
    }
    Service& service = found->second;
    service.committed = false;
    service.keep_log = true;
    if (service.candidate) {
        give_up(service, "it was not confirmed");
    }
    const std::string& text = coming_back_.at(name);
    if (!text.empty()) {
        load_files(check, problems);
    }
    const bool runs = service.current() != nullptr && service.current()->text() == text;
    if (!runs && !service.candidate) {
        take_down(service);  // no version before, or one that may not be served now
    }
}

void Services::end_trials(const ClaimCheck& check, std::vector<std::string>* problems) {
    for (const auto& name : trials_over()) {
        if (auto status = put_back(name); !status) {
            problems->push_back(status.error().what);
            next_end_ = boot_now() + kRetry;
            context_.loop.at(next_end_, [this] { context_.changed(); });
        }
        if (coming_back_.contains(name)) {
            bring_back(name, check, problems);
        }
    }
    coming_back_.clear();
    context_.changed();
}

}  // namespace viscum
