"""What is measured: xdplb in its modes, and its peers. Each is started on the balancer machine, forwards what comes in on
eth2 out of eth1, and is stopped. One that cannot be had says why (`Unavailable`), and its rows say so.
"""

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass

from lab.node import BUILD

from .wires import EGRESS_MAC, FORWARDER_CPU, GENERATOR_CPU, TARGETS, VIP4, VIP6, Wires

FLOWS_ROOM = 1 << 22  # of xdplb's table: a service may fill half of it


class Unavailable(Exception):
    pass


class Forwarder:
    """What all have: `name`; `kind`: "lb" (xdplb), "peer", "ceiling" or "generator"; `cpu`: the core that it works on."""

    remembers = False  # keeps flows: they are shown to it once before it is measured

    def start(self, wires: Wires) -> None:
        raise NotImplementedError

    def stop(self, wires: Wires) -> None:
        raise NotImplementedError


@dataclass
class Xdplb(Forwarder):
    name: str
    options: str
    cpu: int = FORWARDER_CPU
    kind: str = "lb"
    remembers = True
    _out = False

    def start(self, wires: Wires) -> None:
        lb = self._lb = wires.lb
        if lb.run("xdplb show", check=False).returncode != 0:
            lb.run(f"xdplb init --n={len(TARGETS)}")
            lb.run(f"xdplb vip add {VIP4} {VIP6}")
            for index, mac in enumerate(TARGETS):
                lb.run(f"xdplb activate --mac={mac} {index}")
        options = f"--idev=eth2 --edev=eth1 --cpus={self.cpu} --flows={FLOWS_ROOM} {self.options}"
        self._daemon = lb.start(f"xdplb lb {options}")
        try:
            self._daemon.wait_for(r"^ready$")
        except TimeoutError:
            raise Unavailable(self._daemon.output.strip().splitlines()[-1]) from None

    def change(self) -> float:
        """Takes a target out, or in again; how long it took from being written until it was in force, in ms."""
        self._out = not self._out
        done = self._lb.run(f"xdplb {'deactivate' if self._out else 'activate'} 0", check=False)
        if not (said := re.search(r"is in force after ([0-9.]+) ms$", done.stdout, re.M)):
            raise RuntimeError(f"{self.name}: a change is not in force: {done.stdout}{done.stderr}")
        return float(said.group(1))

    def stop(self, wires: Wires) -> None:
        if self._out:
            self.change()
        if self._daemon.stop() != 0:
            raise RuntimeError(f"{self.name} ended badly:\n{self._daemon.output}")


@dataclass
class KernelForwarding(Forwarder):
    """Routes from eth2 to eth1 by the stack. With `steer` the receive work of eth2 is handed to the forwarder's core (RPS)."""

    name: str
    steer: bool
    kind: str = "peer"

    def __post_init__(self):
        self.cpu = FORWARDER_CPU if self.steer else GENERATOR_CPU

    def start(self, wires: Wires) -> None:
        self._switch(wires, "1", f"{1 << FORWARDER_CPU:x}" if self.steer else "0")

    def stop(self, wires: Wires) -> None:
        self._switch(wires, "0", "0")

    @staticmethod
    def _switch(wires: Wires, forward: str, cpus: str) -> None:
        wires.lb.shell(
            # Again each time: a device that was down has forgotten them.
            f"""ip route replace {VIP4}/32 via 192.168.1.1
            ip neigh replace 192.168.1.1 lladdr {TARGETS[0]} dev eth1 nud permanent
            echo {forward} > /proc/sys/net/ipv4/ip_forward
            echo {cpus} > /sys/class/net/eth2/queues/rx-0/rps_cpus"""
        )


