"""`xdplb replay`: running it, and what it ought to say of a frame, worked out from the bytes alone."""

import ipaddress
import json
import struct
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lab.node import BUILD
from scapy.utils import RawPcapReader

EGRESS_MAC = "02:00:00:00:00:77"


def target_mac(index: int) -> str:
    """Of no machine of the lab."""
    return f"02:00:00:00:01:{index + 1:02x}"


def configuration(targets: int = 4, vips=("10.0.0.0/32", "1000::/128"), **service) -> dict:
    names = [str(i) for i in range(targets)]
    return {
        "version": 1,
        "targets": [{"name": name, "mac": target_mac(i)} for i, name in enumerate(names)],
        "services": [{"name": "all", "vips": list(vips), "targets": names, "table_size": 997, **service}],
    }


@dataclass
class Replayed:
    counters: dict
    packets: list[dict]
    sent: list[bytes]

    def verdicts(self) -> Counter:
        """How often each verdict and reason came."""
        return Counter((packet["verdict"], packet["reason"]) for packet in self.packets)


def write_capture(path: Path, frames: list[tuple[float, bytes]], pcapng: bool = False) -> None:
    """With nanoseconds, in either format."""
    stamped = [(int(time) * 10**9 + round(time % 1 * 1e9), frame) for time, frame in frames]
    if pcapng:
        blocks = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)),
                  block(1, struct.pack("<HHI", 1, 0, 0) + struct.pack("<HHB3x", 9, 1, 9) + bytes(4))]
        for time, frame in stamped:
            head = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(frame), len(frame))
            blocks.append(block(6, head + frame + bytes(-len(frame) % 4)))
        path.write_bytes(b"".join(blocks))
        return
    records = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)]
    for time, frame in stamped:
        records += [struct.pack("<IIII", time // 10**9, time % 10**9, len(frame), len(frame)), frame]
    path.write_bytes(b"".join(records))


def block(kind: int, body: bytes) -> bytes:
    """Of pcapng: with its length on both sides."""
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def read_frames(path: Path) -> list[bytes]:
    return [data for data, _ in RawPcapReader(str(path))]


def replay(folder: Path, config: dict, frames: list[tuple[float, bytes]], pcapng: bool = False, before=()) -> Replayed:
    """Frames are (time in seconds, bytes). `before` goes before the command."""
    (folder / "config.json").write_text(json.dumps(config))
    write_capture(folder / "in.pcap", frames, pcapng)
    command = [*before, BUILD / "xdplb", "replay", "--config", folder / "config.json", "--in", folder / "in.pcap",
               "--out", folder / "out.pcap", "--json", "--egress-mac", EGRESS_MAC]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    return Replayed(report["counters"], report["packets"], read_frames(folder / "out.pcap"))


def is_for_vip(frame: bytes, vips: set[str]) -> bool:
    """Whether the kernel program hands the frame over: its destination can be read and is a VIP, and it is no
    neighbour discovery."""
    at, kind = 14, frame[12:14]
    for _ in range(2):
        if kind in (b"\x81\x00", b"\x88\xa8"):
            kind, at = frame[at + 2 : at + 4], at + 4
    packet = frame[at:]
    if kind == b"\x08\x00":
        words = packet[0] & 15 if packet else 0
        readable = len(packet) >= 20 and packet[0] >> 4 == 4 and words >= 5 and len(packet) >= words * 4
        return readable and str(ipaddress.ip_address(packet[16:20])) in vips
    if kind != b"\x86\xdd" or len(packet) < 40 or packet[0] >> 4 != 6:
        return False
    return str(ipaddress.ip_address(packet[24:40])) in vips and not is_neighbour_discovery(packet)


def is_neighbour_discovery(packet: bytes) -> bool:
    following, rest = packet[6], packet[40:]
    for _ in range(8):
        if following not in (0, 43, 44, 51, 60, 135, 139, 140) or len(rest) < 8:
            break
        if following == 44 and struct.unpack_from("!H", rest, 2)[0] & 0xFFF9:
            return False
        length = 8 if following == 44 else (rest[1] + 2) * 4 if following == 51 else (rest[1] + 1) * 8
        following, rest = rest[0], rest[length:]
    return following == 58 and bool(rest) and 133 <= rest[0] <= 137
