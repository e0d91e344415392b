"""A thousand changes of targets under load: no packet lost, none to a wrong server, no torn table.

Each change is made by the command, which returns when it is in force: from then on no packet may go to a server that
was deactivated. Every packet sent is waited for, so that one lost is noticed.
"""

import multiprocessing
import time

from support.daemon import Daemon, configure, xdplb
from support.flows import Course, Flows

CHANGES = 1000
BURST = 32
PACE_S = 0.001  # leaves the processor to the commands
COME_AND_GO = (2, 3)  # the other two stay


class Load:
    """A process that sends flows all the time, of another protocol than the test's own, and checks each."""

    def __init__(self, lab):
        self._ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("fork").Process(target=self._run, args=(lab, theirs), daemon=True)
        self._process.start()

    @staticmethod
    def _run(lab, pipe) -> None:
        sent, servers = 0, set()
        with Course(lab, Flows(lab, "udp")) as course:
            while not pipe.poll():
                servers |= set(course.run(range(sent, sent + BURST)).values())
                sent += BURST
                time.sleep(PACE_S)
        pipe.send((sent, servers))

    def finish(self) -> tuple[int, set[str]]:
        """How many packets it sent, all of which arrived, and the servers that they went to."""
        self._ours.send("enough")
        assert self._ours.poll(20), "the load process failed (see its traceback)"
        return self._ours.recv()


def test_thousand_changes_under_load(lab):
    configure(lab)
    macs = [server.mac("eth1") for server in lab.servers]
    active = {0, 1, 2, 3}
    tables: dict[frozenset[int], str] = {}
    sent = 0
    with Daemon(lab) as daemon, Course(lab, Flows(lab, "tcp")) as course:
        load = Load(lab)
        for change in range(CHANGES):
            index = COME_AND_GO[change % 2]
            if index in active:
                xdplb(lab.lb, "deactivate", index)
                active.remove(index)
            else:
                xdplb(lab.lb, "activate", f"--mac={macs[index]}", index)
                active.add(index)
            went_to = set(course.run(range(sent, sent + BURST)).values())
            sent += BURST
            assert went_to <= {f"vm-{target + 1:03}" for target in active}, f"change {change}: {active}"
            if change % 25 == 0:
                table = xdplb(lab.lb, "show").stdout.splitlines()[1]
                assert tables.setdefault(frozenset(active), table) == table, "the table depends on its history"
        load_sent, load_servers = load.finish()
        stats = daemon.wait_received(sent + load_sent)
    assert load_servers == {"vm-001", "vm-002", "vm-003", "vm-004"}
    assert stats.rx == stats.tx == sent + load_sent and stats.drops.total() == 0, stats
    assert len(tables) == 4
