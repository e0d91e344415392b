"""Raw frames into and out of a device of the lab. Frames are bytes; scapy builds and parses them at the caller's."""

import ctypes
import select
import socket
import struct
import time
from collections.abc import Callable

from lab import Node

ETH_P_ALL = 0x0003
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6
AUXDATA = struct.Struct("=IIIHHHH")  # struct tpacket_auxdata
SO_ATTACH_FILTER = 26
RECEIVE_BUFFER = 64 << 20
FRAMES_AT_ONCE = 4096


class Tap:
    """An AF_PACKET socket on one device: sends frames as they are, receives what the device receives.

    It sees what reaches the device's stack, so not what an XDP program took first. VLAN tags are put back."""

    def __init__(self, node: Node, device: str, ipv4_protocol: int | None = None):
        """With a protocol, only untagged IPv4 packets of it are received."""
        with node.network():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            self._socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
            if ipv4_protocol is not None:
                _attach_filter(self._socket, ipv4_protocol)
            self._socket.bind((device, ETH_P_ALL))
        self._socket.setblocking(False)
        self._kept: list[bytes] = []

    def __enter__(self) -> "Tap":
        return self

    def __exit__(self, *_exception) -> None:
        self._socket.close()

    def send(self, *frames) -> None:
        """Sends frames (bytes, or what bytes() makes of a scapy packet), each exactly once."""
        for frame in frames:
            raw = bytes(frame)
            while True:
                try:
                    self._socket.send(raw)
                    break
                except (BlockingIOError, OSError) as error:
                    if not isinstance(error, BlockingIOError) and error.errno != 105:  # ENOBUFS: not sent, try again
                        raise
                    select.select([], [self._socket], [], 0.1)

    def frames(self) -> list[bytes]:
        """Everything received since the tap was opened; under a flood, the next part of it."""
        for _ in range(FRAMES_AT_ONCE):
            try:
                data, control, _flags, _address = self._socket.recvmsg(65536, 256)
            except BlockingIOError:
                break
            self._kept.append(_with_vlan_tag(data, control))
        return self._kept

    def matching(self, match: Callable[[bytes], bool]) -> list[bytes]:
        return [frame for frame in self.frames() if match(frame)]

    def wait_for(self, match: Callable[[bytes], bool], count: int = 1, timeout: float = 10) -> list[bytes]:
        """Waits until at least `count` matching frames have come, and returns all of them."""
        deadline = time.monotonic() + timeout
        found: list[bytes] = []
        looked_at = 0
        while True:
            frames = self.frames()
            found += filter(match, frames[looked_at:])
            looked_at = len(frames)
            if len(found) >= count:
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{len(found)} of {count} frames within {timeout} s; {looked_at} in all")
            select.select([self._socket], [], [], left)

    def forget(self) -> None:
        """Drops what was received so far."""
        self.frames().clear()


def _attach_filter(tap: socket.socket, ipv4_protocol: int) -> None:
    """EtherType 0x0800 and that protocol, in classic BPF."""
    load_half, load_byte, jump_if_equal, done = 0x28, 0x30, 0x15, 0x06
    program = [
        (load_half, 0, 0, 12),
        (jump_if_equal, 0, 3, 0x0800),
        (load_byte, 0, 0, 23),
        (jump_if_equal, 0, 1, ipv4_protocol),
        (done, 0, 0, 0xFFFF),
        (done, 0, 0, 0),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    tap.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def sent_by(node: Node, device: str) -> Callable[[bytes], bool]:
    """Matches IP frames from that device to one machine, so what a balancer forwards, but no multicast of its own."""
    mac = mac_bytes(node.mac(device))
    return lambda frame: frame[6:12] == mac and not frame[0] & 1 and frame[12:14] != b"\x08\x06"


def _with_vlan_tag(data: bytes, control: list) -> bytes:
    """The kernel takes the outer VLAN tag off and tells it aside."""
    for level, kind, value in control:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _len, _snaplen, _mac, _net, tci, tpid = AUXDATA.unpack(value[: AUXDATA.size])
            if status & TP_STATUS_VLAN_VALID:
                tag = struct.pack("!HH", tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100, tci)
                return data[:12] + tag + data[12:]
    return data
