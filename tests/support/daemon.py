"""xdplb on a balancer of the lab: configuring, starting, asking, stopping."""

import json
import re

from lab import Lab, Node
from lab.names import SEGMENT, servers
from lab.node import Process

from .wait import wait_until

READY = r"\bready\b"


def xdplb(node: Node, *arguments: object, check: bool = True):
    """Runs one xdplb command on a balancer."""
    return node.run(["xdplb", *map(str, arguments)], check=check)


def configure(lab: Lab, node: Node | None = None, targets: int | None = None, m: int = 997, n: int = 20) -> None:
    """init, the VIPs of the lab, and its first `targets` servers (default all) as active targets 0, 1, ..."""
    node = node or lab.lb
    xdplb(node, "init", f"--m={m}", f"--n={n}")
    xdplb(node, "vip", "add", *lab.spec.vips)
    for index, server in enumerate(servers(lab.spec)[:targets]):
        xdplb(node, "activate", f"--mac={server.mac(SEGMENT)}", index)


class Daemon:
    """`xdplb lb` on a balancer. Leaving `with` stops it and checks that it ended well."""

    def __init__(self, lab: Lab, *options: str, node: Node | None = None, wait: bool = True):
        self.node = node or lab.lb
        command = ["xdplb", "lb", f"--idev={lab.spec.ingress_device}", "--edev=eth1", *options]
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

    def stats(self) -> dict:
        return json.loads(xdplb(self.node, "stats", "--json").stdout)
