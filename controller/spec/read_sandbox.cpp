// SPDX-License-Identifier: GPL-2.0-only
#include "controller/spec/readers.h"
