// SPDX-License-Identifier: GPL-2.0-only
// `viscumctl watch`: services as they are, once a second, until q, Ctrl-C or a signal; the terminal is as before then.
// One connection with one question under way, which is made again when viscumd is back; events are read from the
// journal. Neither a terminal that takes nothing nor a viscumd that hangs keeps it from ending.
#pragma once

#include "controller/ctl/commands.h"

namespace viscum {

/// Code::invalid where standard input or output is no terminal.
int watch(const Session& session);

}  // namespace viscum
