#!/usr/bin/python3
"""The scaling test as a picture: ten servers, 400 ctraffic connections, two servers go and come back, twice.

    tools/lab/lab sandbox --exclusive -- tests/scale_graph.py build/scale.svg      (make scale-graph)

First the two are drained, which loses no connection, then taken out, which loses theirs and no other. What is drawn is what
ctraffic wrote down itself and what `ctraffic -analyze` makes of it. Exits with 1 where other connections were lost than
those. All that it makes lies in the sandbox, save the picture, which appears when it is complete.
"""

import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS), str(TESTS.parent / "tools")]

from lab import Lab, Spec, sandbox
from lab.node import BUILD, LAB
from support.connections import established_by_server, serve_echo
from support.daemon import Daemon, configure, xdplb
from support.programs import start_ctraffic
from support.wait import wait_until

SERVERS = 10
CONNECTIONS = 400
RATE = 2 * CONNECTIONS  # KB/s: two packets a second on each connection
GO = (8, 9)
GO_SERVERS = ("vm-009", "vm-010")
STEPS = [
    (6, "drained", lambda lab: xdplb(lab.lb, "deactivate", "--drain", *GO)),
    (12, "active again", lambda lab: xdplb(lab.lb, "activate", *GO)),
    (18, "down", lambda lab: xdplb(lab.lb, "deactivate", *GO)),
    (24, "active again", lambda lab: xdplb(lab.lb, "activate", *GO)),
]
DURATION_S = 30
DATA = LAB / "scale"


def main() -> int:
    picture = Path(sys.argv[1]).absolute()
    if not sandbox.inside():
        sys.exit("run it by `make scale-graph`")
    DATA.mkdir(parents=True)
    with Lab(Spec(servers=SERVERS, queues=2)) as lab:
        configure(lab)
        serve_echo(lab)
        with Daemon(lab) as daemon:
            report, steps, expected = run(lab)
            stats = daemon.stats_now()
    (DATA / "report.json").write_text(json.dumps(report))
    analyses = {name: analyze(name) for name in ("connections", "throughput", "hosts")}
    problems = check(report, stats, expected)
    for name, text in analyses.items():
        (DATA / name).write_text(text)
    (DATA / "with_gone").write_text(with_gone(report))
    draw(steps, len(lost(report)), picture)
    print(analyses["hosts"], end="")
    print(f"{picture}: {CONNECTIONS} connections, {SERVERS} servers; {stats}")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


def run(lab: Lab) -> tuple[dict, list[tuple[float, str]], dict[str, int]]:
    """ctraffic's report, the steps with their times in it, and what was to be lost, by server."""
    options = ["-nconn", CONNECTIONS, "-rate", RATE, "-timeout", f"{DURATION_S}s", "-monitor"]
    client = start_ctraffic(lab.client, lab.vip4, *map(str, options))
    with contextlib.ExitStack() as stack:
        stack.callback(client.kill)
        wait_until(lambda: sum(established_by_server(lab).values()) == CONNECTIONS, what="all connections established")
        began, taken, expected = time.time(), [], {}
        for at, what, step in STEPS:
            time.sleep(max(0, began + at - time.time()))
            if what == "down":
                expected = {name: count for name, count in established_by_server(lab).items() if name in GO_SERVERS}
            taken.append((time.time(), what))
            step(lab)
        client.wait(DURATION_S + 20)
    report = json.loads(client.stdout)
    started = datetime.datetime.fromisoformat(without_nanoseconds(report["Started"])).timestamp()
    return report, [(at - started, what) for at, what in taken], expected


def without_nanoseconds(time_text: str) -> str:
    """RFC 3339 as Python 3.11 reads it: six digits of a second at most."""
    whole, dot, rest = time_text.partition(".")
    digits = rest.rstrip("Z").split("+")[0].split("-")[0]
    return f"{whole}{dot}{digits[:6]}{rest[len(digits):]}".replace("Z", "+00:00")


def lost(report: dict) -> list[dict]:
    return [connection for connection in report["ConnStats"] if connection["Err"]]


