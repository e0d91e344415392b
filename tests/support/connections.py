"""Many real connections to the VIP, driven packet by packet, so that a test knows which one broke and when.

The servers are ctraffic's, which write their name over the first 64 bytes of a TCP connection, or of each datagram, and
echo the rest. Nothing here is timed: an exchange ends when every connection has had its echo or has broken.
"""

import contextlib
import errno
import selectors
import socket
import time

from lab import Lab, Node

from .programs import CTRAFFIC_PORT, established, wait_listening
from .wait import wait_until

NAME_BYTES = 64
EXCHANGE_S = 30
RESEND_S = 1.0  # a datagram may be lost on the way: while a balancer restarts


def serve_echo(lab: Lab) -> None:
    """ctraffic's servers for TCP and UDP on every machine."""
    for node in lab.servers:
        node.start(["ctraffic", "-server", "-udp", "-address", f"[::]:{CTRAFFIC_PORT}"])
    for node in lab.servers:
        wait_listening(node, CTRAFFIC_PORT)
        wait_listening(node, CTRAFFIC_PORT, "udp")


def established_by_server(lab: Lab) -> dict[str, int]:
    """Connections in state ESTABLISHED at each server that has any."""
    counts = {node.name: len(established(node, CTRAFFIC_PORT)) for node in lab.servers}
    return {name: count for name, count in counts.items() if count}


def wait_established(lab: Lab, expected: dict[str, int]) -> None:
    seen: dict[str, int] = {}

    def as_expected() -> bool:
        nonlocal seen
        seen = established_by_server(lab)
        return seen == expected

    wait_until(as_expected, what=lambda: f"connections at the servers: {seen}, not {expected}", every=0.1)


def wait_acknowledged(lab: Lab) -> None:
    """Until no server waits for an acknowledgement. One that does sends again, and what the client then says to that may
    reach it or another server, as the targets are at that time."""

    def unacknowledged() -> dict[str, int]:
        sums = {node.name: sum(int(line.split()[1]) for line in established(node, CTRAFFIC_PORT)) for node in lab.servers}
        return {name: count for name, count in sums.items() if count}

    wait_until(lambda: not unacknowledged(), what=lambda: f"bytes not acknowledged: {unacknowledged()}", every=0.05)


class Connections:
    """TCP connections, or UDP sockets, from one machine to a VIP. `server` says which server each is with."""

    def __init__(self, node: Node, vip: str, count: int, kind: str = "tcp", size: int = 128):
        self._udp = kind == "udp"
        self._size = size
        self.server: dict[int, str] = {}
        self.broken: dict[int, str] = {}  # those that were reset, and the server that each had been with
        self._sockets: dict[int, socket.socket] = {}
        family = socket.AF_INET6 if ":" in vip else socket.AF_INET
        with node.network():
            for number in range(count):
                one = socket.socket(family, socket.SOCK_DGRAM if self._udp else socket.SOCK_STREAM)
                one.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    one.connect((vip, CTRAFFIC_PORT))
                self._sockets[number] = one
        self._wait_connected()
        self.exchange()

    def __enter__(self) -> "Connections":
        return self

    def __exit__(self, *_exception) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._sockets)

    def close(self) -> None:
        for one in self._sockets.values():
            one.close()
        self._sockets.clear()

    def addresses(self) -> dict[int, tuple[str, int]]:
        """The client's address and port of each that lives."""
        return {number: one.getsockname()[:2] for number, one in self._sockets.items()}

    def count_by_server(self) -> dict[str, int]:
        """Of those that live."""
        names = [self.server[number] for number in self._sockets]
        return {name: names.count(name) for name in sorted(set(names))}

    def ends(self, number: int) -> tuple[str, str]:
        """Of one connection: its own end and the VIP's, as ADDRESS:PORT."""
        one = self._sockets[number]
        return tuple(f"[{end[0]}]:{end[1]}" if ":" in end[0] else f"{end[0]}:{end[1]}"
                     for end in (one.getsockname(), one.getpeername()))

    def exchange(self) -> dict[int, str]:
        """One packet on each, and its echo. Returns the server of each that lives on."""
        deadline = time.monotonic() + EXCHANGE_S
        with selectors.DefaultSelector() as selector:
            got = dict.fromkeys(self._sockets, b"")
            for number, one in self._sockets.items():
                selector.register(one, selectors.EVENT_READ, number)
                self._send(number)
            waiting, resend_at = set(got), time.monotonic() + RESEND_S
            while waiting:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no echo on {len(waiting)} of {len(got)} connections within {EXCHANGE_S} s")
                for key, _events in selector.select(0.1):
                    if self._receive(key.data, got):
                        waiting.discard(key.data)
                        selector.unregister(key.fileobj)
                if self._udp and time.monotonic() > resend_at:
                    for number in waiting:
                        self._send(number)
                    resend_at = time.monotonic() + RESEND_S
        for number in set(got) & set(self.broken):
            self._sockets.pop(number).close()
        self._discard_second_echoes()
        return {number: self.server[number] for number in self._sockets}

    def _wait_connected(self) -> None:
        if self._udp:
            return
        deadline = time.monotonic() + EXCHANGE_S
        with selectors.DefaultSelector() as selector:
            for one in self._sockets.values():
                selector.register(one, selectors.EVENT_WRITE)
            while selector.get_map():
                assert time.monotonic() < deadline, f"{len(selector.get_map())} connections are not established"
                for key, _events in selector.select(0.1):
                    error = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    assert error == 0, f"connect: {errno.errorcode[error]}"
                    selector.unregister(key.fileobj)

    def _send(self, number: int) -> None:
        with contextlib.suppress(ConnectionError):  # the read tells
            self._sockets[number].send(self._payload(number))

    def _payload(self, number: int) -> bytes:
        return bytes(NAME_BYTES) + bytes((number + i) % 251 for i in range(self._size - NAME_BYTES))

    def _receive(self, number: int, got: dict[int, bytes]) -> bool:
        """True where the echo is complete, or none will come."""
        try:
            data = self._sockets[number].recv(65536)
        except BlockingIOError:
            return False
        except ConnectionError:
            data = b""
        if not data:
            self.broken[number] = self.server[number]
            return True
        got[number] += data
        if len(got[number]) < self._size:
            return False
        name, rest = got[number][:NAME_BYTES].rstrip(b"\0").decode(), got[number][NAME_BYTES:]
        assert rest == self._payload(number)[NAME_BYTES:], f"connection {number}: not the echo of what was sent"
        if name:  # TCP: on the first packet only
            self.server[number] = name
        return True

    def _discard_second_echoes(self) -> None:
        if self._udp:
            for one in self._sockets.values():
                with contextlib.suppress(BlockingIOError):
                    while True:
                        one.recv(65536)
