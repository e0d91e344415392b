"""What is measured, in which order, and how often."""

from dataclasses import dataclass

from .forwarders import Forwarder
from .measure import Cell

LOSS_RATES = (0.25e6, 0.5e6, 1e6, 1.5e6, 2e6)
LATENCY_RATE = 0.1e6
CHANGE_RATE = 2e6
CHANGES = 20  # fit into what is measured of a run of that length
CHANGE_S = 1.5


@dataclass(frozen=True)
class Plan:
    name: str
    rounds: int  # through all forwarders, one after the other
    seconds: float  # of a run
    flows: tuple[int, ...]
    rates: tuple[float, ...]
    long_frames: bool
    v6: bool
    changes: bool
    minutes_max: float  # no further round begins that would end later

    def cells(self, forwarder: Forwarder) -> dict[str, Cell]:
        """By name, those that use the same flows one after the other."""
        alone = forwarder.cpu == 0 and forwarder.kind != "ceiling"
        # Who keeps no flows does not care how many there are: two numbers show it.
        numbers = self.flows if forwarder.remembers else tuple(n for n in self.flows if n in (1000, 1_000_000))
        if alone:
            numbers = (1000,)
        cells = {}
        for flows in numbers:
            cells[speed(flows)] = Cell(flows, seconds=self.seconds)
            if self.long_frames and not alone and flows != 1:
                cells[speed(flows, 1514)] = Cell(flows, 1514, seconds=self.seconds)
        if alone:
            return cells
        if self.v6 and forwarder.remembers:
            cells["v6"] = Cell(1000, 80, seconds=self.seconds, family=6)
        for rate in self.rates:
            cells[loss(rate)] = Cell(1000, rate=rate, seconds=self.seconds)
        cells["p50"] = Cell(1000, rate=LATENCY_RATE, seconds=self.seconds)
        if self.changes and forwarder.kind == "lb":
            cells["change"] = Cell(1000, rate=CHANGE_RATE, seconds=CHANGE_S, changes=CHANGES)
        return cells


def speed(flows: int, size: int = 60) -> str:
    return f"{size}/{flows}"


def loss(rate: float) -> str:
    return f"loss/{rate / 1e6:g}"


QUICK = Plan("quick", 1, 0.6, (1000, 1_000_000), (0.5e6, 1e6, 2e6), False, False, True, 4)
FULL = Plan("full", 3, 0.8, (1, 1000, 100_000, 1_000_000), LOSS_RATES, True, True, True, 14)
SMOKE = Plan("smoke", 1, 0.5, (1000,), (20e3,), False, True, True, 1)  # that everything works; no number means anything
PLANS = {plan.name: plan for plan in (SMOKE, QUICK, FULL)}
