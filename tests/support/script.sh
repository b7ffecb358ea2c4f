# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# How a test that is a script says how it ended. To be sourced.

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# As ctest reads it: neither passed nor failed.
skip() {
    echo "SKIPPED: $*"
    exit 77
}

# need PROGRAM...: without them there is nothing to try.
need() {
    local program
    for program in "$@"; do
        command -v "$program" > /dev/null || skip "there is no $program"
    done
}
