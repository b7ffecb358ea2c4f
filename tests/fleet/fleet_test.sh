#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# fleet_test.sh CASE PROGRAMS [FIGURES SENTENCE]: the collection for Ansible, against simulated hotspots that run the programs
# in PROGRAMS. How a SENTENCE that begins with "fault N: " went is recorded in FIGURES, as tests/support/row_listener.cpp does.
set -eu
case=$1 programs=$(readlink -m "$2")
fleet=$(dirname "$(readlink -f "$0")")

# shellcheck source=tests/support/script.sh
. "$fleet/../support/script.sh"
# shellcheck source=tests/fleet/world.sh disable=SC2154
. "$fleet/world.sh"

# record HELD: as docs/reliability.md is made of.
record() {
    [[ $sentence =~ ^fault\ ([0-9]+):\ (.*) ]] || return 0
    mkdir -p "$figures"
    jq -n --arg row "${BASH_REMATCH[1]}" --arg test "${BASH_REMATCH[2]}" --arg held "$1" --arg why "$(sed -n 's/^SKIPPED: //p' "$work/out")" \
        '{ title: $row, full: false, seed: 0, repeat: "", values: [["test", $test], ["held", $held], ["skipped", $why]] }' \
        > "$figures/row-fleet-$case.json"
}

if [[ -z ${VISCUM_FLEET_INSIDE:-} ]]; then
    figures=${3:-} sentence=${4:-}
    need_world
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    code=0
    VISCUM_FLEET_INSIDE=$work/fleet unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$@" > "$work/out" || code=$?
    cat "$work/out"
    case $code in
        0) record yes ;;
        77) record skipped ;;
        *) record no ;;
    esac
    exit "$code"
fi
dir=$VISCUM_FLEET_INSIDE
mkdir -p "$dir"

# What Ansible said last is shown with what was expected.
complain() {
    [[ ! -e $dir/said ]] || cut -c 1-1000 "$dir/said" | tail -n 60 >&2
    fail "$*"
}
expect() { [[ $2 = "$3" ]] || complain "$1: expected '$2', got '$3'"; }
matches() { [[ $3 =~ $2 ]] || complain "$1: expected '$2', got '$3'"; }
runs() { "$@" || complain "$* fails"; }
stops() { ! "$@" || complain "$* does not fail"; }
eventually() {
    local tries=600
    until [[ $(eval "$2" 2> /dev/null) = "$3" ]]; do
        tries=$((tries - 1))
        [[ $tries -gt 0 ]] || complain "$1: $(eval "$2" 2>&1)"
        sleep 0.1
    done
}
stored() { device "$1" cat /etc/viscum/services/web.yaml; }
is_whole() { stored "$1" | cmp -s - "$dir/services/$2.yaml" || complain "h$1 has not what was $2"; }

# task ARGUMENT...: one module on h1, as ansible's own command runs it; its answer is in $answer.
task() {
    outside env ANSIBLE_CONFIG="$dir/ansible.cfg" ANSIBLE_HOME="$dir/home" ANSIBLE_NOCOLOR=1 LC_ALL=C.UTF-8 \
        ansible h1 --tree "$dir/tree" -m "viscum.edge.$1" "${@:2}" > "$dir/said" 2>&1 || true
    answer=$(cat "$dir/tree/h1")
}
told() { jq -r "$1" <<< "$answer"; }
# changes WHAT EXPECTED ARGUMENT...: whether that changes anything; in check mode the same, and nothing is.
changes() {
    task "${@:3}" --check --diff
    expect "$1, in check mode" "$2" "$(told .changed)"
    task "${@:3}" --diff
    expect "$1" "$2" "$(told .changed)"
    [[ $2 = false ]] || task "${@:3}"
    expect "$1, once more" false "$(told .changed)"
}