@dataclass
class Redirect(Forwarder):
    """A program of ours on eth2 that does no more than `program` says (tests/bench/redirect_kern.c)."""

    name: str
    program: str
    kind: str
    cpu: int = GENERATOR_CPU

    def start(self, wires: Wires) -> None:
        value = wires.lb_ifindex.to_bytes(4, "little") + bytes.fromhex(TARGETS[0].replace(":", ""))
        value += bytes.fromhex(EGRESS_MAC.replace(":", ""))
        words = " ".join(str(byte) for byte in value)
        wires.lb.shell(
            f"""bpftool prog loadall {BUILD}/redirect_kern.o /sys/fs/bpf/redirect pinmaps /sys/fs/bpf/redirect
            bpftool map update pinned /sys/fs/bpf/redirect/redirect_map key 0 0 0 0 value {words}
            ip link set dev eth2 xdpdrv pinned /sys/fs/bpf/redirect/{self.program}"""
        )

    def stop(self, wires: Wires) -> None:
        wires.lb.shell("ip link set dev eth2 xdpdrv off; rm -r /sys/fs/bpf/redirect")


@dataclass
class Testpmd(Forwarder):
    """dpdk-testpmd, MAC forwarding between two ports of a software driver. Memory is ordinary pages: huge ones need
    hugetlbfs, which few machines have set aside. The main thread only prints; the other one forwards."""

    name: str
    driver: str
    arguments: str = ""
    kind: str = "peer"
    cpu: int = FORWARDER_CPU

    def start(self, wires: Wires) -> None:
        testpmd = shutil.which("dpdk-testpmd")
        if not testpmd:
            raise Unavailable("dpdk-testpmd is not installed (Debian: dpdk-dev)")
        ports = [f"--vdev={self.driver}{i},iface={device}{self.arguments}" for i, device in enumerate(("eth2", "eth1"))]
        # Line by line, for who waits for its last line.
        command = ["stdbuf", "-oL", testpmd, f"--lcores=0@{GENERATOR_CPU},1@{FORWARDER_CPU}", "--no-huge", "-m", "512",
                   "--no-pci", "--no-telemetry", *ports, "--", "--forward-mode=mac", "--nb-cores=1", "--auto-start",
                   f"--eth-peer=1,{TARGETS[0]}", "--total-num-mbufs=32768", "--burst=64", "--rxd=2048", "--txd=2048"]  # fmt: skip
        self._input, theirs = os.pipe()[::-1]  # it ends when it can read a line
        self._log = open("/run/lab/log/testpmd", "wb")
        here = os.environ | {"LC_ALL": "C.UTF-8"}
        argv = wires.lb.argv(command)
        self._process = subprocess.Popen(argv, stdin=theirs, stdout=self._log, stderr=subprocess.STDOUT, env=here)
        os.close(theirs)
        deadline = time.monotonic() + 20
        while b"Press enter to exit" not in (text := open("/run/lab/log/testpmd", "rb").read()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._kill()
                lines = [line for line in text.decode(errors="replace").splitlines() if line.strip()]
                raise Unavailable("; ".join(lines[-2:]) or "dpdk-testpmd printed nothing")
            time.sleep(0.05)

    def stop(self, wires: Wires) -> None:
        os.write(self._input, b"\n")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        self._kill()
        # Its program stays on the devices, and some drivers leave them down.
        wires.lb.shell("for d in eth1 eth2; do ip link set dev $d xdp off || true; ip link set dev $d up; done")

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._input)
        self._log.close()


def lb_modes() -> list[Xdplb]:
    """Ways of waiting, and of transmitting: by batch (--tx=auto, unless said), live frames or the TX ring alone."""
    return [
        Xdplb("xdplb, spin", "--spin"),
        Xdplb("xdplb, adaptive", "--adaptive"),
        Xdplb("xdplb", ""),
        Xdplb("xdplb live, spin", "--tx=live --spin"),
        Xdplb("xdplb xsk, spin", "--tx=xsk --spin"),
        Xdplb("xdplb, core 0", "", cpu=GENERATOR_CPU),
        Xdplb("xdplb coalescing, core 0", "--coalesce=100 --fifo=10", cpu=GENERATOR_CPU),
    ]


def all_forwarders() -> list[Forwarder]:
    return [
        Redirect("generator alone", "drop", "generator"),
        Redirect("XDP_REDIRECT", "redirect", "ceiling"),
        *lb_modes(),
        Testpmd("testpmd af_xdp", "net_af_xdp"),
        Testpmd("testpmd af_packet", "net_af_packet", ",blocksz=4096,framesz=2048,framecnt=1024"),
        KernelForwarding("kernel, RPS to core 1", True),
        KernelForwarding("kernel, core 0", False),
    ]
