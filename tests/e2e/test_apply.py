"""Configuration by file and by hand: check, plan, apply, export, reset, and what activate and deactivate are beside a file."""

import json
import re
import signal

import pytest
from lab import names
from support.config_file import File
from support.connections import Connections, established_by_server, serve_echo, wait_acknowledged
from support.daemon import Daemon, configure, xdplb
from support.faults import wait_said
from support.programs import start_ctraffic
from support.wait import wait_until

CONNECTIONS = 60


@pytest.fixture
def file(lab, tmp_path):
    """All four servers; each test puts it in force itself."""
    serve_echo(lab)
    return File(lab, tmp_path)


def run(lab, *arguments, status: int = 0):
    done = xdplb(lab.lb, *arguments, check=False)
    assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def shown(lab) -> dict:
    return json.loads(xdplb(lab.lb, "show", "--json").stdout)


def generation(lab) -> int:
    return shown(lab)["generation"]


def states(lab) -> dict[str, str]:
    """Of the first service's targets, those by hand marked."""
    return {
        target["name"]: target["state"] + (" by hand" if target["by_hand"] else "")
        for target in shown(lab)["services"][0]["targets"]
    }


def servers_of_new_connections(lab) -> set[str]:
    with Connections(lab.client, lab.vip4, CONNECTIONS) as late:
        return set(late.server.values())


def plan(lab, file, status: int = 3) -> dict:
    return json.loads(run(lab, "plan", "--json", file.path, status=status).stdout)


def test_apply_adds_a_target_under_load_and_loses_no_connection(lab, file):
    file.remove("vm-004")
    said = run(lab, "apply", file.path).stdout
    assert said == f"/dev/shm/xdplb is made, from {file.path}\nGeneration 1; no daemon runs\n"
    with Daemon(lab):
        options = ["-nconn", CONNECTIONS, "-rate", CONNECTIONS, "-timeout", "60s", "-monitor", "-reconnect=false"]
        client = start_ctraffic(lab.client, lab.vip4, *map(str, options))
        wait_until(lambda: sum(established_by_server(lab).values()) == CONNECTIONS, what="all connections", every=0.1)
        with Connections(lab.client, lab.vip6, CONNECTIONS) as six:
            before = six.exchange()
            file.add("vm-004")
            said = run(lab, "apply", file.path).stdout
            lines = said.splitlines()
            assert lines[:3] == [
                f"{file.path}: 2 changes",
                "  target [vm-004] added, active",
                "  service [echo]: target [vm-004] added",
            ]
            moved = re.fullmatch(r"service \[echo\]: (\d+\.\d) % of the table moves, 4 usable targets \(was 3\)", lines[3])
            assert moved and 25 <= float(moved[1]) < 35, lines[3]
            assert len(lines) == 5 and re.fullmatch(r"Generation 2 is in force after \d+\.\d ms", lines[4])
            assert six.exchange() == before and not six.broken
        assert "vm-004" in servers_of_new_connections(lab)
        client.wait_for(rf"^Conn act/fail/connecting: {CONNECTIONS}/0/0,")
        client.stop(signal.SIGINT)
        report = json.loads(client.stdout)
        assert report["FailedConnections"] == 0 and report["FailedConnects"] == 0


def test_check_says_what_is_wrong_and_what_is_odd(lab, file):
    assert run(lab, "check", file.path).stdout == f"{file.path}: 4 targets, 1 service, no warnings\n"
    file.config["targets"].append({"name": "spare", "mac": "02:00:00:00:00:09"})
    file.write()
    line = next(n for n, text in enumerate(open(file.path), 1) if '"spare"' in text) - 1
    assert run(lab, "check", file.path, status=3).stdout.splitlines() == [
        f'{file.path}:{line}: warning: targets[4]: target "spare" is in no service: it takes nothing',
        f"{file.path}: 5 targets, 1 service, 1 warning",
    ]
    file.write('{\n "services": [\n  {"name": "web",\n   "need": "two"}\n ]\n}\n')
    done = run(lab, "check", file.path, status=1)
    assert done.stderr == f'{file.path}:4: services[0].need: "two" is not a number from 0 to 4096\n'


