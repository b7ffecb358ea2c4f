# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2154  # variables of who sources it
# Row 35 of the fault matrix: a verdict for each host, and none that is applied by half. Part of fleet_test.sh.

# Somebody else answers at the address of h2.
wrong_key() {
    raise 3
    sed -i "s|^198.51.100.12 .*|198.51.100.12 $(sed -n 's/^198.51.100.13 //p' "$dir/known_hosts")|" "$dir/known_hosts"
    stops play install
    matches 'one with another host key' '^not trusted: ' "$(verdict 2)"
    expect 'the others' 'done done' "$(verdict 1) $(verdict 3)"
    expect 'what was installed on it' '' "$(device 2 ls /usr/sbin)"
    expect 'who is to be taken up' h2 "$(cat "$dir/viscum.pending")"
}

# The connection ends while a package is under way to h2.
drop_mid_copy() {
    local whole size=0 tries=600
    raise 2
    whole=$(stat -c %s "$package")
    outside tc qdisc add dev mg2 root tbf rate 1mbit burst 8kb latency 200ms
    play install &
    until [[ $size -gt 20000 ]]; do
        tries=$((tries - 1))
        [[ $tries -gt 0 ]] || complain 'nothing is copied'
        size=$(device 2 sh -c 'cat /run/.ansible/*/viscum_*.ipk 2> /dev/null | wc -c')
        sleep 0.02
    done
    # shellcheck disable=SC2016  # the device's shell
    device 2 sh -c 'kill -9 $(pidof dropbear)'
    ! wait $! || complain 'a run that lost a device ends well'
    [[ $size -lt $whole ]] || complain 'it was copied whole'
    expect 'the other one' 'done' "$(verdict 1)"
    matches 'the one that was lost' '^(lost|failed)' "$(verdict 2)"
    expect 'what was installed on it' '' "$(device 2 ls /usr/sbin)"
    outside tc qdisc del dev mg2 root
    runs play install
    expect 'the next run' 'done: done' "$(verdict 1): $(verdict 2)"
}

# No room on h1: for the copy, for the package, for the service file.
disk_full() {
    raise 2
    device 1 sh -c 'dd if=/dev/zero of=/fill bs=1k count=48200 2> /dev/null'
    stops play install
    matches 'no room for the package' '^failed: viscum was not installed: .*Only have' "$(verdict 1)"
    expect 'what was installed' '' "$(device 1 ls /usr/sbin)"
    device 1 rm /fill
    runs play install
    runs rollout one
    device 1 sh -c 'dd if=/dev/zero of=/fill bs=1k 2> /dev/null' || true
    stops rollout two
    matches 'no room for the service file' '^failed, and as it was' "$(verdict 1)"
    expect 'what comes after it' 'not tried' "$(verdict 2)"
    expect 'who answers' one "$(who 1)"
    is_whole 1 one
    task config -a "content='viscum: 1\nlan: [br-lan]\nclaimable: [203.0.113.0/25]\n'"
    matches 'no room for viscum.yaml' 'no room|cannot write' "$(told .msg)"
    matches 'viscum.yaml' 'claimable: \[203.0.113.0/24\]' "$(device 1 cat /etc/viscum/viscum.yaml)"
    device 1 rm /fill
    device 1 sh -c 'dd if=/dev/zero of=/run/fill bs=1k 2> /dev/null' || true
    stops rollout two
    matches 'no room for the copy' '^(failed|offline)' "$(verdict 1)"
    is_whole 1 one
    device 1 rm /run/fill
    runs rollout two
    expect 'who answers when there is room' 'two two' "$(who 1) $(who 2)"
    # Room ends when it has said how it is, and before it is told to keep what it has.
    stand_in 2 'viscumctl "$@"; code=$?
        [ "$*" != "--instance viscum --json status" ] || mount -t tmpfs -o size=4k full /run/.ansible
        exit $code'
    stops rollout one -e viscum_confirm=15s
    expect 'the one that was told' 'done' "$(verdict 1)"
    matches 'no room for the word' '^not all confirmed, and what was not goes back by itself' "$(verdict 2)"
    expect 'who is to be taken up' h2 "$(cat "$dir/viscum.pending")"
    device 2 umount /run/.ansible
    eventually 'h2 goes back by itself' 'who 2' two
    is_whole 2 two
}

# Two of four are lost when they have got the new version, and before it is confirmed.
half_dead() {
    local n
    can_confirm || skip 'this viscumctl knows no --confirm'
    raise 4
    runs play install
    runs rollout one
    rm "$dir/said"
    rollout two -e '{"viscum_batches": [4]}' -e viscum_settle=10 -e viscum_confirm=40s &
    # A client may have an answer of the new version before the controller has one that it was deployed.
    eventually 'all have got the new version' "grep -c 'TASK .Let it run for a while' '$dir/said'" 1
    for n in 3 4; do
        expect "who answers client $n" two "$(who $n)"
    done
    link 3 down
    link 4 down
    expect 'who would be taken up if it ended here' 'h1 h2 h3 h4' "$(paste -sd ' ' "$dir/viscum.pending")"
    ! wait $! || complain 'a run that lost two devices ends well'
    expect 'those that are well' 'put back put back' "$(verdict 1) $(verdict 2)"
    for n in 3 4; do
        matches "h$n" '^failed, and goes back by itself: lost after' "$(verdict $n)"
    done
    for n in 1 2; do
        expect "who answers client $n" one "$(who $n)"
        is_whole $n one
    done
    # Nobody can reach them.
    for n in 3 4; do
        eventually "h$n goes back by itself" "who $n" one
        is_whole $n one
    done
    link 3 up
    link 4 up
    runs rollout two
    for n in 1 2 3 4; do
        expect "who answers client $n" two "$(who $n)"
        expect "what waits on h$n" -1 "$(device $n viscumctl status web --json | jq .confirm_ms_left)"
    done
}

# What a device says is not what anybody expects: it is not well, and the others are shown.
says_anything() {
    raise 2
    runs play install
    runs rollout one
    # When it is to be judged it leaves everything out.
    stand_in 1 '[ "$*" = "--instance viscum --json status" ] || exec viscumctl "$@"
        echo "{\"version\": \"9\", \"services\": [{\"name\": \"web\"}, {\"name\": \"=A1\\u001b[2J\", \"state\": \"-up\"}]}"'
    stops rollout two
    matches 'a canary that says nothing of use' '^failed, and put back: web did not stay well' "$(verdict 1)"
    expect 'what comes after it' 'not tried' "$(verdict 2)"
    runs play collect
    expect 'the others in the table' '"web" "up"' "$(awk -F, '/^"h2"/ { print $3, $4 }' "$dir/viscum.csv")"
    expect 'what would be a formula, and words to a terminal' "\"'=A1?[2J\" \"'-up\"" \
        "$(awk -F, '/^"h1".*A1/ { print $3, $4 }' "$dir/viscum.csv")"
    expect 'what a device may not write' 0 "$(LC_ALL=C grep -c '[[:cntrl:]]' "$dir/viscum.csv" || true)"
    stand_in 1 'echo "{\"services\": 7}"'
    runs play collect
    matches 'one that cannot be understood' "the device's report cannot be understood" "$(grep '^"h1"' "$dir/viscum.csv")"
}
