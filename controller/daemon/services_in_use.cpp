// SPDX-License-Identifier: GPL-2.0-only
// What of the image store and of the bundles services need, now or when a version before comes back.
#include <algorithm>

#include "controller/bundle/record.h"
#include "controller/daemon/services.h"

namespace viscum {

Result<std::multimap<std::string, std::string>> Services::digests_in_use() const {
    std::multimap<std::string, std::string> in_use;
    const auto add = [&in_use](const std::string& digest, const std::string& service) {
        const auto [first, last] = in_use.equal_range(digest);
        if (!digest.empty() && std::none_of(first, last, [&](const auto& entry) { return entry.second == service; })) {
            in_use.emplace(digest, service);
        }
    };
    for (const auto& [name, digest] : saved_.images) {
        add(digest, name);
    }
    for (const auto& [name, trial] : saved_.trials) {
        const auto text = trial.first ? Result<std::string>("") : store_.before(name);
        if (!text && text.error().errno_code != ENOENT) {
            return text.error();
        }
        add(trial.image_before, name);
        add(text ? bundle_of(*text) : "", name);
    }
    std::vector<std::string> problems;
    const auto stored = store_.load_services(&problems);
    if (!stored.complete) {
        return Error{EIO, problems.empty() ? "a service's file cannot be read" : problems.front()};
    }
    for (const auto& service : stored.services) {
        add(bundle_of(service.text), service.name);
    }
    for (const auto& [name, service] : services_) {
        for (const auto& run : service.runs) {
            add(run ? run->image_digest() : "", name);
            add(run ? run->spec().bundle : "", name);
        }
        if (service.candidate) {
            add(service.candidate->image ? service.candidate->image->digest : "", name);
            add(service.candidate->spec.bundle, name);
        }
    }
    return in_use;
}

}  // namespace viscum
