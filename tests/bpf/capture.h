// SPDX-License-Identifier: GPL-2.0-only
// Frames out of capture files: pcap in both byte orders and resolutions, and pcapng. Ethernet only.
#pragma once

#include <string>
#include <vector>

#include "tests/bpf/frame.h"

namespace viscum {

/// The frames of a file's bytes, up to where it stops making sense (many captures are broken on purpose), at most
/// `limit` of them. Frames of other link types are left out.
std::vector<Bytes> read_capture(const std::string& file, std::size_t limit);

}  // namespace viscum
