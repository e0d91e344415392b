"""Odd packets, each with what must become of it.

forward: on to a server, unchanged behind the MACs; drop: taken and counted; pass: left to the host's stack; taken:
forward or drop, the balancer's choice. The verdicts follow from one rule: what clearly is for a VIP is ours, however
broken it is behind that; a frame whose destination cannot be read is nobody's and passes.
"""

from dataclasses import dataclass

from lab import Lab
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import ARP, LLC, Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

ETHERNET = 14


@dataclass
class Odd:
    what: str
    frame: bytes
    verdict: str


class Maker:
    """Builds the list. Every frame is different behind its MACs, so that it can be told where it went."""

    def __init__(self, lab: Lab):
        self._ethernet = Ether(src=lab.client.mac("eth2"), dst=lab.lb.mac("eth2"))
        self._vip4, self._vip6 = lab.vip4, lab.vip6
        self.list: list[Odd] = []

    def all(self) -> list[Odd]:
        self._plain_and_tagged()
        self._truncated()
        self._ipv4_headers()
        self._ipv6_headers()
        self._transport()
        self._not_ip()
        assert len({odd.frame[12:] for odd in self.list}) == len(self.list), "two frames are the same"
        return self.list

    def _add(self, what: str, verdict: str, packet) -> None:
        self.list.append(Odd(what, bytes(packet), verdict))

    def _ip4(self, **fields):
        return IP(**{"src": "50.0.0.1", "dst": self._vip4, "id": len(self.list) + 1} | fields)

    def _ip6(self, **fields):
        return IPv6(**{"src": "2000::1", "dst": self._vip6, "fl": len(self.list) + 1} | fields)

    def _udp(self, size: int = 30):
        return UDP(sport=1025 + len(self.list), dport=5001) / Raw(bytes(size))

    def _plain_and_tagged(self) -> None:
        tags = {
            "untagged": [],
            "802.1Q": [Dot1Q(vlan=7)],
            "802.1Q priority": [Dot1Q(vlan=0, prio=5)],
            "802.1ad": [Dot1AD(vlan=8)],
            "QinQ": [Dot1AD(vlan=8), Dot1Q(vlan=9)],
            "two 802.1Q": [Dot1Q(vlan=8), Dot1Q(vlan=9)],
        }
        for name, layers in tags.items():
            for ip in (self._ip4, self._ip6):
                head = self._ethernet
                for layer in layers:
                    head = head / layer
                self._add(f"{name} IPv{ip().version} UDP", "forward", head / ip() / self._udp())
        three = self._ethernet / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3)
        self._add("three tags", "pass", three / self._ip4() / self._udp())

    def _truncated(self) -> None:
        """Cut after each byte. With the IP header whole the VIP is clear; without, the frame is nobody's."""
        for name, ip, header in (("IPv4", self._ip4, 20), ("IPv6", self._ip6, 40)):
            whole = len(self._ethernet / ip() / self._udp())
            for length in range(ETHERNET, whole):
                frame = bytes(self._ethernet / ip() / self._udp())[:length]
                verdict = "drop" if length >= ETHERNET + header else "pass"
                self._add(f"{name} cut at {length}", verdict, frame)
        tags = 8  # cut inside of these the kernel itself drops the frame, and no one sees it pass
        for length in range(ETHERNET + tags, ETHERNET + tags + 25):
            frame = bytes(self._ethernet / Dot1AD(vlan=300) / Dot1Q(vlan=301) / self._ip4() / self._udp())[:length]
            self._add(f"QinQ cut at {length}", "drop" if length >= ETHERNET + tags + 20 else "pass", frame)

    def _ipv4_headers(self) -> None:
        for ihl in range(0, 5):
            self._add(f"IPv4 header length {ihl * 4}", "pass", self._ethernet / self._ip4(ihl=ihl) / self._udp())
        for ihl in (6, 10, 15):
            options = b"\x01" * (ihl * 4 - 20)
            self._add(f"IPv4 {ihl * 4 - 20} bytes of options", "forward", self._with_options(options))
        self._add("IPv4 record route", "forward", self._with_options(b"\x07\x07\x04\x00\x00\x00\x00\x00"))
        self._add("IPv4 options beyond the frame", "pass", bytes(self._ethernet / self._ip4(ihl=15, len=20))[:34])
        for version in (0, 5, 6, 15):
            self._add(f"IPv4 version {version}", "pass", self._ethernet / self._ip4(version=version) / self._udp())
        for length in (0, 1, 19, 59, 61, 65535):
            verdict = "taken" if length == 59 else "drop"
            self._add(f"IPv4 total length {length}", verdict, self._ethernet / self._ip4(len=length) / self._udp(32))
        self._add("IPv4 wrong checksum", "drop", self._ethernet / self._ip4(chksum=0x1234) / self._udp())
        self._add("IPv4 TTL 0", "drop", self._ethernet / self._ip4(ttl=0) / self._udp())
        self._add("IPv4 TTL 1", "forward", self._ethernet / self._ip4(ttl=1) / self._udp())
        self._add("IPv4 with padding behind", "forward", self._ethernet / self._ip4(len=28) / UDP(len=8) / bytes(40))
        for flags, offset in (("MF", 0), ("MF", 100), (0, 185), ("MF", 8191), ("DF+MF", 8191), ("evil", 0)):
            fragment = self._ip4(flags=flags, frag=offset, proto=17)
            verdict = "forward" if flags == "evil" else "taken"
            self._add(f"IPv4 fragment {flags} at {offset}", verdict, self._ethernet / fragment / self._udp(40))
        for protocol in (0, 2, 4, 41, 47, 50, 51, 89, 112, 132, 253, 255):
            content = bytes([16, *range(47)])
            verdict = "taken" if protocol == 132 else "forward"
            self._add(f"IPv4 protocol {protocol}", verdict, self._ethernet / self._ip4(proto=protocol) / Raw(content))

    def _with_options(self, options: bytes):
        udp = bytes(self._udp())
        total = 20 + len(options) + len(udp)
        head = bytearray(bytes(self._ip4(ihl=5 + len(options) // 4, len=total, proto=17, chksum=0))[:20] + options)
        words = sum(int.from_bytes(head[i : i + 2], "big") for i in range(0, len(head), 2))
        words = (words & 0xFFFF) + (words >> 16)
        head[10:12] = (~words & 0xFFFF).to_bytes(2, "big")
        return bytes(self._ethernet)[:12] + b"\x08\x00" + bytes(head) + udp

    def _ipv6_headers(self) -> None:
        chains = {
            "hop-by-hop": IPv6ExtHdrHopByHop(),
            "destination options": IPv6ExtHdrDestOpt(),
            "routing": IPv6ExtHdrRouting(),
            "three headers": IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt(),
            "atomic fragment": IPv6ExtHdrFragment(),
        }
        for name, chain in chains.items():
            self._add(f"IPv6 {name}", "forward", self._ethernet / self._ip6() / chain / self._udp())
        many = IPv6ExtHdrDestOpt()
        for _ in range(40):
            many = many / IPv6ExtHdrDestOpt()
        self._add("IPv6 41 extension headers", "drop", self._ethernet / self._ip6() / many / self._udp())
        for length in (1, 5, 31, 255):
            beyond = self._ip6() / IPv6ExtHdrDestOpt(len=length) / self._udp(0)
            self._add(f"IPv6 extension header of {(length + 1) * 8} bytes", "drop", self._ethernet / beyond)
        for header in (0, 43, 44, 60):
            self._add(f"IPv6 ends before header {header}", "drop", self._ethernet / self._ip6(nh=header, plen=0))
        for length in (1, 7, 39, 65535):
            self._add(f"IPv6 payload length {length}", "drop", self._ethernet / self._ip6(plen=length) / self._udp())
        for version in (0, 4, 5, 15):
            self._add(f"IPv6 version {version}", "pass", self._ethernet / self._ip6(version=version) / self._udp())
        self._add("IPv6 hop limit 0", "drop", self._ethernet / self._ip6(hlim=0) / self._udp())
        self._add("IPv6 no next header", "forward", self._ethernet / self._ip6(nh=59))
        mapped = self._ip6(dst=f"::ffff:{self._vip4}")
        self._add("IPv6 to the IPv4 VIP, mapped", "pass", self._ethernet / mapped / self._udp())
        self._add("IPv6 from a mapped source", "drop", self._ethernet / self._ip6(src="::ffff:1.2.3.4") / self._udp())
        for more, offset in ((1, 0), (1, 100), (0, 185), (1, 8191)):
            fragment = IPv6ExtHdrFragment(m=more, offset=offset, id=len(self.list))
            self._add(f"IPv6 fragment at {offset}", "taken", self._ethernet / self._ip6() / fragment / self._udp(40))
        solicitation = self._ip6() / ICMPv6ND_NS(tgt=self._vip6)
        self._add("neighbour solicitation to the VIP", "pass", self._ethernet / solicitation)

    def _transport(self) -> None:
        for ip in (self._ip4, self._ip6):
            name = f"IPv{ip().version}"
            for offset in (0, 1, 4, 15):
                tcp = TCP(sport=1024 + len(self.list), dport=80, dataofs=offset)
                self._add(f"{name} TCP header of {offset * 4} bytes", "drop", self._ethernet / ip() / tcp)
            for flags in ("", "S", "F", "R", "SF", "FSRPAUEC"):
                tcp = TCP(sport=1024 + len(self.list), dport=80, flags=flags)
                self._add(f"{name} TCP flags {flags or 'none'}", "forward", self._ethernet / ip() / tcp)
            for length in (1, 7, 39, 65535):
                udp = UDP(sport=1024 + len(self.list), dport=80, len=length)
                self._add(f"{name} UDP length {length}", "drop", self._ethernet / ip() / udp / bytes(30))
            for port in (0, 65535):
                udp = UDP(sport=port, dport=port)
                self._add(f"{name} UDP port {port}", "forward", self._ethernet / ip() / udp / bytes(9))
            for source in ("the VIP itself", "multicast", "loopback"):
                from_there = ip(src=self._source(source, ip)) / self._udp()
                self._add(f"{name} from {source}", "taken", self._ethernet / from_there)
        for kind in (0, 3, 8, 11, 13, 255):
            icmp = self._ip4() / ICMP(type=kind, id=len(self.list))
            self._add(f"ICMP type {kind}", "forward" if kind in (0, 8) else "taken", self._ethernet / icmp)
        self._add("ICMP of two bytes", "taken", self._ethernet / self._ip4(proto=1) / Raw(b"\x08\x00"))
        self._add("ICMPv6 echo", "forward", self._ethernet / self._ip6() / ICMPv6EchoRequest(seq=7))

    def _source(self, source: str, ip) -> str:
        four = ip == self._ip4
        return {
            "the VIP itself": self._vip4 if four else self._vip6,
            "multicast": "224.0.0.1" if four else "ff02::1",
            "loopback": "127.0.0.1" if four else "::1",
        }[source]

    def _not_ip(self) -> None:
        macs = bytes(self._ethernet)[:12]
        for length in (15, 16, 33, 60, 1000, 1514):
            self._add(f"{length} bytes of zero", "pass", macs + bytes(length - 12))
            self._add(f"{length} bytes of one bits", "pass", macs + b"\xff" * (length - 12))
        for kind in (0x0800, 0x86DD, 0x8100, 0x88A8):
            self._add(f"EtherType {kind:04x}, then zeros", "pass", macs + kind.to_bytes(2, "big") + bytes(46))
            self._add(f"EtherType {kind:04x}, then ones", "pass", macs + kind.to_bytes(2, "big") + b"\xff" * 46)
        self._add("ARP for the VIP", "pass", self._ethernet / ARP(pdst=self._vip4, psrc="192.168.2.221"))
        self._add("802.3 with LLC", "pass", Ether(bytes(self._ethernet)[:12] + b"\x00\x30") / LLC() / bytes(45))
        self._add("MPLS", "pass", macs + b"\x88\x47" + bytes(50))
