"""Many flows at once: made as frames, sent into the balancer, and where each came out."""

import struct
from collections.abc import Iterable

from lab import Lab, names
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from .packets import Tap, mac_bytes, sent_by

IN_FLIGHT_MAX = 256  # well below any ring, so that nothing is lost on the way
SYN = 0x02


class Flows:
    """IPv4 frames to the VIP: flow i has its own source address and port. Fixed numbers, so that a test that counts
    gives the same every time."""

    def __init__(self, lab: Lab, protocol: str = "tcp"):
        l4 = TCP(dport=5001, flags=SYN) if protocol == "tcp" else UDP(dport=5001)
        ip = IP(src="0.0.0.0", dst=lab.vip4, proto=6 if protocol == "tcp" else 17)
        frame = Ether(src=lab.client.mac("eth2"), dst=lab.lb.mac("eth2")) / ip / l4 / bytes(8)
        self._template = bytes(frame)
        self.protocol = frame[IP].proto
        self._checksum_at = 14 + 20 + (16 if protocol == "tcp" else 6)

    def frame(self, flow: int) -> bytes:
        """The frame of a flow; its number is in the last 8 bytes too."""
        raw = bytearray(self._template)
        source = 0x32000000 | 1 + flow // 50000  # 50.0.0.1 ...
        port = 1025 + flow % 50000
        struct.pack_into("!I", raw, 26, source)
        struct.pack_into("!H", raw, 34, port)
        struct.pack_into("!Q", raw, len(raw) - 8, flow)
        _fix_checksum(raw, 24, raw[14:34])
        pseudo = raw[26:34] + struct.pack("!HH", raw[23], len(raw) - 34)
        _fix_checksum(raw, self._checksum_at, pseudo + raw[34:])
        return bytes(raw)


def number_of(frame: bytes) -> int:
    return struct.unpack("!Q", frame[-8:])[0]


class Course:
    """The way through the balancer: a tap on the client's device and one on the wire behind the balancer. Two courses
    may run at once where their flows are of different protocols."""

    def __init__(self, lab: Lab, flows: Flows):
        self._flows = flows
        self._in, self._out = Tap(lab.client, "eth2"), Tap(lab["switch"], "lb.1", flows.protocol)
        self._ours = sent_by(lab.lb, "eth1")
        self._name = {mac_bytes(server.mac(names.SEGMENT)): server.name for server in names.servers(lab.spec)}

    def __enter__(self) -> "Course":
        return self

    def __exit__(self, *exception) -> None:
        self._in.__exit__(*exception)
        self._out.__exit__(*exception)

    def run(self, numbers: Iterable[int]) -> dict[int, str]:
        """Sends the flows and waits for every one; returns the server that each went to. Each must come out once."""
        numbers, target = list(numbers), {}
        for start in range(0, len(numbers), IN_FLIGHT_MAX):
            part = numbers[start : start + IN_FLIGHT_MAX]
            self._in.send(*(self._flows.frame(number) for number in part))
            for frame in self._out.wait_for(self._ours, len(part)):
                assert number_of(frame) not in target, f"flow {number_of(frame)} came out twice"
                target[number_of(frame)] = self._name[frame[:6]]
            self._out.forget()
        assert target.keys() == set(numbers)
        return target


def _fix_checksum(raw: bytearray, at: int, covered: bytes | bytearray) -> None:
    """Writes the Internet checksum over `covered`, whose own checksum field holds the template's value."""
    old = struct.unpack_from("!H", raw, at)[0]
    covered = bytes(covered) + b"\0" * (len(covered) % 2)
    total = sum(struct.unpack(f"!{len(covered) // 2}H", covered)) + (~old & 0xFFFF)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    struct.pack_into("!H", raw, at, (~total & 0xFFFF) or 0xFFFF)
