// SPDX-License-Identifier: GPL-2.0-only
// All services of the instance and what may happen to them: they are deployed, drained, restarted and removed.
// Nothing here touches the kernel's network; the reconciler makes real what these values say.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "controller/daemon/service.h"
#include "controller/store/store.h"

namespace viscum {

/// What stands against a service's claims beside `others`; empty: nothing. An error: that cannot be known now.
using ClaimCheck =
    std::function<Result<std::vector<std::string>>(const ServiceSpec& service, const std::vector<ServiceSpec>& others)>;

class Services {
public:
    /// `answer` sends a response to the client that waits for it; client 0 is nobody.
    Services(RunContext& context, Store& store, std::function<void(std::uint64_t client, const Response&)> answer);

    /// Once, at the start: the runs that a viscumd before left, the service files, and the operator's wishes. What went
    /// wrong and was passed over is told in `problems`.
    /// An error where it cannot be seen what runs: nothing is taken down on such grounds.
    Status load(const ClaimCheck& check, std::vector<std::string>* problems);

    /// Instead of load(), before an uninstallation: what runs is found, and ends at once. Files stay.
    Status dissolve(std::vector<std::string>* problems);

    /// A checked service file. The same file as the one that runs makes no change and is answered so. Otherwise its
    /// version comes up beside the one that runs, takes over when it is healthy, and the one before then finishes.
    /// With `confirm` it is on trial for that long: the last version that was not comes back, or none where there was
    /// none, unless it is confirmed, by end_trials_of() or by a deploy without. A restart of the machine ends a trial.
    void deploy(const ServiceSpec& spec, const std::string& text, std::uint64_t client, Millis wait,
                std::optional<Millis> confirm);
    /// The version on trial stays, or else (`keep` false) the one before comes back now, with all that were deployed in
    /// one request with it; "" means every service's. To keep is refused where the version before came back already.
    void end_trials_of(const std::string& name, std::uint64_t client, bool keep);
    /// Whether a trial has ended without the word.
    [[nodiscard]] bool is_trial_over() const;
    /// Brings back the versions before those whose trials have ended. Files first, durably.
    void end_trials(const ClaimCheck& check, std::vector<std::string>* problems);
    /// Until the end of the trial; nullopt: the version is not on trial.
    [[nodiscard]] std::optional<Millis> trial_left(const std::string& name) const;
    /// The same version once more, in the same manner.
    void restart(const std::string& name, std::uint64_t client, Millis wait);
    /// Open connections finish first, within `drain` at most.
    void remove(const std::string& name, std::uint64_t client, Millis drain);
    /// `name` "": of all services, at once.
    void set_drained(const std::string& name, bool drained, std::uint64_t client);
    /// The images and bundles that services use, and by which service: what runs, what a deployed version was healthy
    /// with, and what comes back unless it is confirmed. An error: that cannot be known.
    [[nodiscard]] Result<std::multimap<std::string, std::string>> digests_in_use() const;
    /// The image of `run.image`, by `digest` where that is given, otherwise as the store has it now; nullopt where the
    /// file names none.
    [[nodiscard]] Result<std::optional<Image>> image_of(const ServiceSpec& spec, const std::string& digest) const;
    /// Services whose files stand and that are not served, and why.
    [[nodiscard]] const std::map<std::string, std::string>& unserved() const { return unserved_; }
    /// After a change of viscum.yaml or of the router's addresses: services that may not claim any more what they claim
    /// are taken down, and their files stay.
    void recheck(const ClaimCheck& check, std::vector<std::string>* problems);
    /// Serves what stands in services/ and is not served: now if `at_once`, otherwise if a file could not be judged
    /// before or a service was taken down whose file stands.
    void look_again(const ClaimCheck& check, bool at_once, std::vector<std::string>* problems);
    /// The client hung up: its deploys go on without an audience.
    void forget_client(std::uint64_t client);

    /// After every turn of the reconciler: candidates that got healthy or failed, removed services that are gone. No
    /// candidate is taken on while the kernel's rules are not as wanted; `rules_problem` says why they are not.
    void settle(const std::string& rules_problem);

