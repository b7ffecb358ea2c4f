// SPDX-License-Identifier: GPL-2.0-only
// A filter for system calls, interpreted as the kernel would: what it says of a call can be asked without making the
// call.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace viscum {

class SeccompProgram {
public:
    static constexpr std::uint32_t kBroken = 0xdead;  // no verdict of any filter

    /// An array of struct sock_filter, in bytes.
    explicit SeccompProgram(const std::string& bytes) : steps_(bytes.size() / sizeof(sock_filter)) {
        if (!steps_.empty()) {
            std::memcpy(steps_.data(), bytes.data(), steps_.size() * sizeof(sock_filter));
        }
    }
    [[nodiscard]] bool fits() const { return !steps_.empty() && steps_.size() <= BPF_MAXINSNS; }
    [[nodiscard]] std::uint32_t ask(const seccomp_data& data) const;

private:
    std::vector<sock_filter> steps_;
};

inline std::uint32_t SeccompProgram::ask(const seccomp_data& data) const {
    std::uint32_t a = 0;
    for (std::size_t at = 0; at < steps_.size(); ++at) {
        const auto& step = steps_[at];
        bool taken = false;
        switch (step.code) {
            case BPF_LD | BPF_W | BPF_ABS:
                if (step.k > sizeof data - sizeof a) {
                    return kBroken;
                }
                std::memcpy(&a, reinterpret_cast<const char*>(&data) + step.k, sizeof a);
                continue;
            case BPF_ALU | BPF_AND | BPF_K: a &= step.k; continue;
            case BPF_RET | BPF_K: return step.k;
            case BPF_JMP | BPF_JA: at += step.k; continue;
            case BPF_JMP | BPF_JEQ | BPF_K: taken = a == step.k; break;
            case BPF_JMP | BPF_JGT | BPF_K: taken = a > step.k; break;
            case BPF_JMP | BPF_JGE | BPF_K: taken = a >= step.k; break;
            case BPF_JMP | BPF_JSET | BPF_K: taken = (a & step.k) != 0; break;
            default: return kBroken;
        }
        at += taken ? step.jt : step.jf;
    }
    return kBroken;
}

}  // namespace viscum
