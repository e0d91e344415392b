"""ICMP: errors about packets that a server sent from the VIP, errors about others', and the remaining types."""

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import Dot1Q
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from .build import (CLIENT4, CLIENT6, ROUTER4, ROUTER6, VERSIONS, VIP4, VIP6, accept, carrying, ether, ip, quoted,
                    refuse)

MESSAGES6 = {1: ICMPv6DestUnreach, 2: ICMPv6PacketTooBig, 3: ICMPv6TimeExceeded, 4: ICMPv6ParamProblem}
KINDS = {4: ((3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (11, 0), (11, 1), (12, 0)),
         6: ((1, 0), (1, 1), (1, 4), (2, 0), (3, 0), (3, 1), (4, 0))}
TOO_BIG = {4: (3, 4), 6: (2, 0)}
IP_BYTES = {4: 20, 6: 40}


def error(version: int, inside: Packet | bytes, kind=None, link: Packet | None = None) -> Packet:
    """The message of a router; `kind` is (type, code)."""
    number, code = kind or TOO_BIG[version]
    link = link or ether()
    if version == 4:
        return link / IP(src=ROUTER4, dst=VIP4) / ICMP(type=number, code=code) / Raw(bytes(inside))
    return link / IPv6(src=ROUTER6, dst=VIP6) / MESSAGES6[number](code=code) / Raw(bytes(inside))


def answers() -> dict[str, Packet]:
    """What servers send."""
    return {
        "tcp": TCP(sport=80, dport=40000, flags="A") / Raw(b"a" * 60),
        "udp": UDP(sport=53, dport=40000) / Raw(b"answer"),
        "sctp": SCTP(sport=36412, dport=40000, tag=1) / Raw(b"\1\0\0\4"),
    }


def by_type_and_protocol() -> None:
    for version in VERSIONS:
        for kind in KINDS[version]:
            for name, l4 in answers().items():
                accept(f"error: ipv{version} {kind[0]}/{kind[1]} {name}", error(version, quoted(version) / l4, kind))
        echo = ICMP(type=0, id=7) if version == 4 else ICMPv6EchoReply(id=7)
        accept(f"error: ipv{version} echo reply", error(version, quoted(version) / echo))
        for size in (0, 16):
            esp = carrying(version, 50, bytes(size), quoted)
            accept(f"error: ipv{version} {size} bytes of esp", error(version, esp))
        tagged = error(version, quoted(version) / answers()["tcp"], link=ether() / Dot1Q(vlan=5))
        accept(f"error: ipv{version} in a tag", tagged)


def cut_inside() -> None:
    for version in VERSIONS:
        header = IP_BYTES[version]
        for name, l4 in answers().items():
            inside = bytes(quoted(version) / l4)
            accept(f"error: ipv{version} eight bytes of {name}", error(version, inside[: header + 8]))
            for length in (0, 4, 7):
                cut = error(version, inside[: header + length])
                refuse("l4_header", f"error: ipv{version} {length} bytes of {name}", cut)
        for length in (0, 1, header - 1):
            cut = error(version, inside[:length])
            refuse("l4_header", f"error: ipv{version} {length} bytes of the IP header", cut)
    options_cut = b"\x4f" + bytes(quoted(4) / answers()["udp"])[1:]
    refuse("l4_header", "error: ipv4 options cut off inside", error(4, options_cut))
    headers_cut = bytes(quoted(6) / IPv6ExtHdrDestOpt(len=9) / answers()["tcp"])[:90]
    refuse("extension_headers", "error: ipv6 header cut off inside", error(6, headers_cut))


def unrelated() -> None:
    tcp = answers()["tcp"]
    strangers = {4: IP(src="10.0.0.1", dst=CLIENT4), 6: IPv6(src="1000::1", dst=CLIENT6)}
    for version in VERSIONS:
        refuse("icmp_unrelated", f"error: ipv{version} about a stranger", error(version, strangers[version] / tcp))
        refuse("icmp_unrelated", f"error: ipv{version} about the client's packet", error(version, ip(version) / tcp))
        refuse("l4_header", f"error: ipv{version} about the other family", error(version, quoted(10 - version) / tcp))
    for first, name in ((0x44, "header of 4 words"), (0x65, "header of version 6")):
        refuse("l4_header", f"error: ipv4 {name}", error(4, bytes([first]) + bytes(quoted(4) / tcp)[1:]))


def headers_inside() -> None:
    tcp = answers()["tcp"]
    for words in range(1, 11, 3):
        with_options = quoted(4, options=[IPOption(b"\x01")] * words * 4) / tcp
        accept(f"error: ipv4 {words} words of options inside", error(4, with_options))
    changed = bytearray(bytes(quoted(4) / tcp))
    changed[2:4], changed[8], changed[10:12] = b"\xff\xff", 0, b"\0\0"
    accept("error: ipv4 length, ttl and checksum changed on the way", error(4, changed))
    accept("error: ipv4 first fragment inside", error(4, quoted(4, flags="MF", id=5) / tcp))
    for size in (0, 8):
        later = quoted(4, frag=2, id=5, proto=17) / Raw(bytes(size))
        accept(f"error: ipv4 {size} bytes of a later fragment inside", error(4, later))
    chains = {
        "hop": IPv6ExtHdrHopByHop(),
        "destination": IPv6ExtHdrDestOpt(),
        "ah": AH(payloadlen=4, spi=1, icv=b"i" * 12),
        "routing": IPv6ExtHdrRouting(addresses=["2001:db8::99"], segleft=0),
        "atomic fragment": IPv6ExtHdrFragment(id=3),
        "first fragment": IPv6ExtHdrFragment(id=3, m=1),
        "hop, fragment, destination": IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(id=3, m=1) / IPv6ExtHdrDestOpt(),
    }
    for name, chain in chains.items():
        accept(f"error: ipv6 {name} inside", error(6, quoted(6) / chain / tcp))
    later = quoted(6) / IPv6ExtHdrFragment(id=3, offset=4, nh=6) / Raw(bytes(8))
    accept("error: ipv6 later fragment inside", error(6, later))


def other_types() -> None:
    for kind in (4, 5, 9, 10, 13, 14, 17, 30, 40, 255):
        accept(f"icmp: type {kind}", ether() / carrying(4, 1, bytes([kind]) + bytes(39)))
    for kind in (0, 5, 100, 127, 130, 131, 132, 133, 134, 135, 136, 137, 143, 255):
        accept(f"icmp6: type {kind}", ether() / carrying(6, 58, bytes([kind]) + bytes(39)))


GROUPS = (by_type_and_protocol, cut_inside, unrelated, headers_inside, other_types)
