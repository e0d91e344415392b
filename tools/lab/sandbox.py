"""The sandbox: a private world that vanishes with its first process, however that one ends.

`enter()` starts a command in its own mount, network, PID, IPC and UTS namespaces. /run, /dev/shm and /sys/fs/bpf are
its own. When the command ends, or anything on the way is killed (SIGKILL included), the kernel kills what is left in
the PID namespace, and with the last process go the mounts, and with the mounts the network namespaces, devices, BPF
programs and pins. So there is no clean-up to forget, and two sandboxes do not see each other.

Two things do cross the border: files on the ordinary file system, and the machine-wide lists of BPF maps and programs
(`bpftool map show`). Who depends on those takes the lock, `enter(exclusive=True)`.
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

INSIDE = "XDPLB_LAB_SANDBOX"  # in the environment: the PID namespace that is the sandbox's
LOCK_FILE = "/var/lock/xdplb-lab.lock"

libc = ctypes.CDLL(None, use_errno=True)


class SandboxError(Exception):
    pass


def inside() -> bool:
    """True in a process of a sandbox. The variable alone could have leaked out; the namespace cannot."""
    return os.environ.get(INSIDE) == os.readlink("/proc/self/ns/pid")


def enter(argv: list[str], exclusive: bool = False) -> int:
    """Runs argv as a sandbox's main process and returns its exit status (128 + signal if it was killed)."""
    if os.geteuid() != 0:
        raise SandboxError("the lab makes network namespaces and needs root")
    lock = _take_lock() if exclusive else None
    here_read, here_write = os.pipe()
    flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
    _check(libc.unshare(flags), "unshare")
    child = os.fork()  # the first process of the new PID namespace
    if child == 0:
        os.close(here_write)
        if lock is not None:
            os.close(lock)
        os._exit(_main_process(argv, here_read))
    os.close(here_read)
    status = _wait_for(child)
    if lock is not None:
        os.close(lock)
    return status


def _main_process(argv: list[str], parent_is_here: int) -> int:
    """PID 1: makes the world, runs the command, reaps orphans. Its end ends every other process in here."""
    _check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
    os.set_blocking(parent_is_here, False)
    try:
        if os.read(parent_is_here, 1) == b"":
            return 1  # the parent died before the line above took effect
    except BlockingIOError:
        pass
    _make_world()
    os.environ[INSIDE] = os.readlink("/proc/self/ns/pid")
    try:
        command = subprocess.Popen(argv).pid
    except OSError as error:
        print(f"lab: cannot run {argv[0]}: {error.strerror}", file=sys.stderr)
        return 127
    return _wait_for(command)


def _make_world() -> None:
    """Mounts that are ours alone. Private first, so that nothing propagates to the host."""
    for command in (
        "mount --make-rprivate /",
        "mount -t proc proc /proc",
        "mount -t tmpfs -o mode=755 tmpfs /run",
        "mount -t tmpfs -o mode=1777 tmpfs /dev/shm",
        "mount -t sysfs sysfs /sys",
        "mount -t bpf -o mode=700 bpf /sys/fs/bpf",
    ):
        subprocess.run(command.split(), check=True)
    for directory in ("/run/netns", "/run/lock", "/run/lab/bin"):
        os.makedirs(directory)
    subprocess.run("ip link set lo up".split(), check=True)


def _wait_for(child: int) -> int:
    """Waits for one child, reaping the others, and hands it the signals that mean `stop`."""

    def forward(number, _frame):
        try:
            os.kill(child, number)
        except ProcessLookupError:
            pass

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the whole group
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _take_lock() -> int:
    lock = os.open(LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"lab: another exclusive lab is running, waiting for {LOCK_FILE}", file=sys.stderr, flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _check(result: int, what: str) -> None:
    if result != 0:
        raise SandboxError(f"{what}: {os.strerror(ctypes.get_errno())}")
