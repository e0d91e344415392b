/* The compiled BPF objects, carried in the binary (user/path/bpf_objects.h). */
    .section .rodata
    .macro embed symbol, file
    .balign 16
    .global \symbol
\symbol:
    .incbin "\file"
    .global \symbol\()_end
\symbol\()_end:
    .byte 0
    .endm

    embed xdp_vip_kern_object, "xdp_vip_kern.o"
    embed xdp_vip_live_kern_object, "xdp_vip_live_kern.o"
    embed xdp_egress_kern_object, "xdp_egress_kern.o"
    embed xdp_egress_live_kern_object, "xdp_egress_live_kern.o"

    .section .note.GNU-stack, "", @progbits
