#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# library.sh DIRECTORY: a small library to try with, the way a ferry would have one. Put your own documents in its place.
set -eu
[ $# -eq 1 ] || { echo "usage: library.sh DIRECTORY" >&2; exit 2; }
umask 022
mkdir -p "$1"

# page NAME TITLE: a page of what stands on standard input. Whoever reads meanwhile gets the old one or the new one.
page() {
    {
        printf '<!doctype html>\n<meta charset="utf-8">\n<title>%s</title>\n<h1>%s</h1>\n' "$2" "$2"
        sed 's|.*|<p>&</p>|'
        [ "$1" = index ] || echo '<p><a href="/">All pages</a></p>'
    } > "$directory/.new"
    mv "$directory/.new" "$directory/$1.html"
    [ "$1" = index ] || printf '<a href="/%s.html">%s</a>\n' "$1" "$2" >> "$directory/.index"
}

directory=$1
: > "$directory/.index"
page aboard 'Welcome aboard' << 'TEXT'
There is no Internet between the harbours. These pages are on the ship itself.
The crew is at the desk on deck 2, day and night.
TEXT
page safety 'Safety' << 'TEXT'
Seven short blasts and a long one: put on what is warm, take a life jacket, and go to your muster station.
Muster station A is on deck 4, forward; station B on deck 4, aft. Lifts are not to be used.
TEXT
page kitchen 'The kitchen' << 'TEXT'
Warm meals from 11 to 14 and from 17 to 21. Soup, bread and tea at all hours.
TEXT
for line in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    for hour in 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20 21 22; do
        printf 'Bus %s leaves the harbour at %s:%02d.\n' "$line" "$hour" $((line * 7 % 60))
    done | page "bus-$line" "Bus $line from the harbour"
done
page index 'The library' < "$directory/.index"
rm "$directory/.index"
