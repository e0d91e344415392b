"""A small or full /dev/shm: the daemon takes the memory of its flow tables before the first packet, or says what is lacking."""

import re
from pathlib import Path

import pytest
from support.daemon import Daemon, configure
from support.faults import forward, must_fail, wait_forwards, wait_said
from support.wait import wait_until

FLOWS = 16384  # 4 MiB for each worker


def resize(lab, mib: int) -> None:
    lab.lb.run(f"mount -o remount,size={mib}m /dev/shm")


def files(lab) -> list[str]:
    return sorted(lab.lb.run("ls /dev/shm").stdout.split())


@pytest.fixture
def configured(lab):
    configure(lab)
    return lab


def test_a_start_without_room_is_refused_and_leaves_nothing(configured):
    resize(configured, 64)
    said = must_fail(configured)
    assert "/dev/shm/xdplb.flows: no room for the flow tables: 114.0 MiB needed for 1 worker with 1048576 flows each" in said
    for way_out in ("MiB free", "mount -o remount,size=", "--shm-size", "a smaller --flows: 561000 would fit"):
        assert way_out in said, said
    assert files(configured) == ["xdplb"]
    with Daemon(configured, "--flows=561000") as daemon:
        assert re.search(r"flows: 561000 per worker, 62\.0 MiB, on (huge|small) pages; ", daemon.output)
    resize(configured, 100)
    said = must_fail(configured)
    assert "or remove the file, whose flows are forgotten then: it takes 62.0 MiB" in said, said
    configured.lb.run("rm /dev/shm/xdplb.flows")
    resize(configured, 120)
    with Daemon(configured):
        pass


def huge_kib(daemon: Daemon) -> int:
    """What the daemon has of its flow tables, the one file of /dev/shm that it maps, on huge pages."""
    smaps = Path(f"/proc/{daemon.process.pid}/smaps").read_text()
    mappings = re.split(r"^(?=[0-9a-f]+-)", smaps, flags=re.M)
    return sum(int(kib) for mapping in mappings if "/dev/shm/" in mapping.partition("\n")[0]
               for kib in re.findall(r"^ShmemPmdMapped: +(\d+) kB", mapping, re.M))


def test_the_start_says_on_which_pages_the_flow_tables_lie(configured):
    for _ in ("new tables", "those of an earlier daemon"):
        with Daemon(configured, "--flows=524288") as daemon:
            pages = re.search(r"^flows: 524288 per worker, 58\.0 MiB, on (huge|small) pages; ", daemon.output, re.M).group(1)
            # Which of them is up to the kernel, and where some could be had it may be some of both.
            if pages == "huge":
                wait_until(lambda: huge_kib(daemon) == 16384, what="the buckets, 32 bytes a flow, on huge pages")


def test_any_refused_start_leaves_no_flow_tables(configured):
    must_fail(configured, edev="eth9")
    assert files(configured) == ["xdplb"]


@pytest.mark.parametrize("way", [{"flows": 1_000_000}, {"edev": "eth9"}], ids=["no room to move into", "no such device"])
def test_a_refused_start_keeps_the_flows_of_an_earlier_daemon(configured, way):
    resize(configured, 16)
    with Daemon(configured, f"--flows={FLOWS}"):
        before = forward(configured)
    must_fail(configured, f"--flows={way.get('flows', FLOWS)}", edev=way.get("edev", "eth1"))
    with Daemon(configured, f"--flows={FLOWS}") as successor:
        assert f"{len(before)} flows of an earlier daemon kept" in successor.output
        assert forward(configured) == before


def test_new_flows_are_served_while_somebody_else_fills_the_file_system(configured):
    """They used to end the daemon: a mapped page that cannot be had is SIGBUS."""
    resize(configured, 16)
    with Daemon(configured, f"--flows={FLOWS}") as daemon:
        full = configured.lb.run("dd if=/dev/zero of=/dev/shm/other bs=64k", check=False)
        assert "No space left" in full.stderr
        assert len(forward(configured, range(5000))) == 5000
        workers = daemon.stats_now().workers
        assert sum(worker["flows"] for worker in workers) == 5000
    with Daemon(configured, f"--flows={FLOWS}") as successor:
        assert "5000 flows of an earlier daemon kept" in successor.output


def test_a_worker_more_without_room_is_waited_for(make_lab):
    lab = make_lab(queues=2)
    configure(lab)
    lab.lb.run("ethtool -L eth2 rx 1")
    resize(lab, 7)
    with Daemon(lab, f"--flows={FLOWS}") as daemon:
        before = forward(lab)
        lab.lb.run("ethtool -L eth2 rx 2")
        wait_said(daemon, r"waiting: /dev/shm/xdplb.flows: no room .*: 4.0 MiB needed for 1 more worker")
        assert len(daemon.stats_now().workers) == 1
        resize(lab, 20)
        wait_said(daemon, "the data plane is up again")
        wait_forwards(lab)
        assert forward(lab) == before
