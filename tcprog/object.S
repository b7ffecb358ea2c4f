// SPDX-License-Identifier: GPL-2.0-only
// The compiled BPF programs, as they are.
    .section .rodata.viscum_bpf_object, "a"
    .balign 8
    .global viscum_bpf_object
    .global viscum_bpf_object_end
viscum_bpf_object:
    .incbin VISCUM_BPF_OBJECT
viscum_bpf_object_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits
