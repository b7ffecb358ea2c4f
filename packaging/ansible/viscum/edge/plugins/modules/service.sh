#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# WANT_JSON: $1 has the arguments, all of them plain words, as the action plugin of this name makes them. A service file
# was put beside it by then, and is used only if it came whole.
# shellcheck shell=dash
json="$1"
value() { sed -n 's/.*"'"$1"'": "\([^"\\]*\)".*/\1/p' "$json"; }
# What a file holds, as JSON has it between quotes.
text() { sed 's/\\/\\\\/g; s/"/\\"/g; s/	/\\t/g; s/$/\\n/' "$1" 2>/dev/null | tr -d '\000-\037'; }
ctl() { viscumctl --instance "$instance" --json "$@" 2>/dev/null </dev/null; }

instance="$(value instance)" name="$(value name)" state="$(value state)" file="$(value file)" check="$(value check)"
wait="$(value wait)" confirm="$(value confirm)"
stored="/etc/$instance/services/$name.yaml"
before="$(text "$stored")"
changed=false
code=0
answer=null

# say: what the action plugin reads, whatever came of it.
say() {
	local status
	status="$(ctl status "$name")" || status=null
	printf '{"viscum":true,"code":%d,"changed":%s,"answer":%s,"before":"%s","stored":"%s","status":%s}\n' \
		"$code" "$changed" "${answer:-null}" "$before" "$(text "$stored")" "$status"
	exit 0
}
refuse() {
	code="$1" answer="{\"error\":{\"message\":\"$2\",\"hint\":\"\",\"details\":[],\"diagnostics\":[]},\"code\":$1}"
	say
}

# act VERB...: an answer that was a change is not lost when the next verb changes nothing.
act() {
	local said
	said="$(ctl "$@")"
	code=$?
	case "$answer$said" in
	*'"changed":true'*) changed=true ;;
	esac
	if [ "$code" -ne 0 ] || [ "$answer" = null ]; then
		answer="$said"
	fi
	[ "$code" -eq 0 ] || say
}

# is PATTERN: of the service's report. Without one, why not is the answer; but that of a file that is only to be tried.
is() {
	local report
	if report="$(ctl status "$name")"; then
		printf '%s' "$report" | grep -q "$1"
		return
	fi
	[ -z "$check" ] || [ -z "$file" ] || return 1
	code="$(printf '%s' "$report" | sed 's/.*"code":\([0-9]*\)}$/\1/')" answer="$report"
	code="${code:-1}"
	say
}

deploy() {
	[ -n "$file" ] || return 0
	[ "$(sha256sum <"$file" | cut -c 1-64)" = "$(value sum)" ] || refuse 1 "the service file did not come whole"
	if [ -n "$check" ]; then
		act deploy "$file" --dry-run
	else
		act deploy "$file" ${wait:+--wait "$wait"} ${confirm:+--confirm "$confirm"}
	fi
}

# turn VERB IF: where the service is as IF says.
turn() {
	! is "$2" || { [ -n "$check" ] && changed=true; } || act "$1" "$name"
}

command -v viscumctl >/dev/null || refuse 127 "there is no viscumctl: install the package first"
case "$state" in
present)
	deploy
	turn resume '"drained":true'
	;;
drained)
	deploy
	turn drain '"drained":false'
	;;
absent)
	# Nothing to be done where there is no such service. Where nobody says so it is an error.
	ctl status "$name" >/dev/null
	[ $? -ne 6 ] || say
	is '"name"'
	{ [ -n "$check" ] && changed=true; } || act remove "$name" ${wait:+--wait "$wait"}
	;;
confirmed)
	is "\"digest\":\"$(value digest)" || refuse 4 "another version runs than the one to be confirmed"
	turn confirm '"confirm_ms_left":[0-9]'
	;;
reverted)
	# Where another version runs, it has come back already, or somebody deployed it.
	is "\"digest\":\"$(value digest)" || say
	turn revert '"confirm_ms_left":[0-9]'
	;;
esac
say
