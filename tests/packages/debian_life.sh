#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# debian_life.sh TARBALL DIRECTORY: from an installation to a purge, of the packages in DIRECTORY, in a system that is
# unpacked from TARBALL. Run as the first process of mount, process and network namespaces of its own.
set -eu
tarball=$1 work=$2 root=$2/root
here=$(dirname "$(readlink -f "$0")")

fail() {
    printf '%s\n' "$*" >&2
    tail -n 20 "$root/tmp/viscumd.log" "$root/tmp/apt" >&2 || true
    exit 1
}

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }

# An edited viscum.yaml stays as it is, as whoever is asked would answer.
apt() {
    inside apt-get -q -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@" > "$root/tmp/apt" 2>&1 < /dev/null ||
        fail "apt-get $*"
}

# All files, but those of what is mounted and of apt, dpkg and adduser themselves, logs, and the folder of all names of
# namespaces.
listing() {
    find "$root" -xdev \( -path "$root/var/log" -o -path "$root/var/cache" -o -path "$root/var/lib/dpkg" -o \
        -path "$root/var/lib/apt" -o -path "$root/tmp" \) -prune -o -printf '/%P\n' | sort
    find "$root/var/lib/dpkg/info" -name 'viscum*' -printf '/var/lib/dpkg/info/%P\n'
    ls --ignore=netns --ignore=adduser "$root/run"
}

# What systemctl was asked to do with viscumd since the last call.
asked() {
    cat "$root/run/systemctl.asked"
    : > "$root/run/systemctl.asked"
}

# What a client gets of the service's address.
served() {
    # shellcheck disable=SC2016  # the client's shell
    ip netns exec client timeout 5 bash -c 'exec 3<> /dev/tcp/203.0.113.10/80 && printf "GET / HTTP/1.0\r\n\r\n" >&3 &&
        sed "1,/^\r*$/d" <&3' 2> /dev/null || echo nothing
}

expect() { [[ $2 = "$3" ]] || fail "$1: expected '$2', got '$3'"; }

eventually() {
    local tries=600
    until [[ $(eval "$2") = "$3" ]]; do
        tries=$((tries - 1))
        [[ $tries -gt 0 ]] || fail "$1: $(eval "$2")"
        sleep 0.1
    done
}

filters() { { tc filter show dev lan0 ingress; } | grep -c bpf || true; }
# The number of the group that may look in; empty where nobody may.
observers() { stat -c %g "$root/run/viscum-observe/socket" "$root/run/viscum-observe" 2> /dev/null | uniq; }
shim() { inside /bin/busybox pidof viscum-shim || true; }

# The system, a LAN with a client, and nothing of the machine's.
mount --make-rprivate /
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=755 system "$root"
tar -C "$root" -xf "$tarball"
mount -t proc proc /proc
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t bpf bpf "$root/sys/fs/bpf"
mount -t tmpfs -o mode=755 run "$root/run"
ip link set lo up
ip netns add client
ip link add lan0 type veth peer name eth0 netns client
ip addr add 192.0.2.1/24 dev lan0
ip link set lan0 up
ip -n client addr add 192.0.2.2/24 dev eth0
ip -n client link set eth0 up
ip -n client route add default via 192.0.2.1
mv "$root/usr/bin/systemctl" "$root/usr/bin/systemctl.true"
install -m 755 "$here/systemctl.sh" "$root/usr/bin/systemctl"
mkdir -p "$root/run/systemd/system" "$root/srv/www"
: > "$root/run/systemctl.asked"
echo 'from the router' > "$root/srv/www/index.html"
cp "$work"/*.deb "$root/tmp/"
before=$(listing)

# It runs after the installation, with the viscum.yaml that it comes with.
apt install /tmp/viscum.deb /tmp/viscum-image.deb
expect 'an installation' start "$(asked)"
inside viscumd --version > /dev/null || fail 'viscumd does not run'
inside viscumctl version > /dev/null || fail 'viscumd does not serve'
inside viscumctl image list > /dev/null || fail 'viscum-image does not run'
[[ -L $root/etc/systemd/system/multi-user.target.wants/viscumd.service ]] || fail 'it is not enabled'

said=$(inside systemd-analyze verify --man=no /lib/systemd/system/viscumd.service 2>&1) || fail "verify: $said"
expect 'systemd-analyze verify' '' "$said"

# The first service.
sed -i 's/^lan: .*/lan: [lan0]/; s|^claimable: .*|claimable: [203.0.113.0/24, "2001:db8::/32"]|' "$root/etc/viscum/viscum.yaml"
cat > "$root/root/web.yaml" << 'YAML'
viscum: 1
name: web
intercept:
  - { address: 203.0.113.10, port: 80 }
run:
  command: [/bin/busybox, httpd, -f, -p, "80", -h, /srv/www]
