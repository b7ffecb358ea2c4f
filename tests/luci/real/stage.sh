#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# stage.sh BIN_DIR COMMAND...: runs a command beside a viscumd, in namespaces that unshare(1) has made for this script. What
# is written to /etc, /run and /var/lib goes with them.
set -eu
bin=$1
shift
instance=viscumluci

mount -t tmpfs stage /mnt
mkdir /mnt/upper /mnt/work
mount -t overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work stage /etc
mount -t tmpfs stage /run
mount -t tmpfs stage /var/lib
mount -t bpf -o mode=0700 stage /sys/fs/bpf
ip link set lo up
ip link add lan0 type veth peer name client0
ip link set lan0 up
ip link set client0 up
ip address add 192.0.2.1/24 dev lan0

mkdir /etc/$instance
printf 'viscum: 1\nlan: [lan0]\nclaimable: [203.0.113.0/24]\n' > /etc/$instance/viscum.yaml
"$bin/viscumd" --instance $instance 2> /mnt/log &
daemon=$!
tries=100
until [ -S /run/$instance/viscumd.sock ]; do
    tries=$((tries - 1))
    if [ $tries -eq 0 ]; then
        cat /mnt/log >&2
        exit 1
    fi
    sleep 0.1
done

code=0
"$@" || code=$?
kill $daemon
wait $daemon || true
"$bin/viscumd" --instance $instance --uninstall 2>> /mnt/log || code=1
[ $code -eq 0 ] || cat /mnt/log >&2
exit $code
