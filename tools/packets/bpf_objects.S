/* The compiled kernel programs of xdpgen and xdpsink, carried in the tools (tools/packets/program.h). */
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

    embed xdpgen_kern_object, "xdpgen_kern.o"
    embed xdpsink_kern_object, "xdpsink_kern.o"

    .section .note.GNU-stack, "", @progbits
