#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# bash_completion_test.sh CASE PROGRAMS: what bash offers behind "viscumctl ...", beside what viscumctl knows.
set -eu
case=$1 programs=$2
source "$(dirname "$0")/programs.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Its file, with the configuration of instances elsewhere.
sed "s|/etc/|$work/etc/|" "$(dirname "$0")/../../packaging/completion/viscumctl.bash" > "$work/completion"
grep -qF "$work/etc/" "$work/completion" || fail 'the place of the configuration is not found'
# shellcheck source=/dev/null
source "$work/completion"
[[ $(complete -p viscumctl) == 'complete -F _viscumctl viscumctl' ]] || fail "registered as: $(complete -p viscumctl)"

# bash knows it while it completes only. Says what readline is to do with the words.
compopt() { modes+=("$*"); }

# offered LINE: what is offered at its end, one a line, as readline calls for it: words also end at ':' and '='.
# shellcheck disable=SC2034  # what completions read
offered() {
    local COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=() modes=()
    _viscumctl viscumctl "${1##*[ :=]}" 2>&1
    printf '%s\n' "${COMPREPLY[@]}" "${modes[@]/#/compopt }"
}

# stub NAME: a viscumctl that writes down how it is called, and does as the shell text of standard input says.
stub() {
    { echo "#!/bin/sh"; echo "echo \"\$*\" >> $work/calls"; cat; } > "$work/viscumctl"
    chmod +x "$work/viscumctl"
    : > "$work/calls"
}

# expect LINE WORD...: what is offered behind LINE, in its order.
expect() {
    local line=$1 actual
    shift
    actual=$(offered "$line" | sed '/^$/d')
    [[ $actual == "$(printf '%s\n' "$@")" ]] || fail "'$line' offers: $actual"
}

# shellcheck disable=SC2086  # a verb may be two words
verbs_and_options() {
    local verb
    same 'verbs' "$(verbs_of)" "$(offered 'viscumctl ')"
    same 'options' "$(options_of viscumctl | cut -f 1 | grep -- --)" "$(offered 'viscumctl -')"
    all_verbs > "$work/verbs"
    while read -r verb; do
        same "options of $verb" "$(options_with_common $verb | cut -f 1 | grep -- --)" "$(offered "viscumctl $verb -")"
        same "options of $verb, in the middle" "$(options_with_common $verb | cut -f 1 | grep -- --)" \
            "$(offered "viscumctl --json $verb --instance edge -")"
        if [[ -n $(verbs_of $verb) ]]; then
            same "verbs of $verb" "$(verbs_of $verb)" "$(offered "viscumctl --json $verb ")"
        fi
    done < "$work/verbs"
    expect 'viscumctl res' resume restart restore
    expect 'viscumctl deploy --d' --dry-run
    expect 'viscumctl nonsense '
}

services_and_images() {
    local verb
    PATH=$work:$PATH
    stub << 'END'
case "$*" in
    *image*) cat << LIST
NAME          DIGEST        SIZE  LAYERS
nginx:1.27    0123456789ab  1 MB  3
web           0123456789ab  1 MB  3
-             0123456789ab  1 MB  3
LIST
    ;;
    *) cat << LIST
NAME    STATE
plates  up
web     up

plates: held down
LIST
    ;;
esac
END
    for verb in remove status logs events drain resume restart exec audit; do
        expect "viscumctl $verb " plates web
        expect "viscumctl $verb p" plates
        [[ $verb == exec ]] || expect "viscumctl $verb plates "
    done
    expect 'viscumctl logs -n 20 --follow w' web
    expect 'viscumctl exec plates ' --
    expect 'viscumctl image remove ' nginx:1.27 web
    expect 'viscumctl image remove nginx:1' 1.27
    : > "$work/calls"
    expect 'viscumctl --instance edge status ' plates web
    expect 'viscumctl image remove --instance=edge --force w' web
    [[ $(< "$work/calls") == $'--instance edge list\n--instance edge image list' ]] ||
        fail "called as: $(< "$work/calls")"
    : > "$work/calls"
    expect 'viscumctl deploy --wait '
    expect 'viscumctl logs plates -n '
    expect 'viscumctl list '
    offered 'viscumctl st' > /dev/null
    [[ ! -s $work/calls ]] || fail "called for nothing: $(< "$work/calls")"
}

failing_viscumctl() {
    local line
    PATH=$work:$PATH
    stub <<< 'echo "viscumctl: no viscumd runs" >&2; exit 3'
    for line in 'viscumctl status ' 'viscumctl logs p' 'viscumctl image remove '; do
        expect "$line"
    done
    [[ $(wc -l < "$work/calls") -eq 3 ]] || fail 'it was not asked'
    stub <<< 'echo "no services; deploy one with: viscumctl deploy FILE"'
    expect 'viscumctl status '
    rm "$work/viscumctl"
    hash -r
    ! command -v viscumctl > /dev/null || skip 'viscumctl is installed here'
    expect 'viscumctl status '
}

files_and_instances() {
    mkdir -p "$work/files/directory" "$work/etc/viscum" "$work/etc/edge" "$work/etc/other"
    cd "$work/files"
    touch plates.yaml web.yml notes.txt
    expect 'viscumctl deploy ' plates.yaml web.yml directory 'compopt -o filenames'
    expect 'viscumctl validate plates.yaml w' web.yml 'compopt -o filenames'
    expect 'viscumctl plan --json p' plates.yaml 'compopt -o filenames'
    expect 'viscumctl deploy n' 'compopt -o filenames' 'compopt -o default'
    expect 'viscumctl image import ' 'compopt -o default'
    expect 'viscumctl exec plates -- ls ' 'compopt -o default'
    expect 'viscumctl --instance '
    touch "$work/etc/viscum/viscum.yaml" "$work/etc/edge/viscum.yaml"
    expect 'viscumctl --instance ' edge viscum
    expect 'viscumctl --instance=v' viscum
    expect 'viscumctl status --instance e' edge
}

"$case"
