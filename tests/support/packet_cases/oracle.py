"""What a balancer ought to know of a packet, read off scapy's dissection of it.

The oracle of the packet cases. It shares no code and no table with user/net: header lengths come from scapy's
layers, ports from the bytes behind them. It is for packets that are well formed; what is wrong with a broken one its
author says."""

import ipaddress
import struct

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, bind_layers

# scapy knows what comes before an authentication header, not what comes after.
for layer_class, number in ((TCP, 6), (UDP, 17), (SCTP, 132), (ICMPv6EchoRequest, 58), (IPv6ExtHdrDestOpt, 60)):
    bind_layers(AH, layer_class, nh=number)

EXTENSIONS = (IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting, IPv6ExtHdrFragment, AH)
WITH_PORTS = {6, 17, 132}
ECHO = {4: {0, 8}, 6: {128, 129}}
ERRORS = {4: {3, 11, 12}, 6: {1, 2, 3, 4}}
ICMP_OF_VERSION = {4: 1, 6: 58}


def header_bytes(layer: Packet) -> int:
    return len(layer) - len(layer.payload)


def address(text: str) -> str:
    return str(ipaddress.ip_address(text))


class Carried:
    """What an IP packet carries: the protocol, where it begins, and what is said of fragments."""

    def __init__(self, ip: Packet):
        self.skipped = header_bytes(ip)
        self.fragment_id, self.fragment_offset, self.more = 0, 0, False
        self.fragment_skipped = self.skipped
        layer = ip.payload
        if ip.version == 4:
            self.protocol = ip.proto
            self.fragment_offset, self.more = ip.frag * 8, "MF" in str(ip.flags)
            self.fragment_id = ip.id if self.is_fragment else 0
        else:
            self.protocol = ip.nh
            while isinstance(layer, EXTENSIONS):
                self.protocol = layer.nh
                self.skipped += header_bytes(layer)
                if isinstance(layer, IPv6ExtHdrFragment):
                    self.fragment_offset, self.more = layer.offset * 8, bool(layer.m)
                    self.fragment_id = layer.id if self.is_fragment else 0
                    self.fragment_skipped = self.skipped
                layer = layer.payload
            self.skip_uniform(bytes(layer))

    def skip_uniform(self, data: bytes) -> None:
        """Mobility, HIP and shim6: scapy names some of them, RFC 6564 gives all the same beginning."""
        while self.protocol in (135, 139, 140):
            length = (data[1] + 1) * 8
            self.protocol, data = data[0], data[length:]
            self.skipped += length

    @property
    def is_fragment(self) -> bool:
        return self.more or self.fragment_offset > 0


def ports(data: bytes) -> tuple[int, int]:
    return struct.unpack_from("!HH", data)


def describe_quoted(quoted: Packet, expected: dict) -> None:
    """The packet inside an error went from the VIP to the client: its flow is that way round."""
    inside = Carried(quoted)
    later = inside.fragment_offset > 0
    expected.update(src=address(quoted.dst), protocol=inside.protocol, inner_is_fragment=later)
    if inside.protocol in WITH_PORTS and not later:
        server_port, client_port = ports(bytes(quoted)[inside.skipped :])
        expected.update(src_port=client_port, dst_port=server_port)


def kind_of(version: int, carried: Carried, data: bytes) -> str:
    if carried.is_fragment:
        return "later_fragment" if carried.fragment_offset > 0 else "first_fragment"
    if carried.protocol in WITH_PORTS:
        return "transport"
    if carried.protocol == ICMP_OF_VERSION[version]:
        if data[0] in ECHO[version]:
            return "icmp_echo"
        if data[0] in ERRORS[version]:
            return "icmp_error"
    return "other"


def expected_of(frame: bytes) -> dict:
    layer, l3_offset = Ether(frame), 0
    while isinstance(layer, (Ether, Dot1Q, Dot1AD)):
        l3_offset += header_bytes(layer)
        layer = layer.payload
    ip = layer
    assert isinstance(ip, (IP, IPv6)), f"not IP: {ip!r}"
    ip_bytes = ip.len if ip.version == 4 else 40 + ip.plen
    assert l3_offset + ip_bytes <= len(frame), "a whole packet"

    carried = Carried(ip)
    data = frame[l3_offset + carried.skipped : l3_offset + ip_bytes]
    kind = kind_of(ip.version, carried, data)
    expected = {
        "reason": "none",
        "kind": kind,
        "ip_version": ip.version,
        "src": address(ip.src),
        "dst": address(ip.dst),
        "src_port": 0,
        "dst_port": 0,
        "protocol": carried.protocol,
        "l3_offset": l3_offset,
        "l4_offset": l3_offset + carried.skipped,
        "packet_len": l3_offset + ip_bytes,
        "fragment_id": carried.fragment_id,
        "fragment_offset": carried.fragment_offset,
        "more_fragments": carried.more,
        "fragment_len": 0,
        "tcp_flags": 0,
        "inner_is_fragment": False,
    }
    if carried.is_fragment:
        expected["fragment_len"] = ip_bytes - carried.fragment_skipped
    if kind in ("transport", "first_fragment") and carried.protocol in WITH_PORTS:
        expected["src_port"], expected["dst_port"] = ports(data)
        if carried.protocol == 6 and len(data) >= 20:
            expected["tcp_flags"] = int(TCP(data).flags)
    if kind == "icmp_error":
        describe_quoted((IP if ip.version == 4 else IPv6)(data[8:]), expected)
    return expected
