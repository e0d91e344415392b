"""One run: the generator sends, the sink counts, and this looks at both and at the cores meanwhile."""

import json
import os
import signal
import time
from dataclasses import dataclass, field

from .wires import EGRESS_MAC, GENERATOR_CPU, INGRESS_MAC, TARGETS, VIP4, VIP6, Wires

INTERVAL_S = 0.05
WARM_UP_S = 0.15
LATENCY_OF_ONE_IN = 13  # no divisor of a batch
FAULTS = ("bad_destination", "bad_source", "bad_checksum", "bad_payload", "out_of_order", "unknown_flow")


@dataclass
class Cell:
    """What is sent."""

    flows: int = 1000
    size: int = 60
    rate: float = 0  # packets a second; 0: as fast as it goes
    seconds: float = 1.0
    family: int = 4
    changes: int = 0  # of the configuration, meanwhile


@dataclass
class Run:
    """What came of it."""

    mpps: float = 0  # that the sink got, once it ran steadily
    offered_mpps: float = 0
    sent: int = 0
    received: int = 0
    p50_us: float = 0
    p99_us: float = 0
    core_ns: dict[int, float] = field(default_factory=dict)  # busy time of each core, a packet received
    faults: dict[str, int] = field(default_factory=dict)
    change_ms: list[float] = field(default_factory=list)  # from being written to being in force

    @property
    def loss(self) -> float:
        return max(0.0, 1 - self.received / self.sent) if self.sent else 0


class Rig:
    def __init__(self, wires: Wires):
        self.wires = wires
        targets = ",".join(TARGETS)
        self._sink = wires.sink.start(
            f"xdpsink --device eth1 --targets {targets} --source {EGRESS_MAC} --latency {LATENCY_OF_ONE_IN} "
            f"--interval {int(INTERVAL_S * 1000)}ms --cpu {GENERATOR_CPU}"
        )
        self._sink.wait_for(r"^ready$")
        self._seen = 0  # bytes of the sink's output

    def close(self) -> None:
        self._sink.stop()

    def show_flows(self, cell: Cell) -> None:
        """Sends one packet of each flow, slowly enough for everybody."""
        self._generate(Cell(cell.flows, cell.size, rate=400_000, family=cell.family), count=cell.flows).wait()
        self._settle()

    def run(self, cell: Cell, change=None) -> Run:
        """`change` makes one, and says how long it took in ms."""
        self._reset()
        generator = self._generate(cell)
        time.sleep(WARM_UP_S)
        while not self._next_line()["packets"] and generator.running:
            pass
        time.sleep(WARM_UP_S)
        begin, cores = self._next_line(), _busy_ns()
        ends = time.monotonic() + max(INTERVAL_S, cell.seconds - 3 * WARM_UP_S - 2 * INTERVAL_S)
        everywhere = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {GENERATOR_CPU})  # commands, too, keep off the forwarder's core
        change_ms = [change() for _ in range(cell.changes) if time.monotonic() < ends]
        os.sched_setaffinity(0, everywhere)
        time.sleep(max(0, ends - time.monotonic()))
        end, cores_end = self._next_line(), _busy_ns()
        if generator.wait() != 0:
            raise RuntimeError(f"xdpgen failed: {generator.output}")
        sent = json.loads(generator.stdout)
        self._settle()
        total = self._reset()
        packets = end["packets"] - begin["packets"]
        seconds = (end["time_ns"] - begin["time_ns"]) / 1e9
        return Run(
            mpps=packets / seconds / 1e6,
            offered_mpps=sent["pps"] / 1e6,
            sent=sent["sent"],
            received=total["packets"],
            p50_us=total["p50_ns"] / 1000,
            p99_us=total["p99_ns"] / 1000,
            core_ns={cpu: (cores_end[cpu] - cores[cpu]) / max(1, packets) for cpu in cores},
            faults={name: total[name] for name in FAULTS if total[name]},
            change_ms=change_ms,
        )

    def _generate(self, cell: Cell, count: int = 0):
        end = f"--count {count}" if count else f"--duration {int(cell.seconds * 1000)}ms"
        return self.wires.gen.start(
            f"xdpgen --device eth2 --to {INGRESS_MAC} --vip {VIP4 if cell.family == 4 else VIP6} --flows {cell.flows} "
            f"--size {cell.size} --rate {cell.rate:.0f} {end} --cpu {GENERATOR_CPU}"
        )

    def _lines(self) -> list[dict]:
        """What the sink has printed since the last call, whole lines only."""
        with open(self._sink.out_file, "rb") as out:
            out.seek(self._seen)
            whole = out.read().rpartition(b"\n")[0]
        self._seen += len(whole) + 1 if whole else 0
        return [json.loads(line) for line in whole.splitlines()]

    def _next_line(self) -> dict:
        """The state of things after this call began."""
        self._lines()
        return self._wait_for_lines()[-1]

    def _wait_for_lines(self) -> list[dict]:
        deadline = time.monotonic() + 5
        while not (lines := self._lines()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the sink is silent: {self._sink.output[-500:]}")
            time.sleep(0.002)
        return lines

    def _settle(self) -> None:
        """Until no packet is under way."""
        before = self._next_line()["packets"]
        while (now := self._next_line()["packets"]) != before:
            before = now

    def _reset(self) -> dict:
        """The sums so far; the next ones begin at zero."""
        run = self._next_line()["run"]
        total = {}
        self._sink.send_signal(signal.SIGUSR1)
        while True:
            for line in self._wait_for_lines():
                if line["run"] != run:
                    return total
                total = line


def _busy_ns() -> dict[int, int]:
    tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    busy = {}
    with open("/proc/stat") as stat:
        for line in stat:
            name, *ticks = line.split()
            if name.startswith("cpu") and name != "cpu":
                user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, ticks)
                busy[int(name[3:])] = (user + nice + system + irq + softirq) * tick_ns
    return busy
