"""A flood of SYNs from random sources beside real connections: none is lost, and the flood fills its budget alone."""

import ipaddress
import random
import struct

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from support.connections import Connections, serve_echo, wait_established
from support.daemon import Daemon, configure
from support.draining import drain
from support.packets import Tap

SYNS = 50_000
FLOWS = 65_536
EMBRYONIC_PERCENT = 10  # a service's share of each table for flows that are a SYN only
CONNECTIONS = 100
PORT = 9  # nothing listens: the targets answer with a reset
FROM = ipaddress.ip_network("60.0.0.0/8")
BURST = 2_000  # less than a ring, so that the kernel has room for every one and the counts are exact


def syns(lab, count: int) -> list[bytes]:
    """SYN frames of as many different sources. No checksum is right: neither the balancer nor this test looks."""
    head = Ether(src=lab.client.mac("eth2"), dst=lab.lb.mac("eth2"))
    template = bytearray(bytes(head / IP(src=str(FROM[1]), dst=lab.vip4) / TCP(dport=PORT, flags="S")))
    base_sum = struct.unpack_from("!H", template, 24)[0]
    base = int(FROM[1])
    frames = []
    for source in random.Random(3).sample(range(base + 1, base + (1 << 24) - 2), count):
        struct.pack_into("!I", template, 26, source)
        struct.pack_into("!H", template, 24, updated_checksum(base_sum, base, source))
        frames.append(bytes(template))
    return frames


def updated_checksum(old_sum: int, old: int, new: int) -> int:
    total = ~old_sum & 0xFFFF
    for word, negate in ((old, True), (new, False)):
        for half in (word >> 16, word & 0xFFFF):
            total += ~half & 0xFFFF if negate else half
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def test_no_connection_is_lost(lab):
    lab.client.run(f"ip route add blackhole {FROM}")  # what the servers answer to the sources that are nobody
    configure(lab)
    serve_echo(lab)
    with Daemon(lab, f"--flows={FLOWS}") as daemon, Tap(lab.client, "eth2", ipv4_protocol=254) as attacker:
        four, six = (Connections(lab.client, vip, CONNECTIONS) for vip in (lab.vip4, lab.vip6))
        with four, six:
            before = [dict(four.server), dict(six.server)]
            frames = syns(lab, SYNS)
            for at in range(0, SYNS, BURST):
                attacker.send(*frames[at : at + BURST])
                assert [four.exchange(), six.exchange()] == before
            # One queue: the last echo came after the last SYN.
            worker, budget = daemon.stats_now().workers[0], FLOWS * EMBRYONIC_PERCENT // 100
            assert worker["flows"] == budget + 2 * CONNECTIONS
            assert worker["flow_refused_embryonic"] == SYNS - budget
            # While the flood's entries fill their budget, a drain moves none of the real connections.
            drain(lab, 0, 1)
            assert [four.exchange(), six.exchange()] == before and not four.broken and not six.broken
            with Connections(lab.client, lab.vip4, CONNECTIONS) as late:  # new ones come in, too
                assert not {"vm-001", "vm-002"} & set(late.server.values())
        wait_established(lab, {})
        stats = daemon.stats_now()
        assert stats.balanced, stats
