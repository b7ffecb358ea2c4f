// SPDX-License-Identifier: GPL-2.0-only
// What a service finds in its sandbox, said by shell commands that run there.
#pragma once

#include <string>

#include "tests/root/supervise/fixture.h"

namespace viscum {

/// A service with an account of its own, on the host's files, that runs one shell command.
struct Inside : Run {
    explicit Inside(const std::string& script = "exit 0");
    /// Runs and returns what was said.
    std::string say(const std::string& script);
};

constexpr uid_t kOwnUid = 0x70000001;

/// Writes a file, with the directories on the way.
void put(const std::string& path, const std::string& content, mode_t mode = 0644);

/// A new empty directory for a root filesystem or a layer.
std::string new_directory();
/// Copies a program and the libraries that it needs.
void copy_program(const std::string& root, const std::string& program);

}  // namespace viscum