modules() {
    raise 1
    local file=$dir/services
    task facts
    expect 'without a package' 'viscum is not installed' "$(told .viscum.problem)"
    task service -a "src=$file/one.yaml"
    matches 'without a package' 'install the package' "$(told .msg)"
    changes 'a package' true package -a "src=$package"
    changes 'another package' true package -a "src=$image_package"
    task package -a "src=$dir/packages/viscum.ipk"
    matches 'a package without version in its name' NAME_VERSION "$(told .msg)"
    cp "$package" "$dir/packages/viscum_1.0_amd64.deb"
    task package -a "src=$dir/packages/viscum_1.0_amd64.deb"
    matches 'a package for others' 'there is no apt-get' "$(told .msg)"
    eventually 'viscumd runs' 'device 1 viscumctl list > /dev/null && echo yes' yes

    jq -r .hotspot_config "$dir/variables.json" > "$dir/viscum.yaml"
    changes 'a configuration' true config -a "src=$dir/viscum.yaml"
    expect 'who may read it' 600 "$(device 1 stat -c %a /etc/viscum/viscum.yaml)"
    local before
    before=$(device 1 md5sum /etc/viscum/viscum.yaml)
    printf 'viscum: 1\nlan: [br-lan]\nclaimabel: []\n' > "$dir/bad.yaml"
    task config -a "src=$dir/bad.yaml"
    matches 'a bad configuration' '/etc/viscum/viscum.yaml:3:1: unknown key' "$(told .msg)"
    expect 'what a bad configuration changes' "$before" "$(device 1 md5sum /etc/viscum/viscum.yaml)"
    expect 'what is left of a trial' '' "$(device 1 ls /etc | grep trial)"

    task service -a "src=$file/one.yaml" --check --diff
    matches 'the difference' '\+  command: .*/srv/one' "$(grep '^+  command' "$dir/said")"
    expect 'what check mode deploys' '' "$(device 1 ls /etc/viscum/services 2> /dev/null)"
    changes 'a service' true service -a "src=$file/one.yaml wait=20s"
    expect 'who answers' one "$(who 1)"
    changes 'its next version' true service -a "src=$file/two.yaml"
    expect 'who answers' two "$(who 1)"
    task service -a "src=$file/bad.yaml"
    expect 'the code of one that gets not healthy' 4 "$(told .code)"
    expect 'whether that changes anything' false "$(told .changed)"
    is_whole 1 two
    echo 'viscum: 1' > "$dir/bad.yaml"
    task service -a "src=$dir/bad.yaml"
    matches 'a file with a mistake' "$dir/bad.yaml:1:1: 'name' is missing" "$(told .msg)"
    changes 'a drain' true service -a 'name=web state=drained'
    expect 'who answers' cloud "$(who 1)"
    changes 'the end of a drain' true service -a "src=$file/two.yaml"
    expect 'who answers' two "$(who 1)"
    task facts
    expect 'what facts say' 'true opkg up' "$(told '"\(.viscum.running) \(.viscum.package_manager) \(.viscum.services.web.state)"')"
    changes 'a removal' true service -a 'name=web state=absent'
    expect 'who answers' cloud "$(who 1)"
    task service -a 'name=web state=drained'
    expect 'the code of none' 6 "$(told .code)"
    image_module
    not_whole
    # Who is to read it again cannot.
    device 1 sh -c 'mv /etc/init.d/viscum /tmp/init; printf "#!/bin/sh\nexit 1\n" > /etc/init.d/viscum; chmod 755 /etc/init.d/viscum'
    task config -a "content='viscum: 1\nlan: [br-lan]\n'"
    expect 'a configuration that is not read' 'false 3' "$(told '"\(.changed) \(.code)"')"
    matches 'viscum.yaml' 'claimable: \[203.0.113.0/24\]' "$(device 1 cat /etc/viscum/viscum.yaml)"
    device 1 mv /tmp/init /etc/init.d/viscum
    device 1 /etc/init.d/viscum stop
    task service -a 'name=web state=absent'
    expect 'the code without viscumd' 3 "$(told .code)"
    link 1 down
    task reach -a 'tries=2 backoff=0.2'
    expect 'one that is offline' 'false true 2' "$(told '"\(.reached) \(.trusted) \(.tries)"')"
    expect 'whether there was a pause' true "$(told '.waited > 0')"
    link 1 up
    task reach
    expect 'one that is back' 'true 1' "$(told '"\(.reached) \(.tries)"')"
}

# What the modules do with a file that is not the one that was sent.
not_whole() {
    local name
    echo half > "$dir/half"
    for name in service bundle config image package; do
        device 1 sh -c 'cat > /tmp/half' < "$dir/half"
        device 1 sh -c 'cat > /tmp/module' < "$fleet/../../packaging/ansible/viscum/edge/plugins/modules/$name.sh"
        echo '{"name": "web", "state": "present", "kind": "ipk", "file": "/tmp/half", "sum": "0", "instance": "viscum"}' |
            device 1 sh -c 'cat > /tmp/arguments; sh /tmp/module /tmp/arguments' > "$dir/said"
        matches "a file for $name that is not whole" 'did not come whole' "$(cat "$dir/said")"
    done
}

