"""One machine of the lab: network, mount and UTS namespace of its own, held without a process that lives in them.

Its /run, /dev/shm, /sys and /sys/fs/bpf are its own: two balancers each have their `/dev/shm/xdplb` and their
`/sys/fs/bpf/lb`, as two hosts would. Everything else of the file system is the machine's that runs the lab.
"""

import contextlib
import ctypes
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

from .sandbox import CLONE_NEWNET, SandboxError, libc

REPO = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XDPLB_BUILD", REPO / "build")).resolve()
LAB = Path("/run/lab")
LOGS = LAB / "log"

Command = str | list[str]


class Node:
    def __init__(self, name: str, setup: str = ""):
        """Makes the machine; `setup` is a shell script that runs in it first."""
        self.name = name
        self._netns = Path("/run/netns") / name
        self._netns.touch()
        LOGS.mkdir(parents=True, exist_ok=True)
        script = f"""
            hostname {name}
            mount -t tmpfs -o mode=755 tmpfs /run
            mount -t tmpfs -o mode=1777 tmpfs /dev/shm
            umount -l /sys; mount -t sysfs sysfs /sys
            mount -t bpf -o mode=700 bpf /sys/fs/bpf
            ip link set lo up
            {setup}
            echo made
            read wait_until_held"""
        first = subprocess.Popen(
            ["unshare", f"--net={self._netns}", "--uts", "--mount", "--", "sh", "-ec", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if first.stdout.readline() != b"made\n":
            raise SandboxError(f"cannot make the machine {name}: {first.communicate()}")
        # Not pinned to files: the kernel now and then refuses that for a mount namespace (its loop check).
        self._held = [os.open(f"/proc/{first.pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("uts", "mnt")]
        first.communicate(b"\n")

    def destroy(self) -> None:
        """Lets go of the namespaces; the kernel frees them once no process is in them."""
        subprocess.run(["umount", "-l", self._netns], check=True)
        self._netns.unlink()
        for fd in self._held:
            os.close(fd)

    @property
    def net_inode(self) -> int:
        """What /proc/PID/ns/net of a process in this machine refers to."""
        return self._netns.stat().st_ino

    def argv(self, command: Command) -> list[str]:
        """The command that runs `command` here. It keeps the PID: nsenter executes it in place."""
        words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
        return [
            "nsenter",
            f"--net={self._netns}",
            *(f"--{kind}=/proc/{os.getpid()}/fd/{fd}" for kind, fd in zip(("uts", "mount"), self._held)),
            f"--wdns={os.getcwd()}",
            "--",
            *words,
        ]

    def run(self, command: Command, check: bool = True, timeout: float = 60, **kwargs) -> subprocess.CompletedProcess:
        """Runs a command here to its end. Its output is in stdout and stderr of the result, as text."""
        kwargs = {"capture_output": True, "text": True, "errors": "replace", "env": environment()} | kwargs
        done = subprocess.run(self.argv(command), timeout=timeout, **kwargs)
        if check and done.returncode != 0:
            raise CommandFailed(self.name, command, done.returncode, done.stdout + done.stderr)
        return done

    def shell(self, script: str, check: bool = True, **kwargs) -> subprocess.CompletedProcess:
        """Runs a shell script here; it ends at the first command that fails."""
        return self.run(["sh", "-ec", script], check=check, **kwargs)

    def start(self, command: Command, name: str = "") -> "Process":
        """Starts a command here that goes on running."""
        return Process(self, command, name)

    @contextlib.contextmanager
    def network(self):
        """Inside `with`, the calling thread is in this machine's network: a socket made there stays there."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(self._netns, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(there)
            try:
                yield
            finally:
                _setns(here)
        finally:
            os.close(there)
            os.close(here)

    def mac(self, device: str) -> str:
        return self.shell(f"cat /sys/class/net/{device}/address").stdout.strip()

    def device_counters(self, device: str) -> dict[str, int]:
        """`ethtool -S` plus the ordinary rx_/tx_ counters of a device."""
        lines = self.shell(f"ethtool -S {device}; cd /sys/class/net/{device}/statistics; grep . *").stdout
        return {name: int(value) for name, value in re.findall(r"([\w./-]+): ?(\d+)$", lines, re.M)}


class Process:
    """A running command of a node. Output goes to files, so that nothing blocks and all of it is there at the end."""

    def __init__(self, node: Node, command: Command, name: str = ""):
        self.node, self.command = node, command
        self.name = name or (command.split() if isinstance(command, str) else command)[0]
        stem = f"{node.name}.{Path(self.name).name}.{time.monotonic_ns()}"
        self.out_file, self.err_file = LOGS / f"{stem}.out", LOGS / f"{stem}.err"
        with open(self.out_file, "wb") as out, open(self.err_file, "wb") as err:
            self._popen = subprocess.Popen(
                node.argv(command), stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment()
            )
        self.pid = self._popen.pid

    @property
    def stdout(self) -> str:
        return self.out_file.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return self.err_file.read_text(errors="replace")

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def status(self) -> int | None:
        """None while it runs; else the exit status, negative: the signal that ended it."""
        return self._popen.poll()

    @property
    def running(self) -> bool:
        return self.status is None

    def send_signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def wait(self, timeout: float = 30) -> int:
        """Waits for the end and returns the status."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            text = f"{self.name} on {self.node.name} still runs after {timeout} s:\n{self.output}"
            raise TimeoutError(text) from None

    def wait_for(self, pattern: str, timeout: float = 20) -> re.Match:
        """Waits for a line of output that matches."""
        deadline = time.monotonic() + timeout
        while True:
            ended = not self.running  # before reading: what it wrote last counts
            if found := re.search(pattern, self.output, re.M):
                return found
            if ended or time.monotonic() > deadline:
                why = f"ended with status {self.status}" if ended else f"did not within {timeout} s"
                text = f"{self.name} on {self.node.name} was to print /{pattern}/ and {why}:\n{self.output}"
                raise TimeoutError(text)
            time.sleep(0.005)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 20) -> int:
        """Asks it to end and returns its status. What does not end in time is killed, and that is an error."""
        if self.running:
            self.send_signal(number)
        try:
            return self.wait(timeout)
        except TimeoutError:
            self.kill()
            raise

    def kill(self) -> None:
        if self.running:
            self._popen.kill()
            self._popen.wait()


class CommandFailed(Exception):
    def __init__(self, node: str, command: Command, status: int, output: str):
        text = command if isinstance(command, str) else shlex.join(str(word) for word in command)
        super().__init__(f"{node}: `{text}` exited with {status}:\n{output}")


def environment() -> dict[str, str]:
    """The lab's programs come before the system's."""
    path = f"{BUILD}:{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    return {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"}


def _setns(fd: int) -> None:
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise SandboxError(f"setns: {os.strerror(ctypes.get_errno())}")
