"""`xdplb simulate`: its table, JSON and picture agree with each other and with what is known of each method.

The bounds themselves are in tests/unit/lb/simulate_test.cpp.
"""

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from lab.node import BUILD

METHODS = ("maglev", "rendezvous", "modulo", "hash-threshold")
PLACES = ("first", "middle", "last", "average")
SVG = "{http://www.w3.org/2000/svg}"


def simulate(*options: str, status: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run([BUILD / "xdplb", "simulate", *options], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done


def test_table_json_and_picture_say_the_same(tmp_path):
    small = ["--m=109", "--n=10", "--connections=5000", "--sets=40"]
    report = json.loads(simulate(*small, "--json", f"--svg={tmp_path}/picture.svg").stdout)
    assert [report[key] for key in ("m", "n", "connections", "sets", "seed")] == [109, 10, 5000, 40, 1]
    assert tuple(report["methods"]) == METHODS
    assert report["must_move"] == {"added": pytest.approx(1 / 11), "removed": pytest.approx(1 / 10)}
    text = simulate(*small).stdout
    root = ElementTree.parse(tmp_path / "picture.svg").getroot()
    labels = [element.text for element in root.iter(f"{SVG}text")]
    for name, method in report["methods"].items():
        shares = [method[change][place] for change in ("added", "removed") for place in PLACES]
        row = re.search(rf"^{name} (.*)$", text, re.M)[1].replace("to", "").split()
        assert row[:8] == [f"{100 * share:.1f}" for share in shares]
        assert row[8:] == [f"{100 * method['load'][which]:.1f}" for which in ("least", "most")]
        assert name in labels
        for share in shares:
            assert f"{100 * share:.1f}" in labels
    assert "One target added to 10" in labels and "One of 10 targets removed" in labels
    width, height = (float(root.get(side)) for side in ("width", "height"))
    for element in root.iter(f"{SVG}text"):
        assert 0 < float(element.get("x")) < width and 0 < float(element.get("y")) < height
    bars = [element for element in root.iter(f"{SVG}rect") if element.get("height") == "14.0"]
    assert len(bars) == len(METHODS) * 8 + 4, "one for each number, and the legend's"


def test_known_figures():
    methods = json.loads(simulate("--m=1009", "--n=10", "--connections=20000", "--sets=50", "--json").stdout)["methods"]
    threshold = methods["hash-threshold"]["removed"]
    assert threshold["first"] == pytest.approx(0.5, abs=0.01) == threshold["last"]
    assert threshold["middle"] == pytest.approx(0.27, abs=0.02)
    assert methods["maglev"]["removed"]["average"] < 0.13 > methods["maglev"]["added"]["average"]
    assert methods["rendezvous"]["removed"]["average"] == pytest.approx(0.1, abs=0.01)
    assert methods["modulo"]["removed"]["average"] > 0.8


def test_it_repeats_itself_by_its_seed():
    small = ["--m=109", "--connections=1000", "--sets=5"]
    assert simulate(*small).stdout == simulate(*small, "--seed=1").stdout != simulate(*small, "--seed=2").stdout


def test_a_size_that_is_not_prime_is_rounded_down():
    done = simulate("--m=110", "--connections=100", "--sets=2")
    assert done.stderr == "M=110 is not a prime, using 109\n" and " M=109, " in done.stdout


@pytest.mark.parametrize("options, message", [
    (["--n=1"], "Invalid --n [1]: 2 to 4095"),
    (["--n=4096"], "Invalid --n [4096]: 2 to 4095"),
    (["--m=1"], "Invalid --m [1]: 2 to 1048576"),
    (["--m=1048577"], "Invalid --m [1048577]: 2 to 1048576"),
    (["--connections=0"], "Invalid --connections [0]: 1 to 10000000"),
    (["--sets=0"], "Invalid --sets [0]: 1 to 100000"),
    (["--m=1000000", "--n=1000"],
     "A table of 1000000 with 1001 targets is too large for rendezvous: at most 268435456 entries times targets"),
    (["--n=many"], "Invalid --n [many]: 2 to 4095"),
    (["--seed=-1"], "Invalid --seed [-1]: a whole number from 0 on"),
])
def test_wrong_usage(options, message):
    assert simulate(*options, status=2).stderr.splitlines()[0] == message


def test_a_picture_that_cannot_be_written():
    done = simulate("--sets=1", "--svg=/nowhere/x.svg", status=1)
    assert done.stderr == "Cannot write /nowhere/x.svg: No such file or directory\n"
