"""More than 200 odd packets: nothing crashes, and every one is forwarded, dropped and counted, or left to the host."""

from collections import Counter

import pytest
from support.daemon import Daemon, configure
from support.flows import Course, Flows
from support.hostile import Maker
from support.packets import Tap, sent_by
from support.wait import wait_until


@pytest.mark.parametrize("mode", ["native", "generic"])
def test_every_odd_packet_is_accounted_for(lab, mode):
    configure(lab)
    odd = Maker(lab).all()
    assert len(odd) > 200
    with Daemon(lab, f"--mode={mode}") as daemon:
        with Tap(lab.client, "eth2") as client, Tap(lab.lb, "eth2") as stack, Tap(lab["switch"], "lb.1") as wire:
            ours = {packet.frame for packet in odd}
            client.send(*(packet.frame for packet in odd))

            def accounted():
                return daemon.stats().rx + len(stack.matching(ours.__contains__))

            wait_until(lambda: accounted() >= len(odd), what=lambda: f"{accounted()} of {len(odd)}; {daemon.stats()}")
            stats = daemon.wait_received(0)
            forwarded = [frame[12:] for frame in wire.wait_for(sent_by(lab.lb, "eth1"), stats.tx)]
            passed = stack.matching(ours.__contains__)
        assert daemon.process.running
        wrong = [
            f"{packet.what}: {verdict}, not {packet.verdict}"
            for packet in odd
            if packet.verdict not in (verdict := verdict_of(packet, forwarded, passed), taken(verdict))
        ]
        assert not wrong, "\n".join(wrong)
        assert stats.rx + len(passed) == len(odd)
        assert stats.balanced and stats.held == 0 and len(forwarded) == stats.tx, stats
        assert Counter(forwarded).most_common(1)[0][1] == 1, "a packet was forwarded twice"
        with Course(lab, Flows(lab)) as course:
            course.run(range(100))  # and it still works


def verdict_of(packet, forwarded: list[bytes], passed: list[bytes]) -> str:
    return "forward" if packet.frame[12:] in forwarded else "pass" if packet.frame in passed else "drop"


def taken(verdict: str) -> str:
    return "taken" if verdict in ("forward", "drop") else verdict
