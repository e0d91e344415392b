"""Fixtures of the end-to-end tests, and the way into the sandbox.

`pytest tests/e2e` as root is all it takes: outside a sandbox, pytest replaces itself by one that runs inside, so that
whatever a test leaves behind, and however pytest ends, nothing of it outlives the run.
"""

import logging
import os
import signal
import sys
from pathlib import Path

import pytest
from lab import Lab, Spec, sandbox
from lab.node import BUILD
from support.connections import serve_echo
from support.daemon import Daemon, configure

LAB = Path(__file__).resolve().parents[2] / "tools" / "lab" / "lab"
TEST_SECONDS_MAX = 120

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)  # it misses a default route that no one needs


def pytest_configure(config):
    if sandbox.inside() or config.option.collectonly:
        return
    if os.geteuid() != 0:
        pytest.exit("the end-to-end tests make network namespaces and need root", returncode=1)
    config.pluginmanager.getplugin("capturemanager").stop_global_capturing()
    os.chdir(config.invocation_params.dir)
    command = [sys.executable, "-m", "pytest", *config.invocation_params.args]
    os.execv(sys.executable, [sys.executable, str(LAB), "sandbox", "--exclusive", "--", *command])


def pytest_collection_modifyitems(items):
    missing = [name for name in ("xdplb", "mconnect", "ctraffic", "xdp_vip_kern.o") if not (BUILD / name).exists()]
    if missing and any("lab_only" not in item.keywords for item in items):
        pytest.exit(f"not built: {', '.join(missing)} (in {BUILD}; run make)", returncode=1)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """A test that hangs fails; the run goes on."""

    def expired(_number, _frame):
        raise TimeoutError(f"{item.name} took more than {TEST_SECONDS_MAX} s")

    signal.signal(signal.SIGALRM, expired)
    signal.alarm(TEST_SECONDS_MAX)
    yield
    signal.alarm(0)


@pytest.fixture
def make_lab():
    """make_lab(servers=2, queues=2, ...) builds a lab of that Spec for this test. One at a time."""
    made: list[Lab] = []

    def make(**spec) -> Lab:
        assert not made, "one lab a test: machines have fixed names"
        made.append(Lab(Spec(**spec)))
        return made[0]

    yield make
    for lab in made:
        lab.destroy()


@pytest.fixture
def lab(make_lab) -> Lab:
    """The default lab: one client, one balancer, four servers, one queue, two-arm."""
    return make_lab()


@pytest.fixture
def two_queues(make_lab) -> Lab:
    """Two queues, all servers active and answering what support.connections sends."""
    lab = make_lab(queues=2)
    configure(lab)
    serve_echo(lab)
    return lab


@pytest.fixture
def daemon(lab):
    """The default lab with all servers active and `xdplb lb` serving both VIPs."""
    configure(lab)
    with Daemon(lab) as running:
        yield running
