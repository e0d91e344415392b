"""Thousands of services: one of them is reached, and a change of one target among all of theirs loses nothing."""

import json
import re
import signal
import time

from lab import Lab, names
from support.connections import Connections, serve_echo
from support.daemon import Daemon
from support.faults import wait_said
from support.programs import CTRAFFIC_PORT
from support.wait import wait_until

SERVICES = 4096
TARGETS = 64  # of each service
GROUPS = 128  # of targets, that services share
CONNECTIONS = 60


def config(lab: Lab) -> dict:
    """The lab's servers are the targets of the first group that take connections; the other groups are made up."""
    servers = names.servers(lab.spec)

    def target(group: int, k: int) -> dict:
        if group == 0 and k < len(servers):
            return {"name": servers[k].name, "mac": servers[k].mac(names.SEGMENT)}
        state = "draining" if group == 0 else "active"
        return {"name": f"g{group}-{k}", "mac": f"02:00:00:00:{group:02x}:{k:02x}", "state": state}

    groups = [[target(group, k) for k in range(TARGETS)] for group in range(GROUPS)]
    services = [
        {
            "name": f"s{number}",
            "vips": [f"10.{number >> 8}.{number & 255}.1/32", *([lab.vip4] if number == 0 else [])],
            "listen": [{"protocol": "tcp", "ports": [CTRAFFIC_PORT]}],
            "targets": [one["name"] for one in groups[number % GROUPS]],
        }
        for number in range(SERVICES)
    ]
    return {"version": 1, "targets": sum(groups, []), "services": services}


def test_a_change_of_one_target_among_4096_services(lab, tmp_path):
    serve_echo(lab)
    made = config(lab)
    path = tmp_path / "lb.json"
    path.write_text(json.dumps(made))
    began = time.monotonic()
    with Daemon(lab, f"--config={path}", wait=False) as daemon:
        daemon.process.wait_for("^ready$", timeout=120)
        print(f"{SERVICES} services x {TARGETS} targets: ready after {time.monotonic() - began:.1f} s")
        with Connections(lab.client, lab.vip4, CONNECTIONS) as opened:
            before = opened.exchange()
            assert len(set(before.values())) == len(lab.servers)
            gone = made["targets"][0]
            gone["state"] = "draining"
            path.write_text(json.dumps(made))
            began = time.monotonic()
            daemon.process.send_signal(signal.SIGHUP)
            wait_said(daemon, rf"^generation 2: target \[{re.escape(gone['name'])}\] is draining \(was active\)$")
            wait_until(lambda: daemon.stats().report["generation"] == 2, timeout=60, what="generation 2 in force")
            print(f"a change of a target of {SERVICES // GROUPS} services: in force after {time.monotonic() - began:.2f} s")
            assert opened.exchange() == before
            with Connections(lab.client, lab.vip4, CONNECTIONS) as late:
                assert set(late.server.values()) == set(before.values()) - {gone["name"]}
        assert not daemon.stats_now().drops
