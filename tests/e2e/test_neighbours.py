"""Targets by IP address: their MACs are found in the kernel's table of neighbours and followed as they change."""

import json
import re
import signal

import pytest
from lab import Lab, names
from support.connections import Connections, serve_echo
from support.daemon import Daemon, xdplb
from support.faults import must_fail, wait_said
from support.programs import CTRAFFIC_PORT
from support.wait import wait_until

CONNECTIONS = 40

# The kernel takes half a minute to doubt an answer, and some seconds to ask again. Not here.
IMPATIENT = {"base_reachable_time_ms": 500, "delay_first_probe_time": 1, "retrans_time_ms": 100, "gc_stale_time": 1}


class File:
    """The lab's servers by address, of one family, as a configuration file on the balancer."""

    def __init__(self, lab: Lab, path, family: str):
        self.path = str(path / "lb.json")
        self.addresses = {
            machine.name: machine.ip4(names.SEGMENT) if family == "IPv4" else machine.ip6(names.SEGMENT)
            for machine in names.servers(lab.spec)
        }
        self.config = {
            "version": 1,
            "targets": [{"name": name, "address": address} for name, address in self.addresses.items()],
            "services": [
                {
                    "name": "echo",
                    "vips": [lab.vip4, lab.vip6],
                    "listen": [{"protocol": "tcp", "ports": [CTRAFFIC_PORT]}],
                    "targets": list(self.addresses),
                }
            ],
        }
        self.write()

    def write(self) -> None:
        with open(self.path, "w") as file:
            json.dump(self.config, file)

    def add(self, name: str, address: str) -> None:
        self.config["targets"].append({"name": name, "address": address})
        self.config["services"][0]["targets"].append(name)
        self.write()


@pytest.fixture(params=["IPv4", "IPv6"])
def family(request):
    return request.param


@pytest.fixture
def file(lab, tmp_path, family):
    serve_echo(lab)
    for key, value in IMPATIENT.items():
        lab.lb.run(f"sysctl -qw net.{family.lower()}.neigh.eth1.{key}={value}")
    return File(lab, tmp_path, family)


def reach(daemon) -> dict[str, str]:
    return {target["name"]: target["reach"] for target in daemon.stats().report["targets"]}


def macs(daemon) -> dict[str, str | None]:
    return {target["name"]: target["mac"] for target in daemon.stats().report["targets"]}


def wait_reach(daemon, name: str, state: str) -> None:
    wait_until(lambda: reach(daemon)[name] == state, timeout=30, what=lambda: f"{name} {state}: {reach(daemon)}")


def test_targets_by_address_are_found_before_the_first_packet(lab, file):
    with Daemon(lab, f"--config={file.path}") as daemon:
        assert macs(daemon) == {server.name: server.mac(names.SEGMENT) for server in names.servers(lab.spec)}
        assert set(reach(daemon).values()) == {"reachable"}
        with Connections(lab.client, lab.vip4, CONNECTIONS) as four, Connections(lab.client, lab.vip6, 8):
            assert set(four.exchange().values()) == set(file.addresses)


def test_a_server_that_is_gone_is_out_until_it_answers_again(lab, file, family):
    with Daemon(lab, f"--config={file.path}") as daemon:
        lab["vm-002"].run("ip link set dev eth1 down")
        wait_reach(daemon, "vm-002", "unreachable")
        wait_said(daemon, rf"target \[vm-002\]: {re.escape(file.addresses['vm-002'])} does not answer on \[eth1\]: out until it does")
        with Connections(lab.client, lab.vip4, CONNECTIONS) as others:
            assert set(others.server.values()) == set(file.addresses) - {"vm-002"}
            # Its addresses of this family went with the device.
            lab["vm-002"].run("ip link set dev eth1 up")
            if family == "IPv6":
                lab["vm-002"].run(f"ip -6 addr replace {file.addresses['vm-002']}/120 dev eth1 nodad")
            wait_reach(daemon, "vm-002", "reachable")
            before = others.exchange()
            assert others.exchange() == before and not others.broken, "who left for others stays there"


