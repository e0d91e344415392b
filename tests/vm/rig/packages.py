"""Kernels for the guest: Debian's cloud kernels, downloaded and unpacked under build/vm, never installed.

apt is given its own sources list, lists and cache, so the machine's package state is neither read nor
written. A kernel that was unpacked once is used again without a network; `make clean` forgets it.
"""
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MIRROR = "http://deb.debian.org/"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Unavailable(Exception):
    """What the rig needs cannot be had here: the caller exits 77, it is no failure of the project."""


@dataclass(frozen=True)
class Kernel:
    name: str          # what the log and the directories call it
    suites: tuple      # (archive, suite) pairs that offer linux-image-cloud-amd64
    zero_copy: bool    # virtio_net sends and receives without a copy (from 6.13 on)


# The newest kernel has zero copy on virtio_net; 6.1, Debian 12's own, is the copy-mode half of the promise.
KERNELS = (
    Kernel("new", (("debian", "trixie-backports"),), True),
    Kernel("6.1", (("debian", "bookworm"), ("debian-security", "bookworm-security")), False),
)


@dataclass(frozen=True)
class KernelTree:
    version: str       # as uname -r says it
    image: Path        # vmlinuz
    modules: Path      # .../lib/modules/VERSION


def run_apt(config, tool, *args, cwd=None):
    done = subprocess.run(
        [tool, "-q", *args], env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "APT_CONFIG": str(config)},
        cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode != 0:
        why = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Unavailable(f"{tool} {args[0]}: {why[0] if why else 'failed'}")
    return done.stdout


def private_apt(kernel, directory):
    for sub in ("lists/partial", "cache/archives/partial"):
        (directory / sub).mkdir(parents=True, exist_ok=True)
    (directory / "sources.list").write_text("".join(
        f"deb [signed-by={KEYRING}] {MIRROR}{archive} {suite} main\n" for archive, suite in kernel.suites))
    config = directory / "apt.conf"
    config.write_text(
        f'Dir::Etc::sourcelist "{directory}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
        f'Dir::State::lists "{directory}/lists";\nDir::Cache "{directory}/cache";\n'
        'Acquire::Languages "none";\nAPT::Sandbox::User "root";\nAcquire::Retries "1";\n'
        'Acquire::http::Timeout "20";\nAPT::Get::List-Cleanup "0";\n')
    return config


def package_names(config):
    """The packages of the newest cloud kernel. Up to 6.12 one package holds it, later ones split it."""
    meta = run_apt(config, "apt-cache", "show", "--no-all-versions", "linux-image-cloud-amd64")
    image = re.search(r"^Depends:.*?\b(linux-image-\d[^\s,]*)", meta, re.M)
    if not image:
        raise Unavailable("apt-cache: linux-image-cloud-amd64 names no kernel")
    detail = run_apt(config, "apt-cache", "show", "--no-all-versions", image[1])
    return [image[1], *sorted(set(re.findall(r"\blinux-(?:base|binary|modules)-\d[^\s,]*", detail)))]


def unpacked(root):
    """The kernel below `root`, wherever its packages put it, or None."""
    images = [*root.glob("usr/lib/modules/*/vmlinuz"), *root.glob("boot/vmlinuz-*")]
    trees = [*root.glob("usr/lib/modules/*"), *root.glob("lib/modules/*")]
    if len(images) != 1 or len(trees) != 1:
        return None
    return KernelTree(trees[0].name, images[0], trees[0])


def fetch(kernel, work):
    root = work / "kernels" / kernel.name
    if root.is_dir() and (tree := unpacked(root)):
        return tree
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise Unavailable(f"{tool} is missing: kernels come as Debian packages")
    if not Path(KEYRING).exists():
        raise Unavailable(f"{KEYRING} is missing: install debian-archive-keyring")
    config = private_apt(kernel, work / "apt" / kernel.name)
    run_apt(config, "apt-get", "update", "--error-on=any")
    names = package_names(config)
    print(f"  fetching {' '.join(names)}", flush=True)
    debs = work / "apt" / kernel.name / "cache"
    run_apt(config, "apt-get", "download", *names, cwd=debs)
    # Unpacked aside and moved in whole: an interrupted run leaves no half kernel that the next would trust.
    aside = work / "kernels" / f"{kernel.name}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for deb in sorted(debs.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", deb, aside], check=True)
        deb.unlink()
    tree = unpacked(aside)
    if not tree:
        raise Unavailable(f"no kernel in {' '.join(names)}")
    shutil.rmtree(root, ignore_errors=True)
    aside.rename(root)
    return unpacked(root)
