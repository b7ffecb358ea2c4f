// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/bpf_map.h"

#include <bpf/libbpf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "tcprog/percpu.h"

namespace viscum {
namespace {

constexpr std::size_t kWord = 8;  // the kernel rounds per-CPU values up to it

struct Shape {
    bpf_map_info info{};
    std::size_t copies = 1;  // of a value: one for each CPU
    std::size_t stride = 0;  // from one to the next

    [[nodiscard]] std::vector<char> room() const { return std::vector<char>(stride * copies); }
};

std::optional<Shape> shape_of(int fd) {
    Shape shape;
    __u32 size = sizeof shape.info;
    if (bpf_obj_get_info_by_fd(fd, &shape.info, &size) != 0) {
        return std::nullopt;
    }
    shape.stride = shape.info.value_size;
    if (shape.info.type == BPF_MAP_TYPE_PERCPU_ARRAY || shape.info.type == BPF_MAP_TYPE_PERCPU_HASH) {
        shape.copies = possible_cpus();
        shape.stride = (shape.stride + kWord - 1) / kWord * kWord;
    }
    return shape;
}

std::uint64_t word_at(const std::vector<char>& bytes, std::size_t offset) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + offset, sizeof word);
    return word;
}

/// An entry's values for the longer layout: what was appended is zero.
std::vector<char> widened(const std::vector<char>& values, const Shape& from, const Shape& to) {
    std::vector<char> out = to.room();
    for (std::size_t copy = 0; copy < to.copies; ++copy) {
        std::memcpy(out.data() + copy * to.stride, values.data() + copy * from.stride, from.info.value_size);
    }
    return out;
}

/// Raises each number of `present` to that of `values`, as far as the older layout goes. Whether any was lower.
bool raise_to(const std::vector<char>& values, const Shape& from, std::vector<char>& present, const Shape& to) {
    bool raised = false;
    for (std::size_t copy = 0; copy < to.copies; ++copy) {
        for (std::size_t at = 0; at + kWord <= from.info.value_size; at += kWord) {
            if (word_at(values, copy * from.stride + at) > word_at(present, copy * to.stride + at)) {
                std::memcpy(present.data() + copy * to.stride + at, values.data() + copy * from.stride + at, kWord);
                raised = true;
            }
        }
    }
    return raised;
}

/// Nothing: the entry that is there stays.
std::optional<std::vector<char>> merged(const std::vector<char>& values, const Shape& from, std::vector<char> present,
                                        const Shape& to, Carry carry) {
    switch (carry) {
        case Carry::all: return widened(values, from, to);
        case Carry::missing: return std::nullopt;
        case Carry::latest:
            return word_at(values, 0) > word_at(present, 0) ? std::optional(widened(values, from, to)) : std::nullopt;
        case Carry::highest:
            return raise_to(values, from, present, to) ? std::optional(std::move(present)) : std::nullopt;
    }
    return std::nullopt;
}

using Entry = std::pair<std::vector<char>, std::vector<char>>;

/// Hands over key and values of each entry.
template <class Each>
Status walk(int fd, const Shape& shape, Each each) {
    std::vector<char> values = shape.room();
    std::vector<char> key(shape.info.key_size);
    std::vector<char> next(shape.info.key_size);
    int error = bpf_map_get_next_key(fd, nullptr, key.data());
    // Steps are bounded: where programs delete as we read, the kernel may start again from the front.
    for (std::uint64_t step = 0; error == 0 && step < 2ULL * shape.info.max_entries; ++step) {
        if (bpf_map_lookup_elem(fd, key.data(), values.data()) == 0) {
            each(key, values);
        }
        error = bpf_map_get_next_key(fd, key.data(), next.data());
        key.swap(next);
    }
    return error == 0 || error == -ENOENT ? Status() : errno_error("cannot read a table to its end", -error);
}

}  // namespace

bool can_carry(const bpf_map_info& from, const bpf_map_info& to) {
    return from.type == to.type && from.key_size == to.key_size && from.value_size <= to.value_size;
}

Status carry_map(int from_fd, int to_fd, Carry carry) {
    const auto from = shape_of(from_fd);
    const auto to = shape_of(to_fd);
    if (!from || !to) {
        return errno_error("cannot read a table");
    }
    if (!can_carry(from->info, to->info) || from->info.id == to->info.id) {
        return {};
    }
    const auto bring = [&](const std::vector<char>& key, const std::vector<char>& values) {
        std::vector<char> present = to->room();
        const bool known = bpf_map_lookup_elem(to_fd, key.data(), present.data()) == 0;
        const auto entry =
            known ? merged(values, *from, std::move(present), *to, carry) : std::optional(widened(values, *from, *to));
        if (entry) {
            bpf_map_update_elem(to_fd, key.data(), entry->data(), BPF_ANY);
        }
    };
    if (carry != Carry::latest) {
        return walk(from_fd, *from, bring);
    }
    // In the order of their times: a full LRU map forgets what was written first.
    std::vector<Entry> entries;
    auto status = walk(from_fd, *from, [&](const auto& key, const auto& values) { entries.emplace_back(key, values); });
    std::ranges::stable_sort(entries, {}, [](const Entry& entry) { return word_at(entry.second, 0); });
    for (const auto& [key, values] : entries) {
        bring(key, values);
    }
    return status;
}

}  // namespace viscum
