// SPDX-License-Identifier: GPL-2.0-only
// `viscumctl backup` and `restore`: an instance's configuration and services in one file (controller/backup/head.h).
#pragma once

#include <string>

#include "controller/ctl/commands.h"

namespace viscum {

/// FILE, mode 0600, is whole or not there; "-" is standard output. viscumd may run.
int backup(const Session& session, const std::string& file);

struct RestoreOptions {
    bool dry_run = false;  // only say what would change
    bool exact = false;    // services that the backup lacks are removed; otherwise they stay
};

/// Takes viscumd's lock, so that none may run (code 5); services go on meanwhile, and the next viscumd follows. First
/// everything is read, verified and judged as a deploy would (code 2 or 5, and nothing was changed). Then each file
/// takes its place at one instant, viscum.yaml last: after a kill or a power cut in between, the same restore once more
/// completes it. Also onto an instance of another name. What the backup does not have of files and secrets stays.
int restore(const Session& session, const std::string& file, const RestoreOptions& options);

}  // namespace viscum
