"""The results as one table, and xdplb's as multiples of its peers'."""

from statistics import median

from .forwarders import Forwarder
from .measure import Run
from .plan import Plan, loss, speed

Runs = dict[str, dict[str, list[Run]]]  # by forwarder, then by cell

FLOW_NAMES = {1: "1", 1000: "1k", 100_000: "100k", 1_000_000: "1M"}


def middle(runs: list[Run], value) -> float:
    return median(value(run) for run in runs)


def mpps(run: Run) -> float:
    return run.mpps


def spread(runs: list[Run]) -> float:
    """Half the distance between fastest and slowest, as a part of the median."""
    values = [run.mpps for run in runs]
    return (max(values) - min(values)) / 2 / max(median(values), 1e-9)


def columns(plan: Plan, forwarder: Forwarder) -> list[tuple[str, str, str]]:
    """Key of the cell, heading, and kind of what is shown."""
    wanted = [(speed(n), f"{FLOW_NAMES[n]} flows", "mpps") for n in plan.flows]
    if plan.long_frames:
        wanted += [(speed(n, 1514), f"1514 B {FLOW_NAMES[n]}", "mpps") for n in plan.flows if n != 1]
    if plan.v6:
        wanted.append(("v6", "IPv6 1k", "mpps"))
    wanted.append((speed(1000), "ns/packet", "ns"))
    wanted += [(loss(rate), f"lost at {rate / 1e6:g}", "loss") for rate in plan.rates]
    wanted.append(("p50", "p50 us", "p50"))
    if plan.changes:
        wanted += [("change", "change ms", "change"), ("change", "lost meanwhile", "loss")]
    return wanted


def show(runs: list[Run] | None, kind: str, forwarder: Forwarder) -> str:
    if not runs:
        return "-"
    if kind == "mpps":
        return f"{middle(runs, mpps):.2f} ±{spread(runs) * 100:.0f}%"
    if kind == "ns":
        return f"{middle(runs, lambda run: run.core_ns[forwarder.cpu]):.0f}"
    if kind == "loss":
        lost = middle(runs, lambda run: run.loss) * 100
        return "0" if lost == 0 else f"{lost:.2g}%" if lost < 10 else f"{lost:.0f}%"
    if kind == "change":
        took = [ms for run in runs for ms in run.change_ms]
        return f"{median(took):.1f}, max {max(took):.1f}"
    return f"{middle(runs, lambda run: run.p50_us):.1f}"


def table(plan: Plan, forwarders: list[Forwarder], runs: Runs, why_not: dict[str, str]) -> str:
    head = ["Mpps (60 bytes)", *(heading for _key, heading, _kind in columns(plan, forwarders[0]))]
    rows = []
    for forwarder in forwarders:
        if forwarder.name in why_not:
            rows.append([forwarder.name, f"not measured: {why_not[forwarder.name]}"])
            continue
        cells = runs.get(forwarder.name, {})
        shown = [show(cells.get(key), kind, forwarder) for key, _heading, kind in columns(plan, forwarder)]
        rows.append([forwarder.name, *shown])
    return markdown([head, *rows])


def markdown(rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in rows if len(row) == len(rows[0])) for i in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        lines.append("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if number == 0:
            lines.append("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def ratios(plan: Plan, forwarders: list[Forwarder], runs: Runs) -> str:
    """Every mode of xdplb over every peer and the ceiling, in Mpps at full speed."""
    others = [f for f in forwarders if f.kind in ("peer", "ceiling")]
    numbers = [n for n in plan.flows if n in (1000, 1_000_000)]
    rows = [["xdplb over (1k / 1M flows)", *(other.name for other in others)]]
    for mode in forwarders:
        if mode.kind != "lb":
            continue
        row = [mode.name]
        for other in others:
            parts = []
            for flows in numbers:
                ours = runs.get(mode.name, {}).get(speed(flows))
                theirs = runs.get(other.name, {}).get(speed(flows))
                if ours and theirs:
                    parts.append(f"{middle(ours, mpps) / max(middle(theirs, mpps), 1e-9):.2f}")
            row.append(" / ".join(parts) or "-")
        rows.append(row)
    return markdown(rows)


def complaints(runs: Runs) -> list[str]:
    """What the sink found wrong with packets. Peers may do as they like; for xdplb it must be nothing."""
    found = []
    for name, cells in runs.items():
        for key, several in cells.items():
            for run in several:
                if run.faults:
                    found.append(f"{name}, {key}: {run.faults}")
    return found
