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

# viscumctl reads an instance's configuration before it judges a service file: in an instance that is there for this
# alone, the answer is about the new file. Code 5, a claim that it does not permit, is a good answer.
try_out() {
	local trial=viscumtrial directory
	directory="/etc/$trial"
	rm -rf "$directory"
	trap 'rm -rf "$directory"' EXIT
	if ! mkdir -m 700 "$directory" || ! cp "$file" "$directory/viscum.yaml"; then
		refuse 1 "there is no room for the file"
	fi
	cat >"$directory/service.yaml" <<'YAML' || refuse 1 "there is no room for the file"
viscum: 1
name: trial
intercept: [{ address: 203.0.113.1, port: 1 }]
run: { command: [/bin/true] }
YAML
	answer="$(viscumctl --instance "$trial" --json validate "$directory/service.yaml" 2>/dev/null)"
	code=$?
	rm -rf "$directory"
	case "$code" in
	0 | 5) code=0 answer=null ;;
	*)
		answer="$(printf '%s' "$answer" | sed "s|$directory/viscum.yaml|$config|g")"
		say
		;;
	esac
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
changed=true
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
