// SPDX-License-Identifier: GPL-2.0-only
// Namespaces to throw away: what a test makes inside goes with its last process, at whatever instant that is killed.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace viscum {

/// The exit status of a test that could not run (ctest: SKIP_RETURN_CODE).
constexpr int kSkipped = 77;

/// Runs `body` in a child with mount, pid, network, UTS and IPC namespaces of its own, and returns its exit status;
/// 128 + N where signal N ended it; kSkipped, the reason on stdout, where the caller may not make namespaces.
///
/// Inside: `lo` is up and the only device; /proc and /sys belong to the new namespaces, with an empty bpffs on
/// /sys/fs/bpf; control group hierarchies show a group that is the sandbox's own (tests/support/cgroups.h), or nothing;
/// /run and /tmp are empty; /srv is empty but for the programs in /srv/bin; /etc and /var/lib show the host's files and
/// may be written, in memory. The directories of the sources and of the programs stay where they are, wherever that
/// is. pid 1 inside reaps orphans. INT, TERM, HUP and QUIT reach `body`; 3 s later all is killed. When the caller is
/// killed, so is everything inside.
///
/// To be called from a process with one thread.
int run_in_sandbox(const std::function<int()>& body);

/// Says why the running test cannot be done here; ctest counts it as skipped. The test returns after it.
void skip(std::string_view reason);
/// The last reason, empty before; of one test where that is cleared when the test begins.
std::string& skipped_because();

}  // namespace viscum
