// SPDX-License-Identifier: GPL-2.0-only
// Many frames through vs_lan, each measured against the model: no frame that is not claimed is changed or stolen, no
// claimed one is missed, and every one counts one verdict (Lab checks the latter).
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "tests/bpf/lab.h"
#include "tests/bpf/reading.h"

namespace viscum {

/// BPF_PROG_TEST_RUN takes no frame that ends within its IP header (kernel 6.15 and later).
inline bool can_be_run(const Bytes& frame) {
    const bool v4 = frame[12] == 0x08 && frame[13] == 0x00;
    const bool v6 = frame[12] == 0x86 && frame[13] == 0xdd;
    return frame.size() >= (v4 ? 34U : v6 ? 54U : 14U);
}

/// Whether the programs knew that the frame is claimed.
inline bool is_decided(const std::string& text) {
    return text == "redirect: served" || text == "pass: no-listener" || text == "pass: cloud-flow";
}

struct Sweep {
    Sweep() : lab(Lab::make()) { REQUIRE(lab); }

    /// The usual claims, all served, so that what is not stolen is owed to the programs' own care.
    static Sweep usual() {
        Sweep sweep;
        std::vector<Rule> rules;
        for (const auto& family : kFamilies) {
            const auto more = sweep.lab->usual_rules(family);
            rules.insert(rules.end(), more.begin(), more.end());
            sweep.sockets.push_back(listen_tcp(sweep.lab->namespace_of(0), family.service, 80));
            sweep.sockets.push_back(bind_udp(sweep.lab->namespace_of(0), family.service, 53));
        }
        sweep.claim(rules);
        return sweep;
    }
    void claim(const std::vector<Rule>& rules) {
        claims.clear();
        for (const auto& rule : rules) {
            claims.push_back(rule.key);
        }
        REQUIRE(lab->apply(rules) > 0);
    }

    void check(const Bytes& frame, const std::string& name) {
        if (!can_be_run(frame)) {
            return;
        }
        const auto outcome = lab->lan(frame);
        if (!may_be_claimed(read_frame(frame), claims)) {
            if (!outcome.text.starts_with("pass: ") || outcome.frame != frame) {
                FAIL_CHECK(cat("stolen: ", name, ": ", outcome.text, ": ", hex_dump(frame)));
            }
        } else {
            taken += outcome.text.starts_with("redirect: ") ? 1 : 0;
            if (read_frame(frame).kind == Reading::Kind::transport && !is_decided(outcome.text)) {
                FAIL_CHECK(cat("missed: ", name, ": ", outcome.text, ": ", hex_dump(frame)));
            }
        }
        ++frames;
    }

    std::unique_ptr<Lab> lab;
    std::vector<RuleKey> claims;
    std::vector<UniqueFd> sockets;
    int frames = 0;
    int taken = 0;
};

}  // namespace viscum
