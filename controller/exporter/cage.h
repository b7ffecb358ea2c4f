// SPDX-License-Identifier: GPL-2.0-only
// What the exporter gives up before it hears from anybody: root, new privileges, descriptors beyond its own, and system
// calls that it does not make.
#pragma once

#include "base/result.h"

namespace viscum {

/// As root it becomes the account viscum-exporter, whose absence is an error: nothing here is done with root's rights.
/// Another account stays as it is. `lacks` says what this kernel cannot do; it goes on without that.
Status shut_exporter_cage(std::string* lacks);

}  // namespace viscum
