"""What `xdplb lb` may do: a missing privilege is named, and those that it no longer needs are gone."""

import re
import sys

from support import no_io_uring
from support.daemon import Daemon, configure
from support.faults import forward, must_fail, pins, program_on

KEPT = {"cap_net_admin", "cap_net_raw", "cap_ipc_lock", "cap_bpf"}


def test_user_that_may_not_read_the_configuration(lab):
    configure(lab)
    assert "/dev/shm/xdplb: Permission denied" in must_fail(lab, prefix=("setpriv", "--reuid=65534", "--clear-groups"))
    assert program_on(lab, "eth2") == 0 and pins(lab) == []


def capabilities(node, pid: int, which: str) -> list[set[str]]:
    """Of every thread of a process."""
    masks = node.shell(f"cat /proc/{pid}/task/*/status").stdout
    found = []
    for mask in re.findall(rf"^{which}:\s*(\w+)$", masks, re.M):
        names = node.run(f"capsh --decode={mask}").stdout.strip().partition("=")[2]
        found.append(set(filter(None, names.split(","))))
    return found


def test_what_is_left_after_the_start(lab, daemon):
    """No thread has more than a new data plane needs, nor could any program that it executes."""
    pid = daemon.process.pid
    for which in ("CapPrm", "CapEff", "CapBnd"):
        found = capabilities(lab.lb, pid, which)
        assert len(found) >= 2 and all(thread == KEPT for thread in found), which
    for which in ("CapInh", "CapAmb"):
        assert all(thread == set() for thread in capabilities(lab.lb, pid, which)), which
    privileged = re.findall(r"^NoNewPrivs:\s*(\d)", lab.lb.shell(f"cat /proc/{pid}/task/*/status").stdout, re.M)
    assert set(privileged) == {"1"}
    assert re.search(r"^privileges: cap_net_admin, cap_net_raw, cap_ipc_lock, cap_bpf; ", daemon.output, re.M)


def test_these_privileges_and_cap_sys_admin_are_enough_to_start(lab):
    configure(lab)
    kept = ",".join("+" + capability.removeprefix("cap_") for capability in sorted(KEPT | {"cap_sys_admin", "cap_setpcap"}))
    command = ["setpriv", f"--bounding-set=-all,{kept}", f"--inh-caps=-all,{kept}"]
    with Daemon(lab, prefix=tuple(command)) as daemon:
        assert len(forward(lab)) == 40
        assert daemon.stats_now().balanced


def test_io_uring_forbidden(lab):
    """As containers do it, with a filter on the system call: the daemon says so and serves."""
    configure(lab)
    with Daemon(lab, prefix=(sys.executable, no_io_uring.__file__)) as daemon:
        assert re.search(r"^control: epoll \(.*io_uring.*\)$", daemon.output, re.M)
        forward(lab)


def test_epoll_on_demand(lab):
    configure(lab)
    with Daemon(lab, "--event-loop=epoll") as daemon:
        assert re.search(r"^control: epoll$", daemon.output, re.M)
        forward(lab)
