# SPDX-License-Identifier: GPL-2.0-only
# Markdown, as far as docs/ uses it, to man(7). Any awk: what builds Viscum has one, and no other tool is needed.
# The first line names the page: "# viscumd(8): what it is". -v version=, -v date= (YYYY-MM-DD).

# Text for troff: neither an escape nor, later, a request.
function escaped(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/~/, "\\(ti", text)
    gsub(/\^/, "\\(ha", text)
    gsub(/`/, "\\(ga", text)
    gsub(/'/, "\\(aq", text)
    return text
}

# What a link to `target` reads: pages have names, other documents are named, and what is on this page needs no more
# than its heading.
function link(text, target, font,    file, anchor, name) {
    file = anchor = target
    sub(/#.*/, "", file)
    anchor = target ~ /#/ ? substr(target, index(target, "#") + 1) : ""
    if (file == "" || (anchor in anchors && (file in included))) {
        if (text != file) {
            return "\\fI" inline(text, "I") "\\f" font
        }
    }
    if (file in pages) {
        name = pages[file]
        sub(/\(/, "\\fR(", name)
        name = "\\fB" name "\\f" font
    } else {
        name = "\\fI" escaped(file) "\\f" font
    }
    return text == file || text == "above" || text == "below" ? name : inline(text, font) " (" name ")"
}

# Fonts, code and links of a paragraph, whose lines are still lines.
function inline(text, font,    out, end, rest) {
    out = ""
    while (text != "") {
        if (match(text, /^[^`*\[\\]+/)) {
            out = out escaped(substr(text, 1, RLENGTH))
            text = substr(text, RLENGTH + 1)
        } else if (substr(text, 1, 1) == "`" && (end = index(substr(text, 2), "`")) > 0) {
            rest = escaped(substr(text, 2, end - 1))
            gsub(/\n/, " ", rest)
            out = out "\\fB" rest "\\f" font
            text = substr(text, end + 2)
        } else if (substr(text, 1, 2) == "**" && (end = index(substr(text, 3), "**")) > 0) {
            out = out "\\fB" inline(substr(text, 3, end - 1), "B") "\\f" font
            text = substr(text, end + 4)
        } else if (match(text, /^\*[^* ][^*]*\*/)) {
            end = RLENGTH
            out = out "\\fI" inline(substr(text, 2, end - 2), "I") "\\f" font
            text = substr(text, end + 1)
        } else if (match(text, /^\[[^]]+\]\([^) ]+\)/)) {
            rest = substr(text, 2, RLENGTH - 2)
            end = index(rest, "](")
            text = substr(text, RLENGTH + 1)
            gsub(/\n/, " ", rest)
            out = out link(substr(rest, 1, end - 1), substr(rest, end + 2), font)
        } else if (match(text, /^\\[^a-zA-Z0-9 \n]/)) {
            out = out escaped(substr(text, 2, 1))
            text = substr(text, 3)
        } else {
            out = out escaped(substr(text, 1, 1))
            text = substr(text, 2)
        }
    }
    return out
}

