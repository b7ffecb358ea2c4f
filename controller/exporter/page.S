// SPDX-License-Identifier: GPL-2.0-only
// The status page's files, as they are.
.macro embed name, file
    .global \name
    .global \name\()_end
\name:
    .incbin "\file"
\name\()_end:
    .byte 0
.endm
    .section .rodata.viscum_page, "a"
    embed viscum_page_html, "controller/exporter/page/status.html"
    embed viscum_page_css, "controller/exporter/page/status.css"
    embed viscum_page_js, "controller/exporter/page/status.js"
    embed viscum_page_svg, "controller/exporter/page/icon.svg"
    .section .note.GNU-stack, "", %progbits
