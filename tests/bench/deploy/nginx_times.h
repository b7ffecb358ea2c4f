// SPDX-License-Identifier: GPL-2.0-only
// A real nginx takes over from the cloud, is changed, and goes, while a client asks without pause.
#pragma once

#include "tests/bench/many/many.h"
#include "tests/bench/measure/measurements.h"

namespace viscum {

/// Adds the figures of "nginx". Every connection of the client must have been answered.
void measure_nginx(Many& many, Measurements& figures, int rounds);

}  // namespace viscum
