"""Fragments: real datagrams and pings larger than the MTU, and crafted ones in every order, on one queue and on two.

All fragments of a datagram go to the server that a whole packet of the same flow goes to, whatever order they come in
and whichever queue each comes on. What cannot be completed is counted, every fragment of it.
"""

import itertools

import pytest
from lab import Lab, Spec, names
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from support.connections import Connections, serve_echo
from support.daemon import Daemon, configure
from support.packets import Tap, mac_bytes, sent_by
from support.queues import SendQueue

PORT = 5003
PIECE = 400  # bytes of a fragment; a multiple of 8
CLIENT4, CLIENT6 = "60.0.0.1", "2001::1"  # nobody: what the servers answer goes nowhere

# Which fragments of three come, in which order.
ORDERS = {
    "in order": (0, 1, 2),
    "reversed": (2, 1, 0),
    "first last": (1, 2, 0),
    "last first": (2, 0, 1),
    "each twice": (0, 0, 1, 1, 2, 2),
    "twice before the first": (1, 1, 2, 2, 0),
    "first again at the end": (2, 1, 0, 0),
}


@pytest.fixture(scope="module", params=[1, 2], ids=["1q", "2q"])
def running(request):
    with Lab(Spec(queues=request.param)) as lab:
        configure(lab)
        serve_echo(lab)
        lab.client.shell(f"ip route add blackhole {CLIENT4}; ip route add blackhole {CLIENT6}")
        with Daemon(lab) as daemon:
            yield lab, daemon


@pytest.fixture(params=["IPv4", "IPv6"])
def vip(request, running):
    return running[0].vip4 if request.param == "IPv4" else running[0].vip6


def test_datagrams_of_30000_bytes(running, vip):
    lab, daemon = running
    before = daemon.stats_now()
    with Connections(lab.client, vip, 40, "udp", size=30_000) as udp:
        assert set(udp.server.values()) == {"vm-001", "vm-002", "vm-003", "vm-004"}
        assert udp.exchange() == udp.server, "a flow moved between two datagrams"
    after = daemon.settled(before.rx + 2 * 40 * 21)  # fragments of a datagram
    assert after.drops == before.drops


def test_pings_of_3000_bytes(running, vip):
    lab, daemon = running
    before = daemon.stats_now()
    done = lab.client.run(["ping", "-n", "-c20", "-i0.01", "-W5", "-s3000", vip])
    assert " 20 received, 0% packet loss" in done.stdout
    after = daemon.settled(before.rx + 20 * 3)
    assert after.rx - before.rx == after.tx - before.tx == 20 * 3 and after.drops == before.drops


