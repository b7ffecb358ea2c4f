#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# report.sh BUILD {text|markdown} KERNEL...: what run.sh has seen, as a table, or as docs/kernels.md.
set -eu
build=$1
form=$2
shift 2

# fact NAME: what the guest has said of it; of several lines the first.
fact() { sed -n "s/^fact $1 *//p" "$at/console" | sed -n '1s/[ ;]*$//p'; }
# program NAME: instructions, with thousands set apart, and a word where they are not compiled.
program() { fact "program $1" | sed 's/ compiled//; :more; s/\([0-9]\)\([0-9]\{3\}\)\($\|,\| \)/\1,\2\3/; t more'; }
steps() { echo "$(grep -c '^ok ' "$at/console") of $(sed -n 's/^1\.\.//p' "$at/console")"; }

# A score in tenths.
exposure() { fact exposure | sed 's/\(.\)$/.\1/; s/^\./0./'; }

rows() {
    local at name
    for name in "$@"; do
        at=$build/kernels/$name
        # shellcheck disable=SC2059  # the form is ours
        printf "$row" "$name" "$(cat "$at/version")" "$(steps)" "$(cat "$at/seconds")" "$(fact grade)" "$(fact jit)" \
            "$(fact limits)" "$(exposure)" "$(program vs_lan)" "$(program vs_service)" "$(program vs_return)" "$(fact doctor)"
    done
}

if [ "$form" = text ]; then
    row='%-12s %-26s %8s %5s %-7s %-4s %-16s %-8s %8s %10s %9s  %s\n'
    # shellcheck disable=SC2059
    printf "$row" kernel version steps s grade jit 'limits kept' exposure vs_lan vs_service vs_return lacks
    rows "$@"
    exit 0
fi

cat <<'TEXT'
# Kernels

`make kernels` writes this page. Each kernel is Debian's own, unchanged, booted in QEMU without acceleration, with 256 MB
and the programs as `make cross` builds them, linked statically. In it the heart of the demonstration runs, over IPv4 and
IPv6, TCP and UDP: a client, a hotspot with a bridge, a cloud; a service is deployed, killed, started again, drained,
outlives viscumd, is left to the cloud when the lease ends, is adopted, and removed without a trace.

TEXT
row='| %s | %s | %s | %s | %s | %s | %s | %s |\n'
# shellcheck disable=SC2059
{
    printf "$row" kernel release 'steps passed' seconds grade 'BPF JIT' 'limits in force' exposure
    printf "$row" --- --- --- --- --- --- --- ---
}
row='| %s | %s | %s | %s | %s | %s | %s | %s |%.0s%.0s%.0s%.0s\n' rows "$@"
cat <<'TEXT'

- *seconds*: from power-on to power-off, 20 of them in wait for the lease to end. They say how long the test takes, and
  nothing of a router.
- *BPF JIT*: `net.core.bpf_jit_enable`.
- *limits in force*: those of a service's control group (v2) that were found set, with the service in the group. The
  service's process joins by writing to `cgroup.procs` before anything of the service runs.
- *exposure*: the score of `viscumctl audit`, from 0 (nothing is exposed) to 10.

## What the verifier makes of the programs

The instructions that it walks through; from 1,000,000 on a kernel refuses a program. *interpreted* stands where the
kernel loads a program and does not compile it.

TEXT
row='| %s | %s | %s | %s | %s |\n'
# shellcheck disable=SC2059
{
    printf "$row" kernel vs_lan vs_service vs_return 'what viscumctl doctor misses'
    printf "$row" --- --- --- --- ---
}
row='| %s |%.0s%.0s%.0s%.0s%.0s%.0s%.0s %s | %s | %s | %s |\n' rows "$@"