# An image of one file, as an OCI layout.
image_module() {
    make_image "$dir/image.tar"
    changes 'an image' true image -a "name=box:1 src=$dir/image.tar"
    head -c 600 "$dir/image.tar" > "$dir/half.tar"
    task image -a "name=box:2 src=$dir/half.tar"
    expect 'whether half an archive is an image' false "$(told .changed)"
    expect 'what the store has' box:1 "$(device 1 viscumctl image list --json | jq -r '.images[].name')"
    changes 'an image that goes' true image -a 'name=box:1 state=absent'
}
# make_image FILE [LAYER...]: tar archives; without any, one with busybox.
make_image() {
    local layout=${layout:-$dir/layout} file=$1 layer config manifest ids='' layers=''
    mkdir -p "$layout/blobs/sha256" "$dir/layer/bin"
    shift
    if [[ $# = 0 ]]; then
        cp "$(command -v busybox)" "$dir/layer/bin/"
        tar -C "$dir/layer" --owner=0 --group=0 -cf "$dir/layer.tar" bin
        set -- "$dir/layer.tar"
    fi
    blob() {
        local sum
        sum=$(sha256sum < "$1" | cut -c 1-64)
        cp "$1" "$layout/blobs/sha256/$sum"
        echo "$sum"
    }
    for layer in "$@"; do
        ids+=${ids:+,}$(printf '"sha256:%s"' "$(blob "$layer")")
        layers+=${layers:+,}$(printf '{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":%d}' \
            "$(blob "$layer")" "$(stat -c %s "$layer")")
    done
    printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[%s]}}' "$ids" > "$dir/blob"
    config=$(blob "$dir/blob")
    printf '{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%d},"layers":[%s]}' \
        "$config" "$(stat -c %s "$dir/blob")" "$layers" > "$dir/blob"
    manifest=$(blob "$dir/blob")
    printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%d}]}' \
        "$manifest" "$(stat -c %s "$dir/blob")" > "$layout/index.json"
    echo '{"imageLayoutVersion":"1.0.0"}' > "$layout/oci-layout"
    tar -C "$layout" -cf "$file" .
}

# Everything that a roll-out can become but for lost devices.
rollouts() {
    local n
    raise 4
    runs play install
    expect 'who is installed' 'done done done done' "$(jq -r '[.[]] | join(" ")' "$dir/verdicts")"
    runs rollout one --check
    expect 'what it would be' 'would be done' "$(verdict 4)"
    expect 'who answers after a trial run' cloud "$(who 4)"
    runs rollout one --diff
    for n in 1 2 3 4; do
        expect "who answers client $n" one "$(who $n)"
    done
    runs rollout one
    expect 'the same again' 'done: nothing to do' "$(verdict 3)"

    stops rollout bad
    matches 'the canary' 'failed, and as it was: web: not healthy' "$(verdict 1)"
    expect 'what comes after it' 'not tried' "$(verdict 2)"
    # Healthy when it is deployed, and not later: it is the look over a new connection that finds it.
    stops rollout weak -e viscum_settle=3 -e '{"viscum_batches": [2, 2]}'
    matches 'a canary that ends' 'failed, and put back: web did not stay well' "$(verdict 1)"
    expect 'what comes after it' 'not tried' "$(verdict 3)"
    for n in 1 2 3 4; do
        expect "who answers client $n" one "$(who $n)"
        is_whole $n one
    done
    expect 'who is to be taken up' 'h1 h2 h3 h4' "$(paste -sd ' ' "$dir/viscum.pending")"

    link 2 down
    runs rollout two
    matches 'one that is offline' '^offline: .*timed out' "$(verdict 2)"
    expect 'who is to be taken up' h2 "$(cat "$dir/viscum.pending")"
    stops rollout two --limit h2
    matches 'a run that reaches nobody' 'none of 1 devices gave an answer' "$(cat "$dir/said")"
    runs rollout two --limit "@$dir/viscum.pending" -e viscum_may_reach_nobody=true
    runs play collect -e viscum_tries=1
    matches 'the table' 'h2 +offline' "$(grep '"h2 ' "$dir/said")"
    link 2 up
    runs rollout two --limit "@$dir/viscum.pending"
    expect 'one that was offline' 'done' "$(verdict 2)"
    [[ ! -e $dir/viscum.pending ]] || complain 'somebody is still to be taken up'
    for n in 1 2 3 4; do
        expect "who answers client $n" two "$(who $n)"
    done
    runs play collect
    expect 'the file' '"h4" "web" "up" "healthy"' "$(awk -F, '/^"h4"/ { print $1, $3, $4, $5 }' "$dir/viscum.csv")"
}

