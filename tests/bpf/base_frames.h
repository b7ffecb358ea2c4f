// SPDX-License-Identifier: GPL-2.0-only
// The frames that sweeps start from: everything that the programs have a branch for, in both families.
#pragma once

#include <string>
#include <vector>

#include "tests/bpf/frame.h"

namespace viscum {

struct NamedFrame {
    std::string name;
    Bytes bytes;
};

/// To 203.0.113.10 and 2001:db8:c::10, TCP port 80 and UDP port 53, some to others.
std::vector<NamedFrame> base_frames();

}  // namespace viscum
