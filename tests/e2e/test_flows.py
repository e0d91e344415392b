"""`xdplb flows`: what it lists is what the servers have, and what it flushes is chosen anew, and nothing else."""

import json
from collections import Counter

import pytest
from support.connections import Connections
from support.daemon import Daemon, xdplb
from support.draining import drain
from support.faults import wait_said

COUNT = 60
TARGET_OF = {"vm-001": "0", "vm-002": "1", "vm-003": "2", "vm-004": "3"}


def listed(lab, *arguments: str) -> dict:
    return json.loads(xdplb(lab.lb, "flows", "--json", *arguments).stdout)


def flush(lab, *arguments: str) -> str:
    return xdplb(lab.lb, "flows", "flush", *arguments).stdout.strip()


def by_target(*opened: Connections) -> Counter:
    counts = Counter()
    for connections in opened:
        counts.update(TARGET_OF[server] for server in connections.server.values())
    return counts


def test_a_listing_has_every_connection(two_queues):
    lab = two_queues
    with Daemon(lab), Connections(lab.client, lab.vip4, COUNT) as four, Connections(lab.client, lab.vip6, COUNT) as six:
        found = listed(lab, "state=established", "--limit=1000")
        assert found["total"] == 2 * COUNT and len(found["flows"]) == 2 * COUNT
        assert found["by_target"] == by_target(four, six)
        assert found["by_service"] == {"default": 2 * COUNT} and found["by_state"] == {"established": 2 * COUNT}
        assert set(found["by_worker"]) == {"0", "1"}
        assert {(flow["src"], flow["dst"]) for flow in found["flows"]} == {
            opened.ends(number) for opened in (four, six) for number in range(COUNT)
        }

        assert len(listed(lab, "state=established", "--limit=7")["flows"]) == 7
        assert listed(lab, "state=established", f"dst={lab.vip6}")["by_target"] == by_target(six)
        target, count = by_target(four, six).most_common(1)[0]
        assert listed(lab, f"target={target}", "state=established", "max-idle=100s")["total"] == count
        assert listed(lab, "state=established", "min-idle=100s")["total"] == 0
        text = xdplb(lab.lb, "flows", "state=established", "--limit=1").stdout
        assert f"{2 * COUNT} flows, 1 shown (--limit)" in text

        for opened in (four, six):
            for number in (0, COUNT - 1):
                flows = listed(lab, "tcp", *opened.ends(number))["flows"]
                assert [flow["target"] for flow in flows] == [TARGET_OF[opened.server[number]]]
        ends = four.ends(0)
        assert listed(lab, "udp", *ends)["flows"] == []


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_flushed_by_target_exactly_these_choose_anew(two_queues, kind):
    """A drained target: it keeps what it has, until that is flushed."""
    lab = two_queues
    with Daemon(lab), Connections(lab.client, lab.vip4, COUNT, kind) as opened:
        before = dict(opened.server)
        of_first = {number for number, server in before.items() if server == "vm-001"}
        assert 0 < len(of_first) < COUNT
        drain(lab, 0)
        assert opened.exchange() == before
        assert listed(lab, "target=0", f"proto={kind}", f"dst={lab.vip4}")["total"] == len(of_first)

        assert flush(lab, "target=0", f"dst={lab.vip4}") == f"{len(of_first)} flows flushed"
        assert listed(lab, "target=0")["total"] == 0
        after = opened.exchange()
        if kind == "tcp":
            assert set(opened.broken) == of_first, "another server resets what it does not know"
        assert {number: server for number, server in after.items() if number not in of_first} == {
            number: server for number, server in before.items() if number not in of_first
        }
        assert all(after[number] != "vm-001" for number in of_first & set(after))
        assert listed(lab, "target=0")["total"] == 0


def test_everything_is_flushed_on_demand_only(two_queues):
    lab = two_queues
    with Daemon(lab) as daemon, Connections(lab.client, lab.vip4, COUNT, "udp") as opened:
        before = dict(opened.server)
        done = xdplb(lab.lb, "flows", "flush", check=False)
        assert done.returncode == 2 and "a filter, or --all" in done.stderr
        assert xdplb(lab.lb, "flows", "flush", "--all", "target=0", check=False).returncode == 2
        assert listed(lab, "proto=udp")["total"] == COUNT
        assert flush(lab, "proto=tcp") == "0 flows flushed"

        assert flush(lab, "--all").endswith(" flows flushed")
        assert listed(lab)["total"] == 0
        assert opened.exchange() == before, "by the same table to the same targets"
        # While the devices are away, nobody else owns the tables.
        lab.lb.run("ip link set eth1 down")
        wait_said(daemon, r"waiting: Interface \[eth1\] is down")
        assert listed(lab, "proto=udp")["total"] == COUNT
        assert flush(lab, "proto=udp") == f"{COUNT} flows flushed"
        assert listed(lab, "proto=udp")["total"] == 0


def test_what_cannot_be_asked(two_queues):
    lab = two_queues

    def refused(*arguments: str, status: int = 1) -> str:
        done = xdplb(lab.lb, "flows", *arguments, check=False)
        assert done.returncode == status and done.stdout == "", done
        return done.stderr

    assert "No daemon answers on /run/xdplb/xdplb.sock" in refused()
    with Daemon(lab):
        assert refused("target=vm-009") == "Unknown target [vm-009]\n"
        assert "Invalid filter [idle=3]: KEY is one of service, target" in refused("idle=3")
        assert "Unknown service [web]" in refused("flush", "service=web")
        assert "PROTO SRC:PORT DST:PORT" in refused("tcp", "10.0.0.1:5", status=2)
        assert "Invalid address [10.0.0.1]" in refused("tcp", "10.0.0.1", "10.0.0.0:80")
