#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# WANT_JSON: $1 has the arguments, all of them plain words, as the action plugin of this name makes them. It asks for the
# state `lacks` first, with the bundle's head: of the parts only those are sent that this device does not have.
# shellcheck shell=dash
json="$1"
value() { sed -n 's/.*"'"$1"'": "\([^"\\]*\)".*/\1/p' "$json"; }
# What a file holds, as JSON has it between quotes.
text() { sed 's/\\/\\\\/g; s/"/\\"/g; s/	/\\t/g; s/$/\\n/' "$1" 2>/dev/null | tr -d '\000-\037'; }
ctl() { viscumctl --instance "$instance" --json "$@" 2>/dev/null </dev/null; }

instance="$(value instance)" name="$(value name)" file="$(value file)" downgrade="$(value downgrade)"
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

command -v viscumctl >/dev/null || refuse 127 "there is no viscumctl: install the package first"
viscumctl bundle --help >/dev/null 2>&1 || refuse 2 "this viscumctl knows no bundles: upgrade the package first"
[ "$(sha256sum <"$file" | cut -c 1-64)" = "$(value sum)" ] || refuse 1 "the bundle did not come whole"
case "$(value state)" in
lacks)
	answer="$(ctl bundle lacks "$file" ${downgrade:+--allow-downgrade})"
	code=$?
	;;
present)
	answer="$(ctl bundle install "$file" ${downgrade:+--allow-downgrade} ${wait:+--wait "$wait"} \
		${confirm:+--confirm "$confirm"})"
	code=$?
	case "$answer" in
	*'"changed":true'*) changed=true ;;
	esac
	;;
esac
say
