"""Ethernet: VLAN tags, types, runts and padding."""

from scapy.layers.inet import UDP
from scapy.layers.l2 import Dot1AD, Dot1Q
from scapy.packet import Raw

from .build import VERSIONS, accept, carrying, ether, ip, others, refuse, transports

NOT_IP = (0x0000, 0x0026, 0x05DC, 0x0600, 0x0806, 0x8035, 0x8847, 0x8863, 0x8864, 0x888E, 0x9100, 0xFFFF)


def tagged() -> None:
    tags = {
        "untagged": lambda: ether(),
        "8100": lambda: ether() / Dot1Q(vlan=5),
        "priority_tag": lambda: ether() / Dot1Q(vlan=0, prio=7),
        "88a8": lambda: ether() / Dot1AD(vlan=6),
        "88a8_8100": lambda: ether() / Dot1AD(vlan=6) / Dot1Q(vlan=5),
        "8100_8100": lambda: ether() / Dot1Q(vlan=6) / Dot1Q(vlan=4095),
    }
    for tag, link in tags.items():
        for version in VERSIONS:
            for name, l4 in transports().items():
                accept(f"link: {tag} ipv{version} {name}", link() / ip(version) / l4)
            accept(f"link: {tag} ipv{version} echo", link() / carrying(version, *others(version)["echo_request"]))


def refused() -> None:
    for ether_type in NOT_IP:
        refuse("not_ip", f"link: type {ether_type:#06x}", ether(type=ether_type) / Raw(bytes(46)))
    refuse("not_ip", "link: three tags", ether() / Dot1Q() / Dot1Q() / Dot1Q() / ip(4) / UDP())
    refuse("not_ip", "link: ARP in a tag", ether() / Dot1Q(type=0x0806) / Raw(bytes(28)))
    refuse("not_ip", "link: all zeros", bytes(60))
    refuse("not_ip", "link: all ones", b"\xff" * 60)
    whole = bytes(ether() / Dot1AD() / Dot1Q() / ip(4) / UDP())
    for length in (0, 1, 6, 12, 13, 14, 17, 18, 21):
        refuse("frame_short", f"link: tagged frame of {length} bytes", whole[:length])


def padded() -> None:
    for version in VERSIONS:
        for padding in (1, 18, 46, 400):
            frame = bytes(ether() / ip(version) / UDP(sport=1, dport=2))
            accept(f"link: ipv{version} and {padding} bytes of padding", frame + b"\xee" * padding)


GROUPS = (tagged, refused, padded)
