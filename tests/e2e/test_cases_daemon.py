"""The packet cases through a daemon on real sockets, and through `xdplb replay`: both say the same of each frame."""

import json
from collections import Counter
from pathlib import Path

import pytest
from lab import Lab
from support.daemon import Daemon, configure, xdplb
from support.offline import configuration, replay
from support.packets import Tap, mac_bytes, sent_by

CASES = json.loads((Path(__file__).parents[1] / "support" / "packet_cases.json").read_text())
ETHERNET_BYTES = 14
TARGETS = 4


def cases(lab: Lab) -> list[bytes]:
    """Those that a packet socket takes: a VLAN tag may come on top of the MTU."""
    frames = [bytes.fromhex(case["frame"]) for case in CASES]
    return [frame for frame in frames if ETHERNET_BYTES < len(frame) <= ETHERNET_BYTES + lab.spec.mtu]


def serve(lab: Lab, *options: str) -> Daemon:
    """Targets at MACs that no server has: what servers answer to such packets must not come back as further packets."""
    configure(lab, targets=0)
    for target in configuration(targets=TARGETS)["targets"]:
        xdplb(lab.lb, "activate", f"--mac={target['mac']}", target["name"])
    return Daemon(lab, *options)


def beyond_the_source(frame: bytes) -> bytes:
    """The frame without the one address in which a daemon and replay differ: the egress device's own."""
    return frame[:6] + frame[12:]


@pytest.mark.parametrize("mode", ["native", "generic"])
def test_every_packet_case_as_in_replay(lab, tmp_path, mode):
    frames = cases(lab)
    assert len(frames) > 500
    replayed = replay(tmp_path, configuration(targets=TARGETS), [(1000 + i / 1e5, f) for i, f in enumerate(frames)])
    judged = [packet for packet in replayed.packets if packet["verdict"] != "pass"]
    assert {packet["reason"] for packet in judged} > {None, "fragment_timeout", "l4_header"}

    with serve(lab, f"--mode={mode}") as daemon, Tap(lab.client, "eth2") as client, Tap(lab["switch"], "lb.1") as out:
        client.send(*frames)
        stats = daemon.wait_received(len(judged))
        assert stats.rx == len(judged), f"{stats}; the rest is the kernel's"
        assert stats.drops == Counter(replayed.counters["drops"])
        # What is held leaves after its batch, which is one packet in replay: in another order, but the same.
        sent = out.wait_for(sent_by(lab.lb, "eth1"), len(replayed.sent))
        assert Counter(map(beyond_the_source, sent)) == Counter(map(beyond_the_source, replayed.sent))
        assert all(frame[6:12] == mac_bytes(lab.lb.mac("eth1")) for frame in sent)
        counted = {name: packets for name, packets in stats.targets.items() if packets}
        assert counted == replayed.counters["targets"]
