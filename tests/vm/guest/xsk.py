"""A bare AF_XDP socket, apart from xdplb's own code: asks the kernel what a device gives, and sends and receives.

One socket owns one UMEM of 64 frames of 4096 bytes: the lower half feeds the fill ring, the upper half is sent from.
"""
import ctypes
import errno
import mmap
import os
import socket
import struct
import time

SOL_XDP, AF_XDP = 283, 44
MMAP_OFFSETS, RX_RING, TX_RING, UMEM_REG, FILL_RING, COMPLETION_RING, STATISTICS, OPTIONS = range(1, 9)
COPY, ZEROCOPY, NEED_WAKEUP = 2, 4, 8
OPTIONS_ZEROCOPY = 1
NATIVE, GENERIC = 4, 2
FRAME, FRAMES, RING = 4096, 64, 32

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {errno.errorcode.get(number, number)}")
    return result


def bpf(command, attributes, what):
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    return check(libc.syscall(321, command, buffer, 128), what), buffer


class Program:
    """Redirects every packet of the device to the socket of its queue, else passes it. Attached while it lives."""

    def __init__(self, ifindex, mode):
        self.map_fd, _ = bpf(0, struct.pack("IIIII", 17, 4, 4, 64, 0), "create XSKMAP")

        def insn(code, dst=0, src=0, off=0, imm=0):
            return struct.pack("BBhi", code, src << 4 | dst, off, imm)

        code = b"".join((
            insn(0x61, 2, 1, 16),                                # r2 = ctx->rx_queue_index
            insn(0x18, 1, 1, 0, self.map_fd), insn(0),           # r1 = the map
            insn(0xb7, 3, 0, 0, 2),                              # r3 = XDP_PASS
            insn(0x85, imm=51), insn(0x95)))                     # return bpf_redirect_map(r1, r2, r3)
        text, license_ = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
        log = ctypes.create_string_buffer(65536)
        fields = struct.pack("IIQQIIQII", 6, len(code) // 8, ctypes.addressof(text), ctypes.addressof(license_),
                             1, 65536, ctypes.addressof(log), 0, 0)
        self.fd, _ = bpf(5, fields, "load program")
        self.link_fd, _ = bpf(28, struct.pack("IIII", self.fd, ifindex, 37, mode), "attach program")

    def serve(self, queue, xsk):
        key, value = ctypes.c_uint32(queue), ctypes.c_uint32(xsk.socket.fileno())
        bpf(2, struct.pack("IIQQQ", self.map_fd, 0, ctypes.addressof(key), ctypes.addressof(value), 0), "XSKMAP update")

    def close(self):
        for fd in (self.link_fd, self.fd, self.map_fd):
            os.close(fd)


class Ring:
    def __init__(self, fd, page_offset, offsets, entry, size):
        self.producer, self.consumer, self.descriptors, self.flags = offsets
        self.entry, self.mask = entry, size - 1
        self.memory = mmap.mmap(fd, self.descriptors + size * entry, mmap.MAP_SHARED | mmap.MAP_POPULATE,
                                offset=page_offset)

    def word(self, at):
        return struct.unpack_from("I", self.memory, at)[0]

    def available(self):
        return (self.word(self.producer) - self.word(self.consumer)) & 0xffffffff

    def push(self, content):
        at = self.word(self.producer)
        start = self.descriptors + (at & self.mask) * self.entry
        self.memory[start:start + self.entry] = content
        struct.pack_into("I", self.memory, self.producer, (at + 1) & 0xffffffff)

    def pop(self):
        at = self.word(self.consumer)
        start = self.descriptors + (at & self.mask) * self.entry
        content = bytes(self.memory[start:start + self.entry])
        struct.pack_into("I", self.memory, self.consumer, (at + 1) & 0xffffffff)
        return content


class Xsk:
    def __init__(self, ifindex, queue, flags, rx=True, headroom=0):
        self.socket = socket.socket(AF_XDP, socket.SOCK_RAW, 0)
        fd = self.socket.fileno()
        self.umem = mmap.mmap(-1, FRAME * FRAMES)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.umem))
        self.socket.setsockopt(SOL_XDP, UMEM_REG, struct.pack("QQIIII", address, FRAME * FRAMES, FRAME, headroom, 0, 0))
        for option in (FILL_RING, COMPLETION_RING, TX_RING, *([RX_RING] if rx else [])):
            self.socket.setsockopt(SOL_XDP, option, struct.pack("I", RING))
        offsets = struct.unpack("16Q", self.socket.getsockopt(SOL_XDP, MMAP_OFFSETS, 128))
        self.rx = Ring(fd, 0, offsets[0:4], 16, RING) if rx else None
        self.tx = Ring(fd, 0x80000000, offsets[4:8], 16, RING)
        self.fill = Ring(fd, 0x100000000, offsets[8:12], 8, RING)
        self.completion = Ring(fd, 0x180000000, offsets[12:16], 8, RING)
        if rx:
            for i in range(RING):
                self.fill.push(struct.pack("Q", i * FRAME))
        self.bind(struct.pack("HHIII", AF_XDP, flags, ifindex, queue, 0))

    def bind(self, address, patience_s=2.0):
        """A pool that was just closed dies later, in a work item of the kernel: until then its queue is EBUSY."""
        end = time.monotonic() + patience_s
        while True:
            try:
                check(libc.bind(self.socket.fileno(), address, len(address)), "bind")
                return
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > end:
                    self.close()
                    raise
                time.sleep(0.005)

    def zero_copy(self):
        return bool(struct.unpack("I", self.socket.getsockopt(SOL_XDP, OPTIONS, 4))[0] & OPTIONS_ZEROCOPY)

    def send(self, payload, slot=0):
        at = (RING + slot) * FRAME
        self.umem[at:at + len(payload)] = payload
        self.tx.push(struct.pack("QII", at, len(payload), 0))
        libc.sendto(self.socket.fileno(), None, 0, socket.MSG_DONTWAIT, None, 0)

    def completed(self, timeout_s=1.0):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.completion.available():
                return self.completion.pop()
            libc.sendto(self.socket.fileno(), None, 0, socket.MSG_DONTWAIT, None, 0)
            time.sleep(0.002)
        return None

    def received(self, timeout_s=1.0):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.rx.available():
                address, length, _ = struct.unpack("QII", self.rx.pop())
                frame = bytes(self.umem[address:address + length])
                self.fill.push(struct.pack("Q", address - address % FRAME))
                return frame
            libc.recvfrom(self.socket.fileno(), None, 0, socket.MSG_DONTWAIT, None, None)
            time.sleep(0.002)
        return None

    def close(self):
        """A mapped ring keeps its socket alive, and with it the queue: unmap, then close."""
        for ring in (self.rx, self.tx, self.fill, self.completion):
            if ring:
                ring.memory.close()
        self.socket.close()
