"""A lab with xdplb at work in it, and what every case asks of it in the end: that no packet went astray."""
import json
import re

import traffic
from harness import RESULTS, ZERO_COPY
from support.daemon import Daemon, configure
from support.wait import wait_until
from virtio_lab import VirtioLab


class Balanced:
    """Servers active, VIPs in place, `xdplb lb` serving, echo servers listening."""

    one_arm, veth, options = False, (), ("--mode=native",)

    def __init__(self):
        self.lab = VirtioLab(one_arm=self.one_arm, veth=self.veth)
        # The kernel takes IPv6 addresses from a device that goes down, and nobody here would give them back.
        self.lab.lb.shell("for f in /proc/sys/net/ipv6/conf/*/keep_addr_on_down; do echo 1 >$f; done")
        configure(self.lab)
        self.servers = traffic.Servers(self.lab)
        self.daemon = None
        self.start()

    def close(self):
        try:
            self.stop()
            self.servers.close()
        finally:
            self.lab.destroy()

    # --- the daemon -----------------------------------------------------------------------------------------

    def start(self):
        force = ("--zerocopy=force",) if all(self.zero_copy_expected().values()) else ()
        self.daemon = Daemon(self.lab, *self.options, *force)

    def stop(self):
        """Stops it, which must leave nothing behind."""
        output, self.daemon = self.daemon.stop(), None
        with open(RESULTS / f"{type(self).__name__}.log", "a") as log:
            log.write(output)
        assert not self.programs(), f"programs left on {self.programs()}"
        left = self.lab.lb.shell("find /sys/fs/bpf -mindepth 1").stdout.split()
        assert not left, f"left in the bpffs: {left}"

    def kill(self):
        process = self.daemon.process
        process.kill()
        with open(RESULTS / f"{type(self).__name__}.log", "a") as log:
            log.write(process.output + "\n(killed)\n")

    @property
    def devices(self):
        return sorted({self.lab.spec.ingress_device, "eth1"})

    def zero_copy_expected(self):
        """By device of the balancer."""
        return {device: ZERO_COPY and device not in self.veth for device in self.devices}

    def zero_copy_by_kernel(self):
        """What the kernel's socket diagnosis says, by device; nothing where this kernel has none."""
        text = self.lab.lb.run("ss --xdp -a -e").stdout
        found = {}
        for device, flag in re.findall(r"(\S+):q\d+ .*?zc:([01])", text, re.S):
            found.setdefault(device, set()).add(flag == "1")
        return found

    def programs(self):
        """XDP modes of the balancer's devices that have a program."""
        links = json.loads(self.lab.lb.run("ip -j -d link").stdout)
        return {link["ifname"]: link["xdp"].get("mode") for link in links if "xdp" in link}

    # --- packets --------------------------------------------------------------------------------------------

    def counters(self):
        """rx, tx, drops by reason and held, of all workers together."""
        sums = {"rx": 0, "tx": 0, "held": 0, "drops": {}}
        for worker in self.daemon.stats()["workers"]:
            for key in ("rx", "tx", "held"):
                sums[key] += worker[key]
            for reason, count in worker["drops"].items():
                sums["drops"][reason] = sums["drops"].get(reason, 0) + count
        return sums

    def settled(self):
        """The counters once nothing moves any more; every packet that came in is accounted for."""
        before = self.counters()

        def quiet():
            nonlocal before
            last, before = before, self.counters()
            return before["rx"] == last["rx"] == last["tx"] + sum(last["drops"].values()) + last["held"]

        wait_until(quiet, timeout=15, what=lambda: f"conservation: {before}", every=0.3)
        return before

    def free_frames(self):
        return [worker["frames_free"] for worker in self.daemon.stats()["workers"]]


def modes(output):
    """Lines of the daemon's output that say how it runs."""
    return [line for line in output.splitlines() if re.search(r"zero.copy|copy mode|native|generic", line, re.I)]
