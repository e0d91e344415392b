"""The packet cases through a daemon on real sockets, and through `xdplb replay`: both say the same."""

import json
from collections import Counter
from pathlib import Path

from support.daemon import Daemon, configure, xdplb
from support.offline import configuration, replay
from support.packets import Tap

CASES = json.loads((Path(__file__).parents[1] / "support" / "packet_cases.json").read_text())
ETHERNET_BYTES = 14
TARGETS = 4


def sendable(frame: bytes, mtu: int) -> bool:
    """What a packet socket takes; a VLAN tag may come on top of the MTU."""
    return ETHERNET_BYTES < len(frame) <= ETHERNET_BYTES + mtu


def test_every_packet_case_as_in_replay(lab, tmp_path):
    frames = [bytes.fromhex(case["frame"]) for case in CASES]
    frames = [frame for frame in frames if sendable(frame, lab.spec.mtu)]
    assert len(frames) > 300
    config = configuration(targets=TARGETS)
    # All at once: fragments of one number meet, in the order of the cases, and what is held waits for the end.
    replayed = replay(tmp_path, config, [(1000.0 + i / 1e5, frame) for i, frame in enumerate(frames)])
    judged = [packet for packet in replayed.packets if packet["verdict"] != "pass"]
    assert {packet["reason"] for packet in judged} > {None, "fragment_timeout", "l4_header"}

    # At MACs that no server has: what servers answer to such packets must not come back as further packets.
    configure(lab, targets=0)
    for target in config["targets"]:
        xdplb(lab.lb, "activate", f"--mac={target['mac']}", target["name"])
    with Daemon(lab) as daemon, Tap(lab.client, "eth2") as client:
        client.send(*frames)
        stats = daemon.wait_received(len(judged))
        assert stats.rx == len(judged), f"{stats}; the rest is the kernel's"
        assert stats.tx == replayed.counters["forward"]
        assert stats.drops == Counter(replayed.counters["drops"])
        counted = {name: packets for name, packets in stats.targets.items() if packets}
        assert counted == replayed.counters["targets"]
