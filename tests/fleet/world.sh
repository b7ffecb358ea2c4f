# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # variables of who sources it, and for it
# What the tests of a simulated fleet and its demonstration share. To be sourced, with $fleet (this folder), $programs and
# $dir set; all runs in namespaces of its own, which take everything with them.

# Ansible refuses a standard input that another program, which shares it, has made non-blocking.
exec < /dev/null

need_world() {
    need ansible-playbook dropbear dropbearkey ssh ssh-keygen busybox ip tc nsenter unshare make jq
    [[ $(id -u) = 0 ]] || skip 'only root can make namespaces'
    [[ -x $programs/viscumd ]] || skip "there is no viscumd in $programs"
    need "$programs"/viscum{d,ctl,-shim,-prober,-image,-exporter}
}

pid() { cat "$dir/pids/$1"; }
outside() { nsenter --net="/proc/$(pid outside)/ns/net" "$@"; }
# device N COMMAND...: at its console.
device() { nsenter --target "$(pid "h$1")" --mount --net --pid --uts --ipc --root --wd=/ /bin/env -i PATH=/bin:/sbin:/usr/sbin "${@:2}"; }
# stand_in N COMMANDS: what viscumctl is on device N from now on; in it, `viscumctl` is the real one.
stand_in() {
    device "$1" sh -c 'mkdir -p /opt && ln -sf /usr/sbin/viscumd /opt/viscumctl && rm /usr/sbin/viscumctl
        printf "#!/bin/sh\nPATH=/opt:\$PATH\n%s\n" "$0" > /usr/sbin/viscumctl && chmod 755 /usr/sbin/viscumctl' "$2"
}
link() { "$fleet/fleet.sh" link "$1" "$2" "$dir"; }

# Who answers client N: one, two, cloud, or nobody.
who() { nsenter --net="/proc/$(pid "client$1")/ns/net" timeout 5 busybox wget -q -O - http://203.0.113.10/ 2> /dev/null || echo nobody; }

# packages: viscum of this build as an .ipk, and the same as a later version, in $dir/packages.
packages() {
    local next=$dir/next usr=$dir/installed/usr
    mkdir -p "$usr"/{sbin,libexec/viscum} "$next"/{control,data} "$dir/packages"
    cp "$programs"/viscum{d,-exporter} "$usr/sbin/"
    cp "$programs"/viscum-{shim,prober,image} "$usr/libexec/viscum/"
    "$fleet/../../packaging/ipk/pack.sh" native "$dir/installed" "$dir/packages" > /dev/null
    package=$(echo "$dir"/packages/viscum_*.ipk)
    image_package=$(echo "$dir"/packages/viscum-image_*.ipk)
    next_package=$dir/packages/viscum_99-r1_native.ipk
    tar -C "$next" -xzf "$package"
    tar -C "$next/control" -xzf "$next/control.tar.gz"
    sed -i 's/^Version: .*/Version: 99-r1/' "$next/control/control"
    tar -C "$next/control" -czf "$next/control.tar.gz" .
    tar -C "$next" -czf "$next_package" ./debian-binary ./data.tar.gz ./control.tar.gz
}

# Versions of one service: each has its page. `bad` listens elsewhere; `weak` gets healthy, and ends soon.
service_files() {
    local name
    mkdir -p "$dir/services"
    for name in one two; do
        service "httpd, -f, -p, \"80\", -h, /srv/$name" > "$dir/services/$name.yaml"
    done
    service 'httpd, -f, -p, "81", -h, /srv/two' '  start_timeout: 2s' > "$dir/services/bad.yaml"
    service 'timeout, "2", busybox, httpd, -f, -p, "80", -h, /srv/two' > "$dir/services/weak.yaml"
}
service() {
    cat << YAML
viscum: 1
name: web
intercept:
  - { address: 203.0.113.10, port: 80 }
run:
  command: [/bin/busybox, $1]
health:
  http: { port: 80, path: /index.html, expect: 200 }
${2:-}
YAML
}

# play NAME ARGUMENT...: a playbook of the collection, or a file; what it says is in $dir/said.
play() {
    local playbook=$1
    shift
    [[ $playbook = */* ]] || playbook=viscum.edge.$playbook
    rm -f "$dir/verdicts"
    outside env ANSIBLE_CONFIG="$dir/ansible.cfg" ANSIBLE_HOME="$dir/home" ANSIBLE_NOCOLOR=1 LC_ALL=C.UTF-8 \
        ansible-playbook "$playbook" -e "@$dir/variables.json" -e "viscum_report=$dir/verdicts" "$@" > "$dir/said" 2>&1
}

# rollout NAME ARGUMENT...: of that version of the service.
rollout() { play rollout -e "{\"viscum_services\": [\"$dir/services/$1.yaml\"]}" "${@:2}"; }

# variables N: what the playbooks are told in each run, of N devices. Pauses are short, as nothing here is far away.
variables() {
    local confirm=''
    can_confirm && confirm=60s
    jq -n --arg package "$package" --arg confirm "$confirm" --argjson few "$(($1 < 10))" '{
        hotspot_packages: [$package], viscum_confirm: $confirm, viscum_settle: 1, viscum_tries: 2, viscum_backoff: 0.5,
        hotspot_config: "viscum: 1\nlan: [br-lan]\nclaimable: [203.0.113.0/24]\n" }
        + (if $few == 1 then { viscum_batches: [1, "100%"] } else {} end)' > "$dir/variables.json"
}
can_confirm() { "$programs/viscumctl" deploy --help | grep -q -- --confirm; }

verdict() { jq -r --arg host "h$1" '.[$host]' "$dir/verdicts"; }

# raise N: a fleet of N bare devices.
raise() {
    "$fleet/fleet.sh" up "$1" "$dir" "$programs"
    packages
    service_files
    variables "$1"
}
