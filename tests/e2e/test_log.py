"""What the daemon writes: text for people, text for the journal, JSON for programs."""

import json
import re
import signal
from datetime import datetime, timezone

from support.daemon import Daemon, configure, xdplb
from support.wait import wait_until


def lines(daemon) -> list[dict]:
    return [json.loads(line) for line in daemon.process.stderr.splitlines()]


def test_json_lines_from_the_first_to_the_last(lab):
    configure(lab, targets=2)
    begin = datetime.now(timezone.utc)
    with Daemon(lab, "--log=json", wait=False) as daemon:
        wait_until(lambda: any(line["message"] == "ready" for line in lines(daemon)), what=lambda: daemon.output)
        xdplb(lab.lb, "deactivate", 1)
        daemon.stop()
    said = lines(daemon)
    assert daemon.process.stdout == "", "everything is in the log"
    assert all({"time", "level", "message"} <= line.keys() for line in said)
    times = [datetime.fromisoformat(line["time"].replace("Z", "+00:00")) for line in said]
    assert begin <= times[0] and times == sorted(times) and times[-1] <= datetime.now(timezone.utc)
    change = next(line for line in said if "target [1] is down" in line["message"])
    assert change["level"] == "info" and change["message"].startswith(f"generation {change['generation']}: ")
    assert said[-1] | {"time": ""} == {
        "time": "", "level": "info", "message": "stopped: 0 received = 0 sent + 0 dropped + 0 held",
        "received": 0, "sent": 0, "dropped": 0, "held": 0,
    }


def test_a_start_that_fails_says_so_in_json(lab):
    done = lab.lb.run("xdplb lb --log=json --idev=eth9 --edev=eth1", check=False)
    assert done.returncode == 1 and done.stdout == ""
    line = json.loads(done.stderr)
    assert line["level"] == "error" and line["message"].startswith("There is no shared memory /dev/shm/xdplb")


def test_the_journal_gets_levels(lab):
    """systemd tells by JOURNAL_STREAM which file is the journal; a daemon whose output went elsewhere writes plain text."""
    configure(lab)
    mine = 'f=/run/daemon.log; : >$f; export JOURNAL_STREAM=$(stat -c %d:%i $f); exec "$@" 2>>$f'
    with Daemon(lab, prefix=["sh", "-c", mine, "sh"], wait=False) as daemon:
        written = lambda: lab.lb.run("cat /run/daemon.log", check=False).stdout  # noqa: E731
        wait_until(lambda: "<6>ready\n" in written(), what=written)
        lab.lb.run("ip link set dev eth1 down")
        wait_until(lambda: re.search(r"^<4>warning: \[eth1\] is down", written(), re.M), what=written)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.process.wait()
        assert all(re.match(r"<[346]>", line) for line in written().splitlines())
        assert daemon.process.output == ""
    with Daemon(lab, prefix=["env", "JOURNAL_STREAM=1:2"], wait=False) as plain:
        plain.process.wait_for(r"^warning: waiting|^Interface \[eth1\] is down")
        assert not re.search(r"^<\d>", plain.output, re.M)
        plain.process.wait()


def test_another_style_is_refused(lab):
    done = lab.lb.run("xdplb lb --log=xml --idev=eth2 --edev=eth1", check=False)
    assert (done.returncode, done.stderr) == (2, "Invalid --log [xml]: text or json\n")
