// SPDX-License-Identifier: GPL-2.0-only
// What survives a power cut: service files, verbatim, and what belongs to them and stands in none.
//
//   /etc/NAME/services/SERVICE.yaml   one per deployed service
//   /var/lib/NAME/state.0, state.1    two generations of the state, each with a checksum; written in turn
//   /var/lib/NAME/before/SERVICE.yaml what was deployed before a version that is on trial
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/instance.h"
#include "base/result.h"

namespace viscum {

struct StoredService {
    std::string name;  // the file's, without ".yaml"
    std::string text;
};

/// A deployed version that is to be confirmed, or the version before comes back.
struct VersionTrial {
    std::uint64_t until_ms = 0;  // of the boot clock; 0: it is over, and the version before came back
    std::string boot;            // whose clock that is: /proc/sys/kernel/random/boot_id
    bool first = false;          // there was no version before
    std::string image_before;    // its image, by digest; empty: it has none
    std::string digest;          // of the file on trial: with another one there the trial means nothing any more
    bool operator==(const VersionTrial&) const = default;
};

/// What is to be known of a version whose file is about to be written. It counts once that file is there.
struct NextVersion {
    std::string digest;                 // of the file
    std::string image;                  // by digest; empty: it has none
    std::optional<VersionTrial> trial;  // nullopt: none, also where the version before is on trial
    bool operator==(const NextVersion&) const = default;
};

/// What is known of services beside their files.
struct SavedState {
    std::set<std::string> drained;                 // by the operator: they are to get no new flows
    std::map<std::string, std::uint32_t> numbers;  // each service's own, from which its user id and aliases follow
    std::map<std::string, std::string> images;     // the image that the deployed version was healthy with, by digest
    std::map<std::string, VersionTrial> trials;
    std::map<std::string, NextVersion> next{};
    bool operator==(const SavedState&) const = default;
};

/// 16 hexadecimal digits that tell one service file from another.
std::string digest_of(const std::string& text);

/// `text`: the service's file as it is; nullptr: there is none. What was known of a next version takes its place, or is
/// forgotten where that version's file did not come to be.
void settle_next(SavedState& state, const std::string& name, const std::string* text);

/// The newest generation whose checksum holds; none is the empty one. Broken ones are told in `problems`. Changes
/// nothing: for who looks on while viscumd goes on.
SavedState read_state(const Instance& instance, std::vector<std::string>* problems);

class Store {
public:
    /// Makes the instance's directories.
    static Result<Store> open(const Instance& instance);

    struct Stored {
        std::vector<StoredService> services;
        bool complete = true;  // false: something could not be read, and may be there
    };
    /// All service files. What cannot be read is told in `problems` and left where it is.
    Stored load_services(std::vector<std::string>* problems) const;
    /// Both at one instant and durably; idempotent. After an error the file is as it was. Where not even that could be
    /// brought about the error says so, and the next call writes again, whatever the file seems to hold: what a failed
    /// sync left in the page cache is not on the medium (fsync(2)).
    Status save_service(const std::string& name, const std::string& text);
    Status remove_service(const std::string& name);
    /// Whether its file is there, or that cannot be known.
    [[nodiscard]] bool has_service(const std::string& name) const;

    [[nodiscard]] Result<std::string> service_text(const std::string& name) const;

    /// Keeps a copy of a service's file as the version before. Whether there is a file.
    Result<bool> keep_before(const std::string& name);
    [[nodiscard]] Result<std::string> before(const std::string& name) const;
    Status forget_before(const std::string& name);
    /// What no trial needs: who was to forget it may have ended before that.
    void forget_others_before(const std::map<std::string, VersionTrial>& trials,
                              std::vector<std::string>* problems) const;

    /// read_state() by who has the instance's lock. Also makes durable what is there: the one who wrote it may have
    /// ended before it had synced the directories; and removes what it had not finished.
    SavedState load_state(std::vector<std::string>* problems);
    /// Writes the older generation over. Writes nothing when nothing changed. After an error it is as with services.
    Status save_state(const SavedState& state);

private:
    explicit Store(Instance instance) : instance_(std::move(instance)) {}
    [[nodiscard]] std::string service_file(const std::string& name) const;
    [[nodiscard]] std::string before_file(const std::string& name) const;
    Error put_back(const std::string& name, const Result<std::string>& before, Error error);

    Instance instance_;
    std::uint64_t generation_ = 0;
    SavedState saved_;
    bool state_in_doubt_ = false;              // whether the medium has saved_
    std::set<std::string> services_in_doubt_;  // the same of their files
};

/// A generation as it is on disk: "viscum-state 1 GENERATION CHECKSUM\n", then a line each: "drained SERVICE",
/// "number SERVICE N", "image SERVICE DIGEST", "trial SERVICE UNTIL_MS BOOT first|before IMAGE|- DIGEST". Lines of
/// other kinds are passed over. Pure.
std::string encode_state(const SavedState& state, std::uint64_t generation);
/// An error for whatever encode_state did not write, whole and unchanged.
Result<SavedState> decode_state(const std::string& bytes, std::uint64_t* generation);

}  // namespace viscum