    [[nodiscard]] const std::map<std::string, Service>& all() const { return services_; }
    [[nodiscard]] std::map<std::string, Service>& all() { return services_; }
    /// Every version that claims something: those that run, those that finish, and candidates.
    [[nodiscard]] std::vector<ServiceSpec> specs() const;

private:
    Result<bool> adopt_run(const BackendKey& key, std::vector<std::string>* problems);
    Status adopt_runs(std::vector<std::string>* problems);
    /// The files of services that are not there yet, and at the start those of the runs that were found.
    void load_files(const ClaimCheck& check, std::vector<std::string>* problems);
    void load_file(const std::string& name, const std::string& text, const ClaimCheck& check,
                   std::vector<ServiceSpec>& accepted, std::vector<std::string>* problems);
    Service& service_named(const std::string& name);
    [[nodiscard]] static std::vector<ServiceSpec> specs_of(const Service& service);
    void want_file(Service& service, const ServiceSpec& spec, const std::string& text, std::optional<Image> image);
    /// A version that is healthy, durably.
    Status write_down(const std::string& name, const Candidate& candidate);
    Result<VersionTrial> begin_trial(const std::string& name, const Candidate& candidate);
    /// The answer to a deploy of what is deployed, where that is on trial.
    std::optional<Response> answer_on_trial(const std::string& name, std::uint64_t client,
                                            std::optional<Millis> confirm);
    std::string confirm_one(const std::string& name, bool* changed);
    std::string revert_one(const std::string& name, bool* changed);
    void await_trials();
    /// All trials that one deploy began end together: what one of them claims may be what the other one gave up.
    void end_together(SavedState& state, const std::string& name, std::uint64_t deploy) const;
    Status prolong(const std::string& name, std::uint64_t deploy, Millis confirm);
    [[nodiscard]] std::vector<std::string> trials_over() const;
    enum class TrialFile : std::uint8_t { on_trial, put_back, another };
    [[nodiscard]] Result<TrialFile> file_of(const std::string& name, const VersionTrial& trial) const;
    void settle_versions(std::vector<std::string>* problems);
    void load_trials(std::vector<std::string>* problems);
    Status put_back(const std::string& name);
    Status drop_trial(const std::string& name, const std::optional<std::string>& image);
    void forget_before(const std::string& name);
    void forget_others_later();
    void bring_back(const std::string& name);
    void make_way(const std::string& name);
    void propose(Service& service, Candidate candidate);
    void start_candidate(Service& service);
    void settle_candidate(Service& service, const std::string& rules_problem);
    void promote(Service& service);
    void give_up(Service& service, const std::string& why, bool keeps_before = true, Code code = Code::unhealthy);
    void take_down(Service& service, Millis drain = Millis::max());
    void remove_unserved(const std::string& name, std::uint64_t client);
    void remove_log(const std::string& name);
    /// A change of what is known beside the files, durably.
    Status save(const std::function<void(SavedState&)>& change);
    /// The number of a service that is about to have its first run.
    Status give_number(Service& service);
    void forget_groups(std::vector<std::string>* problems) const;
    [[nodiscard]] static std::string candidate_failure(const Service& service);
    /// For the journal, where there is one. `text` of what was asked for now: who did is put behind it.
    void tell(const std::string& kind, const std::string& name, const std::string& text) const;
    void tell_asked(const std::string& kind, const std::string& name, const std::string& text) const;
    void tell_promoted(const std::string& name, const Candidate& candidate, Millis took) const;
    /// Who waits for a version learns after a second what keeps it from being healthy, and again when that changes.
    void await_word(Service& service);
    void tell_waiting(const std::string& name);
    void tell_given_up(const std::string& name, const Candidate& candidate, const std::string& why, bool serves) const;

    RunContext& context_;
    Store& store_;
    std::function<void(std::uint64_t, const Response&)> answer_;
    std::map<std::string, Service> services_;
    SavedState saved_;     // what the disk says
    bool loading_ = true;  // not all that the viscumd before left is known
    std::map<std::string, std::string> unserved_;
    std::map<std::string, std::string> coming_back_;  // files of versions before, just put back; empty: there is none
    EventLoop::TimerId trial_timer_ = 0;              // at the end of the next trial
    EventLoop::TimerId forget_timer_ = 0;             // when what could not be removed is tried again
    BootTime next_end_{};                             // of trials, after one that could not be brought about
    bool look_at_files_ = false;                      // a file in services/ could not be judged, or came free
};

}  // namespace viscum
