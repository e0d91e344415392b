"""Generator, balancer and sink: three machines of the lab and two cables.

    gen eth2 ---- eth2 lb eth1 ---- eth1 sink

One queue each way, offloads as on a wire. Both receiving ends have GRO on, which gives a veth NAPI: without it no XDP
frame arrives where no program is attached.
"""

import contextlib
import os
import signal
import subprocess

from lab.node import Node

TARGETS = [f"00:00:00:01:01:{i:02x}" for i in range(1, 21)]
INGRESS_MAC, EGRESS_MAC = "00:00:00:01:02:c9", "00:00:00:01:01:c9"
VIP4, VIP6 = "10.0.0.0", "1000::"

GENERATOR_CPU, FORWARDER_CPU = 0, 1
WIRE = "tx off tso off gso off"


class Wires:
    def __init__(self):
        self.gen, self.lb, self.sink = Node("gen"), Node("lb"), Node("sink")
        for a, b, device in (("gen", "lb", "eth2"), ("lb", "sink", "eth1")):
            command = f"ip link add {device} netns {a} numrxqueues 1 numtxqueues 1 type veth peer name {device}"
            subprocess.run(f"{command} netns {b} numrxqueues 1 numtxqueues 1".split(), check=True)
        self.gen.shell(f"ethtool -K eth2 {WIRE}; ip link set eth2 up")
        self.sink.shell("ethtool -K eth1 gro on; ip link set eth1 up")
        self.lb.shell(
            f"""ethtool -K eth2 gro on {WIRE}; ethtool -K eth1 {WIRE}
            ip link set eth2 address {INGRESS_MAC}; ip link set eth1 address {EGRESS_MAC}
            ip link set eth1 up; ip link set eth2 up
            ip addr add 192.168.2.201/24 dev eth2; ip addr add 192.168.1.201/24 dev eth1
            ip addr add 1000::1:192.168.1.201/120 dev eth1 nodad
            for i in all default eth1 eth2; do echo 0 > /proc/sys/net/ipv4/conf/$i/rp_filter; done"""
        )
        self.lb_ifindex = int(self.lb.shell("cat /sys/class/net/eth1/ifindex").stdout)

    def close(self) -> None:
        """Ends what still runs in the machines, then the machines: a sandbox may go on to other things."""
        nodes = (self.gen, self.lb, self.sink)
        inodes = {node.net_inode for node in nodes}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):  # it ended meanwhile
                if os.stat(f"/proc/{pid}/ns/net").st_ino in inodes:
                    os.kill(int(pid), signal.SIGKILL)
        for node in nodes:
            node.destroy()
