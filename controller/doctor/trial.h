// SPDX-License-Identifier: GPL-2.0-only
// Tries what a service's network needs, for real: a namespace, a veth pair, our programs, a filter that holds one.
#pragma once

#include "controller/doctor/facts.h"

namespace viscum {

/// In a child, in a network and a mount namespace of its own: what is made there is gone with the child, and nothing of
/// the machine is touched but that the kernel may load modules. Needs root.
Trial try_network();

}  // namespace viscum
