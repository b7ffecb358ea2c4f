// SPDX-License-Identifier: GPL-2.0-only
// viscum-image, as viscumctl runs it.
#pragma once

#include <string>
#include <vector>

#include "controller/ctl/commands.h"

namespace viscum {

/// Beside viscumctl (a build tree), in ../libexec/viscum, or in /usr/libexec/viscum.
std::string find_image_program();

/// The program and the options that say for which instance.
std::vector<std::string> image_command(const Session& session, bool json);

/// `words` to it. It writes to our own stdout and stderr; its exit status.
int run_image(const Session& session, const std::vector<std::string>& words);

struct ProgramEnd {
    int code = 0;
    std::string said;  // both outputs, where they were captured
};
/// A whole command. An error: it could not be run.
Result<ProgramEnd> run_program(std::vector<std::string> command, bool capture);

/// Of a file, so that it is never taken for an option.
std::string plain_path(const std::string& path);

}  // namespace viscum
