"""BPF maps of the whole machine, whose names bpftool goes by."""

import subprocess

from .wait import wait_until


def wait_gone(name: str = "xdp_vip_map") -> None:
    """Waits until no map of that name is left: the kernel frees those of an earlier test some time after its end."""

    def gone() -> bool:
        return f"name {name} " not in subprocess.run(["bpftool", "map", "show"], capture_output=True, text=True).stdout

    wait_until(gone, what=f"another {name} is there; does an xdplb run on this machine?")
