#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# fleet.sh up N DIRECTORY: N hotspots on this machine, each a system of its own that is reached by SSH, and what a controller
# needs for them in DIRECTORY: inventory.yml, ansible.cfg, known_hosts, key.
# fleet.sh down DIRECTORY: ends them. fleet.sh link N up|down DIRECTORY: whether hotspot N is reached.
#
#            outside                                        a device, of mount, process and network namespaces
#   controller  198.51.100.1 ── mgmt ─────────────── mgmt   198.51.100.(10 + N)   dropbear
#   cloud       192.0.2.1    ── wan ──────────────── wan    192.0.2.(10 + N)      viscumd, as the package installs it
#               203.0.113.10                         lan0 ── br-lan  10.77.N.1/24
#   client N    10.77.N.2 ──────────────────────────────┘
#
# No name is made outside of DIRECTORY: namespaces are those of processes whose numbers are in DIRECTORY/pids.
set -eu
here=$(dirname "$(readlink -f "$0")")

say() { printf '%s\n' "$*" >&2; }

# hold NAME COMMAND...: keeps it running, in DIRECTORY/pids/NAME the process whose namespaces are meant.
hold() {
    local name=$1 unshare tries=100
    shift
    setsid "$@" < /dev/null > "$dir/log/$name" 2>&1 &
    unshare=$!
    until pgrep -P "$unshare" > "$dir/pids/$name"; do
        tries=$((tries - 1))
        [[ $tries -gt 0 ]] || { say "$name does not start:" "$(cat "$dir/log/$name")"; return 1; }
        sleep 0.05
    done
}

pid() { cat "$dir/pids/$1"; }
inside() { nsenter --net="/proc/$(pid "$1")/ns/net" "${@:2}"; }

# What all devices share, read-only: busybox, dropbear, and libraries that the programs of the package are linked with.
make_base() {
    local file program applet
    mkdir -p "$dir/base/bin"
    cp "$(command -v busybox)" "$dir/base/bin/busybox"
    for applet in $("$dir/base/bin/busybox" --list); do
        [[ $applet = busybox ]] || ln -sf busybox "$dir/base/bin/$applet"
    done
    # Not on a hotspot with OpenWrt, or there is another one.
    rm -f "$dir/base/bin"/{dpkg,dpkg-deb,rpm,base64}
    cp "$(command -v dropbear)" "$dir/base/bin/dropbear"
    for program in "$dir/base/bin/dropbear" "$programs"/viscum{d,-image,-exporter}; do
        for file in $(ldd "$program" | grep -oE '/[^ ]+'); do
            mkdir -p "$dir/base$(dirname "$file")"
            cp -L "$file" "$dir/base$file"
        done
    done
}

make_outside() {
    hold outside unshare --net --kill-child --fork sleep infinity
    inside outside ip -batch - << 'IP'
link set lo up
link add mgmt type bridge forward_delay 0 stp_state 0 mcast_snooping 0
link add wan type bridge forward_delay 0 stp_state 0 mcast_snooping 0
link set mgmt up
link set wan up
address add 198.51.100.1/24 dev mgmt
address add 192.0.2.1/24 dev wan
address add 203.0.113.10/32 dev lo
IP
    inside outside sysctl -q -w net.ipv4.ip_forward=1
    mkdir -p "$dir/cloud"
    echo cloud > "$dir/cloud/index.html"
    hold cloud sh -c "nsenter --net=/proc/$(pid outside)/ns/net busybox httpd -f -p 203.0.113.10:80 -h '$dir/cloud' & wait"
}

