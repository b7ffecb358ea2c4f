// SPDX-License-Identifier: GPL-2.0-only
#include "controller/daemon/story.h"

#include <algorithm>

#include "base/text.h"

namespace viscum {
namespace {

Event event(std::string kind, std::string service, std::string text) {
    Event out;
    out.kind = std::move(kind);
    out.service = std::move(service);
    out.text = std::move(text);
    return out;
}

std::string with_reason(std::string text, const std::string& why) {
    return why.empty() ? std::move(text) : cat(text, ": ", why);
}

/// Where new flows go that are not served here.
std::string where(const ServiceNow& service) {
    return service.on_failure == OnFailure::drop ? "are dropped" : "go to the cloud";
}

/// Those of `names` that `known` lacks, the first ones of many.
std::string new_names(const std::vector<std::string>& names, const std::vector<std::string>& known) {
    constexpr std::size_t kMost = 8;
    std::vector<std::string> fresh;
    std::ranges::copy_if(names, std::back_inserter(fresh),
                         [&known](const std::string& name) { return std::ranges::find(known, name) == known.end(); });
    const std::size_t more = fresh.size() - std::min(fresh.size(), kMost);
    fresh.resize(fresh.size() - more);
    return cat(join(fresh, ", "), more == 0 ? "" : cat(" and ", more, " more"));
}

std::string tenths(std::int64_t value, const char* unit) {
    return cat(value / 10, '.', value % 10, ' ', unit);
}

/// What of a service's network a step makes; empty: none that would be missed.
std::string made(const Step& step) {
    switch (step.kind) {
        case Step::Kind::make_net_ns: return "namespace";
        case Step::Kind::make_link: return "link";
        case Step::Kind::attach_fence: return "fence";
        default: return {};
    }
}

}  // namespace

std::string took_text(BootTime time) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(std::max(time, BootTime(0))).count();
    if (us < 1000) {
        return cat("0.", us < 100 ? "0" : "", us / 10, " ms");
    }
    if (us < 1'000'000) {
        return us < 100'000 ? tenths(us / 100, "ms") : cat(us / 1000, " ms");
    }
    const std::int64_t seconds = us / 1'000'000;
    if (seconds < 60) {
        return tenths(us / 100'000, "s");
    }
    return seconds < 3600 ? cat(seconds / 60, "m ", seconds % 60, 's')
                          : cat(seconds / 3600, "h ", seconds % 3600 / 60, 'm');
}

void Story::tell_run(const std::string& name, Seen& seen, const ServiceNow& is, BootTime now, std::vector<Event>& out) {
    const ServiceNow& was = seen.now;
    const bool ended = was.process && (!is.process || is.starts != was.starts);
    const bool stops = is.state == RunState::stopping || is.state == RunState::down;
    if (ended && !stops) {
        const bool again = is.state != RunState::failed;
        out.push_back(event(again ? "exited" : "failed", name,
                            cat("its process ended: ", is.end(),
                                again ? "; it is started again after a pause" : "; its file asks for no other start")));
    } else if (is.state == RunState::failed && was.state != RunState::failed) {
        out.push_back(event("failed", name, with_reason("it does not run, and is not started again", is.why())));
    } else if (is.state == RunState::backoff && was.state != RunState::backoff && !is.process && !was.process) {
        out.push_back(event("not-started", name, with_reason("it cannot be started, and is tried again", is.why())));
    }
    const bool fell = was.healthy && !is.healthy && !stops;
    if (fell && !ended) {
        out.push_back(event("unhealthy", name, with_reason("it is unhealthy", is.why())));
    }
    if (fell || (ended && !stops && seen.down_since == BootTime{})) {
        seen.down_since = is.sign ? is.sign->at : now;
    }
    if (is.healthy && !was.healthy && seen.down_since != BootTime{}) {
        const char* const since = is.starts != was.starts || was.state != RunState::up ? "started again, and " : "";
        out.push_back(event("healthy", name,
                            cat("it is ", since, "healthy again, after ",
                                took_text(now - std::exchange(seen.down_since, BootTime{})))));
    }
    if (is.held_down && !was.held_down) {
        out.push_back(event("held-down", name,
                            cat("it went down too often, and is held down: its new flows ", where(is),
                                " for a while even when it is healthy")));
    }
}

void Story::tell_flows(const std::string& name, Seen& seen, const ServiceNow& is, BootTime now,
                       std::vector<Event>& out) {
    if (const std::string ended = new_names(is.ended, seen.now.ended); !ended.empty()) {
        out.push_back(
            event("claim-ended", name, cat("its claim of ", ended, " ended, and new flows of it ", where(is))));
    }
    if (seen.now.served && !is.served) {
        seen.away_since = now;
        std::string why = is.drained ? "it is drained" : "";
        if (why.empty() && is.sign) {
            why = cat(is.sign->cause == FirstSign::Cause::exited ? "its process ended" : "its probes failed", ", and ",
                      took_text(now - is.sign->at), " later the rules stood");
        } else if (why.empty()) {
            why = is.why();
        }
        out.push_back(event("cloud", name, with_reason(cat("its new flows ", where(is)), why)));
    }
    if (!seen.now.served && is.served) {
        const BootTime since = std::exchange(seen.away_since, BootTime{});
        out.push_back(event("local", name,
                            since == BootTime{}
                                ? std::string("its new flows are served here")
                                : cat("its new flows are served here again, after ", took_text(now - since))));
    }
}

std::vector<Event> Story::look(const std::map<std::string, ServiceNow>& services, BootTime now) {
    std::vector<Event> out;
    const bool first = !services_;
    auto before = std::exchange(services_, std::map<std::string, Seen>()).value_or(std::map<std::string, Seen>());
    for (const auto& step : std::exchange(mended_, {})) {
        const auto found = services.find(step.backend.service);
        if (found != services.end() && found->second.slot == step.backend.slot && !found->second.removed &&
            found->second.process) {
            out.push_back(event("mended", step.backend.service,
                                cat("its ", made(step), " was made again: another tool had removed it")));
        }
    }
    for (const auto& [name, is] : services) {
        const auto known = before.find(name);
        Seen seen = known == before.end() ? Seen{} : known->second;
        // Another version's run is a story of its own, which the deploy tells.
        const bool same = known != before.end() && seen.now.slot == is.slot;
        if (!first && !is.removed) {
            if (same) {
                tell_run(name, seen, is, now, out);
            } else {
                seen.down_since = BootTime{};
            }
            if (!same) {
                seen.now.ended = is.ended;
            }
            tell_flows(name, seen, is, now, out);
        }
        seen.now = is;
        seen.now.end = seen.now.why = nullptr;  // of a run that may be gone at the next look
        (*services_)[name] = std::move(seen);
    }
    for (const auto& [name, seen] : before) {
        if (!services.contains(name) && seen.now.removed) {
            out.push_back(event("gone", name, "nothing of it is left here"));
        }
    }
    return out;
}

std::vector<Event> Story::look(const std::vector<LanDevice>& devices) {
    std::vector<Event> out;
    const bool first = !devices_;
    auto before =
        std::exchange(devices_, std::map<std::string, LanDevice>()).value_or(std::map<std::string, LanDevice>());
    const auto put_back = [this](const std::string& name) {
        return std::erase_if(mended_, [&](const Step& step) { return step.device == name; }) != 0;
    };
    for (const auto& is : devices) {
        const LanDevice was = before.contains(is.device) ? before.at(is.device) : LanDevice{};
        const bool again = put_back(is.device);
        if (!first && is.attached && !was.attached) {
            out.push_back(event("lan-attached", "",
                                cat(is.device, ": its packets are looked at",
                                    is.bridge.empty() ? "" : cat(", as a port of ", is.bridge))));
        } else if (!first && is.attached && again) {
            out.push_back(
                event("lan-mended", "", cat(is.device, ": the filter was put back: another tool had removed it")));
        } else if (!first && !is.attached && was.attached && is.problem.empty()) {
            out.push_back(event("lan-detached", "", cat(is.device, ": its packets are not looked at any more")));
        }
        if (is.problem != was.problem && !is.problem.empty()) {
            out.push_back(event("lan-trouble", "", cat(is.device, ": ", is.problem)));
        }
        before.erase(is.device);
        (*devices_)[is.device] = is;
    }
    for (const auto& [name, was] : before) {
        out.push_back(event("lan-gone", "", cat(name, ": the device is gone, or 'lan:' does not name it any more")));
    }
    return out;
}

std::vector<Event> Story::look(const std::map<std::string, std::string>& unserved) {
    std::vector<Event> out;
    for (const auto& [name, why] : unserved) {
        const auto known = unserved_.find(name);
        if (known == unserved_.end() || known->second != why) {
            out.push_back(event("not-served", name, cat("its file stands and it is not served: ", why)));
        }
    }
    unserved_ = unserved;
    return out;
}

void Story::did(const Step& step) {
    const bool lan = step.kind == Step::Kind::attach_lan && devices_ && devices_->contains(step.device) &&
                     devices_->at(step.device).attached;
    const auto known = services_ ? services_->find(step.backend.service) : decltype(services_->find("")){};
    const bool backend = services_ && !made(step).empty() && known != services_->end() &&
                         known->second.now.slot == step.backend.slot && known->second.now.process;
    if ((lan || backend) && std::ranges::find(mended_, step) == mended_.end()) {
        mended_.push_back(step);
    }
}

}  // namespace viscum
