"""The lab as a whole: makes the machines of a Spec, wires them, gives addresses and routes, takes all of it away.

Two-arm (eth2 in, eth1 out) and one-arm (eth1 does both):

    client --eth2-------eth2 lb              client --eth1--+
       |                     | eth1             lb  --eth1--+-- switch --- vm-001 .. vm-00N
       +------eth1-- switch -+                              |
                        +--- vm-001 .. vm-00N

The client is the servers' router too, so that replies, which do not pass the balancer, find their way.
"""

import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

from . import names
from .names import INGRESS, NAPI, SEGMENT, WIRE, Machine, Spec
from .node import LAB, Node, environment
from .sandbox import SandboxError, inside

SYSCTLS = {
    # Replies come in on another device than the one that leads to their source.
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/default/rp_filter": 0,
    # Addresses are fixed here: no waiting for duplicates, no router advertisements.
    "ipv6/conf/default/accept_dad": 0,
    "ipv6/conf/default/accept_ra": 0,
}
CLIENT_SYSCTLS = {
    "ipv4/ip_forward": 1,
    "ipv6/conf/all/forwarding": 1,
    "ipv4/ip_nonlocal_bind": 1,
    "ipv6/ip_nonlocal_bind": 1,
    "ipv4/ip_local_port_range": "1025 65000",
    "ipv4/fib_multipath_hash_policy": 1,
    "ipv6/fib_multipath_hash_policy": 1,
}
# The VIP is on the server's loopback: it must neither answer nor send ARP for it.
# The switch is a wire: it must not look into IP (and drop or trim what is malformed).
SWITCH_SYSCTLS = {"bridge/bridge-nf-call-iptables": 0, "bridge/bridge-nf-call-ip6tables": 0}
SERVER_SYSCTLS = {"ipv4/conf/all/arp_ignore": 1, "ipv4/conf/all/arp_announce": 2, "core/somaxconn": 4096}


