"""Path MTU discovery through the balancer: the router's error finds the server that owns the connection.

While a target drains, the table would choose another one than the flow has: what arrives then was found in the flow
table, on whichever of the four queues the error came.
"""

import contextlib
import re
import socket
import subprocess
import threading

import pytest
from lab import Lab, Node, Spec
from support.daemon import Daemon, configure, xdplb
from support.draining import drain

QUEUES = 4
PORT = 7000
SIZE = 1_000_000
PATH_MTU = 1400
FAR = {4: "172.16.0.%d", 6: "fd00::%d"}
CLIENTS = range(2, 8)


@pytest.fixture(scope="module")
def far():
    """The default lab with four queues, and beyond the client a machine that only packets of PATH_MTU reach.

    The far machine itself has the full MTU, so that TCP does not learn of it by its MSS."""
    with Lab(Spec(queues=QUEUES)) as lab:
        node = lab.nodes["far"] = Node("far")
        queues = f"numtxqueues {QUEUES} numrxqueues {QUEUES}"
        link = f"link add far0 mtu {PATH_MTU} {queues} type veth peer name eth0 netns far mtu 1500 {queues}"
        subprocess.run(["ip", "-n", "client", *link.split()], check=True)
        lab.client.shell(f"""
            ip link set far0 up
            ip addr add {FAR[4] % 1}/24 dev far0; ip addr add {FAR[6] % 1}/64 dev far0 nodad""")
        node.shell("\n".join(
            ["ip link set eth0 up"]
            + [f"ip addr add {FAR[4] % n}/24 dev eth0; ip addr add {FAR[6] % n}/64 dev eth0 nodad" for n in CLIENTS]
            + [f"ip route add default via {FAR[4] % 1}; ip route add ::/0 via {FAR[6] % 1}"]))
        configure(lab)
        with contextlib.ExitStack() as listeners, Daemon(lab) as daemon:
            for server in lab.servers:
                listeners.enter_context(serving(server))
            yield lab, node, daemon


@contextlib.contextmanager
def serving(node: Node):
    """A server that names itself, and then sends SIZE bytes to whoever asks with a byte."""
    with node.network():
        listener = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)

    def answer(connection: socket.socket) -> None:
        with connection:
            connection.sendall(node.name.encode() + b"\n")
            if connection.recv(1):
                connection.sendall(bytes(SIZE))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with listener:
        yield
        listener.shutdown(socket.SHUT_RDWR)


class Download:
    """A connection that is open; the transfer begins when asked."""

    def __init__(self, node: Node, vip: str, source: str):
        with node.network():
            self._socket = socket.create_connection((vip, PORT), timeout=30, source_address=(source, 0))
        self._input = self._socket.makefile("rb")
        self.server = self._input.readline().decode().strip()

    def run(self) -> int:
        """Asks for it all, and returns how many bytes came."""
        self._socket.sendall(b"!")
        received = len(self._input.read())
        self._input.close()
        self._socket.close()
        return received


def learnt_mtu(server: Node, address: str) -> int | None:
    found = re.search(r" mtu (\d+)", server.run(f"ip route get {address}").stdout)
    return int(found.group(1)) if found else None


@pytest.mark.parametrize("version", [4, 6])
def test_path_mtu_discovery(far, version):
    """Before a drain, and while the owners of all open connections drain."""
    lab, node, daemon = far
    vip = lab.vip4 if version == 4 else lab.vip6
    sources = [FAR[version] % number for number in CLIENTS]
    downloads = [Download(node, vip, source) for source in sources]
    first, later = (list(zip(sources, downloads, strict=True))[part::2] for part in (0, 1))
    check(lab, first)
    owners = sorted({int(download.server[3:]) - 1 for _source, download in later})[:3]  # one is left
    drain(lab, *owners)
    check(lab, later)
    xdplb(lab.lb, "activate", *owners)
    assert daemon.stats_now().drops.total() == 0


def check(lab: Lab, downloads: list[tuple[str, Download]]) -> None:
    for source, download in downloads:
        assert download.run() == SIZE
        learnt = {server.name: learnt_mtu(server, source) for server in lab.servers}
        assert learnt == dict.fromkeys(learnt) | {download.server: PATH_MTU}, "who was told of the path's MTU"
