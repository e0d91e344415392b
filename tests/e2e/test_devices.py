"""What `lb` finds out about its devices: their queues, and whether they have zero copy."""

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from support.daemon import Daemon, configure
from support.packets import Tap, sent_by
from support.programs import mconnect, serve
from support.wait import wait_until

HOSTS = {"vm-001", "vm-002", "vm-003", "vm-004"}
QUEUES = 3


@pytest.fixture
def lopsided(make_lab):
    """One-arm, with more receive than transmit queues: as virtio_net has them once a program is attached."""
    lab = make_lab(queues=QUEUES, one_arm=True)
    lab.lb.run(f"ethtool -L eth1 rx {QUEUES} tx 1")
    configure(lab)
    return lab


def only_worker(daemon, queues):
    return f"\nworker eth1/{queues}: " in daemon.output and daemon.output.count("\nworker ") == 1


def test_one_arm_queues_that_cannot_send_join_a_worker_that_can(lopsided):
    lab = lopsided
    serve(lab)
    with Daemon(lab) as daemon:
        assert only_worker(daemon, "0,1,2"), daemon.output
        for vip in (lab.vip4, lab.vip6):
            spread = mconnect(lab.client, vip, 100)
            assert spread.failed == 0 and set(spread.hosts) == HOSTS
        stats = daemon.stats_now()
        assert stats.rx == stats.tx and not stats.drops, stats


def test_one_arm_the_queue_that_sends_need_not_be_served(lopsided):
    lab = lopsided
    ethernet = Ether(src=lab.client.mac("eth1"), dst=lab.lb.mac("eth1"))
    packets = [ethernet / IP(src="50.0.0.1", dst=lab.vip4) / UDP(sport=20000 + n, dport=7000) / bytes(18) for n in range(300)]
    with Daemon(lab, "--queue=1,2") as daemon, Tap(lab.client, "eth1") as client, Tap(lab["switch"], "lb.1") as wire:
        assert only_worker(daemon, "1,2"), daemon.output
        client.send(*map(bytes, packets))

        def all_seen():
            stats = daemon.stats_now()
            return stats if stats.rx + stats.report["program"]["unarmed"] == len(packets) else None

        stats = wait_until(all_seen, what="the packets were received or fell back")
        assert 0 < stats.rx < len(packets) and stats.rx == stats.tx, stats
        assert len(wire.wait_for(sent_by(lab.lb, "eth1"), stats.rx)) == stats.rx


@pytest.mark.parametrize("options, why", [
    (("--mode=native",), "the driver has none"),
    (("--mode=generic",), "XDP on it is generic"),
    (("--mode=native", "--zerocopy=off"), "--zerocopy=off"),
], ids=["native", "generic", "off"])
def test_it_says_why_there_is_no_zero_copy(make_lab, options, why):
    lab = make_lab(generic="--mode=generic" in options)
    configure(lab)
    with Daemon(lab, *options) as daemon:
        assert f"[eth2] veth: zero-copy: no ({why})\n" in daemon.output
        # The egress side has a native program, whatever the ingress side has.
        egress = "the driver has none" if "--mode=generic" in options else why
        assert f"[eth1] veth: zero-copy: no ({egress})\n" in daemon.output
