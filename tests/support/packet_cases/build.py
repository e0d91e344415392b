"""What the cases are made with: scapy's layers between a client and the VIP, and the list that the cases go to.

A case is {"name", "frame": hex, "expected": {"reason", "kind", ...}}. A well-formed packet is described by oracle.py
from scapy's dissection (`accept`); of a broken one only the reason is told, by the line that breaks it (`refuse`)."""

import struct

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import GRE, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from .oracle import expected_of

CLIENT4, VIP4, ROUTER4 = "192.0.2.10", "10.0.0.0", "203.0.113.9"
CLIENT6, VIP6, ROUTER6 = "2001:db8::10", "1000::", "2001:db8:ffff::9"
VERSIONS = (4, 6)
ICMP_OF_VERSION = {4: 1, 6: 58}
cases: dict[str, dict] = {}


def add(name: str, frame: bytes, expected: dict) -> None:
    assert name not in cases, f"two cases of one name: {name}"
    cases[name] = {"name": name, "frame": frame.hex(), "expected": expected}


def accept(name: str, packet: Packet | bytes) -> None:
    add(name, bytes(packet), expected_of(bytes(packet)))


def refuse(reason: str, name: str, packet: Packet | bytes) -> None:
    add(name, bytes(packet), {"reason": reason})


def ether(**fields) -> Packet:
    return Ether(dst="02:00:00:00:00:aa", src="02:00:00:00:00:bb", **fields)


def ip(version: int, **fields) -> Packet:
    return IP(src=CLIENT4, dst=VIP4, **fields) if version == 4 else IPv6(src=CLIENT6, dst=VIP6, **fields)


def quoted(version: int, **fields) -> Packet:
    """The header of a packet that a server sent from the VIP."""
    return IP(src=VIP4, dst=CLIENT4, **fields) if version == 4 else IPv6(src=VIP6, dst=CLIENT6, **fields)


def carrying(version: int, protocol: int, payload: Packet | bytes, header=ip) -> Packet:
    number = {"proto": protocol} if version == 4 else {"nh": protocol}
    return header(version, **number) / (Raw(payload) if isinstance(payload, bytes) else payload)


def transports() -> dict[str, Packet]:
    return {
        "tcp": TCP(sport=40000, dport=80, flags="S"),
        "udp": UDP(sport=40000, dport=53) / Raw(b"query"),
        "sctp": SCTP(sport=40000, dport=36412, tag=1) / Raw(b"\1\0\0\4"),
    }


def others(version: int) -> dict[str, tuple[int, Packet]]:
    """Protocols without ports: number and payload."""
    request, reply = (ICMP(type=8, id=7), ICMP(type=0, id=7)) if version == 4 else (
        ICMPv6EchoRequest(id=7), ICMPv6EchoReply(id=7))
    return {
        "echo_request": (ICMP_OF_VERSION[version], request),
        "echo_reply": (ICMP_OF_VERSION[version], reply),
        "esp": (50, ESP(spi=0x1234, seq=1, data=b"x" * 16)),
        "gre": (47, GRE() / Raw(b"inside")),
        "ospf": (89, Raw(b"\2\1" + bytes(22))),
        "udplite": (136, Raw(struct.pack("!HHHH", 40000, 53, 8, 0))),
        "dccp": (33, Raw(struct.pack("!HH", 40000, 53) + bytes(12))),
        "unassigned": (200, Raw(bytes(8))),
    }


def patched(packet: Packet | bytes, offset: int, data: bytes) -> bytes:
    frame = bytearray(bytes(packet))
    frame[offset : offset + len(data)] = data
    return bytes(frame)


def patched4(packet: Packet, offset: int, data: bytes) -> bytes:
    """`offset` counts from the IPv4 header of an untagged frame; its checksum is made right again."""
    frame = bytearray(patched(packet, 14 + offset, data))
    header = frame[14 : 14 + max(20, (frame[14] & 15) * 4)]
    header[10:12] = b"\0\0"
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    frame[24:26] = struct.pack("!H", ~total & 0xFFFF)
    return bytes(frame)
