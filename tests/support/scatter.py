"""Fragments of real datagrams and pings, each sent to the balancer and the queue that a test says, as routers do that
spread packets one by one. The sockets are real: they get what the servers answer, put together by the kernel."""

import itertools
import random
import socket

from lab import Lab
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from .connections import NAME_BYTES
from .packets import Tap
from .programs import CTRAFFIC_PORT
from .queues import SendQueue

PIECE = 1448  # bytes of a fragment; fits the MTU with either header
ANSWER_S = 10
ICMPV6_FILTER, ICMPV6_ECHO_REPLY = 1, 129


class Scatter:
    _numbers = itertools.count(1)

    def __init__(self, lab: Lab, vip: str, seed: int = 1):
        self._lab, self._vip, self._six = lab, vip, ":" in vip
        self._random = random.Random(seed)
        device = lab.spec.ingress_device
        self._tap = Tap(lab.client, device)
        self._source = lab.client.mac(device)
        self._macs = {name: lab[name].mac(device) for name in lab.machines if name.startswith("lb")}
        self._queues = {name: SendQueue(lab["switch"], f"{name}.{lab.spec.ingress_net}", lab.spec.queues) for name in self._macs}

    def __enter__(self) -> "Scatter":
        return self

    def __exit__(self, *exception) -> None:
        self._tap.__exit__(*exception)

    def datagram(self, balancers: list[str], size: int = 30_000) -> str:
        """Sends one to ctraffic's echo, its fragments in random order. Returns the server that answered."""
        family = socket.AF_INET6 if self._six else socket.AF_INET
        with self._lab.client.network(), socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.connect((self._vip, CTRAFFIC_PORT))
            udp.settimeout(ANSWER_S)
            source, port = udp.getsockname()[:2]
            payload = bytes(NAME_BYTES) + self._random.randbytes(size - NAME_BYTES)
            whole = self._ip(source) / UDP(sport=port, dport=CTRAFFIC_PORT) / Raw(payload)
            self._send(whole, 17, balancers)
            answer = udp.recv(65536)
        assert len(answer) == size and answer[NAME_BYTES:] == payload[NAME_BYTES:], "not the echo of what was sent"
        return answer[:NAME_BYTES].rstrip(b"\0").decode()

    def ping(self, balancers: list[str], size: int = 3000) -> None:
        """Sends an echo request in fragments and waits for its reply."""
        number = next(self._numbers)
        payload = self._random.randbytes(size)
        with self._lab.client.network(), self._echo_socket() as replies:
            replies.connect((self._vip, 0))
            source = replies.getsockname()[0]
            kind = ICMPv6EchoRequest if self._six else ICMP
            whole = self._ip(source) / kind(id=0x5151, seq=number) / Raw(payload)
            self._send(whole, 58 if self._six else 1, balancers)
            while True:
                packet = replies.recv(65536)
                message = packet if self._six else packet[(packet[0] & 15) * 4 :]
                if message[4:8] == b"\x51\x51" + number.to_bytes(2, "big") and message[0] in (0, ICMPV6_ECHO_REPLY):
                    break
        assert message[8:] == payload, "not the echo of what was sent"

    def _echo_socket(self) -> socket.socket:
        if not self._six:
            made = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        else:
            made = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        made.settimeout(ANSWER_S)
        return made

    def _ip(self, source: str):
        return IPv6(src=source, dst=self._vip) if self._six else IP(src=source, dst=self._vip)

    def _send(self, whole, protocol: int, balancers: list[str]) -> None:
        header = 40 if self._six else 20
        number, body, frames = next(self._numbers), bytes(whole)[header:], []
        for offset in range(0, len(body), PIECE):
            piece, more = body[offset : offset + PIECE], int(offset + PIECE < len(body))
            ip = self._ip(whole.src)
            if self._six:
                ip = ip / IPv6ExtHdrFragment(id=number, nh=protocol, m=more, offset=offset // 8)
            else:
                ip.proto, ip.id, ip.flags, ip.frag = protocol, number, more, offset // 8
            frames.append(bytes(ip / Raw(piece)))
        self._random.shuffle(frames)
        for index, frame in enumerate(frames):
            name = balancers[index % len(balancers)]
            self._queues[name].use(index // len(balancers) % self._lab.spec.queues)
            kind = 0x86DD if self._six else 0x0800
            self._tap.send(bytes(Ether(src=self._source, dst=self._macs[name], type=kind)) + frame)
