// SPDX-License-Identifier: GPL-2.0-only
// What is done with services, in the journal's words.
#include "base/text.h"
#include "controller/bundle/record.h"
#include "controller/daemon/answers.h"
#include "controller/daemon/journal.h"
#include "controller/daemon/services.h"
#include "controller/daemon/trial_clock.h"

namespace viscum {
namespace {

constexpr std::size_t kShortDigest = 12;
constexpr Millis kLook{1'000};  // most are healthy by then, and nothing has to be said

/// ": file 0123456789abcdef, bundle 1.4 (0123456789ab)".
std::string what_it_is(const Instance& instance, const Candidate& candidate) {
    std::string text = cat("file ", digest_of(candidate.text));
    if (const auto& bundle = candidate.spec.bundle; !bundle.empty()) {
        text += cat(", bundle ", bundle_version(instance, bundle), " (", bundle.substr(0, kShortDigest), ')');
    }
    if (candidate.image) {
        text += cat(", image ", candidate.image->digest.substr(0, kShortDigest));
    }
    return text;
}

}  // namespace

void Services::tell(const std::string& kind, const std::string& name, const std::string& text) const {
    if (context_.journal != nullptr) {
        context_.journal->note(kind, name, text);
    }
}

void Services::tell_asked(const std::string& kind, const std::string& name, const std::string& text) const {
    if (context_.journal != nullptr) {
        tell(kind, name,
             cat(text, context_.journal->key().empty() ? "" : "; asked for", with_key(context_.journal->key())));
    }
}

void Services::tell_promoted(const std::string& name, const Candidate& candidate, Millis took) const {
    const std::string healthy = cat("; healthy after ", took_text(took));
    if (candidate.comes_back) {
        tell("put-back", name, cat("the version before is back: ", what_it_is(context_.instance, candidate), healthy));
    } else if (candidate.restart) {
        tell("restarted", name, cat("restarted", with_key(candidate.key), healthy));
    } else if (candidate.wait) {
        tell("deployed", name,
             cat("deployed", with_key(candidate.key), ": ", what_it_is(context_.instance, candidate), healthy));
        if (candidate.confirm) {
            tell("trial", name,
                 cat("it is on trial for ", format_duration(*candidate.confirm),
                     ": then it goes again, unless somebody confirms it"));
        }
    } else {
        tell("up", name, cat("started, as its file stands", healthy));
    }
}

void Services::await_word(Service& service) {
    if (service.candidate->client != 0) {
        service.candidate->look = context_.loop.after(kLook, [this, name = service.name] { tell_waiting(name); });
    }
}

void Services::tell_waiting(const std::string& name) {
    Service& service = services_.at(name);
    Candidate& candidate = *service.candidate;
    const std::string why = service.run(*candidate.slot)->reason();
    if (why != candidate.told_why) {
        candidate.told_why = why;
        const std::string limit = candidate.wait ? cat(" (up to ", format_duration(*candidate.wait), ")") : "";
        answer_(candidate.client, progress(cat(name, ": waiting until it is healthy", limit, ": ", why)));
    }
    await_word(service);
}

void Services::tell_given_up(const std::string& name, const Candidate& candidate, const std::string& why,
                             bool serves) const {
    const char* const what = candidate.comes_back ? "the version before did not come back"
                             : candidate.restart  ? "not restarted"
                                                  : "not deployed";
    tell(candidate.comes_back ? "put-back-failed" : "deploy-failed", name,
         cat(what, with_key(candidate.key), ": ", why, serves ? "; the version before serves on" : ""));
}

}  // namespace viscum
