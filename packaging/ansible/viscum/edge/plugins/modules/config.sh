#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# WANT_JSON: $1 has the arguments, all of them plain words, as the action plugin of this name makes them. The new
# viscum.yaml was put beside it by then. It is tried before it is used, and put in the place of the old one by rename.
# shellcheck shell=dash
json="$1"
value() { sed -n 's/.*"'"$1"'": "\([^"\\]*\)".*/\1/p' "$json"; }
text() { sed 's/\\/\\\\/g; s/"/\\"/g; s/	/\\t/g; s/$/\\n/' "$1" 2>/dev/null | tr -d '\000-\037'; }

instance="$(value instance)" file="$(value file)" check="$(value check)"
config="/etc/$instance/viscum.yaml"
before="$(text "$config")"
changed=false
code=0
answer=null

say() {
	printf '{"viscum":true,"code":%d,"changed":%s,"answer":%s,"before":"%s"}\n' "$code" "$changed" "${answer:-null}" "$before"
	exit 0
}
refuse() {
	code="$1" answer="{\"error\":{\"message\":\"$2\",\"hint\":\"\",\"details\":[],\"diagnostics\":[]},\"code\":$1}"
	say
}

try_out() {
	answer="$(viscumctl --instance "$instance" --json validate --config "$file" 2>/dev/null)"
	code=$?
	[ "$code" -ne 0 ] || return 0
	answer="$(printf '%s' "$answer" | sed "s|$file|$config|g")"
	say
}

# read_again: by who runs viscumd. An init script of OpenWrt's leaves a file alone that it did not write.
read_again() {
	if [ "$instance" = viscum ] && [ -x /etc/init.d/viscum ]; then
		/etc/init.d/viscum reload
	elif [ "$instance" = viscum ] && command -v systemctl >/dev/null; then
		systemctl reload-or-restart viscumd
	else
		kill -HUP "$(viscumctl --instance "$instance" --json list | sed 's/.*"pid":\([0-9]*\),"lease_ms_left".*/\1/')"
	fi >/dev/null 2>&1
}

command -v viscumctl >/dev/null || refuse 127 "there is no viscumctl: install the package first"
[ "$(sha256sum <"$file" | cut -c 1-64)" = "$(value sum)" ] || refuse 1 "the file did not come whole"
! cmp -s "$file" "$config" || say
try_out
answer=null changed=true
[ -z "$check" ] || say

# put FILE: whole or not at all.
put() {
	rm -f "$config.new"
	(umask 077 && cat "$1" >"$config.new") && sync && mv -f "$config.new" "$config"
}

mkdir -p "/etc/$instance"
[ ! -e "$config" ] || cp "$config" "$file.before" || refuse 1 "there is no room for a copy of $config"
if ! put "$file"; then
	rm -f "$config.new"
	changed=false
	refuse 1 "cannot write $config: the one before is as it was"
fi
read_again && say

# The next run would take it for done.
changed=false
if [ -e "$file.before" ]; then
	put "$file.before"
else
	rm -f "$config"
fi
refuse 3 "viscumd was not told, and $config is as it was"
