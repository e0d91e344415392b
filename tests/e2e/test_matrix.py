"""Each family and protocol, in each way of running: native or generic, two-arm or one-arm, one queue or two."""

import itertools
import re

import pytest
from lab import Lab, Spec
from support.daemon import Daemon, configure
from support.programs import mconnect, serve

WAYS = list(itertools.product(("native", "generic"), ("two-arm", "one-arm"), (1, 2)))
HOSTS = {"vm-001", "vm-002", "vm-003", "vm-004"}


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: f"{way[0]}-{way[1]}-{way[2]}q")
def running(request):
    """A lab with servers and a daemon that runs in that way, for all protocols."""
    mode, arms, queues = request.param
    with Lab(Spec(queues=queues, generic=mode == "generic", one_arm=arms == "one-arm")) as lab:
        configure(lab)
        serve(lab)
        with Daemon(lab, f"--mode={mode}") as daemon:
            yield lab, daemon, mode


@pytest.fixture(params=["IPv4", "IPv6"])
def vip(request, running):
    lab = running[0]
    return lab.vip4 if request.param == "IPv4" else lab.vip6


@pytest.fixture(autouse=True)
def every_packet_is_forwarded(running):
    """Whatever a test does: no drop, each queue busy, and the mode is the one that was asked for."""
    lab, daemon, mode = running
    yield
    stats = daemon.stats_now()
    assert stats.balanced and stats.drops.total() == 0, stats
    link = lab.lb.run(f"ip link show dev {lab.spec.ingress_device}").stdout
    assert re.search(r" (xdp\w*) ", link)[1] == {"native": "xdp", "generic": "xdpgeneric"}[mode]


def test_tcp(running, vip):
    lab, daemon, _mode = running
    before = daemon.stats_now()
    spread = mconnect(lab.client, vip, 100)
    assert spread.failed == 0 and spread.answered == 100
    assert set(spread.hosts) == HOSTS
    every_queue_took_part(daemon, before)


def test_udp(running, vip):
    lab, daemon, _mode = running
    before = daemon.stats_now()
    spread = mconnect(lab.client, vip, 100, "-udp")
    assert spread.failed == 0 and spread.answered == 100
    assert set(spread.hosts) == HOSTS
    assert every_queue_took_part(daemon, before) == 100


def test_icmp_echo(running, vip):
    lab, daemon, _mode = running
    before = daemon.stats_now()
    done = lab.client.run(["ping", "-n", "-c20", "-i0.01", "-W5", vip])
    assert " 20 received, 0% packet loss" in done.stdout
    after = daemon.wait_received(before.rx + 20)
    assert after.rx - before.rx == after.tx - before.tx == 20


def every_queue_took_part(daemon, before) -> int:
    """Returns how many packets were received since `before`."""
    now = daemon.stats_now()
    taken = [new["rx"] - old["rx"] for new, old in zip(now.workers, before.workers, strict=True)]
    assert all(taken), f"packets by worker: {taken}"
    return sum(taken)
