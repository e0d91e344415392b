"""How workers wait for packets: asleep, spinning, or both in turn."""

import os
from pathlib import Path

import pytest
from support.daemon import Daemon, configure, xdplb
from support.programs import mconnect, serve
from support.wait import wait_until

SCHED_FIFO = 1


def worker_threads(daemon) -> list[list[str]]:
    """The fields of /proc/PID/task/TID/stat behind the name, of each worker thread."""
    pid = daemon.process.pid
    stats = daemon.node.shell(f"cat /proc/{pid}/task/*/stat").stdout.splitlines()
    return [line.rpartition(")")[2].split() for line in stats if "(xdplb-" in line]


@pytest.mark.parametrize(
    "options, words",
    [
        ([], "sleeps in poll"),
        (["--spin"], "spins"),
        (["--adaptive"], "spins while busy, else sleeps in poll"),
        (["--coalesce=200"], "sleeps in poll, coalesces for 200 us"),
        (["--adaptive", "--coalesce=50"], "spins while busy, else sleeps in poll, coalesces for 50 us"),
        (["--fifo=10", "--coalesce=100"], "sleeps in poll, coalesces for 100 us, SCHED_FIFO 10"),
    ],
)
def test_every_way_of_waiting_serves(lab, options, words):
    configure(lab)
    serve(lab)
    with Daemon(lab, *options) as daemon:
        assert f"queue 0: copy, {words}\n" in daemon.output
        assert mconnect(lab.client, lab.vip4, 40).failed == 0
        scheduled = {int(fields[38]) for fields in worker_threads(daemon)}
    assert scheduled == {SCHED_FIFO if "--fifo=10" in options else 0}


def test_an_adaptive_worker_sleeps_when_it_is_quiet_and_a_spinning_one_does_not(lab):
    configure(lab)
    with Daemon(lab, "--adaptive") as daemon:
        wait_until(lambda: [fields[0] for fields in worker_threads(daemon)] == ["S"], 10, what=lambda: "the worker asleep")
        before = daemon.stats_now().workers[0]["wakeups"]
        wait_until(lambda: daemon.stats().workers[0]["wakeups"] > before, 10, what=lambda: "its timeouts")
    with Daemon(lab, "--spin") as daemon:
        assert daemon.stats_now().workers[0]["wakeups"] == 0


def test_a_change_does_not_wait_for_the_next_packet_of_a_spinning_worker(lab):
    configure(lab)
    serve(lab)
    with Daemon(lab, "--spin"):
        assert mconnect(lab.client, lab.vip4, 40).failed == 0
        for command in ("deactivate", "activate"):
            assert "is in force after" in xdplb(lab.lb, command, 0).stdout


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core: nothing to keep off")
def test_the_control_thread_keeps_off_the_cores_of_the_workers(lab):
    configure(lab)
    ours, *others = sorted(os.sched_getaffinity(0))
    with Daemon(lab, f"--cpus={ours}", "--spin") as daemon:
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        assert f"Cpus_allowed:\t{sum(1 << core for core in others):x}\n" in status
