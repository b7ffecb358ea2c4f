#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# playground.sh up | down | on client|hotspot|cloud COMMAND...
# A client, a hotspot and a cloud as network namespaces, joined by veth, to try Viscum in: see docs/start.md. Nothing of
# the machine's own network is touched.
#
#   client                     hotspot                                cloud
#   10.77.0.11/24    lan0      10.77.0.1/24      wan0 192.0.2.1/24    192.0.2.2/24     203.0.113.10
#   2001:db8:77::11/64         2001:db8:77::1/64      2001:db8:2::1   2001:db8:2::2    2001:db8:c::10
set -eu

run=/run/playground # the cloud's web server: its page and its process

# Not `ip netns exec`: that gives a /sys of its own, without the pins and control groups of everybody else.
on() {
    namespace=$1
    shift
    nsenter --net="/run/netns/play-$namespace" "$@"
}

# address NAMESPACE DEVICE ADDRESS...: none waits for duplicates, so that each is there at once.
address() {
    namespace=$1 device=$2
    shift 2
    for each; do
        case $each in
        *:*) ip -n "play-$namespace" address add "$each" dev "$device" nodad ;;
        *) ip -n "play-$namespace" address add "$each" dev "$device" ;;
        esac
    done
    ip -n "play-$namespace" link set "$device" up
}

up() {
    for tool in ip nsenter sysctl busybox; do
        command -v "$tool" > /dev/null || {
            echo "there is no '$tool'; on Debian 'make deps' installs what is missing" >&2
            exit 1
        }
    done
    [ ! -e "$run" ] || {
        echo "$run is there: 'playground.sh down' first" >&2
        exit 1
    }
    mkdir "$run"
    for namespace in client hotspot cloud; do
        ip netns add "play-$namespace"
        ip -n "play-$namespace" link set lo up
    done
    ip link add lan0 netns play-hotspot type veth peer name eth0 netns play-client
    ip link add wan0 netns play-hotspot type veth peer name eth0 netns play-cloud

    on hotspot sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    address hotspot lan0 10.77.0.1/24 2001:db8:77::1/64
    address hotspot wan0 192.0.2.1/24 2001:db8:2::1/64
    address client eth0 10.77.0.11/24 2001:db8:77::11/64
    address cloud eth0 192.0.2.2/24 2001:db8:2::2/64 203.0.113.10/32 2001:db8:c::10/128

    ip -n play-client route add default via 10.77.0.1
    ip -n play-client route add default via 2001:db8:77::1
    ip -n play-hotspot route add default via 192.0.2.2
    ip -n play-hotspot route add default via 2001:db8:2::2
    ip -n play-cloud route add 10.77.0.0/24 via 192.0.2.1
    ip -n play-cloud route add 2001:db8:77::/64 via 2001:db8:2::1

    mkdir "$run/pages"
    echo 'the cloud' > "$run/pages/index.html"
    # By itself, not by on(): what is remembered is the server's own process. And it keeps nobody's pipe open.
    nsenter --net=/run/netns/play-cloud busybox httpd -f -p 80 -h "$run/pages" > "$run/log" 2>&1 < /dev/null &
    echo $! > "$run/pid"
    echo 'client: 10.77.0.11   hotspot: lan0 and wan0   cloud: 203.0.113.10 and 2001:db8:c::10, port 80'
}

down() {
    [ ! -s "$run/pid" ] || kill "$(cat "$run/pid")" 2> /dev/null || true
    for namespace in client hotspot cloud; do
        [ ! -e "/run/netns/play-$namespace" ] || ip netns del "play-$namespace"
    done
    rm -rf "$run"
}

case ${1:-} in
up | down | on)
    [ "$(id -u)" -eq 0 ] || {
        echo 'network namespaces need root' >&2
        exit 1
    }
    ;;
esac

case ${1:-} in
up) up ;;
down) down ;;
on)
    [ $# -ge 3 ] || {
        echo 'usage: playground.sh on client|hotspot|cloud COMMAND...' >&2
        exit 2
    }
    namespace=$2
    shift 2
    [ -e "/run/netns/play-$namespace" ] || {
        echo "there is no '$namespace': 'playground.sh up' makes client, hotspot and cloud" >&2
        exit 1
    }
    exec nsenter --net="/run/netns/play-$namespace" "$@" # the process that was started is the command itself
    ;;
*)
    sed -n '3,5s/^# //p' "$0" >&2
    exit 2
    ;;
esac
