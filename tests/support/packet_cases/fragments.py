"""Fragments: as a sender makes them, at the edges of what is possible, and beyond."""

import struct

from scapy.layers.inet import ICMP, TCP, UDP, IPOption, fragment
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Dot1Q
from scapy.packet import Packet, Raw

from .build import ICMP_OF_VERSION, VERSIONS, accept, ether, ip, refuse

# A first fragment of sixteen bytes: the datagram's length is that of the whole.
FIRST_UDP = UDP(sport=1, dport=2, len=100) / Raw(bytes(8))


def part(version: int, offset: int, more: int, payload: bytes, protocol: int = 17) -> Packet:
    """One fragment; the offset counts in eights."""
    if version == 4:
        return ether() / ip(4, id=1, frag=offset, flags="MF" if more else 0, proto=protocol) / Raw(payload)
    return ether() / ip(6) / IPv6ExtHdrFragment(id=1, offset=offset, m=more, nh=protocol) / Raw(payload)


def sent() -> None:
    for size in (600, 2000):
        datagram = UDP(sport=40000, dport=53, chksum=1) / Raw(b"f" * size)
        for n, piece in enumerate(fragment(ip(4, id=0x4321) / datagram, fragsize=512)):
            accept(f"fragment: ipv4 udp of {size}, {n}", ether() / piece)
        for n, piece in enumerate(fragment6(ip(6) / IPv6ExtHdrFragment(id=0x87654321) / datagram, 600)):
            accept(f"fragment: ipv6 udp of {size}, {n}", ether() / piece)
    for n, piece in enumerate(fragment(ip(4, id=7) / ICMP(type=8, id=7) / Raw(b"p" * 1000), fragsize=512)):
        accept(f"fragment: ipv4 echo, {n}", ether() / piece)
    echo6 = ip(6) / IPv6ExtHdrFragment(id=7) / ICMPv6EchoRequest(id=7, data=b"p" * 1000)
    for n, piece in enumerate(fragment6(echo6, 600)):
        accept(f"fragment: ipv6 echo, {n}", ether() / piece)
    tcp = TCP(sport=1, dport=2, flags="A") / Raw(b"t" * 40)
    for n, piece in enumerate(fragment(ip(4, id=8) / tcp, fragsize=8)):
        accept(f"fragment: ipv4 tcp by eight bytes, {n}", ether() / piece)


def around() -> None:
    accept("fragment: ipv4 in a tag", ether() / Dot1Q(vlan=5) / ip(4, id=9, flags="MF") / FIRST_UDP)
    options = ip(4, id=9, flags="MF", options=[IPOption(b"\x01")] * 4)
    accept("fragment: ipv4 with options", ether() / options / FIRST_UDP)
    accept("fragment: ipv4 padded", bytes(part(4, 3, 0, b"x")) + bytes(25))
    both_sides = ip(6) / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment(id=5, m=1) / IPv6ExtHdrDestOpt()
    accept("fragment: ipv6 between options", ether() / both_sides / FIRST_UDP)
    accept("fragment: ipv6 later, of a packet with options", part(6, 4, 1, b"\xff" * 16, 60))
    for version in VERSIONS:
        unreachable = (b"\3\4" if version == 4 else b"\2\0") + bytes(62)
        accept(f"fragment: ipv{version} of an error", part(version, 0, 1, unreachable, ICMP_OF_VERSION[version]))
        accept(f"fragment: ipv{version} the last possible byte", part(version, 8191, 0, b"1234567"))
        accept(f"fragment: ipv{version} of an unknown protocol", part(version, 0, 1, bytes(8), 200))


def refused() -> None:
    for version in VERSIONS:
        head = f"fragment: ipv{version}"
        for size in (9, 15, 23):
            refuse("fragment_malformed", f"{head} first of {size} bytes", part(version, 0, 1, bytes(size)))
            refuse("fragment_malformed", f"{head} middle of {size} bytes", part(version, 2, 1, bytes(size)))
        refuse("fragment_malformed", f"{head} first and empty", part(version, 0, 1, b""))
        refuse("fragment_malformed", f"{head} last and empty", part(version, 2, 0, b""))
        refuse("fragment_malformed", f"{head} beyond 65535 by one", part(version, 8191, 0, bytes(8)))
        refuse("fragment_malformed", f"{head} beyond 65535 by far", part(version, 8190, 1, bytes(64)))
        short_udp = struct.pack("!HHHH", 1, 2, 5, 0) + bytes(8)
        refuse("l4_header", f"{head} first, a datagram of 5 bytes", part(version, 0, 1, short_udp))
        four_words = bytes(TCP(dataofs=4)) + bytes(4)
        refuse("l4_header", f"{head} first, a TCP header of 4 words", part(version, 0, 1, four_words, 6))
    cut = part(6, 0, 1, b"\x11\x01" + bytes(6), 60)
    refuse("extension_headers", "fragment: ipv6 cut in the options", cut)
    for protocol, name in ((17, "udp"), (6, "tcp"), (132, "sctp")):
        only_options = part(6, 0, 1, bytes([protocol, 0]) + bytes(6), 60)
        refuse("l4_header", f"fragment: ipv6 options fill the first, {name}", only_options)


GROUPS = (sent, around, refused)
