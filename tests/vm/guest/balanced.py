"""A lab with xdplb at work in it, and what every case asks of it in the end: that no packet went astray."""
import json
import re

import traffic
from harness import RESULTS, WIDE, ZERO_COPY, Skip
from support.daemon import Daemon, configure
from support.wait import wait_until
from virtio_lab import VirtioLab

DEVICE_RING = 256  # entries; qemu's default


class Balanced:
    """Servers active, VIPs in place, `xdplb lb` serving, echo servers listening."""

    one_arm, veth, wide, options = False, (), 0, ("--mode=native",)

    def __init__(self):
        if self.wide and not WIDE:
            raise Skip("no taps here (rig/taps.py)")
        self.lab = VirtioLab(one_arm=self.one_arm, veth=self.veth, wide=self.wide)
        # The kernel takes IPv6 addresses from a device that goes down, and nobody here would give them back.
        self.lab.lb.shell("for f in /proc/sys/net/ipv6/conf/*/keep_addr_on_down; do echo 1 >$f; done")
        self.daemon = self.servers = None
        try:
            configure(self.lab)
            self.servers = traffic.Servers(self.lab)
            self.start()
        except BaseException:
            self.close()
            raise

    def close(self):
        try:
            if self.daemon:
                self.stop()
        finally:
            if self.servers:
                self.servers.close()
            self.lab.destroy()

    # --- the daemon -----------------------------------------------------------------------------------------

    def start(self):
        force = ("--zerocopy=force",) if all(self.zero_copy_expected().values()) else ()
        # The guest has 1 GiB: the default is 114 MiB for each of up to four workers.
        self.daemon = Daemon(self.lab, "--flows=65536", *self.options, *force)
        self.frames_at_first = frames_free(self.daemon.stats_now())

    def stop(self):
        """Stops it, which must leave nothing behind."""
        output, self.daemon = self.daemon.stop(), None
        with open(RESULTS / f"{type(self).__name__}.log", "a") as log:
            log.write(output)
        assert "kept frames of ours back" not in output, output.splitlines()[-5:]
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

    def all_frames_are_back(self):
        """As many are free as when the daemon began. A zero-copy device has some in a ring of its own, now more, now
        fewer."""
        slack = DEVICE_RING * sum(self.zero_copy_expected().values())
        wait_until(lambda: abs(frames_free(self.daemon.stats_now()) - self.frames_at_first) <= slack,
                   what=lambda: f"{self.frames_at_first} frames free: {frames_free(self.daemon.stats_now())} are")

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

    def settled(self):
        """Statistics once nothing moves any more: every packet that came in is accounted for."""
        before = self.daemon.stats_now()

        def quiet():
            nonlocal before
            last, before = before, self.daemon.stats_now()
            return before.quiet and before.rx == last.rx

        wait_until(quiet, timeout=30, what=lambda: f"conservation: {before}", every=0.3)
        return before


def frames_free(stats):
    """Frames in the pools of all workers."""
    return sum(worker["frames_free"] for worker in stats.workers)


def modes(output):
    """Lines of the daemon's output that say how it runs."""
    return [line for line in output.splitlines() if re.search(r"zero.copy|copy mode|native|generic", line, re.I)]
