"""The IPv6 header and its extension headers."""

import struct
from functools import partial

from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.ipsec import AH
from scapy.packet import Raw

from .build import CLIENT6, VIP6, accept, carrying, ether, ip, patched, refuse, transports


def hop(more=0):
    return IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4 + more))])


def destination(more=0):
    return IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4 + more))])


def routing(addresses=0):
    return IPv6ExtHdrRouting(addresses=["2001:db8::99"] * addresses, segleft=0)


def atomic():
    return IPv6ExtHdrFragment(offset=0, m=0, id=99)


def ah(icv=12):
    return AH(payloadlen=1 + icv // 4, spi=1, seq=2, icv=b"i" * icv)


CHAINS = {
    "hop": [hop],
    "hop of 16": [partial(hop, 8)],
    "hop of 256": [partial(hop, 248)],
    "destination": [destination],
    "routing": [routing],
    "routing of 3": [partial(routing, 3)],
    "ah": [ah],
    "ah of 32": [partial(ah, 20)],
    "atomic fragment": [atomic],
    "hop, destination": [hop, destination],
    "hop, routing, ah": [hop, routing, ah],
    "six kinds": [hop, destination, routing, atomic, ah, destination],
    "eight destinations": [destination] * 8,
    "hop and seven destinations": [hop] + [destination] * 7,
}


def chained(layers):
    packet = ip(6)
    for layer in layers:
        packet = packet / layer()
    return packet


def accepted() -> None:
    for chain, layers in CHAINS.items():
        for name, l4 in (transports() | {"echo": ICMPv6EchoRequest(id=7)}).items():
            accept(f"ipv6: {chain}, {name}", ether() / chained(layers) / l4)
        nothing = chained(layers)
        nothing.lastlayer().nh = 59
        accept(f"ipv6: {chain}, nothing", ether() / nothing)
    udp = bytes(UDP(sport=1, dport=2, chksum=1))
    for number, name in ((135, "mobility"), (139, "hip"), (140, "shim6")):
        accept(f"ipv6: {name}, nothing", ether() / carrying(6, number, b"\x3b\0" + bytes(6)))
        accept(f"ipv6: {name} of 16, udp", ether() / carrying(6, number, b"\x11\1" + bytes(14) + udp))
    accept("ipv6: shim6, hip, udp", ether() / carrying(6, 140, b"\x8b\0" + bytes(6) + b"\x11\0" + bytes(6) + udp))
    for hops in (1, 255):
        accept(f"ipv6: hop limit {hops}", ether() / ip(6, hlim=hops) / UDP(sport=1, dport=2))
    accept("ipv6: class and label", ether() / ip(6, tc=0xFF, fl=0xFFFFF) / UDP(sport=1, dport=2))


def refused_chains() -> None:
    udp = UDP(sport=1, dport=2)
    refuse("extension_headers", "ipv6: nine headers", ether() / chained([destination] * 9) / udp)
    refuse("extension_headers", "ipv6: hop-by-hop second", ether() / chained([destination, hop]) / udp)
    refuse("extension_headers", "ipv6: two fragment headers", ether() / chained([atomic, atomic]) / udp)
    for number, name in ((0, "hop"), (43, "routing"), (44, "fragment"), (51, "ah"), (60, "destination")):
        for length in (0, 1, 7):
            cut = carrying(6, number, (b"\x11" + bytes(6))[:length])
            refuse("extension_headers", f"ipv6: {name} of {length} bytes", ether() / cut)
        if number != 44:
            beyond = carrying(6, number, b"\x11\xff" + bytes(600))
            refuse("extension_headers", f"ipv6: {name} beyond the packet", ether() / beyond)


def refused_headers() -> None:
    udp = UDP(sport=1, dport=2)
    plain = ether() / ip(6) / udp / Raw(b"four")
    for version in (0, 4, 5, 7, 15):
        refuse("ip_header", f"ipv6: version {version}", patched(plain, 14, bytes([version << 4])))
    for length in (14, 15, 53):
        refuse("ip_header", f"ipv6: frame of {length} bytes", bytes(plain)[:length])
    for length in (13, 1500, 65535):
        refuse("ip_length", f"ipv6: payload length {length}", patched(plain, 18, struct.pack("!H", length)))
    refuse("ip_ttl", "ipv6: hop limit zero", ether() / ip(6, hlim=0) / udp)
    refuse("ip_header", "ipv6: mapped source", ether() / IPv6(src="::ffff:192.0.2.1", dst=VIP6) / udp)
    refuse("ip_header", "ipv6: mapped destination", ether() / IPv6(src=CLIENT6, dst="::ffff:10.0.0.0") / udp)


GROUPS = (accepted, refused_chains, refused_headers)
