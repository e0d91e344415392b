"""Which NICs the guest has. Values only: the host makes qemu's command line of them, the guest its machines.

The guest is a whole lab (tools/lab) whose machines, each a network namespace, have virtio NICs instead of veth pairs.
A qemu hub is the cable of each of the lab's networks. The guest knows a NIC by its address, which the lab's
names say. Spares join a bridge to their hub where a test wants the balancer on a veth (copy mode) instead.
"""
from dataclasses import dataclass

from lab.names import INGRESS, SEGMENT, Spec, balancers, clients, servers

SERVERS = 3

# What virtio_net needs before it gives a socket zero copy (README.md): a modern device whose driver uses the DMA
# API, and rings that can be reset one by one (queue_reset, which qemu has on from 7.2).
ZERO_COPY = "disable-legacy=on,iommu_platform=on"
# A pair on a cable of its own, for the tests of the device without xdplb.
PLAIN_NET = 3


# Queues of the NICs that have several (taps.py): more than the guest has CPUs, so that XDP may add some.
WIDE_QUEUES = 4


@dataclass(frozen=True)
class Nic:
    net: int    # the hub
    mac: str


def nics():
    spec = Spec(servers=SERVERS)
    found = [Nic(net, machine.mac(net)) for machine in clients(spec) + balancers(spec) for net in (INGRESS, SEGMENT)]
    found += [Nic(SEGMENT, machine.mac(SEGMENT)) for machine in servers(spec)]
    found += [Nic(net, spare_mac(net)) for net in (INGRESS, SEGMENT)]
    found += [Nic(PLAIN_NET, plain_mac(end)) for end in (1, 2)]
    return found


def wide_nics():
    """Stand-ins for the balancer's NICs, and for the client's on the ingress side."""
    return [Nic(net, wide_mac(machine.mac(net))) for machine, net in
            ((balancers(Spec())[0], INGRESS), (balancers(Spec())[0], SEGMENT), (clients(Spec())[0], INGRESS))]


def wide_mac(mac):
    """Of the wide NIC that stands in for the one with that address."""
    return mac.replace("00:00:00:01:", "00:00:00:02:")


def spare_mac(net):
    return f"00:00:00:01:{net:02x}:fe"


def plain_mac(end):
    return f"00:00:00:01:{PLAIN_NET:02x}:{end:02x}"
