// SPDX-License-Identifier: GPL-2.0-only
// What the fuzzers share. Each is one file with LLVMFuzzerTestOneInput (libFuzzer), and looks for two things: what the
// sanitizers tell, and properties that hold for every input (require).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace viscum::fuzz {

/// An input for which a property does not hold is a finding.
inline void require(bool holds, const char* property) {
    if (!holds) {
        std::fprintf(stderr, "does not hold: %s\n", property);
        std::abort();
    }
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

/// Takes an input apart from its front; zeros where it has ended.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : left_(text_of(data, size)) {}

    [[nodiscard]] bool empty() const { return left_.empty(); }
    template <class Number>
    Number number() {
        static_assert(std::is_integral_v<Number>);
        Number value{};
        const std::size_t size = std::min(sizeof value, left_.size());
        std::memcpy(&value, left_.data(), size);
        left_.remove_prefix(size);
        return value;
    }
    std::uint8_t byte() { return number<std::uint8_t>(); }
    /// A copy of its own, so that a read behind its end is seen.
    std::string bytes(std::size_t most) {
        std::string taken(left_.substr(0, most));
        taken.shrink_to_fit();
        left_.remove_prefix(taken.size());
        return taken;
    }
    /// Its length stands before it, in one byte.
    std::string chunk() { return bytes(byte()); }
    std::string rest() { return bytes(left_.size()); }

private:
    std::string_view left_;
};

/// Bytes that a message is, at an address that suits its header, and with nothing of ours behind them.
class Aligned {
public:
    explicit Aligned(std::string_view bytes) : bytes_(new char[bytes.size()]), size_(bytes.size()) {
        std::memcpy(bytes_.get(), bytes.data(), bytes.size());
    }
    [[nodiscard]] char* data() const { return bytes_.get(); }
    [[nodiscard]] std::size_t size() const { return size_; }

private:
    std::unique_ptr<char[]> bytes_;
    std::size_t size_;
};

/// A directory of this process alone, gone at its end: beneath TMPDIR, else /tmp.
const std::string& work_directory();
/// Replaces a file.
void write_whole(const std::string& path, std::string_view bytes);
/// "" where there is none.
std::string read_whole(const std::string& path);

/// Whether text holds what a terminal takes for more than letters.
inline bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

}  // namespace viscum::fuzz
