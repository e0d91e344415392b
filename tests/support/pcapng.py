"""A reader of pcapng files, by the specification; strict, so that a file that it reads is a valid one. (That of scapy 2.5
knows neither the names of interfaces nor comments of other programs.)"""

import struct
from dataclasses import dataclass
from pathlib import Path

SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
BYTE_ORDER = 0x1A2B3C4D
COMMENT, INTERFACE_NAME, RESOLUTION = 1, 2, 9
ETHERNET, NANOSECONDS = 1, b"\x09"


@dataclass
class Packet:
    data: bytes
    wire_len: int
    time_ns: int
    interface: str
    comment: str


def options(body: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at < len(body):
        code, length = struct.unpack_from("<HH", body, at)
        if code == 0:
            assert length == 0 and at + 4 == len(body), "the end of options is not the end of the block"
            return found
        found[code] = body[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4
    assert not body, "options without an end"
    return found


def blocks(raw: bytes):
    at = 0
    while at < len(raw):
        kind, length = struct.unpack_from("<II", raw, at)
        assert length % 4 == 0 and 12 <= length <= len(raw) - at, f"a block of {length} bytes at {at}"
        assert struct.unpack_from("<I", raw, at + length - 4)[0] == length, f"another length behind the block at {at}"
        yield kind, raw[at + 8 : at + length - 4]
        at += length


def read(path: Path) -> list[Packet]:
    names, packets = [], []
    for number, (kind, body) in enumerate(blocks(path.read_bytes())):
        assert (kind == SECTION) == (number == 0), "one section, at the beginning"
        if kind == SECTION:
            assert struct.unpack_from("<IHH", body) == (BYTE_ORDER, 1, 0)
        elif kind == INTERFACE:
            assert struct.unpack_from("<H", body)[0] == ETHERNET
            named = options(body[8:])
            assert named[RESOLUTION] == NANOSECONDS
            names.append(named[INTERFACE_NAME].decode())
        else:
            assert kind == PACKET, f"block of type {kind}"
            interface, high, low, length, wire_len = struct.unpack_from("<IIIII", body)
            assert length <= wire_len
            comment = options(body[20 + (length + 3) // 4 * 4 :])[COMMENT].decode()
            packets.append(Packet(body[20 : 20 + length], wire_len, high << 32 | low, names[interface], comment))
    return packets
