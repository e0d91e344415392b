"""The cables of NICs with several queues, which a qemu hub does not have: taps, bridged in a namespace that is qemu's own
and goes with it. This part alone needs root, /dev/net/tun and a kernel with bridges; without them its cases are skipped.
"""
import os
import subprocess

from .nics import WIDE_QUEUES, ZERO_COPY, wide_nics

# A tap for each wide NIC, and one that joins the network's hub to its bridge. That one has no way to say that a checksum
# is still to be done, so the kernel does it.
NETS = sorted({nic.net for nic in wide_nics()})


def _script():
    lines = ["set -e", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 || true"]
    for net in NETS:
        lines += [f"ip link add br{net} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                  f"ip tuntap add dev hub{net} mode tap", f"ip link set br{net} up"]
        ports = [f"hub{net}"]
        for i, nic in enumerate(wide_nics()):
            if nic.net == net:
                lines.append(f"ip tuntap add dev wide{i} mode tap multi_queue vnet_hdr")
                ports.append(f"wide{i}")
        lines += [f"ip link set {port} master br{net} up" for port in ports]
    return "\n".join(lines)


def available():
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        return False
    tried = subprocess.run(["unshare", "--net", "sh", "-c", _script()], capture_output=True, check=False)
    return tried.returncode == 0


def around(command):
    """`command` in a namespace with the taps in it."""
    return ["unshare", "--net", "sh", "-c", _script() + '\nexec "$@"', "sh", *command]


def arguments():
    args = []
    for net in NETS:
        args += ["-netdev", f"tap,id=hub{net},ifname=hub{net},script=no,downscript=no,vnet_hdr=off",
                 "-netdev", f"hubport,id=cable{net},hubid={net},netdev=hub{net}"]
    for i, nic in enumerate(wide_nics()):
        args += ["-netdev", f"tap,id=wide{i},ifname=wide{i},queues={WIDE_QUEUES},script=no,downscript=no",
                 "-device", f"virtio-net-pci,netdev=wide{i},mac={nic.mac},mq=on,vectors={2 * WIDE_QUEUES + 2},{ZERO_COPY}"]
    return args
