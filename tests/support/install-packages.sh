#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Installs what of a list is missing, tests/packages.txt where none is named; touches nothing and needs no privilege when
# nothing is.
set -eu
PATH=$PATH:/usr/sbin:/sbin
list=${1:-$(dirname "$0")/../packages.txt}

missing=
while read -r package proof; do
    case $package in '' | '#'*) continue ;; esac
    case $proof in
        /*) [ -e "$proof" ] && continue ;;
        *) command -v "$proof" > /dev/null && continue ;;
    esac
    missing="$missing $package"
done < "$list"
[ -n "$missing" ] || exit 0

if ! command -v apt-get > /dev/null; then
    echo "Missing, by Debian's names:$missing. Install them with this system's package manager." >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Missing:$missing. Install them as root: sudo make deps, or what you were about to do" >&2
    exit 1
fi

# Debian would start a system-wide nginx, say, now and at every boot; the tests only need the programs.
for pair in nginx-light:nginx haproxy:haproxy openssh-server:ssh prometheus:prometheus mosquitto:mosquitto; do
    service=${pair#*:}
    case "$missing " in *" ${pair%:*} "*)
        if [ -d /run/systemd/system ]; then
            systemctl --quiet mask "$service.service"
            echo "$service.service is masked: 'systemctl unmask $service' makes it a service of this machine."
        fi
        ;;
    esac
done
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get update -q
# shellcheck disable=SC2086  # one word a package
apt-get install -q -y --no-install-recommends $missing
