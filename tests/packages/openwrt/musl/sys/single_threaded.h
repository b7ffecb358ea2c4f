// SPDX-License-Identifier: GPL-2.0-only
#pragma once

static const char __libc_single_threaded = 0;
