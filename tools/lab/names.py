"""What a lab consists of, and every name and address in it. Values only: no system call.

Addresses follow xcluster, where the first xdplb came from. Network 1 is the servers' segment, network 2 the clients'
side; a machine has the same host number in both: servers 1.., balancers 201.., clients 221..

    192.168.<net>.<host>    1000::1:<192.168.net.host>    00:00:00:01:<net>:<host>
"""

import ipaddress
from dataclasses import dataclass, field

SEGMENT = 1
INGRESS = 2
MAX_SERVERS, MAX_BALANCERS, MAX_CLIENTS = 200, 20, 30

# What a packet looks like on a wire: whole checksums and at most one MTU. A veth would keep both for later.
WIRE = {"tx": "off", "tso": "off", "gso": "off"}
# GRO gives a veth NAPI, without which its peer cannot send XDP frames to it (redirect, live frames).
NAPI = {"gro": "on"}


@dataclass(frozen=True)
class Spec:
    """The size and kind of a lab."""

    clients: int = 1
    balancers: int = 1
    servers: int = 4
    queues: int = 1  # of the balancers' ingress devices
    egress_queues: int = 0  # of their egress devices; 0: as many as ingress
    # Several queues are for generic XDP. On a veth that sees a packet on the queue one below the one it was sent by, so
    # the sender needs one more; native XDP refuses a sender with more queues than its own device.
    generic: bool = False
    one_arm: bool = False  # one device, eth1 on the servers' segment, is both ingress and egress
    mtu: int = 1500
    vips: tuple[str, ...] = ("10.0.0.0/32", "1000::/128")
    # ethtool -K by device, `node.device` or `switch.port`, over the defaults above.
    offloads: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self):
        for name, most in (("servers", MAX_SERVERS), ("balancers", MAX_BALANCERS), ("clients", MAX_CLIENTS)):
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name}: {getattr(self, name)} is not within 1..{most}")
        for name, least in (("queues", 1), ("egress_queues", 0)):
            if not least <= getattr(self, name) <= 64:
                raise ValueError(f"{name}: {getattr(self, name)} is not within {least}..64")
        if self.one_arm and self.egress_queues not in (0, self.queues):
            raise ValueError("egress_queues: in one-arm the egress device is the ingress device")
        for vip in self.vips:
            ipaddress.ip_network(vip)

    @property
    def ingress_device(self) -> str:
        return "eth1" if self.one_arm else "eth2"

    @property
    def ingress_net(self) -> int:
        return SEGMENT if self.one_arm else INGRESS

    @property
    def sender_queues(self) -> int:
        """Queues of the device at the other end of the ingress device's cable."""
        return self.queues + 1 if self.generic and self.queues > 1 else self.queues

    def device_queues(self, device: str) -> int:
        """Queues of a balancer's device."""
        return self.queues if device == self.ingress_device else self.egress_queues or self.queues


@dataclass(frozen=True)
class Machine:
    """One machine's name and numbers."""

    name: str
    host: int

    def ip4(self, net: int) -> str:
        return f"192.168.{net}.{self.host}"

    def ip6(self, net: int) -> str:
        return f"1000::1:{0xC0A8:x}:{net << 8 | self.host:x}"

    def mac(self, net: int) -> str:
        return f"00:00:00:01:{net:02x}:{self.host:02x}"


def servers(spec: Spec) -> list[Machine]:
    return [Machine(f"vm-{i:03}", i) for i in range(1, spec.servers + 1)]


def balancers(spec: Spec) -> list[Machine]:
    return [Machine("lb" if i == 1 else f"lb{i}", 200 + i) for i in range(1, spec.balancers + 1)]


def clients(spec: Spec) -> list[Machine]:
    return [Machine("client" if i == 1 else f"client{i}", 220 + i) for i in range(1, spec.clients + 1)]


def client_sources(index: int) -> tuple[str, str]:
    """The CIDRs from which client `index` (0-based) may send (mconnect -srccidr)."""
    return f"50.{index}.0.0/16", f"2000::{index:x}:0/112"
