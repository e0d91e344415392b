"""The machine itself, without xdplb: does virtio_net of this kernel give an AF_XDP socket what README.md says?

When these fail, the rig or the kernel changed, and what the other cases say about xdplb means little.
"""
import contextlib
import errno
import platform
import socket
import subprocess

import xsk
from harness import ZERO_COPY, case, say
from rig import nics
from virtio_lab import ip, links

ETHERTYPE = b"\x88\xb5"  # for local experiments


class Pair:
    """Two NICs on a cable of their own, in the guest's own namespace: `near` for the socket, `far` for packets."""

    def __init__(self):
        present = links()
        self.near, self.far = (present[nics.plain_mac(end)] for end in (1, 2))
        for device in (self.near, self.far):
            ip("link", "set", device, "up")
        self.index = socket.if_nametoindex(self.near)
        self.near_mac, self.far_mac = (bytes.fromhex(nics.plain_mac(end).replace(":", "")) for end in (1, 2))
        driver = subprocess.run(["ethtool", "-i", self.near], capture_output=True, text=True, check=True).stdout
        say(f"kernel {platform.release()}, {driver.splitlines()[0]}")

    def close(self):
        for device in (self.near, self.far):
            ip("link", "set", device, "down")

    def exchange(self, mode, flags):
        """Three frames in, one out. Returns what the kernel says about zero copy."""
        far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        far.bind((self.far, int.from_bytes(ETHERTYPE, "big")))
        far.settimeout(2)
        with far, contextlib.closing(xsk.Program(self.index, mode)) as program, \
                contextlib.closing(xsk.Xsk(self.index, 0, flags)) as near:
            program.serve(0, near)
            for number in range(3):
                frame = self.near_mac + self.far_mac + ETHERTYPE + bytes([number]) * 50
                far.send(frame)
                assert near.received() == frame, f"frame {number} did not arrive"
            frame = self.far_mac + self.near_mac + ETHERTYPE + b"back" * 15
            near.send(frame)
            assert far.recv(2000) == frame
            assert near.completed() is not None, "no completion"
            return near.zero_copy()


@case(Pair)
def device_gives_zero_copy(pair):
    if ZERO_COPY:
        assert pair.exchange(xsk.NATIVE, xsk.ZEROCOPY | xsk.NEED_WAKEUP)
        return
    try:
        pair.exchange(xsk.NATIVE, xsk.ZEROCOPY)
    except OSError as error:
        assert error.errno == errno.EOPNOTSUPP, error
        return
    raise AssertionError("bound XDP_ZEROCOPY on a kernel that should refuse it")


@case(Pair)
def device_gives_copy(pair):
    assert not pair.exchange(xsk.NATIVE, xsk.COPY | xsk.NEED_WAKEUP)
    assert not pair.exchange(xsk.GENERIC, xsk.COPY | xsk.NEED_WAKEUP)


@case(Pair)
def device_binds_again_at_once(pair):
    """The kernel ends a socket's pool behind our back; a bind meanwhile is EBUSY, for milliseconds."""
    flags = xsk.ZEROCOPY if ZERO_COPY else xsk.COPY
    for _ in range(5):
        pair.exchange(xsk.NATIVE, flags)


@case(Pair)
def device_shows_a_generic_program_starves_a_zero_copy_socket(pair):
    """Why xdplb asks for copy mode by name where the program is attached as generic."""
    try:
        zero_copy = pair.exchange(xsk.GENERIC, 0)
        assert not zero_copy
    except AssertionError as error:
        assert ZERO_COPY and "frame 0 did not arrive" in str(error), error
