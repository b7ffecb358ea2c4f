#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# WANT_JSON: $1 has the arguments, all of them plain words, as the action plugin of this name makes them. It asks for the
# state `known` first: a package is sent only where it is needed.
# shellcheck shell=dash
json="$1"
value() { sed -n 's/.*"'"$1"'": "\([^"\\]*\)".*/\1/p' "$json"; }
quote() { sed 's/\\/\\\\/g; s/"/\\"/g; s/	/ /g; s/$/\\n/' | tr -d '\000-\037'; }

name="$(value name)" file="$(value file)" kind="$(value kind)" back="$(value downgrade)"
code=0
said=""

# The version that is installed; nothing where it is none.
version() {
	case "$kind" in
	ipk) opkg status "$name" 2>/dev/null | sed -n 's/^Version: //p' | head -n 1 ;;
	apk) apk list --installed "$name" 2>/dev/null | sed -n "s/^$name-\([0-9][^ ]*\) .*/\1/p" | head -n 1 ;;
	deb)
		# shellcheck disable=SC2016  # dpkg's
		dpkg-query -W -f '${db:Status-Status} ${Version}' "$name" 2>/dev/null | sed -n 's/^installed //p'
		;;
	esac
}

say() {
	printf '{"viscum":true,"code":%d,"said":"%s","version":"%s"}\n' "$code" "$(printf '%s' "$said" | quote)" "$(version)"
	exit 0
}
refuse() {
	code=1 said="$1"
	say
}

case "$kind" in
ipk) tool=opkg ;;
apk) tool=apk ;;
deb) tool=apt-get ;;
esac
command -v "$tool" >/dev/null || refuse "there is no $tool: a .$kind is no package for this device"

case "$(value state)" in
present)
	[ "$(sha256sum <"$file" | cut -c 1-64)" = "$(value sum)" ] || refuse "the package did not come whole"
	case "$kind" in
	ipk) said="$(opkg ${back:+--force-downgrade} install "$file" 2>&1)" ;;
	apk) said="$(apk add --allow-untrusted "$file" 2>&1)" ;;
	# An edited file of the operator's stays as it is.
	deb)
		said="$(DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold \
			${back:+--allow-downgrades} install "$file" 2>&1 </dev/null)"
		;;
	esac
	code=$?
	;;
absent)
	case "$kind" in
	ipk) said="$(opkg remove "$name" 2>&1)" ;;
	apk) said="$(apk del "$name" 2>&1)" ;;
	deb) said="$(DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 remove "$name" 2>&1 </dev/null)" ;;
	esac
	code=$?
	;;
esac
say