function plain(text) {
    gsub(/[`*]/, "", text)
    return text
}

# A line of text, which troff would take for a request if it began like one.
function write_line(line) {
    print (line ~ /^[.']/ ? "\\&" : "") line
}

function write(text,    parts, count, i) {
    count = split(text, parts, "\n")
    for (i = 1; i <= count; i++) {
        sub(/^[ \t]+/, "", parts[i])
        if (parts[i] != "") {
            write_line(parts[i])
        }
    }
}

# The cells behind the first.
function write_cells(text,    parts, count, i) {
    count = split(text, parts, "\001")
    for (i = 1; i <= count; i++) {
        if (i > 1) {
            print ".br"
        }
        write(parts[i])
    }
    if (count == 0) {
        print "\\&"
    }
}

# Remarks go before their lines, where one is too far to the right.
function write_code(first, last,    i, line, remark, wide) {
    for (i = first; i <= last; i++) {
        wide = wide || (length(lines[i]) > kWide && lines[i] ~ /  # /)
    }
    for (i = first; i <= last; i++) {
        line = lines[i]
        if (wide && match(line, /   *# .*$/)) {
            remark = substr(line, RSTART)
            line = substr(line, 1, RSTART - 1)
            sub(/^ */, "", remark)
            match(line, /^ */)
            write_line(escaped(substr(line, 1, RLENGTH) remark))
        }
        write_line(escaped(line))
    }
}

# Ends the paragraph that is being gathered. `fresh`: a heading or an item comes before it, which begins it.
function flush_text() {
    if (gathered != "") {
        if (!fresh) {
            print indented ? ".IP" : ".PP"
        }
        write(inline(gathered, "R"))
        gathered = ""
        fresh = 0
    }
}

function close_lists(depth) {
    for (; nested > depth; nested--) {
        print ".RE"
    }
}

function heading(line,    level) {
    flush_text()
    close_lists(0)
    indented = 0
    match(line, /^#+/)
    level = RLENGTH
    line = plain(substr(line, RLENGTH + 2))
    print level == 2 ? ".SH " escaped(toupper(line)) : ".SS " escaped(line)
    fresh = 1
}

# A list item of `line`, whose bullet is behind `depth` levels of others.
function item(line, depth,    bullet) {
    flush_text()
    while (nested < depth) {
        print ".RS 4"
        nested++
    }
    close_lists(depth)
    if (line ~ /^ *- /) {
        bullet = "\\(bu"
        sub(/^ *- /, "", line)
    } else {
        match(line, /[0-9]+\./)
        bullet = substr(line, RSTART, RLENGTH)
        sub(/^ *[0-9]+\. /, "", line)
    }
    print ".IP " bullet " 4"
    indented = 1
    fresh = 1
    gathered = line
}

# The cells of a row, in cells[1..].
function cells_of(row, cells,    count, i) {
    gsub(/\\\|/, "\001", row)
    sub(/^\| */, "", row)
    sub(/ *\| *$/, "", row)
    count = split(row, cells, / *\| */)
    for (i = 1; i <= count; i++) {
        gsub(/\001/, "|", cells[i])
    }
    return count
}

# How wide a cell is on the page.
function width(text) {
    return length(plain(text))
}

# A table becomes a list: its first column are the terms, and each other cell says which column it is of, unless that is
# plain: "type" is, and the only one. Cells behind a short one, as a type is, are a sentence, else each is a line.
function table(first, last,    heads, cells, columns, count, i, j, wide, body, head, between) {
    flush_text()
    columns = cells_of(lines[first], heads)
    for (i = first + 2; i <= last; i++) {
        cells_of(lines[i], cells)
        wide = width(cells[1]) > wide ? width(cells[1]) : wide
    }
    wide = wide > 14 ? 8 : wide + 2
    between = heads[2] ~ /^(type|what|where)$/ ? ";\n" : "\001"
    if (indented) {
        print ".RS 4"
    }
    if (columns == 2 && heads[1] != "" && heads[2] != "") {
        print ".TP " wide
        write("\\fI" inline(heads[1], "I") "\\fR")
        write("\\fI" inline(heads[2], "I") "\\fR")
    }
    for (i = first + 2; i <= last; i++) {
        count = cells_of(lines[i], cells)
        print ".TP " wide
        write(inline(cells[1], "R"))
        body = ""
        for (j = 2; j <= count; j++) {
            if (cells[j] == "" || cells[j] == "see below") {
                continue
            }
            head = columns == 2 || heads[j] ~ kPlain || cells[j] ~ /^required/ ? "" : \
                "\\fI" inline(heads[j], "I") "\\fR: "
            body = body (body == "" ? "" : between) head inline(cells[j], "R")
        }
        write_cells(body)
    }
    if (indented) {
        print ".RE"
    }
    fresh = 0
}

function code(first, last) {
    flush_text()
    print (indented || fresh ? "" : ".PP\n") ".RS 4"
    if (indented && !fresh) {
        print ".PP"
    }
    print ".nf"
    write_code(first, last)
    print ".fi\n.RE"
    fresh = 0
}

function title(line,    section) {
    match(line, /^# [^(]+/)
    name = substr(line, 3, RLENGTH - 2)
    section = substr(line, RLENGTH + 2, 1)
    sub(/^[^:]*: /, "", line)
    print ".\\\" Made from Viscum's documents. Do not edit it."
    printf ".TH %s %s \"%s\" \"Viscum %s\" \"Viscum\"\n", escaped(toupper(name)), section, date, version
    print ".ad l\n.nh\n.ss 12 0\n.SH NAME"
    print escaped(name) " \\- " inline(line, "R")
}

# As GitHub makes anchors of headings.
function anchor_of(line) {
    sub(/^#+ /, "", line)
    line = tolower(line)
    gsub(/[^a-z0-9 _-]/, "", line)
    gsub(/ /, "-", line)
    return line
}

BEGIN {
    kWide = 69  # of 80 columns, without the margins
    kPlain = "^(type|what|where|it means|meaning|what became of it)$"
    pages["service-file.md"] = "viscum-service(5)"
    pages["configuration.md"] = "viscum.yaml(5)"
}

{ lines[NR] = $0 }

END {
    for (i = 1; i <= NR; i++) {
        if (lines[i] ~ /^```/) {
            fence = !fence
        } else if (!fence && lines[i] ~ /^#+ /) {
            anchors[anchor_of(lines[i])] = 1
        } else if (lines[i] ~ /^<!-- from .* -->$/) {
            split(lines[i], words, " ")
            included[words[3]] = 1
        }
    }
    title(lines[1])
    for (i = 2; i <= NR; i++) {
        line = lines[i]
        if (line ~ /^```/) {
            for (from = ++i; i <= NR && lines[i] !~ /^```/; i++) {}
            code(from, i - 1)
        } else if (line ~ /^#+ /) {
            heading(line)
        } else if (line ~ /^\|/) {
            for (from = i; i < NR && lines[i + 1] ~ /^\|/; i++) {}
            table(from, i)
        } else if (line ~ /^- \[[^]]*\]\(#[^)]*\)$/ || line ~ /^<!--.*-->$/) {
            continue  # a table of contents
        } else if (line ~ /^ *(-|[0-9]+\.) /) {
            match(line, /^ */)
            item(line, RLENGTH > 1 ? 1 : 0)
        } else if (line == "") {
            flush_text()
            blank = 1
            continue
        } else {
            if (blank && line !~ /^ / && !fresh) {
                flush_text()
                close_lists(0)
                indented = 0
            }
            gathered = gathered (gathered == "" ? "" : "\n") line
        }
        blank = 0
    }
    flush_text()
}
