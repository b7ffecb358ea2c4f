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
    trial.until_ms = static_cast<std::uint64_t>(std::chrono::ceil<Millis>(boot_now() + *candidate.confirm).count());
    trial.digest = digest_of(candidate.text);
    return trial;
}

Status Services::write_down(const std::string& name, const Candidate& candidate) {
    std::optional<VersionTrial> trial;
    if (candidate.confirm) {
        auto begun = begin_trial(name, candidate);
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
    } else if (candidate.wait && !candidate.comes_back && saved_.trials.contains(name)) {
        // The operator's word. Only now: without the file the trial would have to go on. It means nothing with it.
        if (const auto dropped = drop_trial(name, std::nullopt); !dropped) {
            log_warn(dropped.error().what);
        }
    }
    return {};
}

void Services::forget_before(const std::string& name) {
    if (const auto status = store_.forget_before(name); !status) {
        log_warn(status.error().what);
    }
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

void Services::await_trial(const VersionTrial& trial) {
    if (is_on(trial)) {
        context_.loop.at(until(trial), [this] { context_.changed(); });
    }
}

std::optional<Response> Services::answer_on_trial(const std::string& name, bool stays_on_trial) {
    const auto trial = saved_.trials.find(name);
    if (trial == saved_.trials.end() || trial->second.until_ms == 0) {
        return std::nullopt;
    }
    if (is_over(trial->second)) {
        return failure(Code::refused, cat(name, ": it was not confirmed, and the version before comes back"),
                       "deploy it again once that is there");
    }
    if (stays_on_trial) {
        Response response = done(cat(name, ": nothing to do, this version is deployed, and on trial"), false);
        response.hint = confirm_hint(name, *trial_left(name));
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
        await_trial(trial);
    }
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
    if (!coming_back_.at(name).empty()) {
        load_files(check, problems);
    }
    make_way(name);
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
