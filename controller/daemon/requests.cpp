// SPDX-License-Identifier: GPL-2.0-only
// The operator's requests.
#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "controller/bundle/record.h"
#include "controller/daemon/answers.h"
#include "controller/daemon/daemon.h"
#include "controller/daemon/footprint.h"
#include "controller/daemon/report_builder.h"
#include "controller/ipc/json.h"
#include "controller/plan/aliases.h"
#include "controller/spec/parse.h"

namespace viscum {
namespace {

constexpr Millis kDefaultWait{30'000};
constexpr Millis kShortestTrial{1'000};
constexpr Millis kLongestTrial{24 * 3'600'000};
constexpr std::uint64_t kSavingsDays = 30;  // where nobody says how many
constexpr std::size_t kMaxBy = 64;
constexpr std::size_t kMaxFiles = 64;
constexpr Millis kReportPatience{1'000};  // an operator who looks wants to see something
constexpr Millis kQuiet{5'000};           // who asks once may ask again

Response refusal(Code code, std::string message, std::string hint = {}, std::vector<std::string> details = {}) {
    Response response = failure(code, std::move(message), std::move(hint));
    response.details = std::move(details);
    return response;
}

bool is_write(const std::string& verb) {
    return verb == "deploy" || verb == "confirm" || verb == "revert" || verb == "remove" || verb == "drain" ||
           verb == "resume" || verb == "restart";
}

/// Why the files of a service's bundle are not those that it is to have; empty: they are, or it has none. An older
/// bundle that is still there could otherwise come back by its name alone.
std::string bundle_mistake(const Instance& instance, const ServiceSpec& spec) {
    if (spec.bundle.empty()) {
        return "";
    }
    const auto last = last_version(instance, spec.name);
    if (!last) {
        return last.error().what;
    }
    return *last && (*last)->digest == spec.bundle ? "" : "its 'bundle:' is not the one that came last";
}

Millis wait_of(const Request& request) {
    return request.wait_ms < 0 ? kDefaultWait : Millis(request.wait_ms);
}

}  // namespace

void Daemon::on_request(ClientId client, const Request& request) {
    // Reading a file and writing a report take much for a moment.
    loop_->cancel(memory_timer_);
    memory_timer_ = loop_->after(kQuiet, give_back_memory);
    pending_[client] = {1, {}};
    const auto& verb = request.verb;
    if (!request.by.empty() && is_write(verb)) {
        log_info(cat(verb, request.service.empty() ? "" : " ", request.service, ": asked for with the key ",
                     json_quote(request.by.substr(0, kMaxBy))));
    }
    journal_->begin_request(request.by.substr(0, kMaxBy));
    if (verb == "deploy") {
        deploy(client, request);
    } else if (verb == "confirm" || verb == "revert") {
        services_->end_trials_of(request.service, client, verb == "confirm");
    } else if (verb == "plan") {
        plan(client, request);
    } else if (verb == "remove") {
        services_->remove(request.service, client, request.wait_ms < 0 ? Millis::max() : Millis(request.wait_ms));
    } else if (verb == "drain" || verb == "resume") {
        services_->set_drained(request.service, verb == "drain", client);
    } else if (verb == "restart") {
        services_->restart(request.service, client, wait_of(request));
    } else if (verb == "exec-info") {
        exec_info(client, request);
    } else if (verb == "audit") {
        audit(client, request);
    } else if (verb == "images") {
        images(client);
    } else if (verb == "savings") {
        savings(client, request);
    } else if (verb == "list" || verb == "status" || verb == "version") {
        report(client, request);
    } else {
        answer(client, refusal(Code::invalid, cat("viscumd does not know the verb '", verb, "'"),
                               "viscumctl and viscumd may be of different versions: see 'viscumctl version'"));
    }
    journal_->end_request();
}

void Daemon::answer(ClientId client, const Response& response) {
    if (client == 0 || !server_) {
        return;
    }
    const auto found = pending_.find(client);
    if (found == pending_.end()) {
        return;
    }
    if (!response.final) {
        server_->send(client, response);
        return;
    }
    // Several services make one answer: the worst code, every message.
    Pending& pending = found->second;
    Response& sum = pending.sum;
    sum.message += cat(sum.message.empty() ? "" : "\n", response.message);
    sum.changed = sum.changed || response.changed;
    if (sum.code == Code::done) {
        sum.code = response.code;
    }
    if (sum.hint.empty()) {
        sum.hint = response.hint;
    }
    sum.details.insert(sum.details.end(), response.details.begin(), response.details.end());
    sum.facts.insert(response.facts.begin(), response.facts.end());
    if (!response.report.empty()) {
        sum.report = response.report;
    }
    if (--pending.open == 0) {
        finished_[client] = {std::move(sum), boot_now()};
        pending_.erase(found);
    }
}

void Daemon::send_finished() {
    const bool behind = reconciler_->behind();
    std::erase_if(finished_, [&](const auto& entry) {
        const auto& [client, finished] = entry;
        // Where one pass follows the other, who asks how things are is told what is known.
        if (behind && (finished.response.report.empty() || boot_now() - finished.since < kReportPatience)) {
            return false;
        }
        server_->send(client, finished.response);
        return true;
    });
}

std::optional<std::vector<Daemon::Checked>> Daemon::check_files(ClientId client, const Request& request) {
    if (request.files.size() > kMaxFiles) {
        answer(client, refusal(Code::invalid, cat("more than ", kMaxFiles, " files at once")));
        return std::nullopt;
    }
    std::vector<Checked> checked;
    std::vector<std::string> mistakes;
    for (const auto& [file, text] : request.files) {
        auto parsed = parse_service(text, file);
        if (const auto* diagnostics = std::get_if<Diagnostics>(&parsed)) {
            for (const auto& diagnostic : *diagnostics) {
                mistakes.push_back(diagnostic.text());
            }
            continue;
        }
        auto& spec = std::get<ServiceSpec>(parsed);
        const bool twice =
            std::any_of(checked.begin(), checked.end(), [&](const auto& item) { return item.spec.name == spec.name; });
        if (twice) {
            mistakes.push_back(cat(file, ": service '", spec.name, "' stands in two of the files"));
            continue;
        }
        checked.push_back({std::move(spec), text});
    }
    if (!mistakes.empty()) {
        answer(client, refusal(Code::invalid, "nothing was deployed: invalid file", "", std::move(mistakes)));
        return std::nullopt;
    }
    std::vector<ServiceSpec> others = services_->specs();
    for (const auto& item : checked) {
        std::erase_if(others, [&](const auto& other) { return other.name == item.spec.name; });
        others.push_back(item.spec);
    }
    std::size_t claims = 0;
    for (const auto& other : others) {
        claims += other.intercept.size();
    }
    if (claims > table_size_) {
        mistakes.push_back(cat(claims, " claims do not fit into the table of ", table_size_,
                               " rules: raise 'tables: {rules: N}' and restart viscumd"));
    }
    for (const auto& item : checked) {
        if (const auto why = bundle_mistake(context_->instance, item.spec); !why.empty()) {
            answer(client, refusal(Code::refused, cat("nothing was deployed: ", item.spec.name, ": ", why),
                                   "viscumctl bundle install brings both"));
            return std::nullopt;
        }
        const auto missing = cgroups_.missing(stated_limits(item.spec.limits));
        if (item.spec.limits.required && !missing.empty()) {
            answer(client, refusal(Code::refused,
                                   cat("nothing was deployed: this machine cannot limit ", join(missing, " and "),
                                       " of '", item.spec.name, "': there is no cgroup controller for it"),
                                   "'limits: {required: false}' runs it without"));
            return std::nullopt;
        }
    }
    const auto check = claim_check();
    for (const auto& item : checked) {
        const auto objections = check(item.spec, others);
        if (!objections) {
            answer(client, refusal(Code::failed, objections.error().what));
            return std::nullopt;
        }
        for (const auto& objection : *objections) {
            mistakes.push_back(cat(item.spec.name, ": ", objection));
        }
    }
    if (!mistakes.empty()) {
        const bool by_list = std::any_of(mistakes.begin(), mistakes.end(), [](const auto& mistake) {
            return mistake.find("'claimable'") != std::string::npos;
        });
        answer(client,
               refusal(Code::refused, "nothing was deployed: this router refuses it",
                       by_list ? cat("what may be claimed stands under 'claimable:' in ", instance_.config_file()) : "",
                       std::move(mistakes)));
        return std::nullopt;
    }
    return checked;
}

void Daemon::deploy(ClientId client, const Request& request) {
    const auto checked = check_files(client, request);
    if (!checked) {
        tell_refused(client, request);
        return;
    }
    if (checked->empty()) {
        answer(client, refusal(Code::invalid, "no file to deploy"));
        return;
    }
    const auto confirm = request.confirm_ms < 0 ? std::nullopt : std::optional(Millis(request.confirm_ms));
    if (confirm && (*confirm < kShortestTrial || *confirm > kLongestTrial)) {
        answer(client,
               refusal(Code::invalid, cat("nothing was deployed: a trial takes from ", format_duration(kShortestTrial),
                                          " to ", format_duration(kLongestTrial))));
        return;
    }
    pending_[client].open = checked->size();
    for (const auto& item : *checked) {
        services_->deploy(item.spec, item.text, client, wait_of(request), confirm);
    }
}

void Daemon::plan(ClientId client, const Request& request) {
    const auto checked = check_files(client, request);
    if (!checked) {
        return;
    }
    auto present = reconciler_->actual();
    if (!present) {
        answer(client, refusal(Code::failed, present.error().what));
        return;
    }
    Wanted wanted = reconciler_->wanted();
    for (const auto& item : *checked) {
        const auto found = services_->all().find(item.spec.name);
        const Service* service = found == services_->all().end() || found->second.removed ? nullptr : &found->second;
        const auto image = services_->image_of(item.spec, "");
        if (!image) {
            answer(client, refusal(Code::refused, cat("'", item.spec.name, "': ", image.error().what), kImageHint));
            return;
        }
        if (service != nullptr && service->is_deployed(item.text, *image)) {
            continue;
        }
        // The version comes up in a free slot; the one before ends, and its namespace goes.
        const int slot = service == nullptr ? 0 : service->free_slot().value_or(1 - service->primary);
        WantedBackend backend = owned_by(item.spec);
        backend.process = true;
        backend.egress = egress_of(item.spec, context_->aliases, service == nullptr ? 0 : service->number, slot);
        wanted.masquerade = wanted.masquerade || backend.egress;
        if (service != nullptr) {
            wanted.backends.erase({item.spec.name, 1 - slot});
        }
        wanted.backends[{item.spec.name, slot}] = backend;
        std::erase_if(wanted.rules, [&](const auto& rule) { return rule.service == item.spec.name; });
        for (const auto& claim : item.spec.intercept) {
            WantedRule rule;
            rule.claim = claim;
            rule.service = item.spec.name;
            rule.active = slot;
            rule.admission = Admission::serve;
            wanted.rules.push_back(rule);
        }
        for (const auto& lan : world_->lan_devices()) {
            wanted.lan.insert(lan.device);
        }
    }
    Response response;
    response.details = describe(make_plan(wanted, *present));
    response.changed = !response.details.empty();
    response.message = response.details.empty() ? "nothing to do" : cat(response.details.size(), " steps");
    answer(client, response);
}

void Daemon::exec_info(ClientId client, const Request& request) {
    const auto found = services_->all().find(request.service);
    const Run* run = found == services_->all().end() ? nullptr : found->second.current();
    if (run == nullptr) {
        answer(client, no_such_service(request.service));
        return;
    }
    if (!run->has_process()) {
        answer(client, refusal(Code::failed, cat("'", request.service, "' does not run: ", run->reason())));
        return;
    }
    Response response;
    response.facts["run_dir"] = run->dir();
    response.facts["shim"] = context_->shim_path;
    answer(client, response);
}

void Daemon::audit(ClientId client, const Request& request) {
    const auto found = services_->all().find(request.service);
    if (found == services_->all().end() || found->second.current() == nullptr) {
        answer(client, no_such_service(request.service));
        return;
    }
    Response response;
    response.report = to_json(report_audit(found->second, *context_));
    answer(client, response);
}

void Daemon::images(ClientId client) {
    const auto in_use = services_->digests_in_use();
    if (!in_use) {
        answer(client, refusal(Code::failed, cat("what is in use cannot be known: ", in_use.error().what), ""));
        return;
    }
    Response response;
    for (const auto& [digest, service] : *in_use) {
        response.details.push_back(cat(digest, ' ', service));
    }
    answer(client, response);
}

void Daemon::savings(ClientId client, const Request& request) {
    const auto days = request.days < 0 ? kSavingsDays : static_cast<std::uint64_t>(request.days);
    const auto report = savings_->report(request.service, days);
    if (!report) {
        answer(client, refusal(Code::failed, report.error().what, "name a service, or ask for fewer --days"));
        return;
    }
    const auto& name = request.service;
    if (!name.empty() && report->rows.empty() && !services_->all().contains(name) &&
        !services_->unserved().contains(name)) {
        answer(client, no_such_service(name));
        return;
    }
    Response response;
    response.report = to_json(*report);
    answer(client, response);
}

void Daemon::report(ClientId client, const Request& request) {
    if (request.verb == "status" && !request.service.empty() && !services_->all().contains(request.service) &&
        !services_->unserved().contains(request.service)) {
        answer(client, no_such_service(request.service));
        return;
    }
    Response response;
    response.report = to_json(report_daemon(*services_, *world_, *context_, lease_until_, request.service));
    answer(client, response);
}

}  // namespace viscum