YAML
inside systemctl reload viscumd.service
eventually 'lan0 is not named after a reload' 'inside viscumctl deploy /root/web.yaml > /dev/null 2>&1 && echo deployed' deployed
eventually 'a client is not served' served 'from the router'
for example in "$root"/usr/share/doc/viscum/examples/*/*.yaml; do
    inside viscumctl validate "${example#"$root"}" > /dev/null || fail "$example is not valid"
done
[[ -n $(shim) && $(filters) -gt 0 ]] || fail 'neither shim nor filter are where they are looked for'
asked > /dev/null

# What looks at it: by an account of its own, which viscumd finds when it is told.
apt install /tmp/viscum-exporter.deb
expect 'an installation of viscum-exporter' reload "$(asked)"
eventually 'its group does not get its socket' observers "$(inside getent group viscum-exporter | cut -d : -f 3)"
inside setpriv --reuid viscum-exporter --regid viscum-exporter --clear-groups --no-new-privs \
    /usr/sbin/viscum-exporter > "$root/tmp/exporter" 2>&1 &
metrics() { inside busybox wget -q -O - http://127.0.0.1:9477/metrics; }
eventually 'no metrics of the service' 'metrics | grep -c "^viscum_service_state{.*\"web\".*\"up\"} 1"' 1
# As systemd does before its package goes; viscumd is told that the number may be another group's by tomorrow.
kill "$(inside /bin/busybox pidof viscum-exporter)"
wait
apt purge viscum-exporter
expect 'a purge of viscum-exporter' reload "$(asked)"
expect 'its account after a purge' '' "$(grep viscum-exporter "$root/etc/passwd" "$root/etc/group")"
eventually 'its socket stays after a purge' observers ''

# An upgrade restarts viscumd, once and at its end: the service is the same as before, and nothing is asked twice.
shim=$(shim) viscumd=$(cat "$root/run/viscumd.pid") edited=$(md5sum < "$root/etc/viscum/viscum.yaml")
apt install /tmp/viscum.next.deb /tmp/viscum-image.next.deb
expect 'an upgrade' restart "$(asked)"
expect 'the service after an upgrade' "$shim" "$(shim)"
[[ $viscumd != "$(cat "$root/run/viscumd.pid")" ]] || fail 'it is the viscumd of before'
expect 'an edited viscum.yaml' "$edited" "$(md5sum < "$root/etc/viscum/viscum.yaml")"
expect 'a client after an upgrade' 'from the router' "$(served)"

# A removal takes all away that runs, and leaves all files that are the operator's.
apt remove viscum
expect 'a removal' stop "$(asked)"
expect 'shims after a removal' '' "$(shim)"
expect 'filters after a removal' 0 "$(filters)"
expect 'namespaces and links after a removal' '' "$(ls "$root/run/netns" 2> /dev/null; ip -o link | grep -v -e ' lo: ' -e ' lan0@')"
[[ -d $root/sys/fs/bpf && ! -e $root/sys/fs/bpf/viscum ]] || fail 'pins are left after a removal'
expect 'a client after a removal' nothing "$(served)"
for kept in /etc/viscum/viscum.yaml /etc/viscum/services/web.yaml '/var/lib/viscum/state.[01]'; do
    compgen -G "$root$kept" > /dev/null || fail "a removal takes $kept away"
done

# What comes back is served again.
apt install /tmp/viscum.next.deb
eventually 'a service that was stored is not served' served 'from the router'
asked > /dev/null

# By hand, where systemd does not know of it: what cannot be taken away stays, with what could take it away.
mv "$root/run/viscumd.pid" "$root/run/viscumd.pid.by-hand"
if inside dpkg --remove viscum > "$root/tmp/apt" 2>&1; then
    fail 'viscum is removed under a viscumd that runs'
fi
expect 'a client after a removal that is refused' 'from the router' "$(served)"
rm -f "$root/run/viscumd.pid"
mv "$root/run/viscumd.pid.by-hand" "$root/run/viscumd.pid"

# A purge leaves a medium alone that is mounted below.
mkdir -p "$root/var/lib/viscum/images"
mount -t tmpfs medium "$root/var/lib/viscum/images"
touch "$root/var/lib/viscum/images/mine"
apt purge viscum
[[ -e $root/var/lib/viscum/images/mine ]] || fail 'a purge empties a medium'
expect 'what a purge leaves beside a medium' images "$(ls "$root/var/lib/viscum")"
umount "$root/var/lib/viscum/images"

# Otherwise it leaves nothing.
rm "$root/root/web.yaml"
apt install /tmp/viscum.next.deb /tmp/viscum-image.next.deb
[[ -e $root/etc/viscum/viscum.yaml ]] || fail 'an installation after a purge has no viscum.yaml'
apt purge viscum viscum-image
diff <(echo "$before") <(listing) || fail 'a purge: < before the installation, > after it'
