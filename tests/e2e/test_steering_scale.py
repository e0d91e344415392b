"""Ten servers, of which two go and come back, under 400 real connections: who loses what.

`deactivate` breaks the connections of the targets that it names, at once and by a reset, and no other. `deactivate
--drain` breaks none. `activate` breaks none. UDP has no connection to break: it moves, and only where it must.
"""

import json
import re
import signal

import pytest
from lab import Lab, Spec
from support.connections import Connections, established_by_server, serve_echo, wait_acknowledged, wait_established
from support.daemon import Daemon, configure, xdplb
from support.draining import drain
from support.programs import start_ctraffic
from support.wait import wait_until

CONNECTIONS = 400
GONE = (8, 9)
GONE_SERVERS = {"vm-009", "vm-010"}
WAYS = {"down": lambda lab: xdplb(lab.lb, "deactivate", *GONE), "drained": lambda lab: drain(lab, *GONE)}


@pytest.fixture(scope="module")
def ten():
    """Ten servers and a daemon on two queues; each test leaves all targets active and no connection."""
    with Lab(Spec(servers=10, queues=2)) as lab:
        configure(lab)
        serve_echo(lab)
        with Daemon(lab) as daemon:
            yield lab, daemon


@pytest.fixture(params=["IPv4", "IPv6"])
def vip(request, ten):
    lab = ten[0]
    return lab.vip4 if request.param == "IPv4" else lab.vip6


@pytest.fixture(autouse=True)
def nothing_is_lost_unseen(ten):
    lab, daemon = ten
    yield
    stats = daemon.stats_now()
    assert stats.balanced and stats.drops.total() == 0, stats


def split(connections: Connections) -> tuple[set[int], set[int]]:
    """Those of the servers that will go, and the others."""
    going = {number for number, server in connections.server.items() if server in GONE_SERVERS}
    assert going, "no connection is with a server that goes"
    return going, set(connections.server) - going


@pytest.mark.parametrize("way", WAYS)
def test_tcp(ten, vip, way):
    lab, _daemon = ten
    with Connections(lab.client, vip, CONNECTIONS) as tcp:
        wait_acknowledged(lab)
        before = dict(tcp.server)
        going, staying = split(tcp)
        WAYS[way](lab)
        after = tcp.exchange()
        assert set(tcp.broken) == (going if way == "down" else set())
        with Connections(lab.client, vip, CONNECTIONS) as late:
            assert not GONE_SERVERS & set(late.server.values()), "a target that takes no new flows got one"
            xdplb(lab.lb, "activate", *GONE)
            assert tcp.exchange() == after == {number: before[number] for number in after}
            assert late.exchange() == late.server and not late.broken
        lost_at = {server: list(tcp.broken.values()).count(server) for server in set(tcp.broken.values())}
    # A client that was reset says no goodbye: what a removed server keeps is exactly what was lost.
    wait_established(lab, lost_at)
    assert staying <= set(after)
    forget_connections(lab, lost_at)


@pytest.mark.parametrize("way", WAYS)
def test_udp(ten, vip, way):
    lab, _daemon = ten
    with Connections(lab.client, vip, CONNECTIONS, "udp") as udp:
        before = dict(udp.server)
        going, staying = split(udp)
        WAYS[way](lab)
        after = udp.exchange()
        moved = {number for number in before if after[number] != before[number]}
        assert moved == (going if way == "down" else set())
        assert all(after[number] not in GONE_SERVERS for number in moved)
        xdplb(lab.lb, "activate", *GONE)
        assert udp.exchange() == after and not udp.broken


@pytest.mark.parametrize("way", WAYS)
def test_ctraffic(ten, way):
    """The same as an operator would see it."""
    lab, _daemon = ten
    options = ["-nconn", CONNECTIONS, "-rate", CONNECTIONS, "-timeout", "60s", "-monitor", "-reconnect=false"]
    client = start_ctraffic(lab.client, lab.vip4, *map(str, options))

    def at_work() -> bool:
        return sum(established_by_server(lab).values()) == CONNECTIONS

    wait_until(at_work, what="all connections are established", every=0.1)
    going = sum(count for server, count in established_by_server(lab).items() if server in GONE_SERVERS)
    lost = going if way == "down" else 0
    assert going
    wait_received(client, 2 * CONNECTIONS)  # so that each knows the name of its server
    WAYS[way](lab)
    client.wait_for(rf"^Conn act/fail/connecting: {CONNECTIONS - lost}/{lost}/0,")
    xdplb(lab.lb, "activate", *GONE)
    wait_received(client, 2 * CONNECTIONS)
    client.stop(signal.SIGINT)
    report = json.loads(client.stdout)
    assert report["FailedConnections"] == lost and report["FailedConnects"] == 0
    ended = [stats["Host"] for stats in report["ConnStats"] if stats.get("Err")]
    assert len(report["ConnStats"]) == CONNECTIONS and len(ended) == lost
    assert set(ended) == (GONE_SERVERS if lost else set())
    # A removed server keeps those, unless it was just sending an echo again when it came back, and was reset.
    wait_until(lambda: set(established_by_server(lab)) <= set(ended), what="the others have none left", every=0.1)
    forget_connections(lab, set(ended))


@pytest.mark.parametrize("way", WAYS)
def test_ctraffic_udp(ten, way):
    """No datagram is lost, whichever way: those on their way to a server that is taken out reach it, later ones another."""
    lab, _daemon = ten
    options = ["-udp", "-nconn", CONNECTIONS, "-rate", CONNECTIONS, "-timeout", "60s", "-monitor"]
    client = start_ctraffic(lab.client, lab.vip4, *map(str, options))
    for step in (lambda: None, lambda: WAYS[way](lab), lambda: xdplb(lab.lb, "activate", *GONE)):
        step()
        wait_received(client, 2 * CONNECTIONS)
    client.stop(signal.SIGINT)
    report = json.loads(client.stdout)
    assert report["Connections"] == len(report["ConnStats"]) == CONNECTIONS
    assert report["FailedConnections"] == report["FailedConnects"] == 0
    assert len({stats["Host"] for stats in report["ConnStats"]}) == len(lab.servers)
    # At the end some echoes may be on their way.
    assert report["Sent"] - report["Received"] < CONNECTIONS / 10


def wait_received(client, more: int) -> None:
    """Waits until ctraffic's monitor says that so many more packets came back."""

    def received() -> int:
        return int(re.findall(r"send/rec/dropped: \d+/(\d+)/", client.stderr)[-1:][0] or 0) if client.stderr else 0

    start = received()
    wait_until(lambda: received() >= start + more, what=lambda: f"{more} more packets: {received()}", every=0.1)


def forget_connections(lab: Lab, servers) -> None:
    for name in servers:
        lab[name].run("ss -K state established sport = :5003", check=False)
    if servers:
        wait_established(lab, {})
