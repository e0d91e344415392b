"""The lab itself: without a balancer program, is the network what the other tests take it for?"""

import os
import re
import signal
import subprocess
import sys

import pytest
from lab import Lab, Spec, names, sandbox
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest
from scapy.layers.l2 import ARP, Dot1Q, Ether
from support.packets import Tap
from support.wait import wait_until

from conftest import LAB

pytestmark = pytest.mark.lab_only


def ping(node, address, *options):
    return node.run(["ping", "-n", "-c1", "-W5", *options, address])


@pytest.mark.parametrize("one_arm", [False, True], ids=["two-arm", "one-arm"])
def test_everyone_reaches_everyone(make_lab, one_arm):
    lab = make_lab(clients=2, balancers=2, servers=2, one_arm=one_arm)
    everyone = list(lab.machines.values())
    for source in everyone:
        for target in everyone:
            if source != target:
                ping(lab[source.name], target.ip4(names.SEGMENT))
                ping(lab[source.name], target.ip6(names.SEGMENT))
    if not one_arm:
        ping(lab["client2"], names.balancers(lab.spec)[1].ip4(names.INGRESS))
        ping(lab["client2"], names.balancers(lab.spec)[1].ip6(names.INGRESS))


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
@pytest.mark.parametrize("source", ["own address", "srccidr"])
def test_replies_come_straight_back(lab, family, source):
    """Send to the VIP with one server as the next hop, as the balancer would: the reply must find its way alone."""
    server, client = names.servers(lab.spec)[2], names.clients(lab.spec)[0]
    vip, via = (lab.vip4, server.ip4(1)) if family == "IPv4" else (lab.vip6, server.ip6(1))
    own = client.ip4(names.INGRESS) if family == "IPv4" else client.ip6(names.INGRESS)
    other = "50.0.3.4" if family == "IPv4" else "2000::304"
    lab.client.run(f"ip route replace {vip} via {via}")
    with Tap(lab.lb, "eth2") as ingress, Tap(lab.lb, "eth1") as egress:
        ping(lab.client, vip, "-I", own if source == "own address" else other)
        frames = [Ether(frame) for frame in ingress.frames() + egress.frames()]
    echoes = [frame for frame in frames if ICMP in frame or ICMPv6EchoRequest in frame or ICMPv6EchoReply in frame]
    assert not echoes, "the balancer saw traffic that has nothing to do with it"


def test_requests_to_a_vip_reach_the_balancer(lab):
    with Tap(lab.lb, "eth2") as ingress:
        lab.client.run(f"ping -c1 -W0.1 {lab.vip4}", check=False)
        lab.client.run(f"ping -c1 -W0.1 {lab.vip6}", check=False)
        ours = lambda frame: ICMP in Ether(frame) and Ether(frame)[IP].dst == lab.vip4  # noqa: E731
        assert len(ingress.wait_for(ours)) == 1
        assert len(ingress.matching(lambda frame: b"\x10" + bytes(15) == frame[38:54])) == 1


def test_servers_do_not_answer_for_the_vip(lab):
    mac = lab.client.mac("eth1")
    with Tap(lab.client, "eth1") as tap:
        for address in (lab.vip4, "192.168.1.2"):
            who_has = ARP(hwsrc=mac, psrc="192.168.1.221", pdst=address)
            tap.send(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / who_has)
        tap.wait_for(lambda f: ARP in Ether(f) and Ether(f)[ARP].psrc == "192.168.1.2")
        assert not tap.matching(lambda f: ARP in Ether(f) and Ether(f)[ARP].psrc == lab.vip4)


def test_each_server_has_its_hostname(lab):
    assert [node.run("hostname").stdout.strip() for node in lab.servers] == ["vm-001", "vm-002", "vm-003", "vm-004"]


