#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# fleet.sh [--quick] PROGRAMS FIGURES N...: what plays of the collection for Ansible take with N simulated hotspots
# (tests/fleet), for each N, in several rounds: FIGURES/fleet.json, as the other benchmarks write theirs, and a table.
set -eu
export LC_ALL=C.UTF-8
here=$(dirname "$(readlink -f "$0")")
fleet=$(readlink -f "$here/../../fleet")
rounds=2 quick=false
[[ ${1:-} != --quick ]] || { rounds=1 quick=true && shift; }
programs=$(readlink -m "$1") figures=$(readlink -m "$2")
shift 2
counts=("$@")

# shellcheck source=tests/support/script.sh
. "$fleet/../support/script.sh"
# shellcheck source=tests/fleet/world.sh
. "$fleet/world.sh"

# processors: their time so far, of all that anybody does on this machine: at work, of that in niced processes, and idle.
processors() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 + $9, $3, $5 + $6; exit }' /proc/stat; }
# since BEFORE: percent at work, and in niced processes: those are others' builds, nothing here is niced.
since() {
    awk -v from="$1" -v to="$(processors)" 'BEGIN { split(from, a); split(to, b); whole = b[1] - a[1] + b[3] - a[3]
        print 100 * (b[1] - a[1]) / whole, 100 * (b[2] - a[2]) / whole }'
}
available() { awk '/^MemAvailable:/ { print $2 * 1.024 }' /proc/meminfo; }

# --- of one fleet, in namespaces of its own

# row WHO FIGURE UNIT VALUE
row() { printf '%s\t%s\t%s\t%s\t%s\n' "$count" "$@" >> "$dir/rows"; }

# How many devices have which verdict.
verdicts() { jq -r '[.[]] | group_by(.) | map("\(length) \(.[0])") | join(", ")' "$dir/verdicts"; }

# Bytes to and from all devices, as their links on the controller's side count them.
bytes() { outside ip -s -j link show | jq -r '[.[] | select(.ifname | test("^mg[0-9]+$")).stats64] | "\([.[].tx.bytes] | add) \([.[].rx.bytes] | add)"'; }

# A link for each device alone, as theirs are, and not one LAN of all: what the others ask for there is not flooded to it.
part_links() {
    local n
    for ((n = 1; n <= count; n++)); do
        outside ip neigh replace "198.51.100.$((10 + n))" lladdr "$(device "$n" cat /sys/class/net/mgmt/address)" dev mgmt nud permanent
        outside bridge link set dev "mg$n" bcast_flood off mcast_flood off
    done
}

# What this machine has left, and what Ansible and its connections have (PSS), once a second: a line each.
sample() {
    local files
    while sleep 1; do
        files=$(pgrep -x 'ansible-playboo|ssh' | sed 's|.*|/proc/&/smaps_rollup|')
        # shellcheck disable=SC2086  # a word each; those that have ended meanwhile are left out
        printf '%s %s\n' "$(available)" "$(cat $files /dev/null 2> /dev/null | awk '/^Pss:/ { sum += $2 * 1.024 } END { print sum + 0 }')"
    done
}

# measure WHAT VERDICT COMMAND...: a play that has this verdict for each device.
measure() {
    local what=$1 verdict=$2 before after times sampler real user system busy niced TIMEFORMAT='%R %U %S'
    shift 2
    before=$(bytes)
    times=$(processors)
    sample > "$dir/samples" &
    sampler=$!
    { time "$@"; } 2> "$dir/time" || fail "$what, $count devices: $(verdicts; tail -n 20 "$dir/said")"
    kill "$sampler"
    wait "$sampler" || true
    read -r busy niced <<< "$(since "$times")"
    after=$(bytes)
    [[ $(verdicts) = "$count $verdict" ]] || fail "$what, $count devices: $(verdicts)"
    read -r real user system < "$dir/time"
    row "$what" time s "$real"
    row "$what" 'time per device' s "$(awk "BEGIN { print $real / $count }")"
    row "$what" "Ansible, processor time per device" s "$(awk "BEGIN { print ($user + $system) / $count }")"
    row "$what" 'to a device' KB "$(awk "BEGIN { print (${after% *} - ${before% *}) / $count / 1000 }")"
    row "$what" 'from a device' KB "$(awk "BEGIN { print (${after#* } - ${before#* }) / $count / 1000 }")"
    row "$what" 'Ansible, peak' MB "$(awk '$2 > most { most = $2 } END { print most / 1000 }' "$dir/samples")"
    row "$what" 'all, peak' MB "$(awk -v before="$available_before" 'NR == 1 || $1 < least { least = $1 } END { print (before - least) / 1000 }' "$dir/samples")"
    row "$what" 'processors at work' % "$busy"
    row "$what" "of that others' builds" % "$niced"
}

one_fleet() {
    dir=$VISCUM_FLEET_INSIDE count=${counts[0]}
    local times
    times=$(processors)
    sleep 3
    row others 'processors at work' % "$(since "$times" | cut -d ' ' -f 1)"
    available_before=$(available)
    raise "$count"
    part_links
    measure install 'done' play install
    measure 'first roll-out' 'done' rollout one
    [[ $(who "$count") = one ]] || fail "h$count does not serve"
    measure 'the same again' 'done: nothing to do' rollout one
}
if [[ -n ${VISCUM_FLEET_INSIDE:-} ]]; then
    one_fleet
    exit
fi

# --- of all

[[ ${#counts[@]} -gt 0 ]] || fail "usage: ${0##*/} [--quick] PROGRAMS FIGURES N..."
need_world
mkdir -p "$figures"
all=$(mktemp -d)
watchers=/proc/sys/fs/inotify/max_user_instances
watchers_before=$(cat "$watchers")
trap 'echo "$watchers_before" > "$watchers"; rm -rf "$all"' EXIT
# Each viscumd has two inotify instances. The kernel's limit is for all of root's processes: the usual 128 are those of 64
# devices, which would not share a kernel elsewhere.
most=$(printf '%s\n' "${counts[@]}" | sort -n | tail -n 1)
[[ $watchers_before -ge $((2 * most + 64)) ]] || echo $((2 * most + 64)) > "$watchers"
load=$(cut -d ' ' -f 1 /proc/loadavg)
for ((round = 1; round <= rounds; round++)); do
    for count in "${counts[@]}"; do
        echo "a fleet of $count, round $round of $rounds" >&2
        work=$all/$count-$round
        mkdir "$work"
        VISCUM_FLEET_INSIDE=$work unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$programs" "$figures" "$count" ||
            fail "a fleet of $count ended with an error"
        cat "$work/rows" >> "$all/rows"
        rm -r "$work"
    done
done
jq -n -R -f "$here/figures.jq" --argjson quick "$quick" --argjson rounds "$rounds" --argjson load "$load" --arg kernel "$(uname -r)" \
    --arg processor "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" --argjson processors "$(nproc)" \
    --arg ansible "$(ansible --version | sed -n '1s/.*core \(.*\)\]/\1/p')" --arg date "$(date -u +%F)" < "$all/rows" > "$figures/fleet.json"
jq -r -f "$here/table.jq" "$figures/fleet.json"
