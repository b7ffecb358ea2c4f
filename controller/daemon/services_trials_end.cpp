// SPDX-License-Identifier: GPL-2.0-only
// What comes of a version that nobody confirmed.
#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "controller/daemon/services.h"
#include "controller/daemon/trial_clock.h"

namespace viscum {

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

/// Whose file is there: who changed it and the trial may have ended between the two.
Result<Services::TrialFile> Services::file_of(const std::string& name, const VersionTrial& trial) const {
    const auto file = store_.service_text(name);
    if (!file && file.error().errno_code != ENOENT) {
        return file.error();
    }
    if (file && digest_of(*file) == trial.digest) {
        return TrialFile::on_trial;
    }
    if (trial.first) {
        return file ? TrialFile::another : TrialFile::put_back;
    }
    const auto before = store_.before(name);
    if (!before && before.error().errno_code != ENOENT) {
        return before.error();
    }
    return file && before && *file == *before ? TrialFile::put_back : TrialFile::another;
}

/// The trials that the viscumd before left: those that mean something go on, or end now.
void Services::load_trials(std::vector<std::string>* problems) {
    const auto trials = saved_.trials;
    for (const auto& [name, trial] : trials) {
        if (trial.until_ms == 0) {
            continue;
        }
        const auto file = file_of(name, trial);
        // Its deploy was interrupted, or another one was, or a removal.
        const bool moot = file && !is_over(trial) && *file != TrialFile::on_trial;
        const auto image = file && *file == TrialFile::put_back ? std::optional(trial.image_before) : std::nullopt;
        auto status = !file            ? Status(file.error())
                      : moot           ? drop_trial(name, image)
                      : is_over(trial) ? put_back(name)
                                       : Status();
        if (!status) {
            problems->push_back(std::move(status).error().what);
        }
    }
    await_trials();
    store_.forget_others_before(saved_.trials, problems);
}

/// The file and what belongs to it. Repeated after an interruption it leads to the same.
Status Services::put_back(const std::string& name) {
    const auto found = saved_.trials.find(name);
    if (found == saved_.trials.end()) {
        return {};
    }
    const VersionTrial trial = found->second;
    const auto file = file_of(name, trial);
    if (!file) {
        return file.error();
    }
    if (*file == TrialFile::another) {
        return drop_trial(name, std::nullopt);
    }
    const auto text = trial.first ? Result<std::string>("") : store_.before(name);
    if (!text && text.error().errno_code == ENOENT) {
        log_error(cat("'", name, "' was not confirmed and stays: the version before is lost"));
        return drop_trial(name, std::nullopt);
    }
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
    if (trial.first) {
        unserved_.erase(name);
    }
    tell("unconfirmed", name,
         trial.first ? "it was not confirmed, and goes: there was no version before"
                     : "it was not confirmed: the version before comes back");
    coming_back_[name] = *text;
    forget_before(name);
    return {};
}

/// After the file was put back, and the files were read: what was on trial goes where nothing takes its place soon.
void Services::make_way(const std::string& name) {
    const auto found = services_.find(name);
    if (found == services_.end() || found->second.removed) {
        return;
    }
    Service& service = found->second;
    Run* current = service.current();
    const auto image = saved_.images.find(name);
    const bool stands = current != nullptr && !current->stopping() && current->text() == coming_back_.at(name) &&
                        current->image_digest() == (image == saved_.images.end() ? "" : image->second);
    if (stands) {
        return;
    }
    if (!service.candidate) {
        service.committed = false;
        take_down(service);  // there is no version before, or it may not be served now
    } else if (!service.candidate->slot && current != nullptr) {
        current->stop();  // the slot that it waits for may take long to come free; the cloud serves meanwhile
    }
}

void Services::bring_back(const std::string& name) {
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
}

void Services::end_trials(const ClaimCheck& check, std::vector<std::string>* problems) {
    for (const auto& name : trials_over()) {
        if (auto status = put_back(name); !status) {
            problems->push_back(status.error().what);
            next_end_ = boot_now() + kTrialRetry;
            context_.loop.at(next_end_, [this] { context_.changed(); });
        }
        if (coming_back_.contains(name)) {
            bring_back(name);
        }
    }
    // All files are there: they may have to be judged by each other.
    if (std::ranges::any_of(coming_back_, [](const auto& file) { return !file.second.empty(); })) {
        load_files(check, problems);
    }
    for (const auto& [name, text] : coming_back_) {
        make_way(name);
    }
    coming_back_.clear();
    context_.changed();
}

}  // namespace viscum