class Lab:
    """A running lab. `nodes` holds every machine by name; client, lb, servers are the usual ones."""

    def __init__(self, spec: Spec = Spec()):
        if not inside():
            raise SandboxError("a lab is only made inside a sandbox (tools/lab/lab sandbox -- CMD)")
        self.spec = spec
        self.machines = {
            m.name: m for m in names.clients(spec) + names.balancers(spec) + names.servers(spec)
        }
        self.nodes: dict[str, Node] = {}
        self._cable = not spec.one_arm and spec.clients == spec.balancers == 1
        try:
            self._make_nodes()
            self._wire()
            self._address()
            self._wait_for_carrier()
        except BaseException:
            self.destroy()
            raise

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_exception) -> None:
        self.destroy()

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    @property
    def client(self) -> Node:
        return self.nodes["client"]

    @property
    def lb(self) -> Node:
        return self.nodes["lb"]

    @property
    def servers(self) -> list[Node]:
        return [self.nodes[m.name] for m in names.servers(self.spec)]

    @property
    def vip4(self) -> str:
        return next(v.split("/")[0] for v in self.spec.vips if ":" not in v)

    @property
    def vip6(self) -> str:
        return next(v.split("/")[0] for v in self.spec.vips if ":" in v)

    def destroy(self) -> None:
        """Ends every process in the lab's machines, then the machines."""
        self.kill_processes()
        for node in self.nodes.values():
            node.destroy()
        self.nodes.clear()

    def processes(self) -> dict[int, str]:
        """PID and command line of whatever runs in the lab's machines."""
        inodes = {node.net_inode for node in self.nodes.values()}
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.stat(f"/proc/{pid}/ns/net").st_ino in inodes:
                    found[int(pid)] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
            except OSError:
                pass  # it ended meanwhile
        return found

    def kill_processes(self) -> None:
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    # --- building -------------------------------------------------------------------------------------------

    def _make_nodes(self) -> None:
        spec = self.spec
        self.nodes["switch"] = Node("switch", _sysctls(SWITCH_SYSCTLS))
        for machine in names.clients(spec):
            self.nodes[machine.name] = Node(machine.name, _sysctls(SYSCTLS | CLIENT_SYSCTLS))
        for machine in names.balancers(spec):
            self.nodes[machine.name] = Node(machine.name, _sysctls(SYSCTLS))
        for machine in names.servers(spec):
            self.nodes[machine.name] = Node(machine.name, _sysctls(SYSCTLS | SERVER_SYSCTLS))

    def _wire(self) -> None:
        """Makes the devices. A direct cable where network 2 has two ends, else bridges."""
        spec, create, switch, fdb = self.spec, [], [], []
        clients, balancers = names.clients(spec), names.balancers(spec)
        members = {SEGMENT: clients + balancers + names.servers(spec)}
        if self._cable:
            left, right = (self._end(m, INGRESS) for m in (clients[0], balancers[0]))
            create.append(f"link add {left} type veth peer {right}")
        elif not spec.one_arm:
            members[INGRESS] = clients + balancers
        for net, machines in members.items():
            switch.append(f"link add br{net} mtu {spec.mtu} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
            switch.append(f"link set br{net} up")
            for machine in machines:
                port = _port(machine, net)
                queues = self._port_queues(machine, net)
                create.append(
                    f"link add {self._end(machine, net)} type veth peer name {port} netns switch mtu {spec.mtu} "
                    f"numrxqueues {queues} numtxqueues {queues}"
                )
                switch += [f"link set {port} master br{net}", f"link set {port} up"]
                fdb.append(f"fdb replace {machine.mac(net)} dev {port} master static")
        _batch(["ip"], create)
        _batch(["ip", "-n", "switch"], switch)
        _batch(["bridge", "-n", "switch"], fdb)
        self._set_offloads()

    def _end(self, machine: Machine, net: int) -> str:
        """Arguments of `ip link add` for a machine's end of a cable into network `net`."""
        queues = self._queues(machine, net)
        return (
            f"name eth{net} netns {machine.name} address {machine.mac(net)} mtu {self.spec.mtu} "
            f"numrxqueues {queues} numtxqueues {queues}"
        )

    def _queues(self, machine: Machine, net: int) -> int:
        """Of a machine's device. Clients have what it takes to reach every queue of the ingress device: behind a switch
        one more than its port, since a veth that is handed a packet of queue n passes it on as if it were of n - 1."""
        spec = self.spec
        if machine in names.balancers(spec):
            return spec.device_queues(f"eth{net}")
        if machine in names.clients(spec) and net == spec.ingress_net:
            return spec.sender_queues if self._cable else spec.sender_queues + (spec.queues > 1)
        return 1

    def _port_queues(self, machine: Machine, net: int) -> int:
        """Of the switch's end of a machine's cable."""
        if machine in names.balancers(self.spec) and net == self.spec.ingress_net:
            return self.spec.sender_queues
        return self._queues(machine, net)

    def _set_offloads(self) -> None:
        spec = self.spec
        offloads = {f"{client.name}.eth{spec.ingress_net}": WIRE for client in names.clients(spec)}
        for balancer in names.balancers(spec):
            offloads[f"switch.{_port(balancer, SEGMENT)}"] = NAPI | (WIRE if spec.one_arm else {})
        for device, features in spec.offloads.items():
            offloads[device] = offloads.get(device, {}) | features
        for device, features in offloads.items():
            node, name = device.split(".", 1)
            if node not in self.nodes:
                raise SandboxError(f"offloads of {device}: there is no machine {node}")
            words = " ".join(f"{feature} {value}" for feature, value in features.items())
            self.nodes[node].run(f"ethtool -K {name} {words}")

    def _address(self) -> None:
        spec = self.spec
        router = names.clients(spec)[0]
        for index, machine in enumerate(names.clients(spec)):
            lines = self._interface(machine, SEGMENT)
            if not spec.one_arm:
                lines += self._interface(machine, INGRESS)
            for cidr in names.client_sources(index):
                lines.append(f"route add local {cidr} dev lo")
            for vip in spec.vips:
                hops = [_ip(balancer, spec.ingress_net, vip) for balancer in names.balancers(spec)]
                via = f"via {hops[0]}" if len(hops) == 1 else " ".join(f"nexthop via {hop}" for hop in hops)
                lines.append(f"route add {vip} {via}")
            _batch(["ip", "-n", machine.name], lines)
        for machine in names.balancers(spec):
            lines = self._interface(machine, SEGMENT)
            if not spec.one_arm:
                lines += self._interface(machine, INGRESS)
            lines += _defaults(router, spec.ingress_net)
            _batch(["ip", "-n", machine.name], lines)
        for machine in names.servers(spec):
            lines = self._interface(machine, SEGMENT) + _defaults(router, SEGMENT)
            for vip in spec.vips:
                lines.append(f"route add local {vip} dev lo" if _is_net(vip) else f"addr add {vip} dev lo")
            for index, client in enumerate(names.clients(spec)):
                if index == 0:
                    continue
                own = (f"{client.ip4(INGRESS)}/32", f"{client.ip6(INGRESS)}/128") if not spec.one_arm else ()
                for cidr in (*own, *names.client_sources(index)):
                    lines.append(f"route add {cidr} via {_ip(client, SEGMENT, cidr)}")
            _batch(["ip", "-n", machine.name], lines)

    @staticmethod
    def _interface(machine: Machine, net: int) -> list[str]:
        return [
            f"link set eth{net} up",
            f"addr add {machine.ip4(net)}/24 dev eth{net}",
            f"addr add {machine.ip6(net)}/120 dev eth{net} nodad",
        ]

    def _wait_for_carrier(self) -> None:
        """A device drops what it is given until the kernel has noticed its carrier, which takes it a moment."""
        deadline = time.monotonic() + 10
        for node in self.nodes.values():
            while waiting := [link["ifname"] for link in _links(node) if link["operstate"] not in ("UP", "UNKNOWN")]:
                if time.monotonic() > deadline:
                    raise SandboxError(f"{node.name}: no carrier on {', '.join(waiting)}")
                time.sleep(0.01)

    # --- for people -----------------------------------------------------------------------------------------

    def write_commands(self) -> Path:
        """Makes a command of each machine's name (`vm-001 ss -tn`) and returns their directory."""
        directory = LAB / "bin"
        directory.mkdir(exist_ok=True)
        for node in self.nodes.values():
            script = directory / node.name
            enter = shlex.join(node.argv([])).replace(f"--wdns={shlex.quote(os.getcwd())}", '--wdns="$PWD"')
            script.write_text(f'#!/bin/sh\n[ $# -gt 0 ] || set -- bash\nexec {enter} "$@"\n')
            script.chmod(0o755)
        return directory


def _links(node: Node) -> list[dict]:
    return json.loads(subprocess.run(["ip", "-n", node.name, "-j", "link"], check=True, capture_output=True).stdout)


def _port(machine: Machine, net: int) -> str:
    """The switch's end of a machine's cable into network `net`."""
    return f"{machine.name}.{net}"


def _ip(machine: Machine, net: int, like: str) -> str:
    """The machine's address of the same family as `like`."""
    return machine.ip6(net) if ":" in like else machine.ip4(net)


def _defaults(router: Machine, net: int) -> list[str]:
    return [f"route add default via {router.ip4(net)}", f"route add ::/0 via {router.ip6(net)}"]


def _is_net(vip: str) -> bool:
    return not vip.endswith("/128" if ":" in vip else "/32")


def _sysctls(values: dict[str, object]) -> str:
    """A script that sets those which this kernel has."""
    paths = {f"/proc/sys/net/{key}": value for key, value in values.items()}
    return "\n".join(f"[ ! -e {path} ] || echo {value} > {path}" for path, value in paths.items())


def _batch(tool: list[str], lines: list[str]) -> None:
    done = subprocess.run(
        [*tool, "-batch", "-"], input="\n".join(lines), capture_output=True, text=True, env=environment()
    )
    if done.returncode != 0:
        raise SandboxError(f"{' '.join(tool)}: {done.stderr.strip()}\nof:\n" + "\n".join(lines))
