// SPDX-License-Identifier: GPL-2.0-only
// What a key may say over SSH. The line of a key in authorized_keys names this program as its command:
//
//   restrict,command="viscumctl gate --role deploy --key ops" ssh-ed25519 AAAA… ops@example.net
//
// sshd and dropbear then start nothing else for it, and leave what was asked for in SSH_ORIGINAL_COMMAND: text of
// somebody who has the key and no more. No shell ever reads it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace viscum {

enum class GateRole {
    observe,  // looks: list, status, logs, audit, doctor, plan, validate, version
    deploy,   // and deploys, confirms, reverts, drains, resumes, restarts and removes services
};
std::optional<GateRole> gate_role(std::string_view name);

struct GatedCommand {
    std::vector<std::string> words;  // viscumctl's arguments
    bool writes = false;
};

/// Pure. `command` in words, when each of them is one that the role may say: a verb, options that it has, names, and
/// "-", standard input, for every file. Error::what says what is refused and why, in one line of printable text.
Result<GatedCommand> admit_command(GateRole role, std::string_view command);
/// The name of a key, as it goes to the log: letters, digits and ._@-, at most 64.
bool is_key_name(std::string_view name);

}  // namespace viscum