def check(report: dict, stats, expected: dict[str, int]) -> list[str]:
    late = [connection for connection in lost(report) if "timed out" in connection["Err"]]
    hosts = [connection["Host"] for connection in lost(report) if connection not in late]
    found = {name: hosts.count(name) for name in sorted(set(hosts))}
    problems = []
    if found != expected or not expected:
        problems.append(f"lost connections: {found}, but those of the servers taken out are {expected}")
    if late:
        problems.append(f"{len(late)} connections given up after a second without echo; is this machine busy?")
    if report["FailedConnects"]:
        problems.append(f"{report['FailedConnects']} connections could not be made")
    if not stats.balanced or stats.drops.total():
        problems.append(f"packets dropped: {stats}")
    return problems


def analyze(what: str) -> str:
    command = [BUILD / "ctraffic", "-stat_file", DATA / "report.json", "-analyze", what]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def with_gone(report: dict) -> str:
    """Second by second: connections with the two servers, and the average of as many others."""
    rows = []
    for tenth in range(DURATION_S * 10):
        now = tenth * 100_000_000
        live = [c["Host"] for c in report["ConnStats"] if c["Connect"] and c["Connect"] <= now < c["Ended"]]
        gone = sum(host in GO_SERVERS for host in live)
        rows.append(f"{tenth / 10} {gone} {(len(live) - gone) * len(GO) / (SERVERS - len(GO))}\n")
    return "".join(rows)


def draw(steps: list[tuple[float, str]], lost_count: int, picture: Path) -> None:
    draft = DATA / "scale.svg"
    marks, labels = [], []
    for at, what in steps:
        marks.append(f"set arrow from {at:.3f}, graph 0 to {at:.3f}, graph 1 nohead dashtype 2 linecolor '#555555'")
        labels.append(f'set label "{len(GO)} of {SERVERS} servers\\n{what}" at {at:.3f}, graph 1.19 center')
    script = SCRIPT.format(
        draft=draft, data=DATA, marks="\n".join(marks), labels="\n".join(labels), duration=DURATION_S, rate=RATE,
        title=f"{CONNECTIONS} connections over {SERVERS} servers: {len(GO)} drained and back, {len(GO)} taken out and back",
        lost=f"{lost_count} lost", top=CONNECTIONS * 1.15, others=f"{len(GO)} others, on average",
        gone=" and ".join(GO_SERVERS))
    (DATA / "script").write_text(script)
    subprocess.run(["gnuplot", DATA / "script"], check=True)
    picture.parent.mkdir(parents=True, exist_ok=True)
    beside = picture.with_name(f".{picture.name}.{os.getpid()}")
    beside.write_text(draft.read_text())
    beside.replace(picture)


SCRIPT = """\
set terminal svg size 1000,760 dynamic font "sans-serif,13" background rgb "white"
set output "{draft}"
set multiplot title "{title}" font ",17"
set xrange [0:{duration}]
set grid ytics linecolor rgb "#dddddd"
set border 3
set tics nomirror out
set lmargin 10
set rmargin 4
set key opaque samplen 2 Left reverse
set bmargin 2.5
set style fill solid
set boxwidth 0.35
{marks}

set size 1, 0.43
set origin 0, 0.54
set tmargin 4.5
{labels}
set key at graph 0.02, 0.75 left top
set ylabel "connections"
set yrange [0:{top}]
plot "{data}/connections" using 1:2 skip 1 with lines linewidth 2 linecolor rgb "#0072b2" title "active", \\
     "" using ($1-0.2):($1 < 1 ? 0 : $3) skip 1 with boxes linecolor rgb "#009e73" title "new, each second", \\
     "" using ($1+0.2):4 skip 1 with boxes linecolor rgb "#d55e00" title "lost, each second ({lost})"
unset label

set size 1, 0.28
set origin 0, 0.28
set tmargin 1
set key at graph 0.02, 0.5 left top
set ylabel "connections"
set yrange [0:*]
plot "{data}/with_gone" using 1:2 with lines linewidth 2 linecolor rgb "#cc79a7" title "with {gone}", \\
     "" using 1:3 with lines linewidth 2 linecolor rgb "#8c8c8c" title "with {others}"

set origin 0, 0
set bmargin 3.5
set xlabel "seconds"
set ylabel "KB/s"
set yrange [0:{rate}*1.25]
plot "{data}/throughput" using 1:2 skip 1 with linespoints linewidth 2 pointtype 7 pointsize 0.4 linecolor rgb "#0072b2" \\
     title "echoes received", {rate} with lines dashtype 3 linecolor rgb "#555555" title "what is sent"
"""


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what `with` holds is let go
    sys.exit(main())
