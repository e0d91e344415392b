"""What the tests of faults have in common: starting a daemon that must fail, and asking whether packets flow."""

import json
import re
import subprocess

from lab import Lab
from lab.names import INGRESS
from lab.node import BUILD

from .daemon import Daemon
from .flows import Course, Flows
from .packets import Tap, sent_by
from .wait import wait_until

FLOWS = range(40)


def must_fail(lab: Lab, *options: str, prefix: tuple[str, ...] = (), idev: str = "", edev: str = "eth1") -> str:
    """Runs `xdplb lb`, which must refuse to serve with exit code 1; returns what it says. `prefix` runs it."""
    command = [*prefix, "xdplb", "lb", f"--idev={idev or lab.spec.ingress_device}", f"--edev={edev}", *options]
    done = lab.lb.run(command, check=False)
    assert done.returncode == 1, f"exit code {done.returncode}:\n{done.stdout}{done.stderr}"
    assert len(done.stderr.strip().splitlines()) == 1, f"one message, one line:\n{done.stderr}"
    return done.stderr.strip()


def wait_said(daemon: Daemon, pattern: str, count: int = 1) -> None:
    """Waits until the daemon has printed `count` lines that match."""
    wait_until(
        lambda: len(re.findall(pattern, daemon.output, re.M)) >= count,
        what=lambda: f"the daemon says /{pattern}/ {count} times; it said:\n{daemon.output}",
    )


def forward(lab: Lab, flows=FLOWS) -> dict[int, str]:
    """Sends one packet of each flow, of which none may be lost; returns the server that each went to."""
    with Course(lab, Flows(lab, "udp")) as course:
        return course.run(flows)


def wait_forwards(lab: Lab) -> None:
    """Waits until a packet comes through: after a change of a device the kernel takes a moment to use it."""
    probe = Flows(lab, "udp").frame(0)
    with Tap(lab.client, "eth2") as tap, Tap(lab["switch"], "lb.1") as out:
        forwarded = sent_by(lab.lb, "eth1")

        def came() -> bool:
            tap.send(probe)
            return bool(out.matching(forwarded))

        wait_until(came, what="a packet comes through the balancer", every=0.02)


def link(lab: Lab, device: str) -> dict:
    return json.loads(lab.lb.run(f"ip -j -d link show dev {device}").stdout)[0]


def program_on(lab: Lab, device: str) -> int:
    """The id of the XDP program on a device of the balancer, 0 where there is none."""
    return link(lab, device).get("xdp", {}).get("prog", {}).get("id", 0)


def attach_foreign(lab: Lab, device: str, force: bool = False) -> int:
    """Attaches a program that is not ours, pinned as /sys/fs/bpf/foreign, and returns its id."""
    lab.lb.run(f"bpftool prog load {BUILD}/xdp_egress_kern.o /sys/fs/bpf/foreign")
    lab.lb.run(f"ip {'-force ' if force else ''}link set dev {device} xdpdrv pinned /sys/fs/bpf/foreign")
    return program_on(lab, device)


def pins(lab: Lab) -> list[str]:
    return lab.lb.run("find /sys/fs/bpf -mindepth 1 ! -name '*.debug'").stdout.split()


def make_client_cable(lab: Lab) -> None:
    """The cable between client and balancer, for raw frames: without addresses."""
    client, balancer = lab.machines["client"], lab.machines["lb"]
    cable("lb", "eth2", balancer.mac(INGRESS), "client", "eth2", client.mac(INGRESS))


def cable(node: str, device: str, mac: str, peer_node: str, peer: str, peer_mac: str) -> None:
    """Makes a cable between two machines; both ends are up."""
    ends = f"{device} netns {node} address {mac}", f"{peer} netns {peer_node} address {peer_mac}"
    commands = f"ip link add name {ends[0]} type veth peer name {ends[1]}"
    commands += f" && ip -n {peer_node} link set {peer} up && ip -n {node} link set {device} up"
    subprocess.run(commands, shell=True, check=True)
