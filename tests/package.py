"""The Debian package, as somebody gets it who has only that: installed into a Debian 12 without anything else, it balances.

Run by `make deb-test` in a mount namespace of its own: the clean system lies in memory, over /mnt, and goes with it. The
network is needed for installing; the balancing is done in a sandbox, like all tests.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests")]

from lab import Lab, Spec, names  # noqa: E402
from support.connections import Connections, serve_echo  # noqa: E402
from support.programs import CTRAFFIC_PORT  # noqa: E402
from support.wait import wait_until  # noqa: E402

MIRROR = "http://deb.debian.org/debian"
SHARED = ["proc", "sys", "sys/fs/bpf", "dev", "dev/shm"]
CONNECTIONS = 40


def say(text: str) -> None:
    print(f"== {text}", flush=True)


def run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def install(package: Path, root: Path) -> None:
    say("a Debian 12 with nothing but its base")
    run("debootstrap", "--variant=minbase", "bookworm", root, MIRROR)
    say(f"apt-get install {package.name}")
    shutil.copy(package, root / package.name)
    run("chroot", root, "apt-get", "install", "-y", "--no-install-recommends", f"/{package.name}")
    for path in ("etc/default/xdplb", "lib/systemd/system/xdplb.service", "usr/share/man/man8/xdplb.8.gz"):
        assert (root / path).is_file(), f"{path} is missing"
    print(run("chroot", root, "xdplb", "version").strip())


def share(root: Path) -> None:
    """What a system has that runs. Mounted in the sandbox only."""
    for path in SHARED:
        run("mount", "--bind", f"/{path}", root / path)
    (root / "run/xdplb").mkdir(exist_ok=True)


def configuration(lab: Lab) -> dict:
    servers = names.servers(lab.spec)
    return {
        "version": 1,
        "targets": [{"name": server.name, "address": server.ip4(names.SEGMENT)} for server in servers],
        "services": [
            {
                "name": "echo",
                "vips": [lab.vip4, lab.vip6],
                "listen": [{"protocol": "tcp", "ports": [CTRAFFIC_PORT]}],
                "targets": [server.name for server in servers],
            }
        ],
    }


def balance(root: Path) -> None:
    with Lab(Spec()) as lab:
        serve_echo(lab)
        (root / "etc/xdplb/lb.json").write_text(json.dumps(configuration(lab)))
        installed = ["chroot", str(root), "xdplb"]
        daemon = lab.lb.start([*installed, "lb", "--idev=eth2", "--edev=eth1", "--config=/etc/xdplb/lb.json"])
        daemon.wait_for("^ready$")
        for vip in (lab.vip4, lab.vip6):
            with Connections(lab.client, vip, CONNECTIONS) as opened:
                print(f"{CONNECTIONS} connections to {vip}: {opened.count_by_server()}")
                assert len(opened.count_by_server()) == len(lab.servers)

        def all_sent() -> bool:
            total = json.loads(lab.lb.run([*installed, "stats", "--json"]).stdout)["total"]
            return total["tx"] == total["rx"] > 0

        wait_until(all_sent, what="everything received is sent")
        status = daemon.stop()
        print(daemon.output)
        assert status == 0, f"xdplb lb exited with {status}"


def remove(root: Path) -> None:
    say("apt-get purge xdplb")
    run("chroot", root, "apt-get", "purge", "-y", "xdplb")
    left = [path for path in ("usr/bin/xdplb", "etc/default/xdplb", "lib/systemd/system/xdplb.service", "usr/lib/xdplb")
            if (root / path).exists()]
    assert not left, f"still there: {left}"


def main(package: Path) -> None:
    run("mount", "-t", "tmpfs", "-o", "size=3g", "tmpfs", "/mnt")
    root = Path("/mnt/debian")
    install(package, root)
    say("balancing with what was installed")
    sandbox = [ROOT / "tools/lab/lab", "sandbox", "--exclusive", "--", sys.executable, __file__, "--balance", root]
    if subprocess.run(list(map(str, sandbox))).returncode != 0:
        sys.exit(1)
    remove(root)
    say("the package installs, balances and goes")


if __name__ == "__main__":
    if sys.argv[1] == "--balance":
        share(Path(sys.argv[2]))
        balance(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]).resolve())
