#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# gate_test.sh SERVER PROGRAMS: keys that `viscumctl gate` is the command of, on a simulated hotspot, by dropbear or sshd.
set -eu
server=$1 programs=$(readlink -m "$2")
fleet=$(dirname "$(readlink -f "$0")")

# shellcheck source=tests/support/script.sh
. "$fleet/../support/script.sh"
# shellcheck source=tests/fleet/world.sh disable=SC2154
. "$fleet/world.sh"

if [[ -z ${VISCUM_FLEET_INSIDE:-} ]]; then
    need_world
    [[ $server != sshd ]] || [[ -x /usr/sbin/sshd ]] || skip 'there is no sshd'
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    code=0
    VISCUM_FLEET_INSIDE=$work unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$@" || code=$?
    exit "$code"
fi
dir=$VISCUM_FLEET_INSIDE

# The device's own libraries are read-only: sshd brings its own.
start_sshd() {
    local root library
    root=/proc/$(pid h1)/root
    mkdir -p "$root/opt" "$root/run/sshd"
    cp /usr/sbin/sshd "$root/opt/"
    for library in $(ldd /usr/sbin/sshd | grep -oE '/[^ ]+'); do
        [[ -e $root$library ]] || cp -L "$library" "$root/opt/"
    done
    echo 'sshd:x:100:100::/run/sshd:/bin/false' >> "$root/etc/passwd"
    ssh-keygen -q -t ed25519 -N '' -f "$root/etc/sshd_key"
    sed "s/^/[198.51.100.11]:2222 /" "$root/etc/sshd_key.pub" >> "$dir/known_hosts"
    printf '%s\n' 'Port 2222' 'HostKey /etc/sshd_key' 'UsePAM no' 'PasswordAuthentication no' 'StrictModes yes' \
        'PidFile none' > "$root/etc/sshd_config"
    setsid nsenter --target "$(pid h1)" --mount --net --pid --uts --ipc --root --wd=/ \
        /bin/env -i PATH=/bin:/sbin:/usr/sbin LD_LIBRARY_PATH=/opt /opt/sshd -D -e -f /etc/sshd_config \
        < /dev/null > "$dir/log/sshd" 2>&1 &
    eventually 'sshd listens' 'device 1 netstat -ltn | grep -c :2222' 2
}

# key NAME: with that name's key, what follows; its exit status is that of viscumctl.
ask() {
    local key=$1
    shift
    outside ssh -F none -i "$dir/$key" -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes \
        -o "UserKnownHostsFile=$dir/known_hosts" -o BatchMode=yes -p "$port" root@198.51.100.11 -- "$@" > "$dir/said" 2>&1
}
expect_code() {
    local code=0
    ask "${@:2}" || code=$?
    [[ $code = "$1" ]] || fail "${*:2}: ended with $code instead of $1: $(cat "$dir/said")"
}
said() { grep -qF -- "$1" "$dir/said" || fail "'$1' is not in: $(cat "$dir/said")"; }
# syslogd writes when it comes to it.
logged() {
    local tries=50
    until device 1 grep -qF -- "$1" /tmp/messages; do
        tries=$((tries - 1))
        [[ $tries -gt 0 ]] || fail "'$1' is not in the log: $(device 1 cat /tmp/messages)"
        sleep 0.1
    done
}
eventually() {
    local tries=300
    until [[ $(eval "$2" 2> /dev/null) = "$3" ]]; do
        tries=$((tries - 1))
        [[ $tries -gt 0 ]] || fail "$1: $(eval "$2" 2>&1) $(cat "$dir"/log/*)"
        sleep 0.1
    done
}

raise 1
play install -e '{"hotspot_services": []}' || fail "$(cat "$dir/said")"
for role in observe deploy; do
    ssh-keygen -q -t ed25519 -N '' -C "$role" -f "$dir/$role"
    options=restrict
    # dropbear of Debian 12 does not know the word.
    [[ $server = sshd ]] || options=no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-pty
    device 1 sh -c 'cat >> /root/.ssh/authorized_keys' << KEY
$options,command="viscumctl gate --role $role --key $role@noc" $(cat "$dir/$role.pub")
KEY
done
device 1 syslogd -O /tmp/messages
port=22
if [[ $server = sshd ]]; then
    port=2222
    start_sshd
fi

expect_code 0 observe list
expect_code 0 observe viscumctl --json status
said '"instance":"viscum"'
expect_code 5 observe deploy - < "$dir/services/one.yaml"
said "'deploy' is refused: this key may say: list"
logged "key observe@noc from 198.51.100.1"
[[ $(who 1) = cloud ]] || fail 'a key that may look deployed a service'

expect_code 0 deploy deploy - --confirm 10m < "$dir/services/one.yaml"
[[ $(who 1) = one ]] || fail "$(who 1) answers"
logged "key deploy@noc from 198.51.100.1"
logged ': deploy - --confirm 10m'
expect_code 0 deploy confirm web
said 'web: confirmed'
expect_code 4 deploy deploy - < "$dir/services/bad.yaml"
said 'the version before serves on'
expect_code 0 observe logs web -n 5
expect_code 0 deploy drain web
[[ $(who 1) = cloud ]] || fail "$(who 1) answers after a drain"

# Nothing but the role's words, and no shell anywhere.
# shellcheck disable=SC2016  # the device is to read them as they stand here
for words in '' 'sh' 'exec web -- sh' 'status; touch /tmp/broken' 'status $(touch /tmp/broken)' 'deploy /etc/passwd' \
    'gate --role deploy --key x' '--instance x list' 'scp -t /tmp' 'status web web'; do
    expect_code 5 deploy "$words"
done
[[ -z $(device 1 sh -c 'ls /tmp/broken 2> /dev/null') ]] || fail 'a shell read a command'
# No file system, no tunnel.
! outside sftp -F none -i "$dir/deploy" -o StrictHostKeyChecking=yes -o "UserKnownHostsFile=$dir/known_hosts" \
    -o BatchMode=yes -P "$port" root@198.51.100.11:/etc/passwd "$dir/passwd" > "$dir/said" 2>&1 || fail 'sftp works'
! outside ssh -F none -i "$dir/deploy" -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes \
    -o "UserKnownHostsFile=$dir/known_hosts" -o BatchMode=yes -p "$port" -W 127.0.0.1:22 root@198.51.100.11 \
    < /dev/null > "$dir/said" 2>&1 || fail 'a tunnel is let through'
# As large as no service file is: refused, and not kept.
head -c 8000000 /dev/zero | tr '\0' a > "$dir/large"
expect_code 2 deploy deploy - < "$dir/large"
said 'longer than'
expect_code 0 deploy remove web
eventually 'it is gone' 'device 1 viscumctl list --json | jq ".services | length"' 0
