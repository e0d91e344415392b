"""The lab on virtio NICs, before anything balances. When this fails, look for the cause in the rig."""
import traffic
from harness import case
from lab.names import SEGMENT, servers
from virtio_lab import VirtioLab


class Routed:
    """The kernel of the balancer routes the VIPs to the servers, flow by flow: what xdplb will do, without xdplb.
    One side goes over a veth, so that both kinds of wires are tried."""

    def __init__(self):
        self.lab = VirtioLab(veth=("eth1",))
        lb, machines = self.lab.lb, servers(self.lab.spec)
        for key in ("ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv4/fib_multipath_hash_policy",
                    "ipv6/fib_multipath_hash_policy"):
            lb.shell(f"echo 1 >/proc/sys/net/{key}")
        for vip, hops in ((self.lab.vip4, [m.ip4(SEGMENT) for m in machines]),
                          (self.lab.vip6, [m.ip6(SEGMENT) for m in machines])):
            lb.run(["ip", "route", "add", vip, *(word for hop in hops for word in ("nexthop", "via", hop))])
        self.servers = traffic.Servers(self.lab)

    def close(self):
        self.servers.close()
        self.lab.destroy()


@case(Routed)
def lab_carries_the_traffic_of_the_suite(routed):
    for vip in (routed.lab.vip4, routed.lab.vip6):
        names = {node.name for node in routed.lab.servers}
        assert set(traffic.udp(routed.lab, vip, 60)) == names
        assert set(traffic.udp(routed.lab, vip, 5, size=20000)) <= names
        assert set(traffic.tcp(routed.lab, vip, 30)) == names
