#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# prometheus_test.sh PROGRAMS: Debian's Prometheus, set up as docs/metrics.md says and with the alerts as they are shipped,
# beside a simulated fleet whose exporters it reads.
set -eu
programs=$(readlink -m "$1")
fleet=$(dirname "$(readlink -f "$0")")
count=3

# shellcheck source=tests/support/script.sh
. "$fleet/../support/script.sh"
# shellcheck source=tests/fleet/world.sh disable=SC2154
. "$fleet/world.sh"

if [[ -z ${VISCUM_FLEET_INSIDE:-} ]]; then
    need_world
    need prometheus promtool
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    code=0
    VISCUM_FLEET_INSIDE=$work unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$@" || code=$?
    exit "$code"
fi
dir=$VISCUM_FLEET_INSIDE

instance() { echo "198.51.100.$((10 + $1)):9477"; }
ask() { outside promtool query instant -o json http://127.0.0.1:9090 "$1"; }
# query EXPRESSION: its values, a line "INSTANCE VALUE" each, in the order of instances.
query() { ask "$1" | jq -r '[.[] | "\(.metric.instance) \(.value[1])"] | sort | .[]'; }
# value N EXPRESSION: of hotspot N; nothing where there is none.
value() { query "$2" | sed -n "s/^$(instance "$1") //p"; }
# alerts NAME: "pending" or "firing", and of what; a line each.
alerts() {
    ask "ALERTS{alertname=\"$1\"}" |
        jq -r '[.[].metric | "\(.alertstate) \(.instance) \(.service // "")" | rtrimstr(" ")] | sort | .[]'
}
# The first line of an exporter's answer to who shows no token.
without_token() {
    # shellcheck disable=SC2016  # the other shell's
    outside bash -c 'exec 3<> "/dev/tcp/${1/:/\/}"; printf "GET /metrics HTTP/1.1\r\nHost: %s\r\n\r\n" "$1" >&3; head -n 1 <&3' \
        bash "$(instance "$1")" | tr -d '\r'
}
expect() { [[ $2 = "$3" ]] || fail "$1: expected '$2', got '$3'"; }
eventually() {
    local tries=300
    until [[ $(eval "$2" 2> /dev/null) = "$3" ]]; do
        tries=$((tries - 1))
        [[ $tries -gt 0 ]] || fail "$1: expected '$3', got '$(eval "$2" 2>&1)': $(tail -n 20 "$dir"/log/exporter* "$dir"/log/prometheus)"
        sleep 0.1
    done
}
everywhere() { for ((n = 1; n <= count; n++)); do echo "$(instance $n) $1"; done; }

# As docs/metrics.md has it for devices without a package: an account, a viscumd that is told of it, a token.
start_exporter() {
    local n=$1
    device "$n" sh -c 'echo viscum-exporter:x:9477:9477::/:/bin/false >> /etc/passwd; echo viscum-exporter:x:9477: >> /etc/group
        cat > /usr/sbin/viscum-exporter; chmod 755 /usr/sbin/viscum-exporter
        /etc/init.d/viscum reload' < "$programs/viscum-exporter"
    device "$n" sh -c 'umask 077; cat > /etc/viscum/exporter.token; chown root:viscum-exporter /etc/viscum/exporter.token
        chmod 640 /etc/viscum/exporter.token' < "$dir/viscum.token"
    setsid nsenter --target "$(pid "h$n")" --mount --net --pid --uts --ipc --root --wd=/ /bin/env -i PATH=/bin:/sbin:/usr/sbin \
        viscum-exporter --listen "$(instance "$n")" --token-file /etc/viscum/exporter.token < /dev/null > "$dir/log/exporter$n" 2>&1 &
}

# What docs/metrics.md shows, but for this fleet's addresses and files.
start_prometheus() {
    local targets
    targets=$(for ((n = 1; n <= count; n++)); do instance $n; done | paste -sd ,)
    {
        echo 'global: { scrape_interval: 1s, evaluation_interval: 1s }'
        # shellcheck disable=SC2016  # Markdown's
        sed -n '/^```yaml/,/^```/{/^```/!p}' "$fleet/../../docs/metrics.md" |
            sed "s|/etc/prometheus/viscum.token|$dir/viscum.token|; s|\[192.0.2.7:9477\]|[$targets]|
                s|\[viscum.rules.yml\]|[$fleet/../../packaging/prometheus/viscum.rules.yml]|"
    } > "$dir/prometheus.yml"
    promtool check config "$dir/prometheus.yml" > "$dir/log/promtool" 2>&1 || fail "$(cat "$dir/log/promtool" "$dir/prometheus.yml")"
    grep -qF "$targets" "$dir/prometheus.yml" || fail 'docs/metrics.md names other targets than this test replaces'
    outside prometheus --config.file "$dir/prometheus.yml" --storage.tsdb.path "$dir/tsdb" --log.level=warn \
        --web.listen-address 127.0.0.1:9090 < /dev/null > "$dir/log/prometheus" 2>&1 &
    prometheus=$!
    trap 'kill "$prometheus"; wait "$prometheus" || true' EXIT
}

raise "$count"
play install || fail "$(cat "$dir/said")"
rollout one || fail "$(cat "$dir/said")"
(umask 077 && head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' > "$dir/viscum.token")
for ((n = 1; n <= count; n++)); do
    start_exporter "$n"
done
for ((n = 1; n <= count; n++)); do
    eventually "the exporter of h$n listens" "device $n netstat -ltn | grep -c :9477" 1
done
[[ $(without_token 1) = "HTTP/1.1 401 "* ]] || fail "without a token: $(without_token 1)"
start_prometheus
eventually 'all are up' "query 'up{job=\"viscum\"}'" "$(everywhere 1)"

serves='viscum_service_admission{job="viscum",service="web",admission="serve"}'
flows='viscum_claim_flows_total{job="viscum",service="web",claim="203.0.113.10:80/tcp"}'
eventually 'each serves' "query '$serves'" "$(everywhere 1)"
eventually 'who they are' "query 'viscum_build_info{job=\"viscum\",name=\"viscum\"}'" "$(everywhere 1)"
eventually 'viscumd answers on each' "query viscum_up" "$(everywhere 1)"
expect 'the labels of flows' 'claim instance job service' \
    "$(ask viscum_claim_flows_total | jq -r '[.[].metric | keys[] | select(. != "__name__")] | unique | join(" ")')"

before=$(value 1 "$flows") beside=$(value 2 "$flows")
for _ in 1 2 3; do
    expect 'who answers client 1' one "$(who 1)"
done
eventually 'three requests are counted' "value 1 '$flows'" "$((before + 3))"
expect 'those of its neighbour' "$beside" "$(value 2 "$flows")"
for alert in ViscumExporterAway ViscumDaemonAway ViscumServiceDown ViscumLeaseLost; do
    expect "$alert of a fleet that is well" '' "$(alerts $alert)"
done

# A service that hangs, a viscumd that ends, a device that is gone: each its own alert, and none of the others.
shim=$(device 1 viscumctl status web --json | jq .pid)
service=$(device 1 cat "/proc/$shim/task/$shim/children" | tr -d ' ')
device 1 kill -STOP "$service"
device 2 /etc/init.d/viscum stop
link 3 down
eventually 'a service that hangs' "alerts ViscumServiceDown" "pending $(instance 1) web"
expect 'who answers client 1' cloud "$(who 1)"
eventually 'a viscumd that has ended' "alerts ViscumDaemonAway" "pending $(instance 2)"
eventually 'a device that is gone' "alerts ViscumExporterAway" "pending $(instance 3)"
eventually 'who is up' "query 'up{job=\"viscum\"}'" "$(everywhere 1 | sed '$s/1$/0/')"
expect 'what is known of it alone' '' "$(value 2 "$serves")"
expect 'who answers client 2, as the service goes on' one "$(who 2)"

# And all of it goes when they are back.
device 1 kill -CONT "$service"
device 2 /etc/init.d/viscum start
link 3 up
for alert in ViscumServiceDown ViscumDaemonAway ViscumExporterAway; do
    eventually "$alert goes" "alerts $alert" ''
done
eventually 'each serves again' "query '$serves'" "$(everywhere 1)"