def test_queues_are_as_many_as_asked_for(make_lab):
    lab = make_lab(queues=3, egress_queues=2)
    now = {d: lab.lb.run(f"ethtool -l {d}").stdout.split("Current hardware settings:")[1] for d in ("eth1", "eth2")}
    assert {device: set(re.findall(r"[RT]X:\s+(\d+)", text)) for device, text in now.items()} == {
        "eth1": {"2"},
        "eth2": {"3"},
    }


def test_every_queue_is_reached(make_lab):
    """A client's flows spread over the ingress queues: counted where XDP would see them."""
    lab = make_lab(queues=2)
    lab.lb.run("ethtool -K eth2 gro on")  # with NAPI the device counts by queue
    with Tap(lab.client, "eth2") as tap:
        mac = lab.lb.mac("eth2")
        flows = [IP(src=f"50.0.0.{i}", dst=lab.vip4, proto=17) / bytes(20) for i in range(1, 65)]
        tap.send(*[Ether(src=lab.client.mac("eth2"), dst=mac) / flow for flow in flows])

    def received():
        counters = lab.lb.device_counters("eth2")
        return [counters[f"rx_queue_{queue}_xdp_packets"] for queue in (0, 1)]

    wait_until(lambda: sum(received()) >= 64, what=received)
    assert min(received()) > 10


def test_tags_and_sizes_pass_the_switch(make_lab):
    """The switch is a plain wire: it neither drops a frame that fits nor touches its tags."""
    lab = make_lab(servers=1, mtu=1600)
    with Tap(lab.lb, "eth1") as egress, Tap(lab.servers[0], "eth1") as server:
        mac = lab.servers[0].mac("eth1")
        frames = [
            bytes(Ether(dst=mac, src=lab.lb.mac("eth1"), type=0x88B5) / bytes(size)) for size in (1, 46, 1500, 1600)
        ] + [bytes(Ether(dst=mac, src=lab.lb.mac("eth1")) / Dot1Q(vlan=7) / Dot1Q(vlan=9, type=0x88B5) / bytes(80))]
        egress.send(*frames)
        server.wait_for(lambda frame: frame in frames, len(frames))
        assert server.matching(lambda frame: frame in frames) == frames


def test_balancers_share_no_files(make_lab):
    lab = make_lab(balancers=2)
    lab["lb"].shell("mkdir /sys/fs/bpf/lb; touch /dev/shm/xdplb /run/here")
    for path in ("/sys/fs/bpf/lb", "/dev/shm/xdplb", "/run/here"):
        assert lab["lb2"].run(["test", "-e", path], check=False).returncode == 1
        assert not os.path.exists(path)


def test_a_lab_goes_away_with_its_processes(make_lab):
    lab = Lab(Spec(servers=1))
    sleeper = lab.servers[0].start("sleep infinity")
    wait_until(lambda: sleeper.pid in lab.processes())
    lab.destroy()
    assert sleeper.wait() == -signal.SIGKILL
    assert not os.listdir("/run/netns")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_nothing_outlives_the_sandbox(number):
    """Killed from outside, a sandbox takes its lab along: processes, and so mounts, namespaces and devices."""
    env = {**os.environ, sandbox.INSIDE: "", "OF_THIS_SANDBOX": f"{number:d}"}
    script = "echo built; vm-001 sleep 1000 & exec client sleep 1000"
    outer = subprocess.Popen([sys.executable, LAB, "run", "--", "sh", "-c", script], stdout=subprocess.PIPE, env=env)
    assert outer.stdout.readline() == b"built\n"
    wait_until(lambda: len(with_variable(f"OF_THIS_SANDBOX={number:d}", "sleep")) == 2)
    os.kill(outer.pid, number)
    outer.wait(20)
    wait_until(lambda: not with_variable(f"OF_THIS_SANDBOX={number:d}"))


def with_variable(text: str, command: str = "") -> list[int]:
    """Processes with that in their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/comm") as comm:
                if text.encode() in environ.read().split(b"\0") and comm.read().startswith(command):
                    found.append(int(pid))
        except OSError:
            pass
    return found
