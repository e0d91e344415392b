"""Traffic of the suite's own: every packet is known, so that what arrives can be compared with what was sent.

Servers answer on both VIPs, over UDP and TCP, from one thread; clients are plain sockets of the client's namespace.
"""
import collections
import hashlib
import selectors
import socket
import struct
import threading
import time

PORT = 7000


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def blob(seed, size):
    """`size` bytes that no other packet has: a damaged or a mixed-up one cannot be taken for it."""
    words = (hashlib.sha256(f"{seed}:{part}".encode()).digest() for part in range(size // 32 + 1))
    return b"".join(words)[:size]


def reset(sock):
    """Closes a TCP socket at once. One that goes on saying goodbye keeps its namespace, and the NICs in it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Servers:
    """Echoes datagrams, and over TCP says its name and echoes. `datagrams` counts the payloads received."""

    def __init__(self, lab):
        self.datagrams = collections.Counter()
        self._ready = selectors.DefaultSelector()
        self._running = True
        for node in lab.servers:
            with node.network():
                for vip in (lab.vip4, lab.vip6):
                    self._open(node.name, vip)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _open(self, name, vip):
        udp = socket.socket(family(vip), socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        tcp = socket.socket(family(vip), socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for sock in (udp, tcp):
            sock.bind((vip, PORT))
            sock.setblocking(False)
        tcp.listen(512)
        self._ready.register(udp, selectors.EVENT_READ, (self._datagram, name))
        self._ready.register(tcp, selectors.EVENT_READ, (self._accept, name))

    def _serve(self):
        while self._running:
            for key, _ in self._ready.select(0.1):
                function, name = key.data
                try:
                    function(key.fileobj, name)
                except OSError:
                    self._forget(key.fileobj)

    def _datagram(self, sock, name):
        payload, peer = sock.recvfrom(65536)
        self.datagrams[payload] += 1
        sock.sendto(name.encode() + b"\n" + payload, peer)

    def _accept(self, sock, name):
        connection, _ = sock.accept()
        connection.setblocking(False)
        connection.sendall(name.encode() + b"\n")
        self._ready.register(connection, selectors.EVENT_READ, (self._echo, name))

    def _echo(self, sock, _name):
        if data := sock.recv(65536):
            sock.sendall(data)
        else:
            self._forget(sock)

    def _forget(self, sock):
        if sock.type == socket.SOCK_STREAM and sock.fileno() >= 0:
            self._ready.unregister(sock)
            sock.close()

    def close(self):
        self._running = False
        self._thread.join()
        for key in list(self._ready.get_map().values()):
            reset(key.fileobj)
        self._ready.close()


def udp(lab, vip, flows, size=200, timeout_s=20, sent=None):
    """One datagram in each of so many flows, each answered with its own content. Returns flows by server. `sent` counts
    the payloads, as Servers.datagrams does."""
    spread = collections.Counter()
    sockets = []
    try:
        with lab.client.network():
            for flow in range(flows):
                sock = socket.socket(family(vip), socket.SOCK_DGRAM)
                sockets.append((sock, blob(f"{vip}{flow}{time.monotonic_ns()}", size)))
        for sock, payload in sockets:
            sock.sendto(payload, (vip, PORT))
            if sent is not None:
                sent[payload] += 1
        deadline = time.monotonic() + timeout_s
        for number, (sock, payload) in enumerate(sockets):
            sock.settimeout(max(0.05, deadline - time.monotonic()))
            try:
                answer = sock.recv(65536)
            except TimeoutError:
                missing = flows - sum(spread.values())
                raise AssertionError(f"no answer in flow {number}; {missing} of {flows} flows missing") from None
            name, echoed = answer.split(b"\n", 1)
            assert echoed == payload, f"flow {number}: the answer is not what was sent"
            spread[name.decode()] += 1
    finally:
        for sock, _ in sockets:
            sock.close()
    return spread


class Connection:
    """One TCP connection of the client to a VIP; `server` is who answered."""

    def __init__(self, lab, vip, timeout_s=20):
        with lab.client.network():
            self.socket = socket.socket(family(vip), socket.SOCK_STREAM)
        self.socket.settimeout(timeout_s)
        self.socket.connect((vip, PORT))
        self._pending = b""
        while b"\n" not in self._pending:
            self._pending += self._read()
        name, self._pending = self._pending.split(b"\n", 1)
        self.server = name.decode()

    def _read(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed by the server")
        return data

    def exchange(self, payload):
        self.socket.sendall(payload)
        while len(self._pending) < len(payload):
            self._pending += self._read()
        answer, self._pending = self._pending[:len(payload)], self._pending[len(payload):]
        assert answer == payload, "the echo is not what was sent"

    def close(self):
        self.socket.close()

    def abort(self):
        reset(self.socket)


def tcp(lab, vip, connections, size=3000):
    """So many connections one after the other, each with some data both ways. Returns connections by server."""
    spread = collections.Counter()
    for number in range(connections):
        connection = Connection(lab, vip)
        connection.exchange(blob(f"{vip}{number}", size))
        spread[connection.server] += 1
        connection.close()
    return spread
