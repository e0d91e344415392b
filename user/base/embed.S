/* build/OBJECT.o inside the binary: from OBJECT_object to OBJECT_object_end. The Makefile says which. */
    .section .rodata
    .macro embed name
    .balign 16
    .global \name\()_object, \name\()_object_end
\name\()_object:
    .incbin "\name\().o"
\name\()_object_end:
    .byte 0
    .endm

    embed OBJECT

    .section .note.GNU-stack, "", @progbits
