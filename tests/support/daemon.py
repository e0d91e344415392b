"""xdplb on a balancer of the lab: configuring, starting, asking, stopping."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable

from lab import Lab, Node
from lab.names import SEGMENT, servers
from lab.node import Process

from .wait import wait_until

READY = r"^ready$"


def xdplb(node: Node, *arguments: object, check: bool = True):
    """Runs one xdplb command on a balancer."""
    return node.run(["xdplb", *map(str, arguments)], check=check)


def configure(lab: Lab, node: Node | None = None, targets: int | None = None, m: int = 997, n: int = 20) -> None:
    """init, the VIPs of the lab, and its first `targets` servers (default all) as active targets 0, 1, ..."""
    node = node or lab.lb
    xdplb(node, "init", f"--m={m}", f"--n={n}")
    xdplb(node, "vip", "add", *lab.spec.vips)
    activate_servers(lab, node, targets)


def activate_servers(lab: Lab, node: Node | None = None, targets: int | None = None) -> None:
    for index, server in enumerate(servers(lab.spec)[:targets]):
        xdplb(node or lab.lb, "activate", f"--mac={server.mac(SEGMENT)}", index)


class Stats:
    """What `xdplb stats --json` says, in short."""

    def __init__(self, report: dict):
        self.report = report
        total = report["total"]
        self.rx, self.tx, self.held = total["rx"], total["tx"], total["held"]
        self.drops = Counter({reason: count for reason, count in total["drops"].items() if count})
        self.workers: list[dict] = report["workers"]
        self.kernel_rx_dropped = sum(worker["kernel_rx_dropped"] for worker in self.workers)
        self.targets: dict[str, int] = {target["name"]: target["packets"] for target in report["targets"]}

    @property
    def balanced(self) -> bool:
        """Every packet taken is sent, dropped for a reason, or still held."""
        return self.rx == self.tx + self.drops.total() + self.held

    @property
    def quiet(self) -> bool:
        """No packet is on its way."""
        return self.balanced and self.held == 0

    def __str__(self) -> str:
        return f"rx {self.rx}, tx {self.tx}, held {self.held}, drops {dict(self.drops)}"


class Daemon:
    """`xdplb lb` on a balancer. Leaving `with` stops it and checks that it ended well."""

    def __init__(self, lab: Lab, *options: str, node: Node | None = None, wait: bool = True, prefix: list[str] | None = None):
        self.node = node or lab.lb
        # XDPLB_LB_OPTIONS: for every daemon of a run, as `make e2e-epoll` uses it.
        everywhere = os.environ.get("XDPLB_LB_OPTIONS", "").split()
        command = [*(prefix or []), "xdplb", "lb", f"--idev={lab.spec.ingress_device}", "--edev=eth1", *everywhere, *options]
        self.process: Process = self.node.start(command)
        if wait:
            self.wait_ready()

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, exception, *_rest) -> None:
        try:
            if self.process.running:
                status = self.process.stop()
                assert status == 0 or exception, f"xdplb lb exited with {status}:\n{self.output}"
        finally:
            # pytest shows it where a test failed.
            print(f"--- output of `xdplb lb` on {self.node.name}:\n{self.output}")

    @property
    def output(self) -> str:
        return self.process.output

    def wait_ready(self) -> None:
        self.process.wait_for(READY)

    def stop(self) -> str:
        """Stops it, checks that it ended well, and returns all of its output."""
        status = self.process.stop()
        assert status == 0, f"xdplb lb exited with {status}:\n{self.output}"
        return self.output

    def stats(self) -> Stats:
        """The last statistics that the daemon wrote; they may be a moment old."""
        return Stats(json.loads(xdplb(self.node, "stats", "--json").stdout))

    def stats_now(self) -> Stats:
        """Statistics gathered after this call began. Counters are gathered one after the other, so while packets are on
        their way they need not add up; then it looks again."""
        now = time.monotonic_ns()  # the daemon's clock: CLOCK_MONOTONIC

        def fresh(stats: Stats) -> bool:
            return stats.report["written_monotonic_ns"] > now and stats.balanced

        return self._wait_for(fresh, "balanced statistics")

    def wait_received(self, count: int, timeout: float = 20) -> Stats:
        """Waits until it has taken at least `count` packets and is done with them. A packet may be seen on the wire before
        it is counted."""
        return self._wait_for(lambda stats: stats.rx >= count and stats.quiet, f"{count} packets received", timeout)

    settled = wait_received

    def _wait_for(self, condition: Callable[[Stats], bool], what: str, timeout: float = 20) -> Stats:
        seen: list[Stats] = []

        def holds() -> Stats | None:
            seen[:] = [self.stats()]
            return seen[0] if condition(seen[0]) else None

        return wait_until(holds, timeout, what=lambda: f"{what}; {seen[0]}")
