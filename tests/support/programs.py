"""mconnect, ctraffic and transfer.py: starting servers, running clients, reading their reports."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from lab import Lab, Node
from lab.node import Process

from .wait import wait_until

MCONNECT_PORT = 5001
CTRAFFIC_PORT = 5003
TRANSFER = [sys.executable, str(Path(__file__).with_name("transfer.py"))]


@dataclass
class Spread:
    """What mconnect found: connections by the server that answered."""

    hosts: dict[str, int]
    connects: int
    failed_connects: int
    failed_reads: int

    @property
    def failed(self) -> int:
        return self.failed_connects + self.failed_reads

    @property
    def answered(self) -> int:
        return sum(self.hosts.values())


def address(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def serve(lab: Lab, mconnect: bool = True, ctraffic: bool = False) -> list[Process]:
    """Starts servers on every vm, mconnect's for TCP and UDP, and waits until they listen."""
    started = []
    for node in lab.servers:
        if mconnect:
            started.append(node.start(["mconnect", "-server", "-udp", "-address", address("::", MCONNECT_PORT)]))
        if ctraffic:
            started.append(node.start(["ctraffic", "-server", "-address", address("::", CTRAFFIC_PORT)]))
    for node in lab.servers:
        if mconnect:
            wait_listening(node, MCONNECT_PORT)
            wait_listening(node, MCONNECT_PORT, "udp")
        if ctraffic:
            wait_listening(node, CTRAFFIC_PORT)
    return started


def wait_listening(node: Node, port: int, protocol: str = "tcp") -> None:
    kind = "-lt" if protocol == "tcp" else "-lu"

    def listening() -> bool:
        return node.run(f"ss -Hn {kind} sport = :{port}").stdout != ""

    wait_until(listening, what=f"{node.name} listens on {protocol} port {port}", every=0.02)


def mconnect(node: Node, vip: str, nconn: int = 100, *options: str, timeout: float = 60) -> Spread:
    """Runs mconnect to its end; failures are in the result."""
    command = ["mconnect", "-address", address(vip, MCONNECT_PORT), "-nconn", nconn, "-output", "json", *options]
    done = node.run(command, check=False, timeout=timeout)
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise AssertionError(f"mconnect exited with {done.returncode}:\n{done.stdout}{done.stderr}") from None
    return Spread(report["hosts"] or {}, report["connects"], report["failed_connects"], report["failed_reads"])


def start_ctraffic(node: Node, vip: str, *options: str) -> Process:
    """Starts a ctraffic client that prints its statistics at the end."""
    command = ["ctraffic", "-address", address(vip, CTRAFFIC_PORT), "-stats", "all", *options]
    return node.start(command, "ctraffic")


def ctraffic_report(client: Process, timeout: float = 60) -> dict:
    """Waits for its end and returns its statistics."""
    client.wait(timeout)
    try:
        return json.loads(client.stdout)
    except json.JSONDecodeError:
        raise AssertionError(f"ctraffic exited with {client.status}:\n{client.output}") from None


def established(node: Node, port: int) -> list[str]:
    """Connections in state ESTABLISHED at a server's port, as ss prints them."""
    return node.run(f"ss -Htn state established sport = :{port}").stdout.splitlines()
