"""Ready and going: what `xdplb ready` and systemd are told, and a router that moves the VIPs without loss by it."""

import json
import re
import signal
import threading
from pathlib import Path

import pytest
from lab import Lab, Spec
from lab.node import REPO
from support.daemon import Daemon, activate_servers, configure, xdplb
from support.faults import attach_foreign, forward, wait_forwards
from support.manager import Manager
from support.programs import ctraffic_report, serve, start_ctraffic
from support.stopped_thread import StoppedThread, threads
from support.wait import wait_until

SOCKET = "/run/xdplb/xdplb.sock"
UNIT = (Path(REPO) / "configs" / "xdplb.service").read_text()


def ready(lab: Lab, name: str = "lb") -> list[str]:
    """Why a balancer is not; empty: it is. The exit code, the text and the JSON agree."""
    done = xdplb(lab[name], "ready", check=False)
    assert done.stderr == ""
    reasons = re.findall(r"^not ready: (.*)$", done.stdout, re.M)
    assert (done.returncode, done.stdout) == ((1, "".join(f"not ready: {reason}\n" for reason in reasons)) if reasons
                                              else (0, "ready\n"))
    return reasons


def wait_ready(lab: Lab, *expected: str) -> None:
    """Waits until the reasons match these, and no others are there."""

    def as_expected() -> bool:
        reasons = ready(lab)
        return len(reasons) == len(expected) and all(map(re.fullmatch, expected, reasons))

    wait_until(as_expected, what=lambda: f"{expected}, not {ready(lab)}", every=0.05)


def test_no_daemon_is_not_ready(lab):
    assert ready(lab) == [f"No daemon answers on {SOCKET}: is `xdplb lb` running?"]
    report = json.loads(xdplb(lab.lb, "ready", "--json", check=False).stdout)
    assert report == {"ready": False, "going": False, "generation": 0,
                      "reasons": [f"No daemon answers on {SOCKET}: is `xdplb lb` running?"]}


def test_targets(lab):
    """Nothing to send to is not ready; one that drains is nothing to send new flows to."""
    configure(lab, targets=0)
    none = r"service default has 0 of 1 usable target that it needs"
    with Daemon(lab):
        wait_ready(lab, none)
        activate_servers(lab, targets=2)
        wait_ready(lab)
        report = json.loads(xdplb(lab.lb, "ready", "--json").stdout)
        generation = json.loads(xdplb(lab.lb, "show", "--json").stdout)["generation"]
        assert report == {"ready": True, "going": False, "generation": generation, "reasons": []}
        xdplb(lab.lb, "deactivate", "--drain", 0)
        wait_ready(lab)
        xdplb(lab.lb, "deactivate", "--drain", 1)
        wait_ready(lab, none)


@pytest.mark.parametrize("device", ["eth1", "eth2"])
def test_link_down(lab, daemon, device):
    wait_ready(lab)
    lab.lb.run(f"ip link set dev {device} down")
    wait_ready(lab, rf"no data plane: Interface \[{device}\] is down.*")
    lab.lb.run(f"ip link set dev {device} up")
    wait_ready(lab)


def test_the_program_is_no_longer_ours(lab, daemon):
    attach_foreign(lab, "eth2", force=True)
    wait_ready(lab, r"no data plane: Another XDP program is attached to \[eth2\].*")
    lab.lb.run("ip link set dev eth2 xdpdrv off")
    wait_ready(lab)


def test_a_worker_that_hangs(lab, tmp_path):
    """It makes the balancer not ready, and stops the watchdog's food until it goes on."""
    configure(lab)
    with Manager(tmp_path, watchdog_s=2) as manager:
        with Daemon(lab, "--heartbeat-ms=400", prefix=manager.prefix) as daemon:
            manager.wait_for("WATCHDOG=1", manager.wait_for("WATCHDOG=1"))
            with StoppedThread(threads(daemon.process.pid)["xdplb-eth2/0"]):
                wait_ready(lab, r"worker eth2/0 gave no sign of life for \d\.\d s")
                said = len(manager.heard())
                wait_until(lambda: any("sign of life for 3." in text for text in manager.heard()), what=manager.heard)
                assert "WATCHDOG=1" not in manager.heard()[said:], "more than the time that was allowed has passed"
            manager.wait_for("WATCHDOG=1", len(manager.heard()))
            wait_ready(lab)


def test_what_systemd_is_told(lab, tmp_path):
    configure(lab)
    with Manager(tmp_path) as manager:
        with Daemon(lab, prefix=manager.prefix) as daemon:
            at = manager.wait_for("READY=1")
            assert at == 1, "the first thing that it says"
            generation = json.loads(xdplb(lab.lb, "ready", "--json").stdout)["generation"]
            at = manager.wait_for(f"STATUS=ready, generation {generation}", at)
            lab.lb.run("ip link set dev eth1 down")
            wait_until(lambda: any(text.startswith("STATUS=not ready: no data plane: ") for text in manager.heard()),
                       what=manager.heard)
            lab.lb.run("ip link set dev eth1 up")
            at = manager.wait_for(f"STATUS=ready, generation {generation}", at)
            daemon.process.send_signal(signal.SIGHUP)
            at = manager.wait_for("READY=1", at)
            assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", manager.heard()[at - 2])
            daemon.stop()
            assert manager.heard()[-1] == "STOPPING=1\nEXTEND_TIMEOUT_USEC=10000000"
        assert "WATCHDOG=1" not in manager.heard(), "no watchdog was asked for"


