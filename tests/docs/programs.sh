# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-only
# What the programs say of themselves, for the tests of this folder: source it. $programs: where they are.

# shellcheck source=tests/support/script.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../support/script.sh"

# same WHAT EXPECTED ACTUAL: two lists of lines that must be one.
same() {
    [[ -n $2 ]] || fail "$1: nothing is expected, so nothing is checked"
    diff <(sort -u <<< "$2") <(sort -u <<< "$3") || fail "$1: < what the program knows, > what is written"
}

# verbs_of [VERB]: the verbs of viscumctl, or those of a verb.
verbs_of() {
    "$programs/viscumctl" "$@" --help |
        awk 'tolower($0) == "subcommands:" { inside = 1; next } /^[^ ]/ { inside = 0 } inside && NF { print $1 }'
}

# All verbs, one a line, also "image import" and the like.
all_verbs() {
    local verb second
    for verb in $(verbs_of); do
        echo "$verb"
        for second in $(verbs_of "$verb"); do
            echo "$verb $second"
        done
    done
}

# options_of PROGRAM [VERB...]: each option, short and long, a tab, and what it does.
options_of() {
    local program=$1
    shift
    "$programs/$program" "$@" --help | awk '
        /^ +-/ {
            sub(/^ +/, "")
            what = match($0, /   *[^-]/) ? substr($0, RSTART) : ""
            sub(/^ +/, "", what)
            if (what != "") { $0 = substr($0, 1, RSTART - 1) }
            gsub(/,/, " ")
            for (i = 1; i <= NF; i++) {
                if ($i ~ /^-/) { print $i "\t" what }
            }
        }'
}

# What each verb understands, as options_of has it: its own, and those of viscumctl that may stand behind it.
options_with_common() {
    if [[ $# -gt 0 ]]; then
        options_of viscumctl | grep -E -- $'^--(instance|json)\t'
    fi
    options_of viscumctl "$@"
}
