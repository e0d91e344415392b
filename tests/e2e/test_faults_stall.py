"""Something does not go on: the daemon, one worker of it, or the servers' side."""

import signal
from itertools import count

import pytest
from support.daemon import Daemon, activate_servers, configure, xdplb
from support.faults import FLOWS, forward, wait_forwards
from support.flows import Flows
from support.packets import Tap
from support.stopped_thread import StoppedThread, threads
from support.wait import wait_until

HEARTBEAT = "--heartbeat-ms=200"


def is_for_vip(frame: bytes) -> bool:
    return frame[12:14] == b"\x08\x00" and frame[30:34] == bytes([10, 0, 0, 0])


def wait_falls_back(lab, flow: int) -> None:
    """Waits until the VIP's packets take the fallback, which here hands them to the host: it sees them."""
    frame = Flows(lab, "udp").frame(flow)
    with Tap(lab.client, "eth2") as client, Tap(lab.lb, "eth2") as host:

        def fell_back() -> bool:
            client.send(frame)
            return bool(host.matching(is_for_vip))

        wait_until(fell_back, what=f"flow {flow} takes the fallback", every=0.01)


@pytest.fixture
def passing(lab):
    """A balancer whose VIP falls back to `pass`."""
    xdplb(lab.lb, "init")
    xdplb(lab.lb, "vip", "add", "--fallback=pass", *lab.spec.vips)
    activate_servers(lab)
    return lab


def test_stopped_daemon(passing):
    """A hung daemon's queues fall back, a command says that it does not answer, and SIGCONT mends everything."""
    lab = passing
    with Daemon(lab, HEARTBEAT) as daemon:
        before = forward(lab)
        daemon.process.send_signal(signal.SIGSTOP)
        wait_falls_back(lab, 0)
        changed = xdplb(lab.lb, "deactivate", 3, check=False)
        assert changed.returncode == 1
        assert f"the daemon (pid {daemon.process.pid}) has not taken it within" in changed.stderr
        xdplb(lab.lb, "activate", 3, check=False)
        daemon.process.send_signal(signal.SIGCONT)
        wait_forwards(lab)
        assert forward(lab) == before
        assert daemon.stats_now().balanced


def test_one_worker_is_stuck(make_lab):
    """Its queue falls back, the other one is served all the while."""
    lab = make_lab(queues=2)
    xdplb(lab.lb, "init")
    xdplb(lab.lb, "vip", "add", "--fallback=pass", *lab.spec.vips)
    activate_servers(lab)
    with Daemon(lab, HEARTBEAT) as daemon:
        flow_of = flows_by_worker(lab, daemon)
        stuck, other = "eth2/0", "eth2/1"
        with StoppedThread(threads(daemon.process.pid)[f"xdplb-{stuck}"]):
            wait_falls_back(lab, flow_of[stuck])
            forward(lab, [flow_of[other]])
        wait_forwards(lab)
        forward(lab, [flow_of[stuck]])
        forward(lab, [flow_of[other]])
        assert daemon.stats_now().balanced


def flows_by_worker(lab, daemon) -> dict[str, int]:
    """A flow that each worker serves, found by trying."""
    found: dict[str, int] = {}

    def received() -> dict[str, int]:
        return {worker["name"]: worker["rx"] for worker in daemon.stats_now().workers}

    for flow in count(1):
        before = received()
        forward(lab, [flow])
        after = received()
        found |= {name: flow for name in after if after[name] > before[name] and name not in found}
        if len(found) == 2 or flow > 64:
            return found


def test_servers_side_takes_nothing(lab):
    """Completions stay away because a queue behind the balancer lets nothing out. Receiving goes on, what there is no
    room for is dropped and counted; when the queue opens, every frame comes back."""
    configure(lab, targets=1)
    wire = lab["switch"]
    with Daemon(lab, "--tx-ring=64", "--rx-ring=64") as daemon:
        forward(lab)
        whole = daemon.stats_now().workers[0]
        # One packet an hour or so, and room for all that come: the bridge hands them over, the port keeps them.
        wire.run("tc qdisc add dev vm-001.1 root tbf rate 8bit burst 2000 limit 100000000")
        flows = Flows(lab, "udp")
        with Tap(lab.client, "eth2") as client:

            def overflows() -> bool:
                client.send(*(flows.frame(number) for number in FLOWS))
                return daemon.stats().drops["tx_full"] > 1000

            wait_until(overflows, what=lambda: f"the daemon drops; {daemon.stats()}")
            received = daemon.stats_now().rx
            client.send(*(flows.frame(number) for number in FLOWS))
            stats = daemon.wait_received(received + len(FLOWS))
        assert stats.balanced and set(stats.drops) <= {"tx_full"}, str(stats)
        wire.run("tc qdisc del dev vm-001.1 root")

        def all_back() -> bool:
            return daemon.stats_now().workers[0]["frames_free"] >= whole["frames_free"]

        wait_until(all_back, what=lambda: f"every frame is back; {daemon.stats().workers[0]}")
        dropped = daemon.stats().drops.total()
        forward(lab)
        stats = daemon.stats_now()
        assert stats.balanced and stats.drops.total() == dropped