def test_a_manager_that_is_gone_is_no_obstacle(lab):
    configure(lab)
    with Daemon(lab, prefix=["env", "NOTIFY_SOCKET=/nowhere/notify"]) as daemon:
        assert "warning: Cannot reach NOTIFY_SOCKET [/nowhere/notify]: No such file or directory" in daemon.output
        forward(lab)


def test_the_unit_allows_what_the_daemon_needs(lab):
    """Its capabilities are enough to start, also where a daemon died and left its program attached."""
    configure(lab)
    listed = re.search(r"^CapabilityBoundingSet=(.*)$", UNIT, re.M)[1].split()
    kept = ",".join("+" + capability.removeprefix("CAP_").lower() for capability in listed)
    prefix = ["setpriv", f"--bounding-set=-all,{kept}", f"--inh-caps=-all,{kept}", "--no-new-privs"]
    first = Daemon(lab, prefix=prefix)
    first.process.kill()
    first.process.wait()
    with Daemon(lab, "--fifo=5", prefix=prefix) as daemon:
        assert "taken over from a daemon that died" in daemon.output
        wait_forwards(lab)
        wait_ready(lab)


# --- going ---


def test_a_second_signal_ends_at_once(lab):
    configure(lab)
    with Daemon(lab, "--grace=10m") as daemon:
        daemon.process.send_signal(signal.SIGTERM)
        wait_ready(lab, "going: it was told to stop by SIGTERM")
        assert json.loads(xdplb(lab.lb, "ready", "--json", check=False).stdout)["going"] is True
        forward(lab)
        assert daemon.process.stop(signal.SIGINT) == 0
        assert re.search(r"^stopping on SIGINT$", daemon.output, re.M)


def test_the_grace_period_ends(lab, tmp_path):
    configure(lab)
    with Manager(tmp_path) as manager, Daemon(lab, "--grace=1s", prefix=manager.prefix) as daemon:
        daemon.process.send_signal(signal.SIGTERM)
        at = manager.wait_for("STOPPING=1\nEXTEND_TIMEOUT_USEC=11000000")
        manager.wait_for("STATUS=not ready: going: it was told to stop by SIGTERM", at)
        assert daemon.process.wait() == 0
        assert re.search(r"^stopping: the grace period is over$", daemon.output, re.M)


def test_grace_is_a_duration(lab):
    done = lab.lb.run("xdplb lb --grace=soon --idev=eth2 --edev=eth1", check=False)
    assert (done.returncode, done.stderr) == (
        2, "Invalid --grace [soon]: a duration such as 30s or 500ms, at most 168h; 0s: none\n")


class Router(threading.Thread):
    """What bird or keepalived does: asks the first balancer whether it is ready, and sends the VIP to the second once it
    is not."""

    def __init__(self, lab: Lab):
        super().__init__()
        self._lab = lab
        self._ended = threading.Event()
        self.moved = threading.Event()

    def point(self, name: str) -> None:
        address = self._lab.machines[name].ip4(self._lab.spec.ingress_net)
        self._lab.client.run(f"ip route replace {self._lab.vip4}/32 via {address}")

    def run(self) -> None:
        while not self._ended.is_set():
            if xdplb(self._lab.lb, "ready", check=False).returncode != 0:
                self.point("lb2")
                return self.moved.set()
            self._ended.wait(0.2)

    def __enter__(self) -> "Router":
        self.point("lb")
        self.start()
        return self

    def __exit__(self, *_exception) -> None:
        self._ended.set()
        self.join()


def test_a_router_that_watches_moves_the_traffic_without_loss():
    """Two balancers with the same targets and seed: connections that the first knew meet the same server through the
    second, by the table."""
    connections = 100
    with Lab(Spec(balancers=2)) as lab:
        for name in ("lb", "lb2"):
            configure(lab, lab[name])
        serve(lab, mconnect=False, ctraffic=True)
        with Daemon(lab, "--grace=3s") as first, Daemon(lab, node=lab["lb2"]) as second, Router(lab) as router:
            options = ["-nconn", connections, "-rate", 2 * connections, "-timeout", "8s", "-monitor", "-reconnect=false"]
            client = start_ctraffic(lab.client, lab.vip4, *map(str, options))
            client.wait_for(rf"^Conn act/fail/connecting: {connections}/0/0,")
            assert first.stats_now().rx > 0 and second.stats_now().rx == 0
            first.process.send_signal(signal.SIGTERM)
            assert router.moved.wait(20)
            assert first.process.running, "it forwards for the grace period"
            assert first.process.wait() == 0
            assert client.running, "connections outlive the balancer"
            report = ctraffic_report(client)
            assert second.stats_now().rx > connections
    assert report["Connections"] == connections
    assert report["FailedConnections"] == report["FailedConnects"] == report["Dropped"] == 0
    assert len({stats["Host"] for stats in report["ConnStats"]}) == 4
    assert re.search(r"^stopped: \d+ received = \d+ sent \+ 0 dropped \+ 0 held$", second.output, re.M)
