"""One boot of the guest under qemu: pure emulation, so that it needs neither /dev/kvm nor a hypervisor's leave."""
import os
import re
import selectors
import shutil
import subprocess
import tarfile
import time
from dataclasses import dataclass, field

from . import taps
from .nics import ZERO_COPY, nics

# From qemu's start to the suite's first word: three seconds on an idle machine.
BEGIN_TIMEOUT_S = 90
RESULT = re.compile(r"^(ok|FAILED|skipped) (\S+)(.*)$")


@dataclass
class Outcome:
    kernel: str = ""
    passed: int = 0
    failed: int = 0
    begun: bool = False              # the suite said so itself
    finished: bool = False           # the same
    seconds: float = 0.0
    cases: list = field(default_factory=list)  # (result, name, what it said)

    def say(self, text):
        print(f"{self.kernel:>5}  {text}", flush=True)

    def count(self, result, name, said):
        self.passed += result == "ok"
        self.failed += result == "FAILED"
        self.cases.append((result, name, said))


def command(image, initrd, results, wide):
    args = [
        "qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "1024", "-smp", "2",
        "-nodefaults", "-display", "none", "-no-reboot", "-kernel", str(image), "-initrd", str(initrd),
        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console", "-serial", f"file:{results}",
        "-append", "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off random.trust_cpu=on"]
    for i, nic in enumerate(nics()):
        args += ["-netdev", f"hubport,id=n{i},hubid={nic.net}",
                 "-device", f"virtio-net-pci,netdev=n{i},mac={nic.mac},{ZERO_COPY}"]
    if wide:
        args = taps.around(args + taps.arguments())
    # qemu must not outlive this process, however that ends.
    return ["setpriv", "--pdeathsig", "KILL", *args]


def boot(kernel, tree, initrd, directory, wide, timeout_s):
    """Runs the guest to its end, echoing what the suite says. Leaves console.log and results/ in `directory`. A guest that
    does not come as far as the suite gets a second chance: that is the emulator's or the machine's fault."""
    started = time.monotonic()
    outcome = _boot(kernel, tree, initrd, directory, wide, timeout_s)
    if not outcome.begun:
        outcome.say("the guest did not come up: once more")
        outcome = _boot(kernel, tree, initrd, directory, wide, timeout_s - (time.monotonic() - started))
    outcome.seconds = time.monotonic() - started
    return outcome


def _boot(kernel, tree, initrd, directory, wide, timeout_s):
    directory.mkdir(parents=True, exist_ok=True)
    archive = directory / "results.tar"
    archive.unlink(missing_ok=True)
    outcome = Outcome(kernel)
    started = time.monotonic()
    qemu = subprocess.Popen(command(tree.image, initrd, archive, wide), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        with open(directory / "console.log", "wb") as log:
            follow(qemu.stdout, log, outcome, started + timeout_s)
    finally:
        qemu.kill()
        qemu.wait()
    unpack(archive, directory / "results", outcome)
    return outcome


def follow(stream, log, outcome, deadline):
    os.set_blocking(stream.fileno(), False)
    pending = b""
    must_begin = time.monotonic() + BEGIN_TIMEOUT_S
    with selectors.DefaultSelector() as ready:
        ready.register(stream, selectors.EVENT_READ)
        while (left := (deadline if outcome.begun else min(deadline, must_begin)) - time.monotonic()) > 0:
            if not ready.select(left):
                continue
            chunk = stream.read(65536)
            if chunk == b"":
                return
            log.write(chunk or b"")
            log.flush()
            *lines, pending = (pending + (chunk or b"")).split(b"\n")
            for line in lines:
                take(line.decode(errors="replace").rstrip("\r"), outcome)
    outcome.say("the guest did not end in time: see its console.log")


def take(line, outcome):
    """`ok`, `FAILED` and `skipped` lines are results, `| ` lines are for the reader, the rest only for the log."""
    if match := RESULT.match(line):
        outcome.count(match[1], match[2], match[3].strip(" :"))
        outcome.say(line)
    elif line.startswith("| "):
        outcome.say(line[2:])
    elif line == "suite begins":
        outcome.begun = True
    elif line == "suite finished":
        outcome.finished = True


def unpack(archive, directory, outcome):
    shutil.rmtree(directory, ignore_errors=True)
    if not archive.exists() or archive.stat().st_size == 0:
        return
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(directory)
    except tarfile.TarError:
        outcome.say(f"{archive}: cut short, kept as it is")
