"""`xdplb lb --config FILE`: the file is in force from the start; SIGHUP reads it again; a wrong one changes nothing."""

import json
import re
import signal

import pytest
from lab import names
from support.config_file import File
from support.connections import Connections, serve_echo
from support.daemon import Daemon, xdplb
from support.faults import must_fail, wait_said

CONNECTIONS = 60


@pytest.fixture
def file(lab, tmp_path):
    serve_echo(lab)
    return File(lab, tmp_path)


def generation(lab) -> int:
    return json.loads(xdplb(lab.lb, "show", "--json").stdout)["generation"]


def shm(lab) -> list[str]:
    return lab.lb.run("ls /dev/shm").stdout.split()


def hang_up(daemon) -> None:
    daemon.process.send_signal(signal.SIGHUP)


def test_the_file_is_in_force_and_sighup_reads_it_again(lab, file):
    every = {server.name for server in names.servers(lab.spec)}
    with Daemon(lab, f"--config={file.path}") as daemon:
        assert f"config: {file.path}, generation 1\n" in daemon.output
        with Connections(lab.client, lab.vip4, CONNECTIONS) as four, Connections(lab.client, lab.vip6, 8) as six:
            before = four.exchange(), six.exchange()
            assert set(before[0].values()) == every
            assert daemon.stats().targets.keys() == every

            file.state("vm-002", "draining")
            hang_up(daemon)
            wait_said(daemon, rf"^SIGHUP: {re.escape(file.path)} read, generation 2$")
            wait_said(daemon, r"^generation 2: target \[vm-002\] is draining \(was active\)$")
            assert (four.exchange(), six.exchange()) == before, "what it has it keeps"
            with Connections(lab.client, lab.vip4, CONNECTIONS) as late:
                assert set(late.server.values()) == every - {"vm-002"}

            hang_up(daemon)
            wait_said(daemon, rf"^SIGHUP: {re.escape(file.path)} says what is in force, generation 2$")

            file.state("vm-002", "down")
            hang_up(daemon)
            wait_said(daemon, r"^generation 3: target \[vm-002\] is down \(was draining\)$")
            four.exchange()
            assert set(four.broken) == {n for n, server in before[0].items() if server == "vm-002"}
        daemon.stop()
    assert generation(lab) == 3, "as any configuration, it stays"
    with Daemon(lab, f"--config={file.path}") as again:
        assert "generation 3\n" in again.output


@pytest.mark.parametrize("wrong", ["value", "syntax", "gone", "own address"])
def test_a_wrong_file_changes_nothing(lab, file, wrong):
    with Daemon(lab, f"--config={file.path}") as daemon, Connections(lab.client, lab.vip4, CONNECTIONS) as opened:
        before = opened.exchange()
        file.config["targets"].pop()
        file.config["services"][0]["targets"].pop()
        if wrong == "value":
            file.config["services"][0]["vips"][0] = "10.0.0.300/32"
            said = r':\d+: services\[0\]\.vips\[0\]: "10\.0\.0\.300/32" is not an address or prefix'
        if wrong == "own address":
            file.config["services"][0]["vips"].append("192.168.1.201")
            said = r": service \[echo\]: 192\.168\.1\.201/32 would cut the host off from its own address .*"
        file.write()
        if wrong == "syntax":
            with open(file.path, "a") as more:
                more.write("}")
            said = ": .*"
        if wrong == "gone":
            lab.lb.run(f"rm {file.path}")
            said = ": No such file or directory"
        lines = len(daemon.output.splitlines())
        hang_up(daemon)
        wait_said(daemon, rf"^error: SIGHUP: .*{re.escape(file.path)}{said}; generation 1 stays in force$")
        assert len(daemon.output.splitlines()) == lines + 1
        assert generation(lab) == 1
        assert opened.exchange() == before


def test_what_the_start_refuses(lab, file):
    assert must_fail(lab, "--config=/nowhere.json") == "Cannot open /nowhere.json: No such file or directory"
    file.config["services"][0]["table_size"] = 10000
    file.write()
    assert re.match(
        rf"{re.escape(file.path)}:\d+: services\[0\]\.table_size: 10000 is not prime", must_fail(lab, f"--config={file.path}")
    )
    assert shm(lab) == [], "nothing was made of it"


def test_a_daemon_that_runs_is_not_disturbed(lab, file):
    with Daemon(lab, f"--config={file.path}"):
        file.state("vm-001", "down")
        assert "A daemon runs on /dev/shm/xdplb already" in must_fail(lab, f"--config={file.path}")
        assert generation(lab) == 1


def test_sighup_without_a_file(lab, file):
    xdplb(lab.lb, "init")
    with Daemon(lab) as daemon:
        hang_up(daemon)
        wait_said(daemon, "^SIGHUP: no --config, nothing to read again$")
        assert daemon.process.running