@pytest.mark.parametrize("wrong", ["value", "syntax", "gone", "own address"])
def test_a_wrong_file_changes_nothing(lab, file, wrong):
    run(lab, "apply", file.path)
    with Daemon(lab), Connections(lab.client, lab.vip4, CONNECTIONS) as opened:
        before = opened.exchange()
        file.remove("vm-001")
        if wrong == "value":
            file.service["vips"][0] = "10.0.0.300/32"
        if wrong == "own address":
            file.service["vips"].append("192.168.1.201")
        file.write(json.dumps(file.config) + ("}" if wrong == "syntax" else ""))
        if wrong == "gone":
            lab.lb.run(f"rm {file.path}")
        for command in ("plan", "apply"):
            done = run(lab, command, file.path, status=1)
            assert file.path in done.stderr and len(done.stderr.splitlines()) == 1 and done.stdout == ""
        assert generation(lab) == 1
        assert opened.exchange() == before


def test_marks_by_hand_stand_above_the_file_until_reset(lab, file):
    with Daemon(lab, f"--config={file.path}") as daemon:
        assert states(lab) == {server.name: "active" for server in names.servers(lab.spec)}
        said = xdplb(lab.lb, "deactivate", "vm-002").stdout
        assert f"by hand, above {file.path}: `xdplb reset vm-002` ends that" in said
        assert servers_of_new_connections(lab) == {"vm-001", "vm-003", "vm-004"}

        file.state("vm-001", "down")
        said = run(lab, "apply", file.path).stdout
        assert "note: target [vm-002] stays down by hand, above the file: `xdplb reset vm-002` ends that" in said
        assert servers_of_new_connections(lab) == {"vm-003", "vm-004"}
        file.state("vm-001", "active")
        daemon.process.send_signal(signal.SIGHUP)
        wait_said(daemon, rf"^SIGHUP: {re.escape(file.path)} read, generation 4$")
        wait_said(daemon, r"^generation 4: target \[vm-001\] is active \(was down\)$")
        assert states(lab)["vm-002"] == "down by hand"
        assert servers_of_new_connections(lab) == {"vm-001", "vm-003", "vm-004"}
        text = xdplb(lab.lb, "show").stdout
        assert re.search(r"^  vm-002 .* down by hand; the file says active, \d+ live flows$", text, re.M), text

        # Another MAC by hand: what the file says is still there below.
        mac = next(server.mac(names.SEGMENT) for server in names.servers(lab.spec) if server.name == "vm-002")
        done = run(lab, "activate", f"--mac={names.servers(lab.spec)[0].mac(names.SEGMENT)}", "vm-002", status=1)
        assert "is that of target [vm-001] already" in done.stderr
        xdplb(lab.lb, "activate", "--mac=02:00:00:00:00:99", "vm-002")
        assert json.loads(xdplb(lab.lb, "export").stdout)["targets"][1]["mac"] == mac

        assert "target vm-002 is active (was active by hand)" in xdplb(lab.lb, "reset", "vm-002").stdout
        assert servers_of_new_connections(lab) == {"vm-001", "vm-002", "vm-003", "vm-004"}
        before = generation(lab)
        assert xdplb(lab.lb, "reset", "--all").stdout.splitlines()[0] == "no target is marked by hand"
        assert generation(lab) == before
        assert "Invalid target [vm-009]" in run(lab, "deactivate", "vm-009", status=1).stderr
        run(lab, "reset", status=2)


def test_a_mark_survives_the_daemon(lab, file):
    with Daemon(lab, f"--config={file.path}"):
        xdplb(lab.lb, "deactivate", "--drain", "vm-003")
    with Daemon(lab, f"--config={file.path}"):
        assert states(lab)["vm-003"] == "draining by hand"
        assert servers_of_new_connections(lab) == {"vm-001", "vm-002", "vm-004"}


def test_what_is_exported_applies_back_unchanged(lab, file, tmp_path):
    file.config["groups"] = [{"name": "all", "targets": file.service["targets"]}]
    file.service["targets"] = ["all"]
    file.service["need"] = 2
    file.write()
    run(lab, "apply", file.path)
    xdplb(lab.lb, "deactivate", "vm-002")
    done = xdplb(lab.lb, "export")
    assert "note: target [vm-002] is down by hand" in done.stderr
    assert json.loads(done.stdout)["services"][0]["targets"] == [server.name for server in names.servers(lab.spec)]
    out = tmp_path / "out.json"
    out.write_text(done.stdout)
    before = shown(lab)
    for command in (["apply", "--dry-run"], ["plan"], ["apply"]):
        assert run(lab, *command, str(out)).stdout.startswith(f"{out}: nothing changes\n")
    assert shown(lab) == before


