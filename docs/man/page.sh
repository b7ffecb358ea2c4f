#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# page.sh PAGE PROGRAMS VERSION DATE: writes a manual page, of docs/man/PAGE.md, to standard output. A page repeats
# nothing that stands elsewhere; these lines of it are replaced:
#   @document FILE           a document of docs/, without its title
#   @section FILE HEADING    what stands below that heading of a document
#   @help PROGRAM PART       what a program of the directory PROGRAMS says of itself: see help.awk
set -eu
page=$1 programs=$2 version=$3 date=$4
here=$(dirname "$0")

section() {
    awk -v heading="$2" '
        /^```/ { fence = !fence }
        !fence && /^#+ / {
            match($0, /^#+/)
            if (inside && RLENGTH <= level) { exit }
            if (substr($0, RLENGTH + 2) == heading) { inside = 1; level = RLENGTH; next }
        }
        inside { print; found = 1 }
        END { if (!found) { print "no section \"" heading "\"" > "/dev/stderr"; exit 1 } }' "$here/../$1"
}

help_of() {
    program=$1 part=$2
    shift 2
    # shellcheck disable=SC2086  # a verb may be two words
    text=$("$programs/$program" ${1:-} --help)
    [ -n "$text" ] || { echo "$program ${1:-} says nothing of itself" >&2; exit 1; }
    printf '%s\n' "$text" | awk -v part="$part" -v verb="${1:-}" -f "$here/help.awk"
}

verbs_of() {
    verbs=$(help_of "$1" verbs)
    for verb in $verbs; do
        help_of "$1" verb "$verb"
        seconds=$(help_of "$1" verbs "$verb")
        for second in $seconds; do
            help_of "$1" verb "$verb $second"
        done
    done
}

expand() {
    while IFS= read -r line; do
        # shellcheck disable=SC2086  # words of our own pages
        case $line in
            '@document '*)
                file=${line#@document }
                echo "<!-- from $file -->"
                sed '1s/^# .*/## Description/' "$here/../$file"
                ;;
            '@section '*)
                line=${line#@section }
                echo "<!-- from ${line%% *} -->"
                body=$(section "${line%% *}" "${line#* }")
                printf '%s\n' "$body" | sed "s/](#/](${line%% *}#/g"
                ;;
            '@help '*' verbs') set -- $line; verbs_of "$2" ;;
            '@help '*) set -- $line; help_of "$2" "$3" ;;
            '# '*'@help '*)
                set -- ${line#*@help }
                body=$(help_of "$1" "$2")
                echo "${line%@help *}$body"
                ;;
            *) printf '%s\n' "$line" ;;
        esac
    done < "$here/$page.md"
}

# Whatever fails leaves no page.
text=$(expand)
printf '%s\n' "$text" | awk -v version="$version" -v date="$date" -f "$here/man.awk"
