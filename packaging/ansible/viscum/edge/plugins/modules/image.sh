#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# WANT_JSON: $1 has the arguments, all of them plain words, as the action plugin of this name makes them. It asks for the
# state `known` first: an archive is sent only where it is needed.
# shellcheck shell=dash
json="$1"
value() { sed -n 's/.*"'"$1"'": "\([^"\\]*\)".*/\1/p' "$json"; }
ctl() { viscumctl --instance "$instance" --json image "$@" 2>/dev/null </dev/null; }

instance="$(value instance)" name="$(value name)" file="$(value file)" limit="$(value limit)"
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
# digest: of the image of that name; nothing where there is none.
digest() { ctl list | tr '{' '\n' | sed -n 's|^"name":"'"$(printf '%s' "$name" | sed 's/\./\\./g')"'","digest":"\([0-9a-f]*\)".*|\1|p'; }

before="$(digest)"
command -v viscumctl >/dev/null || refuse 127 "there is no viscumctl: install the package first"
case "$(value state)" in
known)
	answer="$(ctl list)"
	code=$?
	;;
present)
	[ "$(sha256sum <"$file" | cut -c 1-64)" = "$(value sum)" ] || refuse 1 "the archive did not come whole"
	answer="$(ctl import "$file" --name "$name" ${limit:+--limit "$limit"})"
	code=$?
	[ "$before" = "$(digest)" ] || changed=true
	;;
absent)
	answer="$(ctl remove "$name")"
	code=$?
	[ "$code" -ne 0 ] || changed=true
	;;
esac
say
