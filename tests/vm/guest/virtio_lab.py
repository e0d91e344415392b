"""The lab of tools/lab on virtio NICs: the same machines, names and addresses, other wires."""
import json
import subprocess

from lab import Lab
from lab.names import INGRESS, SEGMENT, Spec, balancers, clients, servers
from harness import WIDE
from rig import nics
from support.wait import wait_until


def links():
    """Devices of the guest's own namespace, by the address that qemu gave them. A NIC comes back here when its machine is
    gone."""
    done = subprocess.run(["ip", "-j", "link"], check=True, capture_output=True)
    return {link.get("permaddr", link["address"]): link["ifname"] for link in json.loads(done.stdout)
            if link["ifname"] != "lo" and "link_netnsid" not in link}


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class VirtioLab(Lab):
    """`veth` names devices of the balancer that are a veth into a bridge to the cable, so without zero copy. `wide`: the
    balancer's devices and the client's on the ingress side have several queues, and use so many of them."""

    def __init__(self, one_arm=False, veth=(), wide=0):
        self.veth, self.wide = veth, wide
        super().__init__(Spec(servers=nics.SERVERS, one_arm=one_arm))

    def _wire(self):
        # A namespace gives its NICs back some time after it is gone.
        everything = {nic.mac for nic in nics.nics() + (nics.wide_nics() if WIDE else [])}
        present = wait_until(lambda: everything <= set(found := links()) and found, timeout=60, what="all NICs are here")
        nets = (SEGMENT,) if self.spec.one_arm else (INGRESS, SEGMENT)
        for machine in clients(self.spec) + balancers(self.spec) + servers(self.spec):
            for net in nets if machine not in servers(self.spec) else (SEGMENT,):
                if machine in balancers(self.spec) and f"eth{net}" in self.veth:
                    self._veth(machine, net, present)
                elif self.wide and (instead := present.get(nics.wide_mac(machine.mac(net)))):
                    ip("link", "set", instead, "netns", machine.name, "name", f"eth{net}", "address", machine.mac(net))
                    self.nodes[machine.name].run(f"ethtool -L eth{net} combined {self.wide}")
                else:
                    ip("link", "set", present[machine.mac(net)], "netns", machine.name, "name", f"eth{net}")

    def _veth(self, machine, net, present):
        spare, bridge = present[nics.spare_mac(net)], f"br{net}"
        ip("link", "set", spare, "netns", "switch", "name", f"eth{net}")
        # From inside: kernel 6.1 refuses a name that the namespace of the command has, too.
        ip("-n", machine.name, "link", "add", "name", f"eth{net}", "address", machine.mac(net), "type", "veth",
           "peer", "name", f"lb.{net}", "netns", "switch")
        switch = ("-n", "switch", "link")
        ip(*switch, "add", bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
        for port in (f"eth{net}", f"lb.{net}"):
            ip(*switch, "set", port, "master", bridge)
            ip(*switch, "set", port, "up")
        ip(*switch, "set", bridge, "up")
        # Checksums whole, as on a wire; GRO gives the port NAPI, without which a veth takes no XDP frames.
        self.nodes["switch"].run(f"ethtool -K lb.{net} gro on")

    @property
    def devices(self):
        """The balancer's: ingress and egress, which are one in one-arm."""
        return (self.spec.ingress_device, "eth1")

