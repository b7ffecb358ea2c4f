#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# boot.sh NAME DIRECTORY FILES: as the first process of its namespaces, becomes the hotspot NAME: a root in memory with
# busybox, dropbear and what stands in for OpenWrt in FILES; no Python, no jq, no package of Viscum.
set -eu
name=$1 dir=$2 files=$3
root=$dir/devices/$name/root

mount --make-rprivate /
mkdir -p "$root"
# Flash; full where a test fills it.
mount -t tmpfs -o mode=755,size=48m flash "$root"
cd "$root"
mkdir -p bin dev etc/init.d etc/rc.d etc/config lib/upgrade/keep.d mnt proc root/.ssh run sbin srv/one srv/two sys tmp usr/sbin \
    usr/libexec usr/lib/opkg/info var/lib
(cd "$dir/base" && find . -mindepth 1 -type d) | while read -r path; do
    mkdir -p "$root/$path"
done
mount --bind "$dir/base/bin" bin
(cd "$dir/base" && find . -name '*.so*' -exec dirname {} \; | sort -u) | while read -r path; do
    mount --bind "$dir/base/$path" "$root/$path"
    mount -o remount,ro,bind "$root/$path"
done
mount -o remount,ro,bind "$root/bin"

mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t bpf bpf sys/fs/bpf
mount -t tmpfs -o mode=755,size=16m run run
mount -t tmpfs -o mode=1777,size=16m tmp tmp
for node in null zero full random urandom tty; do
    : > "dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
ln -s /proc/self/fd dev/fd
ln -s ../run var/run

cp "$files/rc.common" "$files/inittab" etc/
cp "$files/functions.sh" lib/
cp "$files/opkg" "$files/uci" "$files/supervise" sbin/
chmod 755 etc/rc.common sbin/*
echo 'root:x:0:0:root:/root:/bin/sh' > etc/passwd
echo 'root:x:0:' > etc/group
echo "root:*:0:0:99999:7:::" > etc/shadow
echo /bin/sh > etc/shells
cp "$dir/devices/$name/host_key" etc/host_key
chmod 700 root root/.ssh
sed 's/^/no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-pty /' "$dir/key.pub" > root/.ssh/authorized_keys
chmod 600 etc/host_key root/.ssh/authorized_keys etc/shadow
echo one > srv/one/index.html
echo two > srv/two/index.html
hostname "$name"

pivot_root . mnt
cd /
umount -l mnt
exec /bin/init
