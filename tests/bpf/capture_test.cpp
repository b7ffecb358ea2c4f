// SPDX-License-Identifier: GPL-2.0-only
// Frames that others recorded, many of them broken on purpose.
#include "tests/bpf/capture.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/file.h"
#include "tests/bpf/sweep.h"
#include "tests/support/sandbox.h"

using namespace viscum;

namespace {

const std::string kCaptures = VISCUM_SOURCE_DIR "/../shared/corpora/pcaps";
constexpr std::size_t kMaxFile = 16 * 1024 * 1024;
constexpr std::size_t kMaxFrames = 2'000;  // a file
constexpr std::size_t kMaxFrame = 3'000;   // bytes; BPF_PROG_TEST_RUN takes less than a page

/// All captured frames, each cut to what can be run; empty, and the test is skipped, where there are none.
std::vector<Bytes> captured_frames() {
    std::vector<Bytes> out;
    const auto files = list_directory(kCaptures);
    for (const auto& file : files ? *files : std::vector<std::string>()) {
        const auto text = read_file(kCaptures + "/" + file, kMaxFile);
        for (auto& frame : text ? read_capture(*text, kMaxFrames) : std::vector<Bytes>()) {
            if (frame.size() >= 14) {
                frame.resize(std::min(frame.size(), kMaxFrame));
                out.push_back(std::move(frame));
            }
        }
    }
    if (out.empty()) {
        skip("other people's captures are not beside the sources: ../shared/corpora/pcaps");
    }
    return out;
}

}  // namespace

TEST_CASE("fault 29: captured frames that are not claimed pass unchanged") {
    const auto frames = captured_frames();
    if (frames.empty()) {
        return;
    }
    auto sweep = Sweep::usual();
    for (Bytes frame : frames) {
        sweep.check(frame, "captured");
        std::copy(kRouterMac.begin(), kRouterMac.end(), frame.begin());
        sweep.check(frame, "captured, for the router");
    }
    MESSAGE(sweep.frames << " frames");
    CHECK(sweep.taken == 0);
}

TEST_CASE("fault 29: captured frames are read as a plain reading reads them, where everything is claimed") {
    const auto frames = captured_frames();
    if (frames.empty()) {
        return;
    }
    Sweep sweep;
    const Lab& lab = *sweep.lab;
    sweep.claim({lab.rule("0.0.0.0/0", 0, 65535, IPPROTO_TCP), lab.rule("0.0.0.0/0", 0, 65535, IPPROTO_UDP),
                 lab.rule("::/0", 0, 65535, IPPROTO_TCP), lab.rule("::/0", 0, 65535, IPPROTO_UDP)});
    for (const std::uint16_t port : {std::uint16_t{53}, std::uint16_t{80}, std::uint16_t{179}, std::uint16_t{443}}) {
        sweep.sockets.push_back(listen_dual_stack(lab.namespace_of(0), port));
    }
    sweep.sockets.push_back(bind_udp(lab.namespace_of(0), "0.0.0.0", 53));
    sweep.sockets.push_back(bind_udp(lab.namespace_of(0), "::", 53));
    for (Bytes frame : frames) {
        std::copy(kRouterMac.begin(), kRouterMac.end(), frame.begin());
        sweep.check(frame, "captured");
    }
    MESSAGE(sweep.frames << " frames, " << sweep.taken << " taken");
    CHECK(sweep.taken > 0);
}

TEST_CASE("capture: both formats are read in both byte orders, and a broken end is the end") {
    const auto text = [](const Bytes& bytes) { return std::string(bytes.begin(), bytes.end()); };
    const Bytes little{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0,
                       0,    0,    0,    0,    0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 7, 8, 9, 0, 0, 0};
    CHECK(read_capture(text(little), 10) == std::vector<Bytes>{{7, 8, 9}});
    const Bytes big{0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0,
                    0,    1,    0,    0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 7, 8, 9};
    CHECK(read_capture(text(big), 10) == std::vector<Bytes>{{7, 8, 9}});
    CHECK(read_capture(text(big), 0).empty());
    const Bytes next{0x0a, 0x0d, 0x0d, 0x0a, 28,   0,    0,  0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0,  0, 0xff, 0xff,
                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0,    0,    1,    0,    0, 0, 20, 0, 0,    0,
                     1,    0,    0,    0,    0,    0,    4,  0, 20,   0,    0,    0,    6, 0, 0,  0, 36,   0,
                     0,    0,    0,    0,    0,    0,    0,  0, 0,    0,    0,    0,    0, 0, 3,  0, 0,    0,
                     3,    0,    0,    0,    7,    8,    9,  0, 36,   0,    0,    0,    3, 0};
    CHECK(read_capture(text(next), 10) == std::vector<Bytes>{{7, 8, 9}});
    CHECK(read_capture("", 10).empty());
    CHECK(read_capture("no capture at all", 10).empty());
}
