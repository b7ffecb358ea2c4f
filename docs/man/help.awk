# SPDX-License-Identifier: GPL-2.0-only
# What a program says of itself with --help, to Markdown. -v part=: "about", its first line; "usage", how it is called;
# "options"; "verbs", one a line, for the shell; "verb", the section of one, with -v verb=; "examples".

# Text, so that nothing in it is taken for Markdown.
function literal(text) {
    gsub(/[\\`*\[|]/, "\\\\&", text)
    if (match(text, /docs\/[a-z]+\.md/)) {
        file = substr(text, RSTART + 5, RLENGTH - 5)
        text = substr(text, 1, RSTART - 1) "[" file "](" file ")" substr(text, RSTART + RLENGTH)
    }
    return text
}

function code(text) {
    gsub(/\|/, "\\|", text)
    return "`" text "`"
}

# A line of two columns: `term` and `what`.
function split_line(line) {
    sub(/^ +/, "", line)
    if (line ~ /^-[a-zA-Z], *--/) {
        sub(/, */, ", ", line)
    }
    if (match(line, /   */)) {
        term = substr(line, 1, RSTART - 1)
        what = substr(line, RSTART + RLENGTH)
    } else {
        term = line
        what = ""
    }
    sub(/ REQUIRED$/, "", term)
    sub(/ \.\.\.$/, "", term)
}

# What of the usage's [OPTIONS] is a verb's own.
function own_options(    i, words, word, text) {
    for (i = 1; i <= terms; i++) {
        if (kinds[i] == "options" && names[i] !~ /--help/) {
            split(names[i], words, " ")
            word = words[1]
            sub(/,$/, "", word)
            text = text " [" word substr(names[i], match(names[i], / [A-Z]+$/) ? RSTART : 9999) "]"
        }
    }
    return text
}

function rows(wanted,    i, count) {
    for (i = 1; i <= terms; i++) {
        if (kinds[i] ~ wanted && (part != "verb" || names[i] !~ /--help/)) {
            if (!count++) {
                print "\n| | |\n|---|---|"
            }
            print "| " code(names[i]) " | " literal(whats[i]) " |"
        }
    }
}

function print_examples() {
    if (examples != "") {
        print "\n```\n" examples "```"
    }
}

BEGIN {
    kind = "about"
}

/^[Uu]sage: / {
    usage = substr($0, 8)
    kind = about == "" ? "options" : ""  # of a program that gives no sections names
    next
}
/^[A-Za-z]+:$/ {
    kind = tolower(substr($0, 1, length($0) - 1))
    next
}
/^[^ ]/ && kind != "about" {
    kind = ""
}
/^ *$/ {
    next
}
kind == "about" {
    about = about (about == "" ? "" : " ") $0
}
kind == "examples" {
    line = $0
    sub(/^ +/, "", line)
    examples = examples line "\n"
}
kind ~ /^(options|positionals|subcommands)$/ {
    if (terms > 0 && $0 ~ /^       / && $0 !~ /^ *-/) {
        line = $0
        sub(/^ +/, "", line)
        whats[terms] = whats[terms] (whats[terms] == "" ? "" : " ") line
        next
    }
    split_line($0)
    kinds[++terms] = kind
    names[terms] = term
    whats[terms] = what
}

END {
    if (part == "about") {
        sub(/\.$/, "", about)
        print tolower(substr(about, 1, 1)) substr(about, 2)
    } else if (part == "usage") {
        print code(usage)
    } else if (part == "options") {
        rows("options")
    } else if (part == "examples") {
        print_examples()
    } else if (part == "verbs") {
        for (i = 1; i <= terms; i++) {
            if (kinds[i] == "subcommands") {
                print names[i]
            }
        }
    } else if (part == "verb") {
        sub(/^[^ ]+ /, "", usage)
        if ((at = index(usage, " [OPTIONS]")) > 0) {
            usage = substr(usage, 1, at - 1) own_options() substr(usage, at + 10)
        }
        print "\n### " usage "\n\n" literal(about) "."
        rows("^(positionals|options)$")
        if (verb !~ / /) {
            print_examples()
        }
    }
}