class Datagrams:
    """UDP datagrams in three fragments, each of a flow of its own, and what became of them on the other side."""

    _flow = itertools.count(1)

    def __init__(self, lab: Lab, vip: str):
        self._lab, self._six = lab, ":" in vip
        self._ip = IPv6(src=CLIENT6, dst=vip) if self._six else IP(src=CLIENT4, dst=vip, proto=17)
        self._ethernet = Ether(src=lab.client.mac("eth2"), dst=lab.lb.mac("eth2"))
        self._queue = SendQueue(lab.client, "eth2", lab.spec.queues)
        self._in, self._out = Tap(lab.client, "eth2"), Tap(lab["switch"], "lb.1")
        self._ours = sent_by(lab.lb, "eth1")
        self._servers = {mac_bytes(server.mac(names.SEGMENT)): server.name for server in names.servers(lab.spec)}

    def __enter__(self) -> "Datagrams":
        return self

    def __exit__(self, *exception) -> None:
        self._in.__exit__(*exception)
        self._out.__exit__(*exception)

    def make(self) -> tuple[list[bytes], bytes]:
        """The fragments of a new flow's datagram, and a whole packet of the same flow."""
        number = next(self._flow)
        udp = UDP(sport=10_000 + number, dport=PORT)
        payload = bytes((number + i) % 256 for i in range(3 * PIECE - 8))
        whole = bytes(self._ip / udp / payload)[-3 * PIECE :]
        fragments = []
        for index in range(3):
            piece, more = whole[index * PIECE : (index + 1) * PIECE], int(index < 2)
            if self._six:
                head = IPv6ExtHdrFragment(id=number, nh=17, m=more, offset=index * PIECE // 8)
                fragments.append(bytes(self._ethernet / self._ip / head / piece))
            else:
                ip = self._ip.copy()
                ip.id, ip.flags, ip.frag = number, more, index * PIECE // 8
                fragments.append(bytes(self._ethernet / ip / piece))
        return fragments, bytes(self._ethernet / self._ip / udp / b"whole")

    def send(self, *pieces: tuple[int, bytes]) -> None:
        for queue, frame in pieces:
            self._queue.use(queue)
            self._in.send(frame)

    def arrived(self, count: int) -> tuple[list[bytes], set[str]]:
        """Waits for so many frames behind the balancer: what they are beyond the addresses, and where they went."""
        frames = self._out.wait_for(self._ours, count)
        assert len(frames) == count
        self._out.forget()
        return sorted(frame[12:] for frame in frames), {self._servers[frame[:6]] for frame in frames}


def patterns(queues: int, length: int) -> list[list[int]]:
    """The queue of each fragment: all on the first, or by turns."""
    by_turns = [[(i + first) % 2 for i in range(length)] for first in (0, 1)]
    return [[0] * length] + (by_turns if queues > 1 else [])


def test_every_order(running, vip):
    lab, daemon = running
    before = daemon.stats_now()
    sent, chosen = 0, set()
    with Datagrams(lab, vip) as datagrams:
        for name, order in ORDERS.items():
            for queues in patterns(lab.spec.queues, len(order)):
                fragments, whole = datagrams.make()
                frames = [fragments[index] for index in order]
                datagrams.send(*zip(queues, frames, strict=True))
                content, servers = datagrams.arrived(len(frames))
                assert content == sorted(frame[12:] for frame in frames), f"{name} {queues}: not what was sent"
                datagrams.send((0, whole))
                assert datagrams.arrived(1)[1] == servers and len(servers) == 1, f"{name} {queues}: {servers}"
                sent += len(frames) + 1
                chosen |= servers
    assert len(chosen) > 1, "all went to one server: this shows nothing"
    after = daemon.settled(before.rx + sent)
    assert after.rx - before.rx == after.tx - before.tx == sent and after.drops == before.drops
    if lab.spec.queues > 1:
        assert all(new["rx"] > old["rx"] for new, old in zip(after.workers, before.workers, strict=True))


def test_without_the_first_they_time_out_and_are_counted(running, vip):
    lab, daemon = running
    before = daemon.stats_now()
    with Datagrams(lab, vip) as datagrams:
        sent = 0
        for queues in patterns(lab.spec.queues, 2):
            fragments, _whole = datagrams.make()
            datagrams.send(*zip(queues, fragments[1:], strict=True))
            sent += 2
        after = daemon.settled(before.rx + sent)
        assert after.drops - before.drops == {"fragment_timeout": sent}
        # One that comes after all that is forwarded: its datagram is as good as new.
        datagrams.send((0, fragments[0]), (0, fragments[1]), (0, fragments[2]))
        assert len(datagrams.arrived(3)[1]) == 1
    assert daemon.settled(before.rx + sent + 3).tx - before.tx == 3


def test_more_of_one_datagram_than_is_held_is_counted(running, vip):
    """64 frames of a datagram are held; what comes beyond is refused, and nothing else suffers."""
    lab, daemon = running
    before = daemon.stats_now()
    with Datagrams(lab, vip) as datagrams:
        fragments, _whole = datagrams.make()
        datagrams.send(*([(0, fragments[2])] * 70), (0, fragments[0]))
        datagrams.arrived(65)
        after = daemon.settled(before.rx + 71)
    assert after.drops - before.drops == {"fragment_overflow": 6} and after.tx - before.tx == 65
