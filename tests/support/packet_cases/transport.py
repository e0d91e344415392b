"""TCP, UDP and SCTP with their ports, everything else by addresses, and transport headers that cannot be."""

from scapy.layers.inet import TCP, UDP
from scapy.layers.ipsec import AH
from scapy.layers.sctp import SCTP
from scapy.packet import Raw

from .build import ICMP_OF_VERSION, VERSIONS, accept, carrying, ether, ip, others, refuse

FLAGS = ("", "S", "SA", "A", "PA", "FA", "R", "RA", "FSRPAUEC")
PORTS = ((0, 0), (1, 1), (0xFFFF, 0xFFFF), (0x1234, 0x5678), (80, 40000))


def with_ports() -> None:
    for version in VERSIONS:
        head = f"ipv{version}"
        for flags in FLAGS:
            tcp = TCP(sport=1, dport=80, flags=flags)
            accept(f"tcp: {head} flags {flags or 'none'}", ether() / ip(version) / tcp)
        for source, destination in PORTS:
            udp = UDP(sport=source, dport=destination)
            accept(f"ports: {head} {source} {destination}", ether() / ip(version) / udp)
        for size in (0, 1, 7, 512, 1400):
            for name, l4 in (("udp", UDP(sport=1, dport=2)), ("tcp", TCP(sport=1, dport=2))):
                accept(f"payload: {head} {name} {size}", ether() / ip(version) / l4 / Raw(b"p" * size))
        for words in (6, 8, 15):
            tcp = TCP(sport=1, dport=2, dataofs=words, options=[("NOP", None)] * (words * 4 - 20))
            accept(f"tcp: {head} {words} words of header", ether() / ip(version) / tcp / Raw(b"data"))
    accept("udp: ipv6 length zero", ether() / ip(6) / UDP(sport=1, dport=2, len=0) / Raw(b"jumbo"))
    accept("udp: shorter than its packet", ether() / ip(4) / UDP(sport=1, dport=2, len=10) / Raw(b"abcdefgh"))


def by_addresses() -> None:
    for version in VERSIONS:
        for name, (protocol, payload) in others(version).items():
            accept(f"protocol: ipv{version} {name}", ether() / carrying(version, protocol, payload))
        # The other family's ICMP is a protocol like any other here.
        other_icmp = carrying(version, ICMP_OF_VERSION[10 - version], b"\3\4" + bytes(30))
        accept(f"protocol: ipv{version} the other ICMP", ether() / other_icmp)
    ah = AH(nh=6, payloadlen=4, spi=1, icv=b"i" * 12) / TCP(sport=1, dport=2)
    accept("protocol: ipv4 ah", ether() / carrying(4, 51, ah))
    accept("protocol: ipv6 no next header", ether() / carrying(6, 59, b""))
    accept("protocol: ipv6 no next header, and something", ether() / carrying(6, 59, b"rest"))
    accept("protocol: ipv6 experiment", ether() / carrying(6, 253, b"\x3b\0" + bytes(6)))


def refused() -> None:
    for version in VERSIONS:
        head = f"ipv{version}"

        def cut(protocol, name, whole, lengths, version=version, head=head):
            for length in lengths:
                frame = ether() / carrying(version, protocol, bytes(whole)[:length])
                refuse("l4_header", f"{name}: {head} {length} bytes", frame)

        cut(6, "tcp", TCP(), range(0, 20, 3))
        cut(17, "udp", UDP(), (0, 3, 4, 7))
        cut(132, "sctp", SCTP(), (0, 3, 11))
        cut(ICMP_OF_VERSION[version], "icmp", others(version)["echo_request"][1], (0, 1, 7))
        for words in range(5):
            tcp = TCP(dataofs=words) / Raw(bytes(40))
            refuse("l4_header", f"tcp: {head} {words} words of header", ether() / ip(version) / tcp)
        refuse("l4_header", f"tcp: {head} header beyond the packet", ether() / ip(version) / TCP(dataofs=6))
        for length in (1, 7, 13, 65535):
            udp = UDP(len=length) / Raw(b"four")
            refuse("l4_header", f"udp: {head} length field {length}", ether() / ip(version) / udp)
    refuse("l4_header", "udp: ipv4 length field 0", ether() / ip(4) / UDP(len=0) / Raw(b"four"))


GROUPS = (with_ports, by_addresses, refused)
