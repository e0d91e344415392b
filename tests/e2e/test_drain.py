"""`deactivate` with and without --drain, while targets have live flows."""

import json
import re

from lab import Lab
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from support.daemon import Daemon, configure, xdplb
from support.packets import Tap, mac_bytes, sent_by
from support.wait import wait_until

FLOWS = range(20000, 20200)


def packets(lab: Lab) -> list[bytes]:
    link = Ether(dst=lab.lb.mac("eth2"), src=lab.client.mac("eth2"))
    return [bytes(link / IP(src="192.168.2.221", dst=lab.vip4) / UDP(sport=port, dport=53)) for port in FLOWS]


def shown(lab: Lab) -> dict[int, dict]:
    return {target["index"]: target for target in json.loads(xdplb(lab.lb, "show", "--json").stdout)["targets"]}


def target_macs(lab: Lab, send: list[bytes]) -> list[bytes]:
    """Sends, and tells where the packets went."""
    with Tap(lab.client, "eth2") as client, Tap(lab["switch"], "lb.1") as wire:
        client.send(*send)
        frames = wire.wait_for(sent_by(lab.lb, "eth1"), len(send))
    return sorted(frame[:6] for frame in frames)


def test_drain_keeps_flows_and_down_breaks_them(make_lab):
    lab = make_lab(servers=3)
    configure(lab)
    flows = packets(lab)
    with Daemon(lab):
        before = target_macs(lab, flows)
        assert len(set(before)) == 3
        wait_until(lambda: sum(t["flows"] for t in shown(lab).values()) == len(flows), what="the flows are counted")
        count = shown(lab)[2]["flows"]
        assert count == sum(mac == mac_bytes(lab.servers[2].mac("eth1")) for mac in before)

        done = xdplb(lab.lb, "deactivate", "--drain", "--wait=300ms", 2, check=False)
        assert done.returncode == 1
        assert f"{count} live connections left after 300ms: draining goes on" in done.stderr
        assert re.search(rf"^target 2 draining, generation \d+: it keeps {count} live connections$", done.stdout, re.M)
        assert shown(lab)[2]["state"] == "draining"
        assert re.search(rf"^Target: 2 draining, {count} live flows$", xdplb(lab.lb, "show").stdout, re.M)
        assert target_macs(lab, flows) == before

        done = xdplb(lab.lb, "deactivate", 2)
        hint = "to let them finish: xdplb deactivate --drain --wait=10m 2"
        assert re.search(rf"^target 2 down, generation \d+: {count} live connections will break; {hint}$", done.stdout,
                         re.M)
        assert mac_bytes(lab.servers[2].mac("eth1")) not in target_macs(lab, flows)

        xdplb(lab.lb, "activate", 2)
        assert shown(lab)[2]["state"] == "active"


def test_waiting_ends_when_no_connection_is_left(make_lab):
    lab = make_lab(servers=1)
    configure(lab)
    with Daemon(lab):
        done = xdplb(lab.lb, "deactivate", "--drain", "--wait=1m", 0)
        assert "target 0 has no connections left" in done.stdout


def test_what_cannot_be_waited_for(make_lab):
    lab = make_lab(servers=1)
    configure(lab)
    for arguments, status, message in ((["--wait=10m"], 2, "--wait is for --drain"),
                                       (["--drain", "--wait=soon"], 2, "[soon]"),
                                       (["--drain", "--wait=1s"], 1, "No daemon runs")):
        done = xdplb(lab.lb, "deactivate", *arguments, 0, check=False)
        assert done.returncode == status and message in done.stderr
