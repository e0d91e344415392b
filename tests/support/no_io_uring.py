#!/usr/bin/python3
"""Executes a command for which io_uring is forbidden, as it is in most containers: `no_io_uring.py COMMAND...`.

A seccomp filter answers io_uring_setup with EPERM and lets everything else pass.
"""

import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
BPF_LD_W_ABS, BPF_JEQ_K, BPF_RET_K = 0x20, 0x15, 0x06
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
EPERM, NR_IO_URING_SETUP = 1, 425  # the same number on every architecture

FILTER = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (
        (BPF_LD_W_ABS, 0, 0, 0),  # the system call's number
        (BPF_JEQ_K, 0, 1, NR_IO_URING_SETUP),
        (BPF_RET_K, 0, 0, SECCOMP_RET_ERRNO | EPERM),
        (BPF_RET_K, 0, 0, SECCOMP_RET_ALLOW),
    )
)


def forbid() -> None:
    instructions = ctypes.create_string_buffer(FILTER)
    program = struct.pack("@HP", len(FILTER) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    pointer = ctypes.create_string_buffer(program)
    for call in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(pointer), 0, 0),
    ):
        if libc.prctl(*call) != 0:
            sys.exit(f"prctl{call[:2]}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    forbid()
    os.execvp(sys.argv[1], sys.argv[1:])
