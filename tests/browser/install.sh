#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Puts playwright-core, of the version and with the checksum of package-lock.json, into DIRECTORY/node_modules. Touches
# nothing and asks nobody when it is there. No script of a package is run. Usage: install.sh DIRECTORY
set -eu
here=$(cd "$(dirname "$0")" && pwd)
directory=${1:?usage: install.sh DIRECTORY}

if [ -d "$directory/node_modules" ] && cmp -s "$here/package-lock.json" "$directory/package-lock.json"; then
    exit 0
fi
mkdir -p "$directory"
cp "$here/package.json" "$here/package-lock.json" "$directory/"
if ! (cd "$directory" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error); then
    rm -f "$directory/package-lock.json"
    exit 1
fi
