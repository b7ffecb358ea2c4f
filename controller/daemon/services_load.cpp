// SPDX-License-Identifier: GPL-2.0-only
// How services come to be known without an operator's request: by what runs, and by their files.
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "controller/daemon/services.h"
#include "controller/spec/parse.h"

namespace viscum {
namespace {

constexpr std::size_t kSpecLimit = 256 * 1024;
constexpr std::size_t kDigestLimit = 64;

/// The image that the run of this directory was made from.
std::optional<Image> adopted_image(const Instance& instance, const std::string& dir) {
    const auto digest = read_file(dir + "/image", kDigestLimit);
    auto image = digest ? find_image(instance, *digest) : Result<Image>(Error{});
    return image ? std::optional<Image>(*std::move(image)) : std::nullopt;
}

/// What a run directory keeps of its service file.
struct Kept {
    ServiceSpec spec;
    std::string text;
};

/// nullopt: it was not written yet. One that another version of viscumd could read claims nothing: what runs is taken
/// down in order.
Result<std::optional<Kept>> read_kept(const std::string& dir, const std::string& service) {
    auto text = read_file(dir + "/spec", kSpecLimit);
    if (!text && text.error().errno_code == ENOENT) {
        return std::optional<Kept>();
    }
    const bool is_none = !text && (text.error().errno_code == EFBIG || text.error().errno_code == EISDIR);
    if (!text && !is_none) {
        return std::move(text).error();
    }
    Kept kept;
    kept.text = text ? *text : "";
    auto parsed = text ? parse_service(*text, dir + "/spec") : Parsed<ServiceSpec>(Diagnostics{});
    auto* const spec = std::get_if<ServiceSpec>(&parsed);
    if (spec != nullptr && spec->name == service) {
        kept.spec = std::move(*spec);
    } else {
        kept.spec.name = service;
    }
    return std::optional(std::move(kept));
}

}  // namespace

Status Services::load(const ClaimCheck& check, std::vector<std::string>* problems) {
    saved_ = store_.load_state(problems);
    settle_versions(problems);
    if (auto status = adopt_runs(problems); !status) {
        return status;
    }
    forget_groups(problems);
    load_trials(problems);
    load_files(check, problems);
    for (const auto& [name, text] : coming_back_) {
        make_way(name);
    }
    coming_back_.clear();
    for (auto& [name, service] : services_) {
        if (!service.committed) {
            take_down(service);  // removed, or never deployed to the end, when the viscumd before ended
        }
    }
    loading_ = false;
    if (auto status = save([](SavedState&) {}); !status) {
        problems->push_back(status.error().what);
    }
    return {};
}

Status Services::dissolve(std::vector<std::string>* problems) {
    saved_ = store_.load_state(problems);
    if (auto status = adopt_runs(problems); !status) {
        return status;
    }
    loading_ = false;
    forget_groups(problems);
    for (auto& [name, service] : services_) {
        take_down(service, Millis(0));
    }
    return {};
}

/// Whether a process of it runs.
Result<bool> Services::adopt_run(const BackendKey& key, std::vector<std::string>* problems) {
    const std::string dir = cat(context_.instance.runs_dir(), '/', key.service, '.', key.slot);
    auto kept = read_kept(dir, key.service);
    if (!kept) {
        return std::move(kept).error();
    }
    if (!*kept) {
        // The viscumd before ended before it had written the file: nothing else of the run exists.
        if (auto status = remove_directory(dir); !status) {
            problems->push_back(status.error().what);
        }
        return false;
    }
    auto process = Process::adopt(dir);
    if (!process) {
        // The run stays known: its next launch finds the shim that is there.
        problems->push_back(std::move(process).error().in(cat("cannot adopt '", key.text(), "'")).what);
        process = std::optional<Process>();
    }
    context_.world.know(key);
    const bool runs = process->has_value();
    if (runs) {
        if (auto status = context_.world.adopt_net_ns(key, (*process)->pid()); !status) {
            problems->push_back(status.error().what);
        }
    }
    // A rule's admission is its active slot's. The other one's run finishes, or was about to take over: not healthy
    // until it is asked.
    bool active = false;
    Admission admission = Admission::drain;
    for (const auto& claim : (*kept)->spec.intercept) {
        if (context_.world.active_in_kernel(claim) == key.slot) {
            admission = std::max(active ? admission : Admission::off, context_.world.admission_in_kernel(claim));
            active = true;
        }
    }
    Service& service = service_named(key.service);
    if (auto status = give_number(service); !status) {
        problems->push_back(status.error().what);
    }
    auto run = std::make_unique<Run>(context_, key, std::move((*kept)->spec), std::move((*kept)->text),
                                     RunIdentity{service.number, adopted_image(context_.instance, dir)});
    run->adopt(std::move(*process), admission);
    if (active) {
        service.primary = key.slot;
    }
    service.runs[static_cast<std::size_t>(key.slot)] = std::move(run);
    return runs;
}

Status Services::adopt_runs(std::vector<std::string>* problems) {
    const auto names = list_directory(context_.instance.runs_dir());
    if (!names) {
        return names.error();
    }
    int adopted = 0;
    for (const auto& name : *names) {
        const bool second = name.ends_with(".1");
        if (!second && !name.ends_with(".0")) {
            continue;  // not ours
        }
        const auto runs = adopt_run({name.substr(0, name.size() - 2), second ? 1 : 0}, problems);
        if (!runs) {
            return runs.error();
        }
        adopted += *runs ? 1 : 0;
    }
    for (auto& [name, service] : services_) {
        if (!service.current()) {
            service.primary = 1 - service.primary;
        }
    }
    if (adopted > 0) {
        log_info(cat("what runs is adopted: ", adopted, adopted == 1 ? " process" : " processes"));
    }
    return {};
}

/// Groups whose run is not there: what an earlier version, or somebody who emptied /run, left.
void Services::forget_groups(std::vector<std::string>* problems) const {
    const auto names = context_.cgroups.names();
    if (!names) {
        problems->push_back(names.error().what);
        return;
    }
    for (const auto& name : *names) {
        // Not on a mere failure to look: what runs in it would be ended.
        if (access(cat(context_.instance.runs_dir(), '/', name).c_str(), F_OK) == 0 || errno != ENOENT) {
            continue;
        }
        if (auto status = context_.cgroups.remove(name); !status) {
            problems->push_back(status.error().what);
        }
    }
}

/// The version of a file in services/: its run goes on, and the service's other run finishes.
void Services::want_file(Service& service, const ServiceSpec& spec, const std::string& text,
                         std::optional<Image> image) {
    const bool comes_back = coming_back_.contains(service.name);
    // Without one that is known the image has the name that the file gives it, which may have moved on.
    const bool same_image = comes_back || saved_.images.contains(service.name);
    const std::string digest = image ? image->digest : "";
    const auto is_it = [&](const Run* run) {
        return run != nullptr && !run->stopping() && run->text() == text &&
               (!same_image || run->image_digest() == digest);
    };
    for (const int slot : {0, 1}) {
        if (is_it(service.run(slot)) && !is_it(service.current())) {
            service.primary = slot;
        }
    }
    if (Run* other = service.run(1 - service.primary)) {
        other->stop();  // also where neither is this version: it needs a slot
    }
    if (is_it(service.current())) {
        return;
    }
    Candidate candidate;
    candidate.spec = spec;
    candidate.text = text;
    candidate.image = std::move(image);
    if (comes_back && service.current() != nullptr) {
        candidate.comes_back = true;
        candidate.wait = spec.health.start_timeout;
    }
    propose(service, std::move(candidate));
}

void Services::load_files(const ClaimCheck& check, std::vector<std::string>* problems) {
    look_at_files_ = false;
    const auto stored = store_.load_services(problems);
    if (!stored.complete) {
        // What cannot be read is not unwanted: whatever runs goes on until it can.
        look_at_files_ = true;
        for (auto& [name, service] : services_) {
            service.committed = service.committed || !service.removed;
        }
    }
    std::vector<ServiceSpec> accepted;
    for (const auto& [name, service] : services_) {
        if (service.committed && service.current() != nullptr) {
            accepted.push_back(service.current()->spec());
        }
    }
    for (const auto& [name, text] : stored.services) {
        const auto known = services_.find(name);
        if (known != services_.end() && (known->second.committed || known->second.removed || known->second.candidate)) {
            continue;
        }
        load_file(name, text, check, accepted, problems);
    }
}

void Services::load_file(const std::string& name, const std::string& text, const ClaimCheck& check,
                         std::vector<ServiceSpec>& accepted, std::vector<std::string>* problems) {
    const std::string path = cat(context_.instance.services_dir(), '/', name, ".yaml");
    auto parsed = parse_service(text, path);
    const auto* spec = std::get_if<ServiceSpec>(&parsed);
    const auto running = services_.find(name);
    if (spec == nullptr || spec->name != name) {
        problems->push_back(spec != nullptr ? cat("'", path, "' names the service '", spec->name, "'")
                                            : std::get<Diagnostics>(parsed).front().text());
        unserved_[name] = problems->back();
        if (running != services_.end()) {
            running->second.committed = true;  // the version that runs goes on
        }
        return;
    }
    const auto objections = check(*spec, accepted);
    if (!objections) {
        problems->push_back(cat("'", path, "' cannot be judged yet: ", objections.error().what));
        look_at_files_ = true;
        if (running != services_.end()) {
            running->second.committed = true;
        }
        return;
    }
    if (!objections->empty()) {
        problems->push_back(cat("'", path, "' is not served: ", objections->front()));
        unserved_[name] = objections->front();
        return;
    }
    const auto pinned = saved_.images.find(name);
    auto image = image_of(*spec, pinned == saved_.images.end() ? "" : pinned->second);
    if (!image) {
        problems->push_back(cat("'", path, "' is not served: ", image.error().what));
        unserved_[name] = image.error().what;
        if (running != services_.end()) {
            running->second.committed = true;
        }
        return;
    }
    unserved_.erase(name);
    Service& service = service_named(name);
    service.committed = true;
    want_file(service, *spec, text, *std::move(image));
    accepted.push_back(*spec);
}

Service& Services::service_named(const std::string& name) {
    const auto [found, fresh] = services_.try_emplace(name);
    if (fresh) {
        found->second.name = name;
        found->second.drained = saved_.drained.contains(name);
    }
    return found->second;
}

void Services::recheck(const ClaimCheck& check, std::vector<std::string>* problems) {
    for (auto& [name, service] : services_) {
        if (service.removed) {
            continue;
        }
        std::string objection;
        for (const auto& spec : specs_of(service)) {
            const auto objections = check(spec, {});
            if (objections && !objections->empty()) {
                objection = objections->front();
            }
        }
        if (objection.empty()) {
            continue;
        }
        service.committed = false;
        unserved_[name] = objection;
        problems->push_back(cat("'", name, "' is taken down: ", objection));
        if (service.candidate) {
            give_up(service, objection, false);
        }
        service.keep_log = true;
        take_down(service);
    }
}

void Services::look_again(const ClaimCheck& check, bool at_once, std::vector<std::string>* problems) {
    if (at_once || look_at_files_) {
        load_files(check, problems);
    }
}

}  // namespace viscum
