// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/services.h"

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "controller/bundle/record.h"
#include "controller/daemon/answers.h"
#include "controller/daemon/journal.h"
#include "controller/daemon/numbers.h"
#include "controller/plan/aliases.h"

namespace viscum {
namespace {

constexpr int kStartsBeforeGivingUp = 3;
constexpr std::size_t kLogLook = 1;  // whether there is something in it

/// What becomes of new flows that it does not get.
const char* fate(const Service& service) {
    const Run* run = service.current();
    return run != nullptr && run->spec().on_failure == OnFailure::drop ? "are dropped" : "go to the cloud";
}

}  // namespace

Services::Services(RunContext& context, Store& store, std::function<void(std::uint64_t, const Response&)> answer)
    : context_(context), store_(store), answer_(std::move(answer)) {}

void Services::take_down(Service& service, Millis drain) {
    service.removed = true;
    for (const auto& run : service.runs) {
        if (run) {
            run->stop(drain);
        }
    }
    context_.changed();
}

std::vector<ServiceSpec> Services::specs_of(const Service& service) {
    std::vector<ServiceSpec> specs;
    for (const auto& run : service.runs) {
        if (run) {
            specs.push_back(run->spec());
        }
    }
    if (service.candidate && !service.candidate->slot) {
        specs.push_back(service.candidate->spec);
    }
    return specs;
}

std::vector<ServiceSpec> Services::specs() const {
    std::vector<ServiceSpec> specs;
    for (const auto& [name, service] : services_) {
        for (auto& spec : specs_of(service)) {
            specs.push_back(std::move(spec));
        }
    }
    return specs;
}

void Services::deploy(const ServiceSpec& spec, const std::string& text, std::uint64_t client, Millis wait,
                      std::optional<Millis> confirm) {
    auto image = image_of(spec, "");
    if (!image) {
        tell_asked("deploy-refused", spec.name, cat("not deployed: ", image.error().what));
        answer_(client, failure(Code::refused, cat("'", spec.name, "': ", image.error().what), kImageHint));
        return;
    }
    Service& service = service_named(spec.name);
    if (service.candidate) {
        answer_(client, failure(Code::refused, cat("'", spec.name, "' is being deployed already"),
                                "wait for it, and deploy again"));
        return;
    }
    if (service.is_deployed(text, *image)) {
        const auto answer = answer_on_trial(spec.name, client, confirm);
        const std::string ended = describe_ended(spec, wall_now());
        answer_(client, answer ? *answer
                               : done(cat(spec.name, ": nothing to do, this version is deployed",
                                          ended.empty() ? "" : cat("; ", ended)),
                                      false));
        return;
    }
    Candidate candidate;
    candidate.spec = spec;
    candidate.text = text;
    candidate.image = *std::move(image);
    candidate.client = client;
    candidate.deploy = client;
    candidate.wait = std::min(wait, spec.health.start_timeout);
    candidate.confirm = confirm;
    if (service.removed) {
        service.removed = false;
        answer_(std::exchange(service.remover, 0),
                failure(Code::failed, cat("'", spec.name, "' was deployed again meanwhile"), ""));
    }
    propose(service, std::move(candidate));
}

void Services::restart(const std::string& name, std::uint64_t client, Millis wait) {
    const auto found = services_.find(name);
    if (found == services_.end() || found->second.removed || found->second.current() == nullptr) {
        answer_(client, no_such_service(name));
        return;
    }
    Service& service = found->second;
    if (service.candidate) {
        answer_(client,
                failure(Code::refused, cat("'", name, "' is being deployed"), "wait for it, and restart again"));
        return;
    }
    Candidate candidate;
    candidate.spec = service.current()->spec();
    candidate.text = service.current()->text();
    candidate.image = service.current()->identity().image;
    candidate.client = client;
    candidate.wait = std::min(wait, candidate.spec.health.start_timeout);
    candidate.restart = true;
    propose(service, std::move(candidate));
}

void Services::propose(Service& service, Candidate candidate) {
    candidate.asked = boot_now();
    if (candidate.client != 0 && context_.journal != nullptr) {
        candidate.key = context_.journal->key();
    }
    service.candidate = std::move(candidate);
    start_candidate(service);
    context_.changed();
}

void Services::start_candidate(Service& service) {
    Candidate& candidate = *service.candidate;
    const auto slot = service.free_slot();
    if (!slot) {
        if (!std::exchange(candidate.told, true)) {
            answer_(candidate.client, progress(cat(service.name, ": waits for the connections of an earlier version")));
        }
        return;
    }
    const BackendKey key{service.name, *slot};
    if (context_.world.has_name(key)) {
        // What an earlier viscumd left has a run directory, and was adopted.
        give_up(service, cat("a namespace of the name that ", key.text(), " would have is there, and is not ours"));
        return;
    }
    if (auto status = give_number(service); !status) {
        give_up(service, status.error().what, true, Code::failed);
        return;
    }
    auto run = std::make_unique<Run>(context_, key, candidate.spec, candidate.text,
                                     RunIdentity{service.number, candidate.image});
    if (auto status = run->begin(); !status) {
        give_up(service, status.error().what);
        return;
    }
    context_.world.know(key);
    service.runs[static_cast<std::size_t>(*slot)] = std::move(run);
    candidate.slot = *slot;
    candidate.begun = boot_now();
    if (candidate.wait) {
        candidate.timer = context_.loop.after(*candidate.wait, [this] { context_.changed(); });
    }
    Run* current = service.current();
    if (current == nullptr || current->stopping()) {
        service.primary = *slot;
    }
    log_info(cat("'", service.name, "' is started",
                 service.run(1 - *slot) != nullptr ? " beside the version that runs" : ""));
    answer_(candidate.client, progress(cat(service.name, ": starting")));
    await_word(service);
}

void Services::remove(const std::string& name, std::uint64_t client, Millis drain) {
    const auto found = services_.find(name);
    if (found == services_.end() && unserved_.contains(name)) {
        remove_unserved(name, client);
        return;
    }
    if (found == services_.end() || (found->second.removed && found->second.remover != 0)) {
        answer_(client, no_such_service(name));
        return;
    }
    Service& service = found->second;
    // The decision first, durably; what follows is made good at the next start, too.
    if (auto status = store_.remove_service(name); !status) {
        answer_(client, failure(Code::failed, status.error().what, ""));
        return;
    }
    service.committed = false;
    if (service.candidate) {
        give_up(service, "it was removed while it was deployed", false);
    }
    service.keep_log = false;
    service.remover = client;
    if (auto status = save([&name](SavedState& state) {
            state.drained.erase(name);
            state.images.erase(name);
            state.trials.erase(name);
        });
        !status) {
        log_warn(status.error().what);
    }
    forget_before(name);
    log_info(cat("'", name, "' is removed"));
    tell_asked("removed", name, "removed: it goes when its connections are done");
    answer_(client, progress(cat(name, ": draining")));
    take_down(service, drain);
}

void Services::remove_unserved(const std::string& name, std::uint64_t client) {
    auto status = store_.remove_service(name);
    if (status) {
        status = save([](SavedState&) {});
    }
    if (!status) {
        answer_(client, failure(Code::failed, status.error().what, ""));
        return;
    }
    unserved_.erase(name);
    forget_before(name);
    remove_log(name);
    log_info(cat("'", name, "', which was not served, is removed"));
    tell_asked("removed", name, "removed; it was not served");
    answer_(client, done(cat(name, ": removed"), true));
}

void Services::set_drained(const std::string& name, bool drained, std::uint64_t client) {
    std::vector<std::string> names;
    for (const auto& [other, service] : services_) {
        if (!service.removed && (name.empty() || name == other)) {
            names.push_back(other);
        }
    }
    if (names.empty()) {
        answer_(client, name.empty() ? done("nothing to do, there is no service", false) : no_such_service(name));
        return;
    }
    const auto note = [&](SavedState& state) {
        for (const auto& each : names) {
            drained ? static_cast<void>(state.drained.insert(each)) : static_cast<void>(state.drained.erase(each));
        }
    };
    if (auto status = save(note); !status) {
        answer_(client, failure(Code::failed, status.error().what, ""));
        return;
    }
    bool changed = false;
    std::vector<std::string> lines;
    for (const auto& each : names) {
        Service& service = services_.at(each);
        const bool changes = service.drained != drained;
        service.drained = drained;
        changed = changed || changes;
        if (changes) {
            log_info(cat("'", each, "' is ", drained ? "drained" : "resumed", " by the operator"));
            drained ? tell_asked("drained", each, cat("drained: new flows ", fate(service), " until it is resumed"))
                    : tell_asked("resumed", each, "resumed: the drain is over");
        }
        lines.push_back(!changes  ? cat(each, ": nothing to do, it is ", drained ? "drained" : "not drained")
                        : drained ? cat(each, ": drained: new connections ", fate(service))
                                  : cat(each, ": resumed"));
    }
    context_.changed();
    answer_(client, done(join(lines, "\n"), changed));
}

void Services::forget_client(std::uint64_t client) {
    for (auto& [name, service] : services_) {
        if (service.candidate && service.candidate->client == client) {
            service.candidate->client = 0;
        }
        if (service.remover == client) {
            service.remover = 0;
        }
    }
}

std::string Services::candidate_failure(const Service& service) {
    const Candidate& candidate = *service.candidate;
    if (!candidate.wait) {
        return {};  // one that stood in services/ at the start is tried for ever
    }
    if (!candidate.slot) {
        return service.stuck();  // drain_timeout bounds the earlier version's drain
    }
    const Run* run = service.run(*candidate.slot);
    if (boot_now() - candidate.begun >= *candidate.wait) {
        return cat("not healthy in ", format_duration(*candidate.wait), ": ", run->reason());
    }
    if (run->state() == RunState::failed) {
        return run->reason();
    }
    const bool cannot_run = run->last_exit() && run->last_exit()->kind == ExitStatus::Kind::failed;
    if (run->state() == RunState::backoff &&
        (cannot_run || run->starts() >= kStartsBeforeGivingUp || run->starts() == 0)) {
        return run->reason();
    }
    return {};
}

void Services::settle_candidate(Service& service, const std::string& rules_problem) {
    Candidate& candidate = *service.candidate;
    if (!candidate.slot) {
        start_candidate(service);
        if (!service.candidate) {
            return;
        }
    }
    if (candidate.slot && service.run(*candidate.slot)->state() == RunState::up) {
        if (rules_problem.empty()) {
            promote(service);
        } else {
            give_up(service, rules_problem);
        }
        return;
    }
    if (const auto why = candidate_failure(service); !why.empty()) {
        give_up(service, why);
    }
}

void Services::promote(Service& service) {
    Candidate candidate = std::move(*service.candidate);
    if (!candidate.restart) {
        if (const auto status = write_down(service.name, candidate); !status) {
            service.candidate = std::move(candidate);
            give_up(service, status.error().what, true, Code::failed);
            return;
        }
    }
    service.candidate.reset();
    context_.loop.cancel(candidate.timer);
    context_.loop.cancel(candidate.look);
    service.committed = true;
    unserved_.erase(service.name);
    service.primary = *candidate.slot;
    if (Run* before = service.run(1 - service.primary)) {
        before->stop();
    }
    const auto took = std::chrono::duration_cast<Millis>(boot_now() - candidate.asked);
    log_info(cat("'", service.name, "' is healthy after ", took.count(), " ms"));
    tell_promoted(service.name, candidate, took);
    const std::string ended = describe_ended(candidate.spec, wall_now());
    Response response =
        done(cat(service.name, ": healthy after ", took.count(), " ms", ended.empty() ? "" : cat("; ", ended)), true);
    if (const auto left = trial_left(service.name)) {
        response.hint = confirm_hint(service.name, *left);
    }
    const auto lan = context_.world.lan_devices();
    if (std::none_of(lan.begin(), lan.end(), [](const LanDevice& device) { return device.usable; })) {
        response.hint = "no device of 'lan:' is there: nothing is intercepted until one comes";
    }
    response.facts["ms_to_healthy"] = std::to_string(took.count());
    answer_(candidate.client, response);
    context_.changed();
}

void Services::give_up(Service& service, const std::string& why, bool keeps_before, Code code) {
    const Candidate candidate = std::move(*service.candidate);
    service.candidate.reset();
    context_.loop.cancel(candidate.timer);
    context_.loop.cancel(candidate.look);
    Run* before = nullptr;
    if (candidate.slot) {
        service.run(*candidate.slot)->stop();
        before = service.run(1 - *candidate.slot);
        service.primary = before != nullptr ? 1 - *candidate.slot : *candidate.slot;
    } else {
        before = service.current();
    }
    const bool serves = keeps_before && !candidate.comes_back && before != nullptr && !before->stopping();
    std::vector<std::string> hints;
    if (serves) {
        hints.emplace_back("the version before serves on");
    }
    if (const auto log = read_file(context_.instance.log_file(service.name), kLogLook);
        log ? !log->empty() : log.error().errno_code != ENOENT) {
        hints.push_back(cat("see 'viscumctl logs ", service.name, "'"));
    }
    service.removed = !serves;
    service.keep_log = true;
    log_warn(cat("'", service.name, "' was not deployed: ", why));
    tell_given_up(service.name, candidate, why, serves);
    answer_(candidate.client, failure(code, cat(service.name, ": ", why), join(hints, "; ")));
    if (candidate.comes_back) {
        take_down(service);  // what was not confirmed goes all the same, and the file is tried on
    }
    context_.changed();
}

void Services::settle(const std::string& rules_problem) {
    for (auto it = services_.begin(); it != services_.end();) {
        Service& service = it->second;
        if (service.candidate) {
            settle_candidate(service, rules_problem);
        }
        if (!service.candidate && service.removed && !service.has_runs()) {
            if (!service.committed && unserved_.contains(service.name) && !store_.has_service(service.name)) {
                unserved_.erase(service.name);
            }
            if (!service.keep_log) {
                remove_log(service.name);
            }
            answer_(service.remover, done(cat(service.name, ": removed"), true));
            look_at_files_ = true;  // its file may stand, and be permitted again
            it = services_.erase(it);
            if (auto status = save([](SavedState&) {}); !status) {
                log_warn(status.error().what);
            }
            continue;
        }
        if (const std::string why = service.stuck(); service.removed && service.remover != 0 && !why.empty()) {
            answer_(std::exchange(service.remover, 0),
                    failure(Code::failed, cat(service.name, ": serves no more, and cannot be taken down yet: ", why),
                            "viscumd goes on trying"));
        }
        ++it;
    }
}

void Services::remove_log(const std::string& name) {
    const std::string log = context_.instance.log_file(name);
    for (const auto& file : {log, log + ".1"}) {
        if (auto status = remove_file(file); !status) {
            log_warn(status.error().what);
        }
    }
}

Status Services::save(const std::function<void(SavedState&)>& change) {
    SavedState state = saved_;
    change(state);
    // What is gone is forgotten, also where that could not be written when it went.
    const auto gone = [this](const std::string& name) {
        return !loading_ && !services_.contains(name) && !store_.has_service(name);
    };
    std::erase_if(state.numbers, [&gone](const auto& entry) { return gone(entry.first); });
    std::erase_if(state.images, [&gone](const auto& entry) { return gone(entry.first); });
    std::erase_if(state.trials, [&gone](const auto& entry) { return gone(entry.first); });
    std::erase_if(state.next, [&gone](const auto& entry) { return gone(entry.first); });
    std::erase_if(state.drained, gone);
    if (auto status = store_.save_state(state); !status) {
        return status;
    }
    saved_ = std::move(state);
    return {};
}

Status Services::give_number(Service& service) {
    const auto number = number_of(saved_.numbers, service.name);
    if (!number) {
        return Error{ENOSPC, cat("all of the ", kNumbers, " numbers for services are taken")};
    }
    service.number = *number;
    return save([&](SavedState& state) { state.numbers[service.name] = *number; });
}

Result<std::optional<Image>> Services::image_of(const ServiceSpec& spec, const std::string& digest) const {
    if (spec.run.image.empty()) {
        return std::optional<Image>();
    }
    std::string wanted = digest.empty() ? spec.run.image : digest;
    if (digest.empty() && !spec.bundle.empty()) {
        // Of the bundle, whoever has the image's name by now.
        const auto brought = bundle_image(context_.instance, spec.bundle);
        if (!brought || !*brought) {
            return brought ? Error{ENOENT, "its bundle brought no image"} : brought.error();
        }
        wanted = (*brought)->digest;
    }
    auto image = find_image(context_.instance, wanted);
    if (!image) {
        return std::move(image).error();
    }
    return std::optional<Image>(*std::move(image));
}

}  // namespace viscum