# A client without pause on each device, while viscumd is replaced under it.
upgrade() {
    local n before
    raise 3
    runs play install -e "{\"hotspot_services\": [\"$dir/services/one.yaml\"]}"
    for n in 1 2 3; do
        : > "$dir/asks$n"
        while [[ -e $dir/asks$n ]]; do
            who $n >> "$dir/answers$n"
            sleep 0.02
        done &
    done
    before=$(device 2 viscumctl status web --json | jq .pid)
    runs play upgrade -e "{\"viscum_packages\": [\"$next_package\"]}"
    rm "$dir"/asks?
    wait
    for n in 1 2 3; do
        expect "what becomes of h$n" 'done' "$(verdict $n)"
        expect "the version of h$n" 99-r1 "$(device $n opkg status viscum | sed -n 's/^Version: //p')"
        expect "who answered client $n" one "$(sort -u "$dir/answers$n" | paste -sd ' ')"
        [[ $(wc -l < "$dir/answers$n") -gt 50 ]] || complain "client $n asked $(wc -l < "$dir/answers$n") times"
    done
    expect 'the service' "$before" "$(device 2 viscumctl status web --json | jq .pid)"
    # A package that cuts the way to its device.
    cutting_package
    stops play upgrade -e "{\"viscum_packages\": [\"$dir/packages/viscum_98-r1_native.ipk\"], \"viscum_packages_before\": [\"$next_package\"]}" \
        -e viscum_downgrade=true
    matches 'an upgrade that loses its device' '^failed, not put back: ' "$(verdict 1)"
    expect 'what comes after it' 'not tried' "$(verdict 2)"
    device 1 ip link set mgmt up
    runs play upgrade -e "{\"viscum_packages\": [\"$next_package\"]}"
    # A package that does not do what it should: viscumd does not come back.
    break_package
    stops play upgrade -e "{\"viscum_packages\": [\"$dir/packages/viscum_100-r1_native.ipk\"], \"viscum_packages_before\": [\"$next_package\"]}"
    matches 'an upgrade that fails' '^failed, put back: no viscumd runs' "$(verdict 1)"
    expect 'what comes after it' 'not tried' "$(verdict 2)"
    eventually 'viscumd is back' 'device 1 viscumctl list > /dev/null && echo yes' yes
    expect 'who answers' one "$(who 1)"
}
cutting_package() {
    local to=$dir/cutting
    cp -a "$dir/next" "$to"
    sed -i 's/^Version: .*/Version: 98-r1/' "$to/control/control"
    sed -i '1a ip link set mgmt down' "$to/control/postinst"
    tar -C "$to/control" -czf "$to/control.tar.gz" .
    tar -C "$to" -czf "$dir/packages/viscum_98-r1_native.ipk" ./debian-binary ./data.tar.gz ./control.tar.gz
}
break_package() {
    local to=$dir/next
    tar -C "$to/data" -xzf "$to/data.tar.gz"
    printf '#!/bin/sh\nexit 1\n' > "$to/data/usr/sbin/viscumd"
    # viscumctl, which is a link to it, goes on.
    rm "$to/data/usr/sbin/viscumctl"
    cp "$programs/viscumd" "$to/data/usr/sbin/viscumctl"
    sed -i 's/^Version: .*/Version: 100-r1/' "$to/control/control"
    tar -C "$to/control" -czf "$to/control.tar.gz" .
    tar -C "$to/data" -czf "$to/data.tar.gz" .
    tar -C "$to" -czf "$dir/packages/viscum_100-r1_native.ipk" ./debian-binary ./data.tar.gz ./control.tar.gz
}

# shellcheck source=tests/fleet/bundles.sh
. "$fleet/bundles.sh"
# shellcheck source=tests/fleet/faults.sh
. "$fleet/faults.sh"
# shellcheck source=tests/fleet/collection.sh
. "$fleet/collection.sh"

"$case"
