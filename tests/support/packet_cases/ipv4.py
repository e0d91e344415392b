"""The IPv4 header: options, flags, lengths, checksum, TTL."""

import struct

from scapy.layers.inet import UDP, IPOption
from scapy.packet import Raw

from .build import accept, ether, ip, patched, patched4, refuse, transports


def nops(words: int) -> list:
    return [IPOption(b"\x01")] * (words * 4)


def accepted() -> None:
    for words in range(1, 11):
        for name, l4 in transports().items():
            accept(f"ipv4: {words} words of options, {name}", ether() / ip(4, options=nops(words)) / l4)
    udp = UDP(sport=1, dport=2)
    for name, flags in (("DF", "DF"), ("evil", 4), ("DF and evil", 6)):
        accept(f"ipv4: {name} is no fragment", ether() / ip(4, flags=flags) / udp)
    accept("ipv4: tos", ether() / ip(4, tos=0xFF) / udp)
    for ttl in (1, 255):
        accept(f"ipv4: ttl {ttl}", ether() / ip(4, ttl=ttl) / udp)


def refused() -> None:
    udp = ether() / ip(4) / UDP(sport=1, dport=2) / Raw(b"four")
    for version in (0, 5, 6, 15):
        refuse("ip_header", f"ipv4: version {version}", patched4(udp, 0, bytes([version << 4 | 5])))
    for words in range(5):
        refuse("ip_header", f"ipv4: {words} words of header", patched4(udp, 0, bytes([0x40 | words])))
    refuse("ip_header", "ipv4: header beyond the frame", patched(udp, 14, b"\x4f"))
    for length in (14, 15, 33):
        refuse("ip_header", f"ipv4: frame of {length} bytes", bytes(udp)[:length])
    for length in (0, 1, 19, 33, 1500, 65535):
        refuse("ip_length", f"ipv4: total length {length}", patched4(udp, 2, struct.pack("!H", length)))
    refuse("ip_length", "ipv4: total length below the header", patched4(udp, 0, b"\x47\0" + struct.pack("!H", 24)))
    right = struct.unpack_from("!H", bytes(udp), 24)[0]
    for bit in range(0, 16, 3):
        wrong = patched(udp, 24, struct.pack("!H", right ^ 1 << bit))
        refuse("ip_checksum", f"ipv4: bit {bit} of the checksum", wrong)
    refuse("ip_checksum", "ipv4: checksum zero", patched(udp, 24, b"\0\0"))
    refuse("ip_checksum", "ipv4: a changed option", patched(ether() / ip(4, options=nops(2)) / UDP(), 14 + 27, b"\0"))
    refuse("ip_ttl", "ipv4: ttl zero", ether() / ip(4, ttl=0) / UDP())


GROUPS = (accepted, refused)
