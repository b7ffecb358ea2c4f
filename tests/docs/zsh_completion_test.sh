#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# zsh_completion_test.sh CASE PROGRAMS: what a real zsh offers behind "viscumctl ...", beside what viscumctl knows.
set -eu
case=$1 programs=$2
source "$(dirname "$0")/programs.sh"
here=$(cd "$(dirname "$0")" && pwd)
command -v zsh > /dev/null || skip 'no zsh here'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ask LINE...: asks zsh what it offers at the end of each.
ask() {
    zsh -f "$here/zsh_words.zsh" "$here/../../packaging/completion" "$@" > "$work/words" ||
        fail "zsh does not complete: $*"
}

# offered LINE: what that was: a word, and what it means behind a tab.
offered() { awk -F '\t' -v line="$1" '$1 == line { sub(/^[^\t]*\t/, ""); print }' "$work/words"; }

# expect LINE WORD...: what is offered behind LINE, in whatever order.
expect() {
    local line=$1 actual
    shift
    ask "$line"
    actual=$(offered "$line" | sort -u)
    [[ $actual == "$(printf '%s\n' "$@" | sort)" ]] || fail "'$line' offers: $actual"
}

# described [VERB]: the verbs of viscumctl, or those of a verb, and what each does.
described() {
    "$programs/viscumctl" "$@" --help | awk '
        tolower($0) == "subcommands:" { inside = 1; next }
        /^[^ ]/ { inside = 0 }
        inside && NF { name = $1; sub(/^ *[^ ]+ +/, ""); print name "\t" $0 }'
}

verbs_and_options() {
    local verb lines=('viscumctl ' 'viscumctl -' 'viscumctl image ')
    all_verbs > "$work/verbs"
    while read -r verb; do
        lines+=("viscumctl $verb -")
    done < "$work/verbs"
    ask "${lines[@]}"
    same 'verbs' "$(described)" "$(offered 'viscumctl ')"
    same 'options' "$(options_of viscumctl)" "$(offered 'viscumctl -')"
    same 'verbs of image' "$(described image)" "$(offered 'viscumctl image ')"
    while read -r verb; do
        # shellcheck disable=SC2086  # a verb may be two words
        same "options of $verb" "$(options_with_common $verb)" "$(offered "viscumctl $verb -")"
    done < "$work/verbs"
}

names_and_files() {
    local verb
    export PATH=$work:$PATH
    cat > "$work/viscumctl" << END
#!/bin/sh
echo "\$*" >> $work/calls
printf 'NAME  STATE\nplates:1  up\n-     up\nweb   up\n\nplates: held down\n'
END
    chmod +x "$work/viscumctl"
    expect 'viscumctl status ' plates:1 web
    expect 'viscumctl logs -n 20 --json w' web
    expect 'viscumctl --instance edge image remove --force ' plates:1 web
    expect 'viscumctl image remove --instance=edge w' web
    [[ $(< "$work/calls") == $'list\nlist\n--instance=edge image list\n--instance=edge image list' ]] ||
        fail "called as: $(< "$work/calls")"
    printf '#!/bin/sh\necho "viscumctl: no viscumd runs" >&2\nexit 3\n' > "$work/viscumctl"
    expect 'viscumctl status '
    expect 'viscumctl image remove '
    mkdir "$work/files"
    cd "$work/files"
    touch plates.yaml web.yml notes.txt
    expect 'viscumctl deploy --dry-run ' plates.yaml web.yml
    expect 'viscumctl validate plates.yaml w' web.yml
    expect 'viscumctl image import n' notes.txt
}

"$case"
