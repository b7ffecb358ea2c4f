// SPDX-License-Identifier: GPL-2.0-only
// What becomes of viscumd itself, and what it refuses, in the journal's words.
#include "base/build_info.h"
#include "base/text.h"
#include "controller/daemon/daemon.h"
#include "controller/spec/parse.h"
#include "controller/world/grade.h"

namespace viscum {

void Daemon::open_journal() {
    journal_ = std::make_unique<Journal>(*loop_, instance_.events_file(), instance_.held_start_file());
    context_->journal = journal_.get();
    reconciler_->on_done([this](const Step& step) { journal_->did(step); });
}

void Daemon::tell_start() {
    int adopted = 0;
    for (const auto& [name, service] : services_->all()) {
        for (const auto& run : service.runs) {
            adopted += run && run->has_process() ? 1 : 0;
        }
    }
    const Grade& grade = world_->grade();
    journal_->tell_start(cat("viscumd ", kVersion, " started, grade ", grade.name(),
                             grade.reason().empty() ? "" : cat(" (", grade.reason(), ')'), "; ",
                             adopted == 0 ? std::string("nothing ran that it could adopt")
                                          : cat("it adopted ", adopted, adopted == 1 ? " process" : " processes")));
}

void Daemon::tell_lease(const Status& renewed, std::optional<BootTime> before) {
    const BootTime now = boot_now();
    if (!renewed) {
        journal_->note("lease-trouble", "", cat("the lease cannot be renewed: ", renewed.error().what));
    } else if (before && *before < now) {
        journal_->note("lease-ended", "",
                       cat("viscumd was held up, and the lease had ended ", took_text(now - *before),
                           " before it was renewed: new flows went to the cloud meanwhile"));
    }
}

/// To be called where a deploy was answered already.
void Daemon::tell_refused(ClientId client, const Request& request) {
    const auto answered = finished_.find(client);
    if (answered == finished_.end()) {
        return;
    }
    const Response& response = answered->second.response;
    const std::string why =
        response.details.empty() ? response.message : cat(response.message, ": ", join(response.details, "; "));
    std::string service;
    for (const auto& [file, text] : request.files) {
        const auto parsed = parse_service(text, file);
        const auto* spec = std::get_if<ServiceSpec>(&parsed);
        // Not just any name that somebody writes into a file.
        if (spec != nullptr && services_->all().contains(spec->name)) {
            service = service.empty() ? spec->name : service;
        }
    }
    journal_->note("deploy-refused", service,
                   cat(why, journal_->key().empty() ? "" : "; asked for", with_key(journal_->key())));
}

}  // namespace viscum