@pytest.mark.parametrize("family", ["IPv4"])  # where a server can be made not to answer alone this question
def test_a_server_that_is_gone_is_kept_where_that_is_wanted(lab, file):
    for target in file.config["targets"]:
        target["unreachable"] = "keep"
    file.write()
    with Daemon(lab, f"--config={file.path}") as daemon, Connections(lab.client, lab.vip4, CONNECTIONS) as opened:
        before = opened.exchange()
        lab["vm-002"].run("sysctl -qw net.ipv4.conf.all.arp_ignore=8")
        wait_reach(daemon, "vm-002", "unreachable")
        wait_said(daemon, r"^warning: target \[vm-002\]: .* does not answer on \[eth1\]: kept, as configured$")
        assert macs(daemon)["vm-002"] == names.servers(lab.spec)[1].mac(names.SEGMENT)
        assert opened.exchange() == before


def test_another_network_card_is_followed(lab, file):
    with Daemon(lab, f"--config={file.path}") as daemon:
        with Connections(lab.client, lab.vip4, CONNECTIONS) as opened:
            before = opened.exchange()
            mac = "02:00:00:00:77:02"
            lab["vm-002"].run(f"ip link set dev eth1 address {mac}")
            wait_until(lambda: macs(daemon)["vm-002"] == mac, timeout=30, what=lambda: f"{mac}: {macs(daemon)}")
            wait_said(daemon, rf"target \[vm-002\]: .* {mac}")
            after = opened.exchange()
            assert {n: server for n, server in after.items() if before[n] != "vm-002"} == {
                n: server for n, server in before.items() if server != "vm-002"
            }
        with Connections(lab.client, lab.vip4, CONNECTIONS) as late:
            assert set(late.server.values()) == set(file.addresses)


def test_a_target_behind_a_gateway_is_refused(lab, file, family):
    far = "172.16.9.9" if family == "IPv4" else "2001:db8:9::9"
    gateway = file.addresses["vm-001"]
    lab.lb.run(f"ip {'-6' if family == 'IPv6' else '-4'} route add {far} via {gateway} dev eth1")
    because = rf"target \[far\]: {re.escape(far)} is not on-link on \[eth1\], it is reached through the gateway {re.escape(gateway)}: direct server return needs the same segment"
    with Daemon(lab, f"--config={file.path}") as daemon:
        with Connections(lab.client, lab.vip4, CONNECTIONS) as opened:
            before = opened.exchange()
            file.add("far", far)
            daemon.process.send_signal(signal.SIGHUP)
            wait_said(daemon, rf"configuration generation 2 is not usable: {because}; generation 1 stays in force")
            assert opened.exchange() == before
        daemon.stop()
    assert re.fullmatch(because, must_fail(lab, f"--config={file.path}"))


def test_our_own_address_is_no_target(lab, file, family):
    own = names.balancers(lab.spec)[0]
    file.add("self", own.ip4(names.SEGMENT) if family == "IPv4" else own.ip6(names.SEGMENT))
    assert "it is this host's own" in must_fail(lab, f"--config={file.path}")


def test_an_address_that_nobody_has_holds_nobody_up(lab, file, family):
    file.add("nobody", "192.168.1.99" if family == "IPv4" else "1000::1:c0a8:199")
    with Daemon(lab, f"--config={file.path}") as daemon:
        wait_reach(daemon, "nobody", "unreachable")
        with Connections(lab.client, lab.vip4, CONNECTIONS) as opened:
            assert set(opened.server.values()) == set(file.addresses)
        assert macs(daemon)["nobody"] is None
        shown = xdplb(lab.lb, "show").stdout
        assert f"{len(file.addresses)} of {len(file.addresses) + 1} targets usable" in shown
        assert re.search(r"^  nobody  no MAC +active, \S+ unreachable, 0 live flows$", shown, re.MULTILINE)
        first = names.servers(lab.spec)[0]
        assert re.search(rf"^  {first.name}  {first.mac(names.SEGMENT)}  active, \S+ reachable, \d+ live", shown, re.MULTILINE)
