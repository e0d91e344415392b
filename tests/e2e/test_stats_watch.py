"""`xdplb stats --watch`: a screen of rates, on a terminal and in a pipe."""

import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from fcntl import ioctl

import pytest
from lab.node import environment
from support.daemon import Daemon, configure, xdplb
from support.flows import Flows
from support.packets import Tap
from support.wait import wait_until

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


class Terminal:
    """A program of a node on a terminal of 80 columns and 24 lines."""

    def __init__(self, node, *command: str):
        self._end, inner = pty.openpty()
        ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(inner)
        self._inner = inner
        self.process = subprocess.Popen(node.argv(list(command)), stdin=inner, stdout=inner, stderr=inner,
                                        env=environment())
        self.shown = ""

    def read(self) -> str:
        while select.select([self._end], [], [], 0)[0]:
            self.shown += os.read(self._end, 65536).decode()
        return self.shown

    def frames(self) -> list[str]:
        """Each screen as it was, without the steering."""
        return [re.sub(r"\x1b\[\??\w+", "", text).replace("\r", "") for text in self.read().split("\x1b[H")[1:]]

    def press(self, key: bytes) -> None:
        os.write(self._end, key)

    def after(self) -> list:
        return termios.tcgetattr(self._inner)


@pytest.fixture
def terminal(daemon, lab):
    return Terminal(lab.lb, "xdplb", "stats", "--watch=0.2")


@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "Ctrl-C"])
def test_a_live_screen(lab, terminal, key):
    flows, sent = Flows(lab, "udp"), 0
    with Tap(lab.client, "eth2") as client:

        def rate_is_shown() -> bool:
            nonlocal sent
            client.send(*(flows.frame(n) for n in range(20)))
            sent += 20
            return any(re.search(r"^eth2/0 +[1-9]", frame, re.M) for frame in terminal.frames())

        wait_until(rate_is_shown, what=terminal.read, every=0.05)
    frame = next(frame for frame in terminal.frames() if re.search(r"^eth2/0 +[1-9]", frame, re.M))
    assert re.search(r"^default +[1-9]", frame, re.M) and re.search(r"^[0-3] +[1-9]", frame, re.M)
    rates = [float(number) for number in re.findall(r"^[0-3] +([\d.]+) ", frame, re.M)]
    assert rates == sorted(rates, reverse=True)
    lines = frame.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    terminal.press(key)
    assert terminal.process.wait(10) == 0
    assert terminal.read().startswith(ENTER) and LEAVE in terminal.read()
    assert terminal.after() == terminal.before, "the terminal is as it was"


def test_the_daemon_ends_meanwhile(lab, daemon, terminal):
    wait_until(lambda: terminal.frames(), every=0.05)
    daemon.stop()
    wait_until(lambda: "There are no statistics" in terminal.read(), what=terminal.read, every=0.05)
    with Daemon(lab) as again:
        wait_until(lambda: f"pid {again.process.pid}," in terminal.frames()[-1], what=terminal.read, every=0.05)
    terminal.process.terminate()
    assert terminal.process.wait(10) == 0
    assert terminal.after() == terminal.before


def test_one_screen_in_a_pipe(lab, daemon):
    begin = time.monotonic()
    shown = xdplb(lab.lb, "stats", "--watch=0.3").stdout
    assert time.monotonic() - begin >= 0.3
    assert shown.startswith("xdplb, pid ") and "\x1b" not in shown
    assert re.search(r"^worker +in/s", shown, re.M) and len(shown.splitlines()) <= 24


def test_what_is_refused(lab):
    configure(lab)
    assert xdplb(lab.lb, "stats", "--watch", check=False).returncode == 1
    done = xdplb(lab.lb, "stats", "--watch=0", check=False)
    assert (done.returncode, done.stderr) == (2, "Invalid --watch [0]: 0.1 to 3600 seconds\n")
    assert xdplb(lab.lb, "stats", "--watch", "--json", check=False).returncode == 2