def test_what_a_plan_says_is_what_happens(make_lab, tmp_path):
    lab = make_lab(queues=2)
    serve_echo(lab)
    file = File(lab, tmp_path, service="default")  # of which `show` has the whole table
    run(lab, "apply", file.path)
    with Daemon(lab), Connections(lab.client, lab.vip4, CONNECTIONS) as four:
        wait_acknowledged(lab)
        before = four.exchange()
        lookup = shown(lab)["lookup"]
        lost = {number for number, server in before.items() if server == "vm-001"}
        kept = {number for number, server in before.items() if server == "vm-002"}
        assert lost and kept
        file.remove("vm-001")
        file.state("vm-002", "draining")
        planned = plan(lab, file)
        assert generation(lab) == 1
        assert planned["flows"] == {"connections": CONNECTIONS, "break": len(lost), "drain": len(kept)}
        (service,) = planned["services"]
        assert service["flows"] == planned["flows"] and (service["usable_before"], service["usable_after"]) == (4, 2)

        run(lab, "apply", file.path)
        now = shown(lab)
        names_before = ["vm-001", "vm-002", "vm-003", "vm-004"]
        names_now = [target["name"] for target in now["services"][0]["targets"]]
        moved = sum(names_before[a] != names_now[b] for a, b in zip(lookup, now["lookup"], strict=True))
        assert service["table_share_moved"] == pytest.approx(moved / len(lookup))
        after = four.exchange()
        assert set(four.broken) == lost
        assert after == {number: server for number, server in before.items() if number not in lost}

        # A VIP that goes takes its connections along, whatever their targets.
        file.service["vips"] = [lab.vip6]
        file.write()
        flows = plan(lab, file)["flows"]
        assert flows["break"] == flows["connections"] >= len(after)
    text = run(lab, "plan", file.path, status=3).stdout
    assert text.endswith("live connections are not counted: no daemon runs\n")
    assert plan(lab, file)["flows"] is None


def test_what_apply_refuses(lab, file):
    run(lab, "apply", file.path)
    file.state("vm-001", "down")
    done = run(lab, "apply", "--max-moved=2%", file.path, status=1)
    assert re.fullmatch(
        r"\d\d\.\d % of the table of service \[echo\] would move, more than --max-moved 2%: nothing was changed\n", done.stderr
    )
    assert generation(lab) == 1
    run(lab, "apply", "--dry-run", "--max-moved=50", file.path, status=3)
    assert generation(lab) == 1
    run(lab, "apply", "--max-moved=50%", file.path)
    assert generation(lab) == 2
    run(lab, "apply", "--max-moved=2x", file.path, status=2)
    for server in names.servers(lab.spec):
        file.state(server.name, "down")
    for options in ([], ["--dry-run"]):
        done = run(lab, "apply", *options, file.path, status=1)
        assert done.stderr == "service [echo] would have no usable target left: nothing was changed; --force if meant\n"
    assert "apply refuses that without --force" in run(lab, "plan", file.path, status=3).stdout
    assert generation(lab) == 2
    run(lab, "apply", "--force", file.path)
    assert generation(lab) == 3


def test_the_default_service_of_init_stays_beside_a_file(lab, tmp_path):
    configure(lab)
    serve_echo(lab)
    file = File(lab, tmp_path)
    file.service["vips"] = ["10.0.9.9/32"]
    file.write()
    with Daemon(lab), Connections(lab.client, lab.vip4, CONNECTIONS) as four:
        before = four.exchange()
        lookup = shown(lab)["lookup"]
        said = run(lab, "apply", file.path).stdout
        assert f"  the configuration comes from {file.path} (was set up by hand)\n" in said
        now = shown(lab)
        assert now["lookup"] == lookup and now["file"] == file.path
        assert {vip["vip"]: vip["service"] for vip in now["vips"]} == {
            lab.vip4 + "/32": "default", lab.vip6 + "/128": "default", "10.0.9.9/32": "echo"
        }
        assert four.exchange() == before
        # Its targets are those of commands, as ever.
        said = xdplb(lab.lb, "deactivate", "0").stdout
        assert "by hand" not in said and not shown(lab)["targets"][0]["by_hand"]
        assert xdplb(lab.lb, "activate", "0").stdout.startswith("Generation ")
        four.exchange()
        done = xdplb(lab.lb, "export")
        assert [service["name"] for service in json.loads(done.stdout)["services"]] == ["echo"]
        assert "the default service is that of `xdplb init`" in done.stderr
        file.config["services"].append({"name": "default", "vips": [lab.vip6], "targets": ["vm-003"]})
        file.write()
        run(lab, "apply", "--max-moved=100", file.path)
        now = shown(lab)
        assert [target["name"] for target in now["targets"]] == ["vm-003"]
        assert lab.vip4 + "/32" not in {vip["vip"] for vip in now["vips"]}
