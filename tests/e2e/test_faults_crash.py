"""A daemon that dies, hangs or is stopped under load: what clients see, what the next one finds, what is left behind."""

import signal

import pytest
from support.daemon import Daemon, configure, xdplb
from support.wait import wait_until


def pings(lab, count: int = 1) -> bool:
    return lab.client.run(f"ping -c{count} -i0.05 -W1 -q 10.0.0.0", check=False).returncode == 0


def nothing_of_ours(lab) -> None:
    for device in ("eth1", "eth2"):
        assert "prog/xdp id" not in lab.lb.run(f"ip -d link show dev {device}").stdout
    assert lab.lb.run("find /sys/fs/bpf -name 'xdp_*' -o -name 'xsks_*' -o -name 'lb*'").stdout == ""
    assert lab.lb.run("find /run/xdplb -type f -o -type s", check=False).stdout == ""


def test_kill_9_falls_back_and_the_next_daemon_takes_over(lab):
    configure(lab)
    daemon = Daemon(lab)
    assert pings(lab)
    daemon.process.kill()
    daemon.process.wait()
    # The program is still there, its sockets are not: DROP, and never the host's own answer.
    wait_until(lambda: not pings(lab), what="the VIPs fall back")
    with Daemon(lab) as successor:
        assert "taken over from a daemon that died" in successor.output
        wait_until(lambda: pings(lab), what="the next daemon serves")
    nothing_of_ours(lab)


def test_a_stopped_daemon_falls_back_and_a_continued_one_serves_again(lab):
    configure(lab)
    with Daemon(lab, "--heartbeat-ms=200") as daemon:
        assert pings(lab)
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            # Every packet is an observation; after the stated time they take the fallback, in the kernel.
            wait_until(lambda: not pings(lab, 20), what="the packets of a hung worker are not served")
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        wait_until(lambda: pings(lab), what="it serves again")
        wait_until(lambda: daemon.stats_now().balanced, what="every packet is accounted for")


def test_sigterm_under_load_accounts_for_everything_and_leaves_nothing(lab):
    configure(lab)
    daemon = Daemon(lab)
    flood = lab.client.start("ping -f -q -w 20 10.0.0.0")
    wait_until(lambda: daemon.stats().rx > 1000, what="the flood arrives")
    output = daemon.stop()
    flood.stop(signal.SIGINT)
    assert "kept frames" not in output, output
    nothing_of_ours(lab)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_end_it_well(lab, number):
    configure(lab)
    daemon = Daemon(lab)
    assert daemon.process.stop(number) == 0
    nothing_of_ours(lab)


def test_many_restarts_leak_nothing(lab):
    configure(lab)

    def programs() -> int:
        return lab.lb.run("bpftool -j prog show").stdout.count('"xdp_vip"')

    before = programs()
    for _ in range(40):
        with Daemon(lab) as daemon:
            pass
        assert "ready" in daemon.output
    nothing_of_ours(lab)
    wait_until(lambda: programs() <= before, what="the kernel has freed the programs")
    assert sorted(lab.lb.run("ls /dev/shm").stdout.split()) == ["xdplb", "xdplb.flows"]
    taken = int(lab.lb.run("du -k /dev/shm/xdplb.flows").stdout.split()[0])
    assert taken == 114 * 1024, "the tables of one worker, all of their memory"


def test_all_targets_down_drops_with_a_reason_and_recovers(lab):
    configure(lab)
    with Daemon(lab) as daemon:
        xdplb(lab.lb, "deactivate", *range(4))
        assert not pings(lab)
        assert daemon.stats_now().drops["no_target"] >= 1
        xdplb(lab.lb, "activate", *range(4))
        wait_until(lambda: pings(lab), what="it serves again")
