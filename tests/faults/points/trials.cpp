// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/points/trials.h"

#include "base/event_loop.h"
#include "base/file.h"
#include "base/text.h"
#include "controller/daemon/trial_clock.h"

namespace viscum {
namespace {

constexpr std::size_t kLimitOfFile = 64 * 1024;
constexpr Millis kSoon{60'000};  // trials that are to go on in a test have much more

std::string version_of(const std::string& text) {
    const auto at = text.rfind("# version ");
    return at == std::string::npos ? cat("'", text, "'") : text.substr(at + 2, text.size() - at - 3);
}

}  // namespace

std::string TrialFacts::text() const {
    return cat("deployed: ", version_of(file), ", kept: ", version_of(kept), ", trial: ",
               trial == Trial::none ? "none"
               : trial == Trial::on ? "on"
                                    : "ends soon");
}

TrialFacts trial_facts(const Instance& instance, const DiskState& disk, const std::string& service) {
    TrialFacts facts;
    if (const auto file = disk.services.find(service); file != disk.services.end()) {
        facts.file = file->second;
    }
    const std::string directory = instance.state_dir() + "/before";
    const auto names = list_directory(directory);
    facts.kept = names ? join(*names, " ") : names.error().what;
    if (facts.kept == service + ".yaml") {
        const auto text = read_file(cat(directory, '/', facts.kept), kLimitOfFile);
        facts.kept = text ? *text : text.error().what;
    }
    const auto trial = disk.state.trials.find(service);
    if (trial != disk.state.trials.end() && trial->second.until_ms != 0) {
        const bool goes_on = is_on(trial->second) && until(trial->second) - boot_now() > kSoon;
        facts.trial = goes_on ? TrialFacts::Trial::on : TrialFacts::Trial::ends_soon;
    }
    return facts;
}

std::optional<TrialFacts> trial_after(const std::string& operation, const TrialFacts& before,
                                      const std::string& deployed) {
    using Trial = TrialFacts::Trial;
    if (operation == "first-trial" || operation == "trial") {
        return TrialFacts{deployed, before.file, Trial::on};
    }
    if (operation == "trial-again") {
        return TrialFacts{deployed, before.kept, Trial::on};
    }
    if (operation == "confirm") {
        return TrialFacts{before.file, "", Trial::none};
    }
    if (operation == "overrule") {
        return TrialFacts{deployed, "", Trial::none};
    }
    if (operation == "end-of-trial") {
        return TrialFacts{before.kept, "", Trial::none};
    }
    return std::nullopt;
}

}  // namespace viscum
