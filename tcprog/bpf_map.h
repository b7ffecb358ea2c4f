// SPDX-License-Identifier: GPL-2.0-only
// A map by descriptor, with the ABI's types for keys and values.
#pragma once

#include <bpf/bpf.h>

#include <cerrno>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace viscum {

/// Owns the descriptor. K and V must be the map's types; the loader has compared their sizes.
template <class K, class V>
class BpfMap {
public:
    explicit BpfMap(UniqueFd fd) : fd_(std::move(fd)) {}

    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] std::optional<V> find(const K& key) const {
        V value{};
        if (bpf_map_lookup_elem(fd_.get(), &key, &value) != 0) {
            return std::nullopt;
        }
        return value;
    }
    Status set(const K& key, const V& value) const {
        if (const int error = bpf_map_update_elem(fd_.get(), &key, &value, BPF_ANY); error != 0) {
            return errno_error("cannot write to a BPF map", error);
        }
        return {};
    }
    /// Idempotent.
    Status erase(const K& key) const {
        if (const int error = bpf_map_delete_elem(fd_.get(), &key); error != 0 && error != -ENOENT) {
            return errno_error("cannot delete from a BPF map", error);
        }
        return {};
    }
    /// All entries at about this instant; bounded by the map's size.
    [[nodiscard]] std::vector<std::pair<K, V>> entries(std::size_t limit) const {
        std::vector<std::pair<K, V>> out;
        K key{};
        bool any = bpf_map_get_next_key(fd_.get(), nullptr, &key) == 0;
        // Steps are bounded, too: where programs delete as we read, the kernel may start again from the front.
        for (std::size_t step = 0; any && step < limit; ++step) {
            if (const auto value = find(key)) {
                out.emplace_back(key, *value);
            }
            K next{};
            any = bpf_map_get_next_key(fd_.get(), &key, &next) == 0;
            key = next;
        }
        return out;
    }

private:
    UniqueFd fd_;
};

/// What becomes of an entry that both maps have.
enum class Carry {
    all,      // the one of `from` is written over it
    missing,  // the one of `to` stays
    latest,   // the one whose value begins with the larger number of 8 bytes, a time
    highest,  // each number of 8 bytes becomes the larger of both: counters
};

/// Whether entries of one map mean something in another: type and key are the same, and the value is as long or was
/// appended to.
bool can_carry(const bpf_map_info& from, const bpf_map_info& to);

/// Brings the entries of one map into another that can_carry() them and may have another size; what was appended to the
/// value is zero. Per-CPU values are carried whole. Entries that do not fit, and those that programs delete meanwhile,
/// are lost. Idempotent, and for one and the same map nothing. Of what programs count in `to` while `highest` is at
/// work, a few microseconds may be lost. Failure: one of the maps cannot be read; what was read by then is carried.
Status carry_map(int from, int to, Carry carry);

}  // namespace viscum
