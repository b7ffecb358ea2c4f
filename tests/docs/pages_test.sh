#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# pages_test.sh CASE PROGRAMS PAGES: what the manual pages of the directory PAGES say, beside what the programs do.
set -eu
case=$1 programs=$2 pages=$3
source "$(dirname "$0")/programs.sh"
[[ -e $pages/viscumctl.1 ]] || skip 'the manual pages are not made: VISCUM_MAN is off'

# Text as it reads, from troff's.
text() { sed 's/\\f[BIR]//g; s/\\-/-/g; s/\\(aq/'"'"'/g; s/\\e/\\/g'; }

# section PAGE SH [SS]: the lines below a heading, up to the next of its kind or a higher one.
section() {
    awk -v high=".SH $2" -v low="${3:+.SS $3}" '
        /^\.SH / { inside = $0 == high && low == "" ; within = $0 == high; next }
        /^\.SS / { inside = within && $0 == low; next }
        inside' "$pages/$1"
}

# The terms of lists.
terms() { awk 'term { print } { term = /^\.TP/ }' | text; }

viscumctl_page() {
    local expected='' actual verb
    for verb in $(all_verbs | tr ' ' +); do
        verb=${verb/+/ }
        # shellcheck disable=SC2086  # a verb may be two words
        expected+=$verb$'\n'$(options_of viscumctl $verb | cut -f 1 | sed -E "/^(-h|--help)\$/d; s/^/$verb /")$'\n'
    done
    # Each heading names a verb, and its terms that begin with a dash are options.
    actual=$(awk '/^\.SH / { inside = $2 == "VERBS" } inside' "$pages/viscumctl.1" | text | awk '
        /^\.SS / {
            verb = ""
            for (i = 2; i <= NF && $i ~ /^[a-z]+$/; i++) { verb = verb (verb == "" ? "" : " ") $i }
            print verb
        }
        term && /^-/ {
            gsub(/,/, " ")
            for (i = 1; i <= NF; i++) { if ($i ~ /^-/) { print verb " " $i } }
        }
        { term = /^\.TP/ }')
    same 'verbs and their options in viscumctl(1)' "$(sed '/^$/d' <<< "$expected")" "$actual"
    same 'options in viscumctl(1)' "$(options_of viscumctl | cut -f 1)" \
        "$(section viscumctl.1 OPTIONS | terms | grep -oE -- '(^|[ ,])--?[a-z-]+' | tr -d ' ,')"
}

viscumd_page() {
    local options
    options=$("$programs/viscumd" --help | grep -oE -- '--[a-z-]+' | sort -u)
    same 'options in viscumd(8)' "$options" "$(section viscumd.8 OPTIONS | terms | grep -oE -- '--[a-z-]+')"
    same 'the synopsis of viscumd(8)' "$(grep -vxE -- '--(help|version)' <<< "$options")" \
        "$(section viscumd.8 SYNOPSIS | text | grep -oE -- '--[a-z-]+')"
}

# keys_at SHAPE: the keys of the map that stands in a service file where SHAPE has a @, or nothing where none can stand.
keys_at() {
    local nonsense='zzzzzzzzzzzz: 1'
    { "$programs/viscumctl" validate - <<< "${1/@/$nonsense}" 2>&1 || true; } |
        sed -n "s/.*unknown key 'zzzzzzzzzzzz' (known here: \(.*\))\$/\1/p" | sed 's/, /\n/g'
}

# Compares a map with the page, and goes on with the maps within it. A map has a section of its own.
check_map() {
    local shape=$1 name=$2 keys key inner written
    keys=$(keys_at "$shape")
    written=$(section viscum-service.5 KEYS "$name" | terms)
    [[ -n $written ]] || written=$(section viscum-service.5 HEALTH "$name" | terms)
    same "keys of '$name' in viscum-service(5)" "$keys" "$written"
    for key in $keys; do
        for inner in "$key: {@}" "$key: [{@}]"; do
            if [[ -n $(keys_at "${shape/@/$inner}") ]]; then
                maps+=" $key"
                check_map "${shape/@/$inner}" "$key"
            fi
        done
    done
}

service_page() {
    local maps='' allowed written
    check_map '{@}' ''
    [[ $maps == *' run'*' http'* ]] || fail "maps are not found: $maps"
    allowed=$({ "$programs/viscumctl" validate - <<< 'sandbox: { allow: [zzzzzzzzzzzz] }' 2>&1 || true; } |
        sed -n "s/.*can be allowed (one of \(.*\))\$/\1/p" | sed 's/, /\n/g')
    written=$(section viscum-service.5 'THE SANDBOX' | awk '/the service may/ { inside = 1 } inside' | terms)
    same 'names in viscum-service(5) that a sandbox may allow' "$allowed" "${written//, /$'\n'}"
}

# No program tells what viscumd's configuration may hold but the one that makes its tables.
configuration_page() {
    local written
    written=$(for key in '' claimable tables aliases; do section viscum.yaml.5 KEYS $key | terms; done)
    same 'keys in viscum.yaml(5)' "$("$programs/viscum-keys" names viscum.yaml claimable tables aliases)" "$written"
}

lint() {
    local page found=0
    command -v mandoc > /dev/null || skip 'no mandoc here'
    for page in "$pages"/*.[1-8]; do
        [[ -z $(mandoc -Tlint -Wwarning "$page" | tee /dev/stderr) ]] || fail "mandoc has something to say of $page"
        ! grep -nE '\]\(|```|\*\*|^\| |^##' "$page" || fail "Markdown is left in $page"
        found=$((found + 1))
    done
    [[ $found -eq 4 ]] || fail "$found pages"
}

"$case"
