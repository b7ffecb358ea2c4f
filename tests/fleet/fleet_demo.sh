#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# fleet_demo.sh [PROGRAMS [N]]: the demonstration of a fleet: N hotspots (20) on this machine, each a system of its own
# without Python, and Ansible as their controller. Ends with 0 only if every line was as expected.
set -eu
programs=$(readlink -m "${1:-$(dirname "$0")/../../build/bin}") count=${2:-20}
fleet=$(dirname "$(readlink -f "$0")")

# shellcheck source=tests/support/script.sh
. "$fleet/../support/script.sh"
# shellcheck source=tests/fleet/world.sh
. "$fleet/world.sh"

if [[ -z ${VISCUM_FLEET_INSIDE:-} ]]; then
    need_world
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    code=0
    VISCUM_FLEET_INSIDE=$work unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$programs" "$count" || code=$?
    exit "$code"
fi
dir=$VISCUM_FLEET_INSIDE
wrong=0

chapter() { printf '\n%s\n' "$*"; }
# line WHAT FOUND EXPECTED
line() {
    local mark=ok
    [[ $2 = "$3" ]] || { mark="!!, expected: $3" && wrong=$((wrong + 1)); }
    printf '  %-62s %s  %s\n' "$1" "$2" "$mark"
}
# timed WHAT COMMAND...: prints how long it took.
timed() {
    local what=$1 start=$EPOCHREALTIME code=0
    shift
    "$@" || code=$?
    printf '  %-62s %s s\n' "$what" "$(awk -v from="$start" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }')"
    return "$code"
}
# The table as the playbook shows it, at most some lines of it.
table() { sed -n '/^ *"msg": \[/,/^ *\]/p' "$dir/said" | sed -n 's/^ *"\(.*\)",*$/    \1/p' | cut -c 1-160 | "${@:-cat}"; }
verdicts() { jq -r '[.[]] | group_by(.) | map("\(length) \(.[0])") | join(", ")' "$dir/verdicts"; }
answers() { for ((n = 1; n <= count; n++)); do who "$n"; done | sort | uniq -c | awk '{ printf "%s%d %s", sep, $1, $2; sep = ", " }'; }
clients=(1 2 "$count")
ask() {
    local n
    for n in "${clients[@]}"; do
        : > "$dir/asks$n"
        while [[ -e $dir/asks$n ]]; do
            who "$n" >> "$dir/answers$n"
            sleep 0.1
        done &
    done
}
stop_asking() {
    rm "$dir"/asks*
    wait
}

printf '%s\n' "$count hotspots on this machine only, each with its own root, address, host key, LAN and client." \
    'They have busybox, dropbear and opkg: no Python, no Viscum yet.'
timed 'all are up' raise "$count"

chapter 'Installed and configured: ansible-playbook viscum.edge.install'
timed 'package, viscum.yaml' play install || true
line 'what became of them' "$(verdicts)" "$count done"
line 'who answers their clients at 203.0.113.10' "$(answers)" "$count cloud"

chapter 'A service: viscum.edge.rollout, to one device, then 10 %, 50 %, the rest'
timed 'the roll-out' rollout one || true
line 'what became of them' "$(verdicts)" "$count done"
line 'who answers their clients' "$(answers)" "$count one"

chapter 'A version that gets healthy and ends 2 s later'
timed 'it stops at the canary, which is put back' rollout weak -e viscum_settle=3 || true
table head -n 3
line 'who was not tried' "$(jq -r '[.[] | select(. == "not tried")] | length' "$dir/verdicts")" "$((count - 1))"
line 'who answers their clients' "$(answers)" "$count one"

away=$((count < 7 ? count : 7))
chapter "The next version, while h$away is offline"
link "$away" down
timed 'the roll-out' rollout two || true
table grep offline
line 'who answers their clients' "$(answers)" "1 one, $((count - 1)) two"
line 'whom the next run takes up' "$(cat "$dir/viscum.pending")" "h$away"
link "$away" up
timed "h$away is back: the next run" rollout two --limit "@$dir/viscum.pending" || true
line 'who answers their clients' "$(answers)" "$count two"

chapter 'Viscum itself is upgraded under clients: viscum.edge.upgrade'
ask
timed 'the upgrade' play upgrade -e "{\"viscum_packages\": [\"$next_package\"]}" || true
stop_asking
line 'what became of them' "$(verdicts)" "$count done"
line "${#clients[@]} clients without pause asked $(cat "$dir"/answers* | wc -l) times: answers" \
    "$(cat "$dir"/answers* | sort -u | paste -sd ' ')" two

chapter 'What all serve: viscum.edge.collect'
timed 'a table and a CSV' play collect || true
table head -n 4
line 'rows of the CSV' "$(grep -c '"up","healthy","serve"' "$dir/viscum.csv")" "$count"

[[ $wrong = 0 ]] || { printf '\n%d lines were not as expected. What Ansible said last:\n' "$wrong" && tail -n 40 "$dir/said" && exit 1; }
printf '\nEverything was as it should be.\n'
