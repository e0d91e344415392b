"""The rig of `make bench` runs. How fast anything is, is not asked here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lab.node import BUILD

BENCH = Path(__file__).resolve().parents[1] / "bench" / "bench"


@pytest.mark.skipif(not shutil.which("clang"), reason="the ceiling is a BPF program, built by clang")
def test_the_rig_measures_xdplb_and_its_ceiling(tmp_path):
    for file in BUILD.iterdir():
        if file.is_file():
            (tmp_path / file.name).symlink_to(file)
    # Where its results go, and what `make bench` builds beside `make all`.
    subprocess.run(["make", "-C", BENCH.parents[2], f"BUILD={tmp_path}", f"{tmp_path}/redirect_kern.o"], check=True)
    environment = os.environ | {"XDPLB_BUILD": str(tmp_path)}
    names = [word for name in ("XDP_REDIRECT", "xdplb, adaptive", "kernel, core 0") for word in ("--only", name)]
    done = subprocess.run([sys.executable, BENCH, "smoke", *names], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "wrong:" not in done.stdout
    runs = json.loads((tmp_path / "bench.json").read_text())["runs"]
    assert {"XDP_REDIRECT", "xdplb, adaptive", "kernel, core 0"} == runs.keys()
    for name, cells in runs.items():
        for key, several in cells.items():
            for run in several:
                assert run["sent"] > 0 and run["received"] > 0, f"{name}, {key}: {run}"
    ours = runs["xdplb, adaptive"]
    assert "v6" in ours and ours["change"][0]["change_ms"]
    slow = ours["loss/0.02"][0]
    assert 0 < slow["p50_us"] <= slow["p99_us"]
    assert not Path("/run/netns/lb").exists(), "it leaves nothing behind"
