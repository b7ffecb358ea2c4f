// SPDX-License-Identifier: GPL-2.0-only
// The status page's files, as they are.
.macro embed name, type
    .global viscum_page_\name\()_\type
    .global viscum_page_\name\()_\type\()_end
viscum_page_\name\()_\type:
    .incbin "controller/exporter/page/\name\().\type"
viscum_page_\name\()_\type\()_end:
    .byte 0
.endm
    .section .rodata.viscum_page, "a"
    embed status, html
    embed status, css
    embed status, js
    embed card, js
    embed pictures, js
    embed words, js
    embed icon, svg
    .section .note.GNU-stack, "", %progbits
