"""The configuration commands beside a running daemon."""

import json
import re

from support.daemon import Daemon, configure, xdplb
from support.faults import wait_said


def test_a_change_is_in_force_when_the_command_returns(lab, daemon):
    for _ in range(5):
        for command in ("deactivate", "activate"):
            done = xdplb(lab.lb, command, 0)
            generation = int(re.search(r"^Generation (\d+) is in force after \d+\.\d ms$", done.stdout, re.M).group(1))
            state = json.loads(xdplb(lab.lb, "show", "--json").stdout)["daemon"]
            assert state["running"] and state["generation"] >= generation


def test_init_clean_and_a_second_daemon_are_refused_by_pid(lab, daemon):
    pid = json.loads(xdplb(lab.lb, "show", "--json").stdout)["daemon"]["pid"]
    assert pid > 0
    for command in (["init"], ["init", "--m=101"], ["clean"]):
        done = xdplb(lab.lb, *command, check=False)
        assert done.returncode == 1
        assert f"A daemon (pid {pid}) runs on /dev/shm/xdplb: stop it first, or use --force" in done.stderr
    second = Daemon(lab, wait=False)
    assert second.process.wait() == 1
    assert f"A daemon runs on /dev/shm/xdplb already (pid {pid})" in second.output
    # It took nothing away from the first.
    assert xdplb(lab.lb, "stats").returncode == 0


def test_init_force_changes_the_table_under_the_daemon(lab, daemon):
    done = xdplb(lab.lb, "init", "--m=101", "--n=4", "--force")
    assert re.search(r"Generation \d+ is in force", done.stdout)
    assert xdplb(lab.lb, "show").stdout.startswith("M=101, N=4, lookup;\n")


def test_a_daemon_that_does_not_answer_is_said(lab, daemon):
    before = json.loads(xdplb(lab.lb, "show", "--json").stdout)["generation"]
    daemon.process.send_signal(19)  # SIGSTOP
    try:
        done = xdplb(lab.lb, "deactivate", 0, check=False)
    finally:
        daemon.process.send_signal(18)  # SIGCONT
    assert done.returncode == 1
    assert f"Generation {before + 1} is stored, but the daemon" in done.stderr
    # What was stored is taken as soon as it can be.
    assert "is in force" in xdplb(lab.lb, "activate", 0).stdout


def test_without_the_daemon_its_state_is_not_believed(lab):
    configure(lab)
    with Daemon(lab) as daemon:
        daemon.process.kill()
    assert "Daemon: not running" in xdplb(lab.lb, "show").stdout
    assert "no daemon runs" in xdplb(lab.lb, "deactivate", 0).stdout
    last = xdplb(lab.lb, "stats")
    assert "No daemon runs on [xdplb]: these are the last counters" in last.stderr
    assert "is removed" in xdplb(lab.lb, "clean").stdout
    assert "There are no statistics" in xdplb(lab.lb, "stats", check=False).stderr


def test_vips_by_hand_are_shown_and_fallbacks_reach_the_map(lab, daemon):
    by_hand = [0] * 10 + [0xFF, 0xFF, 10, 9, 8, 7]
    lab.lb.run(["bpftool", "map", "update", "name", "xdp_vip_map", "key", "hex", *(f"{b:02x}" for b in by_hand),
                "value", "1", "0", "0", "0"])
    assert ["10.9.8.7/32", "bpftool"] in [line.split() for line in xdplb(lab.lb, "vip", "list").stdout.splitlines()]
    refused = xdplb(lab.lb, "vip", "del", "10.9.8.7", check=False)
    assert refused.returncode == 1 and "10.9.8.7 was put into the map by hand" in refused.stderr
    assert "VIP: 10.9.8.7/32 (service default, fallback as set, from bpftool)" in xdplb(lab.lb, "show").stdout

    xdplb(lab.lb, "vip", "add", "--fallback=pass", "10.0.0.77")
    xdplb(lab.lb, "vip", "add", "10.0.0.78")
    fallbacks = {}
    for last in (77, 78):
        key = [0] * 10 + [0xFF, 0xFF, 10, 0, 0, last]
        entry = lab.lb.run(["bpftool", "-j", "map", "lookup", "name", "xdp_vip_map", "key", "hex",
                            *(f"{b:02x}" for b in key)]).stdout
        fallbacks[last] = int(json.loads(entry)["value"][0], 16)
    assert fallbacks == {77: 2, 78: 1}


def test_a_shared_memory_that_was_removed_is_said(lab):
    configure(lab)
    with Daemon(lab) as daemon:
        lab.lb.run("rm /dev/shm/xdplb")
        wait_said(daemon, r"/dev/shm/xdplb was removed or made anew: commands do not reach this daemon any more")
        elsewhere = "warning: the daemon that answers on /run/xdplb/xdplb.sock has another /dev/shm/xdplb"
        done = xdplb(lab.lb, "show", check=False)
        assert done.returncode == 1 and done.stderr.startswith(elsewhere) and "There is no shared memory" in done.stderr
        for command in (["init"], ["init"], ["vip", "add", "10.0.0.9"], ["stats"]):
            done = xdplb(lab.lb, *command)
            assert done.stderr.startswith(elsewhere) and "No daemon runs" not in done.stderr, (command, done)
        assert daemon.output.count("was removed or made anew") == 1
    with Daemon(lab):
        assert "A daemon (pid" in xdplb(lab.lb, "init", check=False).stderr
