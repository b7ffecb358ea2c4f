// SPDX-License-Identifier: GPL-2.0-only
// Finds out the facts, on this machine and in the calling thread's namespaces. Needs root. Changes nothing.
#pragma once

#include "base/instance.h"
#include "controller/doctor/facts.h"

namespace viscum {

/// All but what viscumd says: its report is the caller's to fill in. What cannot be seen counts as not there.
Facts observe(const Instance& instance);

}  // namespace viscum
