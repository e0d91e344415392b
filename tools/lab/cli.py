"""The command line of the lab."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from . import demo, describe, sandbox
from .names import Spec
from .node import CommandFailed, environment
from .topology import Lab

EPILOG = """\
examples:
  lab shell --queues 2                    a lab to play with; `exit` takes all of it away
  lab run -- client ping -c1 10.0.0.0     one command in a fresh lab
  lab run --one-arm -- ./my-experiment.sh
  lab demo                                the guided tour

In `shell` and `run` every machine is a command: `vm-001 ss -tn`, `lb xdplb show`, `client mconnect ...`;
without arguments it is a shell on that machine. The project's programs are in the PATH.
Options of devices: --offload client.eth2:tx=on,tso=on (as ethtool -K; switch.lb.1 is the switch's port to lb).
"""


def main() -> int:
    options = parser().parse_args()
    try:
        if not sandbox.inside() and options.command != "describe":
            script = Path(__file__).parent / "lab"
            return sandbox.enter(again(options, script), exclusive=getattr(options, "exclusive", False))
        return options.function(options)
    except (sandbox.SandboxError, CommandFailed, TimeoutError, ValueError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def again(options: argparse.Namespace, script: Path) -> list[str]:
    """What runs inside the sandbox: the bare command, or this very command line once more."""
    if options.command == "sandbox":
        return options.argv
    return [sys.executable, str(script), *sys.argv[1:]]


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="lab",
        description="A lab of network namespaces: client, load balancers, servers. Needs root; leaves nothing behind.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True)

    def command(name, function, text, argv=False):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        if argv:
            sub.add_argument("argv", nargs="+", metavar="CMD", help="command and its arguments, after --")
        return sub

    for sub in (
        command("shell", shell, "build a lab and open a shell in it"),
        command("run", run, "build a lab and run a command in it", argv=True),
        command("describe", show, "print what a lab would be"),
    ):
        sub.add_argument("--clients", type=int, default=1, metavar="N")
        sub.add_argument("--balancers", type=int, default=1, metavar="N")
        sub.add_argument("--servers", type=int, default=4, metavar="N")
        sub.add_argument("--queues", type=int, default=1, metavar="N", help="of the ingress device (1)")
        sub.add_argument("--egress-queues", type=int, default=0, metavar="N", help="of the egress device (as ingress)")
        sub.add_argument("--generic", action="store_true", help="let generic XDP see all of several queues")
        sub.add_argument("--one-arm", action="store_true", help="ingress and egress are one device")
        sub.add_argument("--mtu", type=int, default=1500)
        sub.add_argument("--vip", action="append", metavar="ADDR/LEN", help="instead of 10.0.0.0/32 and 1000::/128")
        sub.add_argument("--offload", action="append", default=[], metavar="NODE.DEV:FEATURE=on|off,...")
    command("demo", lambda _options: demo.main(), "the guided tour: what the balancer does, in under a minute")
    bare = command("sandbox", None, "run a command in an empty sandbox (used by the tests)", argv=True)
    bare.add_argument("--exclusive", action="store_true", help="only one such sandbox on this machine at a time")
    return top


def spec_of(options: argparse.Namespace) -> Spec:
    offloads: dict[str, dict[str, str]] = {}
    for text in options.offload:
        device, _, features = text.partition(":")
        if "." not in device or not all("=" in feature for feature in features.split(",")):
            raise ValueError(f"--offload {text}: want NODE.DEV:FEATURE=on|off,...")
        offloads.setdefault(device, {}).update(feature.split("=", 1) for feature in features.split(","))
    values = {name: getattr(options, name) for name in ("clients", "balancers", "servers", "queues", "egress_queues")}
    if options.vip:
        values["vips"] = tuple(options.vip)
    return Spec(one_arm=options.one_arm, generic=options.generic, mtu=options.mtu, offloads=offloads, **values)


def show(options: argparse.Namespace) -> int:
    spec = spec_of(options)
    print(describe.diagram(spec), describe.table(spec), sep="\n")
    return 0


def shell(options: argparse.Namespace) -> int:
    options.argv = [os.environ.get("SHELL", "/bin/sh")]
    show(options)
    print("\nEvery machine is a command (`vm-001 ss -tn`, `lb bash`). `exit` takes the lab away.", flush=True)
    return run(options)


def run(options: argparse.Namespace) -> int:
    with Lab(spec_of(options)) as lab:
        env = environment()
        env["PATH"] = f"{lab.write_commands()}:{env['PATH']}"
        try:
            return subprocess.run(options.argv, env=env).returncode
        except OSError as error:
            raise sandbox.SandboxError(f"cannot run {options.argv[0]}: {error.strerror}") from None
