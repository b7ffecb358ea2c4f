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

/// Copies every entry that fits from one map to another of the same types (per-CPU values whole). For maps that are
/// made anew in another size; entries that are lost are lost.
void copy_map(int from, int to);

}  // namespace viscum
