#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# WANT_JSON: $1 has the arguments, all of them plain words, as the action plugin of this name makes them. Changes nothing.
# shellcheck shell=dash
json="$1"
value() { sed -n 's/.*"'"$1"'": "\([^"\\]*\)".*/\1/p' "$json"; }
ctl() { viscumctl --instance "$instance" --json "$@" 2>/dev/null </dev/null; }

instance="$(value instance)"
manager=none
for tool in opkg apk apt-get; do
	! command -v "$tool" >/dev/null || { manager="$tool" && break; }
done
report="$(ctl status)"
code=$?
printf '{"viscum":true,"code":%d,"installed":%s,"manager":"%s","kernel":"%s","machine":"%s","report":%s}\n' "$code" \
	"$(if command -v viscumctl >/dev/null; then echo true; else echo false; fi)" "$manager" "$(uname -r)" "$(uname -m)" \
	"${report:-null}"
