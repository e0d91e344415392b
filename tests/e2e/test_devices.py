"""What `lb` finds out about its devices: their queues, and whether they have zero copy."""

import pytest
from support.daemon import Daemon, configure
from support.programs import mconnect, serve

HOSTS = {"vm-001", "vm-002", "vm-003", "vm-004"}
QUEUES = 3


@pytest.mark.parametrize("options", [(), ("--queue=1,2",)], ids=["all-served", "the-sending-one-not-served"])
def test_one_arm_with_fewer_transmit_than_receive_queues(make_lab, options):
    """As virtio_net has them once a program is attached. Queues that cannot send are served by a worker that can."""
    lab = make_lab(queues=QUEUES, one_arm=True)
    lab.lb.run(f"ethtool -L eth1 rx {QUEUES} tx 1")
    configure(lab)
    serve(lab)
    with Daemon(lab, *options) as daemon:
        served = options[0].partition("=")[2] if options else "0,1,2"
        assert f"worker eth1/{served}: " in daemon.output and daemon.output.count("\nworker ") == 1, daemon.output
        if options:
            return  # what arrives on queue 0 takes the fallback
        for vip in (lab.vip4, lab.vip6):
            spread = mconnect(lab.client, vip, 100)
            assert spread.failed == 0 and set(spread.hosts) == HOSTS
        stats = daemon.stats_now()
        assert stats.rx == stats.tx and not stats.drops, stats


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
