// SPDX-License-Identifier: GPL-2.0-only
// What survives a power cut: service files, verbatim, and the operator's wishes about them.
//
//   /etc/NAME/services/SERVICE.yaml   one per deployed service
//   /var/lib/NAME/state.0, state.1    two generations of the wishes, each with a checksum; written in turn
#pragma once

#include <cstdint>
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

/// What the operator asked for beside the files.
struct Wishes {
    std::set<std::string> drained;  // services that are to get no new flows
    bool operator==(const Wishes&) const = default;
};

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
    /// Both at one instant and durably; idempotent.
    Status save_service(const std::string& name, const std::string& text) const;
    Status remove_service(const std::string& name) const;

    /// The newest generation whose checksum holds; none is the empty one. Broken ones are told in `problems`.
    Wishes load_wishes(std::vector<std::string>* problems);
    /// Writes the older generation over. Writes nothing when nothing changed.
    Status save_wishes(const Wishes& wishes);

private:
    explicit Store(Instance instance) : instance_(std::move(instance)) {}
    [[nodiscard]] std::string service_file(const std::string& name) const;
    [[nodiscard]] std::string generation_file(std::uint64_t generation) const;

    Instance instance_;
    std::uint64_t generation_ = 0;
    Wishes saved_;
};

/// A generation as it is on disk: "viscum-state 1 GENERATION CHECKSUM\n", then a line "drained NAME" each. Pure.
std::string encode_wishes(const Wishes& wishes, std::uint64_t generation);
/// An error for whatever encode_wishes did not write, whole and unchanged.
Result<Wishes> decode_wishes(const std::string& bytes, std::uint64_t* generation);

}  // namespace viscum
