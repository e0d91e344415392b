"""Two balancers of a tier: fragments meet at the one that owns them, whichever of the two they come to.

The fragments of each datagram and ping go by turns to both balancers, in random order; each is answered. Where one
balancer is gone, the other does all."""

import contextlib
import signal
from collections.abc import Iterator

import pytest
from lab import Lab, Spec
from support.connections import Connections, serve_echo
from support.daemon import Daemon, configure
from support.scatter import Scatter
from support.wait import wait_until

BOTH = ["lb", "lb2"]
FRAGMENTS = 21  # of 30,000 bytes


def tier_option(lab: Lab, *names: str) -> str:
    return "--lb-tier=" + ",".join(lab[name].mac(lab.spec.ingress_device) for name in names or BOTH)


def tier_of(daemon: Daemon) -> str:
    return daemon.stats().report["modes"].get("tier", "")


def wait_live(daemon: Daemon, others: str) -> None:
    """Waits until it knows that these of the others live."""
    wait_until(lambda: tier_of(daemon).endswith(f"live: {others}"), what=lambda: f"{others} live: {tier_of(daemon)}")


@contextlib.contextmanager
def tier(lab: Lab) -> Iterator[list[Daemon]]:
    with contextlib.ExitStack() as stack:
        daemons = [stack.enter_context(Daemon(lab, tier_option(lab), node=lab[name])) for name in BOTH]
        wait_live(daemons[0], "1")
        wait_live(daemons[1], "0")
        yield daemons


@pytest.fixture(scope="module", params=[(1, False), (2, False), (1, True)], ids=["1q", "2q", "one-arm"])
def lab(request):
    queues, one_arm = request.param
    with Lab(Spec(balancers=2, queues=queues, one_arm=one_arm)) as made:
        for name in BOTH:
            configure(made, made[name])
        serve_echo(made)
        yield made


@pytest.fixture(params=["IPv4", "IPv6"])
def vip(request, lab):
    return lab.vip4 if request.param == "IPv4" else lab.vip6


def sums(daemons: list[Daemon]) -> tuple[int, int, int]:
    """Handed over, taken over, dropped: of all balancers."""
    totals = [daemon.stats_now().report["total"] for daemon in daemons]
    return tuple(sum(total[key] for total in totals) for key in ("to_peers", "from_peers", "dropped"))


def test_datagrams_of_30000_bytes_over_both_balancers(lab, vip):
    with tier(lab) as daemons, Scatter(lab, vip) as scatter:
        servers = {scatter.datagram(BOTH) for _ in range(20)}
        assert len(servers) > 1, "all went to one server: this shows nothing"
        handed, taken, dropped = sums(daemons)
        # Half of the fragments come to the wrong balancer, whichever that is; between two addresses it is always one.
        assert handed == taken and dropped == 0
        assert abs(handed - 20 * FRAGMENTS / 2) <= 20
        for daemon in daemons:
            assert all(worker["rx"] > 0 for worker in daemon.stats_now().workers)


def test_pings_of_3000_bytes_over_both_balancers(lab, vip):
    with tier(lab) as daemons, Scatter(lab, vip) as scatter:
        for _ in range(20):
            scatter.ping(BOTH)
        handed, taken, dropped = sums(daemons)
        assert handed == taken and 20 <= handed <= 40 and dropped == 0


def test_the_kernels_own_fragments_over_routes_to_both(lab, vip):
    """40 sockets, whose datagrams the client's two routes spread by flow: each goes to one balancer as a whole."""
    with tier(lab) as daemons, Connections(lab.client, vip, 40, "udp", size=30_000) as udp:
        assert udp.exchange() == udp.server, "a flow moved between two datagrams"
        handed, taken, dropped = sums(daemons)
        assert handed == taken > 0 and dropped == 0


@pytest.mark.parametrize("how", ["stopped", "killed", "stalled"])
def test_a_peer_that_is_gone(lab, vip, how):
    """Its fragments are handled where they come; and go to it again when it is back."""
    with tier(lab) as daemons, Scatter(lab, vip) as scatter:
        here, there = daemons
        assert all(scatter.datagram(["lb"]) for _ in range(3))
        assert all(scatter.datagram(["lb2"]) for _ in range(3))
        handed = sums(daemons)[0]
        assert handed == 3 * FRAGMENTS  # one pair of addresses has one owner
        if how == "stopped":
            there.stop()
        elif how == "killed":
            there.process.kill()
        else:
            there.process.send_signal(signal.SIGSTOP)
        wait_live(here, "none")
        before = here.stats_now().report["total"]["to_peers"]
        for _ in range(5):
            assert scatter.datagram(["lb"])
            scatter.ping(["lb"])
        assert here.stats_now().report["total"]["to_peers"] == before
        if how == "stalled":
            there.process.send_signal(signal.SIGCONT)
            wait_live(here, "1")
            return
        with Daemon(lab, tier_option(lab), node=lab["lb2"]) as back:
            wait_live(here, "1")
            wait_live(back, "0")
            assert all(scatter.datagram(BOTH) for _ in range(5))


def test_balancers_that_disagree_hand_nothing_over(lab):
    """Another order: then who owns and who lives would be told by other numbers."""
    with contextlib.ExitStack() as stack:
        here = stack.enter_context(Daemon(lab, tier_option(lab, "lb", "lb2"), node=lab["lb"]))
        stack.enter_context(Daemon(lab, tier_option(lab, "lb2", "lb"), node=lab["lb2"]))
        here.process.wait_for("balancer 1, .*, has other members or another hash seed")
        scatter = stack.enter_context(Scatter(lab, lab.vip4))
        assert scatter.datagram(["lb"])
        assert sums([here])[0] == 0


def test_a_tier_without_us_is_refused(lab):
    daemon = Daemon(lab, "--lb-tier=2:0:0:0:0:1,2:0:0:0:0:2", wait=False)
    assert daemon.process.wait() == 1
    assert f"none of its MACs is ours: [{lab.spec.ingress_device}] has" in daemon.output