make_device() {
    local n=$1 files=$dir/devices/h$1
    mkdir -p "$files"
    [[ -e $files/host_key ]] || dropbearkey -t ed25519 -f "$files/host_key" > "$files/host_key.txt" 2> "$files/host_key.log"
    printf '198.51.100.%d %s\n' $((10 + n)) "$(grep -oE '^ssh-ed25519 [^ ]+' "$files/host_key.txt")" >> "$dir/known_hosts"
    hold "h$n" unshare --mount --pid --net --uts --ipc --fork --kill-child "$here/device/boot.sh" "h$n" "$dir" "$here/device"
    hold "client$n" unshare --net --kill-child --fork sleep infinity
    inside outside ip -batch - << IP
link add mg$n type veth peer name mgmt netns $(pid "h$n")
link add up$n type veth peer name wan netns $(pid "h$n")
link set mg$n master mgmt up
link set up$n master wan up
route add 10.77.$n.0/24 via 192.0.2.$((10 + n))
IP
    inside "h$n" ip -batch - << IP
link set lo up
link add lan0 type veth peer name eth0 netns $(pid "client$n")
link add br-lan type bridge forward_delay 0 stp_state 0 mcast_snooping 0
link set lan0 master br-lan up
link set br-lan up
link set mgmt up
link set wan up
address add 10.77.$n.1/24 dev br-lan
address add 198.51.100.$((10 + n))/24 dev mgmt
address add 192.0.2.$((10 + n))/24 dev wan
route add default via 192.0.2.1
IP
    inside "h$n" sysctl -q -w net.ipv4.ip_forward=1
    inside "client$n" ip -batch - << IP
link set lo up
link set eth0 up
address add 10.77.$n.2/24 dev eth0
route add default via 10.77.$n.1
IP
}

# The controller's side: a key of its own, host keys that are pinned, and each host under an address of its own.
write_controller() {
    local n
    [[ -e $dir/key ]] || ssh-keygen -q -t ed25519 -N '' -C fleet -f "$dir/key"
    mkdir -p "$dir/collections/ansible_collections" "$dir/sockets"
    ln -sfn "$here/../../packaging/ansible/viscum" "$dir/collections/ansible_collections/viscum"
    sed "s|@DIRECTORY@|$dir|g" "$here/ansible.cfg.in" > "$dir/ansible.cfg"
    {
        printf '%s\n' '# SPDX-License-Identifier: GPL-2.0-only' 'hotspots:' '  vars:' '    ansible_user: root' \
            "    ansible_ssh_private_key_file: $dir/key" '    ansible_ssh_transfer_method: piped' \
            '    ansible_ssh_use_tty: false' '  hosts:'
        for ((n = 1; n <= count; n++)); do
            printf '    h%d: { ansible_host: 198.51.100.%d }\n' "$n" $((10 + n))
        done
    } > "$dir/inventory.yml"
}

up() {
    local n
    mkdir -p "$dir"/{pids,log,devices}
    rm -f "$dir/known_hosts"
    write_controller
    make_base
    make_outside
    for ((n = 1; n <= count; n++)); do
        make_device "$n"
    done
}

down() {
    local file number tries=100
    for file in "$dir"/pids/*; do
        [[ -s $file ]] || continue
        number=$(cat "$file")
        kill -KILL "$number" 2> /dev/null || true
    done
    for file in "$dir"/pids/*; do
        while [[ -s $file && -e /proc/$(cat "$file") && $tries -gt 0 ]]; do
            tries=$((tries - 1))
            sleep 0.05
        done
        rm -f "$file"
    done
}

case "${1:-} $#" in
    'up 3' | 'up 4')
        count=$2 programs=$(readlink -f "${4:-$here/../../build/bin}")
        mkdir -p "$3"
        dir=$(readlink -f "$3")
        trap 'down' ERR
        up
        ;;
    'down 2')
        dir=$(readlink -f "$2")
        down
        ;;
    'link 4')
        dir=$(readlink -f "$4")
        inside outside ip link set "mg$2" "$3"
        ;;
    *)
        say "Usage: ${0##*/} up N DIRECTORY [PROGRAMS] | down DIRECTORY | link N up|down DIRECTORY"
        exit 2
        ;;
esac
