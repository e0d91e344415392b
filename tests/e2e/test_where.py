"""`xdplb where`: what it names is what the packet then really meets."""

import json

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.utils import wrpcap
from support.connections import Connections
from support.daemon import Daemon, configure, xdplb
from support.draining import drain
from support.faults import wait_said
from support.programs import MCONNECT_PORT, mconnect, serve

COUNT = 40
TARGET_OF = {"vm-001": "0", "vm-002": "1", "vm-003": "2", "vm-004": "3"}


def where(lab, *packet: str) -> dict:
    return json.loads(xdplb(lab.lb, "where", "--json", *packet).stdout)


def where_text(lab, *packet: str) -> str:
    return xdplb(lab.lb, "where", *packet).stdout


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_names_the_server_of_each_connection_before_and_after_a_drain(two_queues, kind):
    lab = two_queues
    with Daemon(lab), Connections(lab.client, lab.vip4, COUNT, kind) as four, Connections(lab.client, lab.vip6, COUNT, kind) as six:
        def check() -> list[dict]:
            answers = []
            for opened in (four, six):
                servers = opened.exchange()
                assert len(servers) == COUNT
                for number, server in servers.items():
                    answer = where(lab, kind, *opened.ends(number))
                    assert answer["verdict"] == "forward" and answer["decided_by"] == "flow", answer
                    assert answer["target"] == TARGET_OF[server], answer
                    answers.append(answer)
            return answers

        before = check()
        assert all(answer["slot"]["target"] == answer["target"] and answer["differs"] is None for answer in before)
        drain(lab, 2)
        generation = json.loads(xdplb(lab.lb, "show", "--json").stdout)["generation"]
        after = check()
        moved = [answer for answer in after if answer["target"] == "2"]
        assert moved and all(answer["slot"]["target"] != "2" for answer in moved)
        assert {answer["differs"] for answer in moved} == {f"2 began to drain in generation {generation}"}
        # Maglev moves a few of the others' slots, too: of those flow and table differ for the same reason.
        assert all((answer["differs"] is None) == (answer["slot"]["target"] == answer["target"]) for answer in after)

        number = next(n for n, server in four.server.items() if server == "vm-003") if "vm-003" in four.server.values() else None
        if number is not None:
            text = where_text(lab, kind, *four.ends(number))
            assert f"vip: {lab.vip4}/32 of service default ({kind} 5003)" in text
            assert "-> 2 (draining)" in text
            assert f"goes to: 2, MAC {lab.servers[2].mac('eth1')}: the flow decides" in text
            assert f"they differ because 2 began to drain in generation {generation}" in text

        xdplb(lab.lb, "deactivate", 2)
        answer = where(lab, kind, *(four.ends(number) if number is not None else four.ends(0)))
        if number is not None:
            assert answer["decided_by"] == "table" and answer["target"] != "2"
            assert answer["flows"][0]["ignored"] == f"2 went down in generation {generation + 1}"


def test_names_the_server_of_connections_that_are_yet_to_come(lab):
    configure(lab)
    serve(lab)
    with Daemon(lab):
        for port in range(30000, 30020):
            foretold = where(lab, "tcp", f"50.0.0.1:{port}", f"{lab.vip4}:{MCONNECT_PORT}")
            assert foretold["decided_by"] == "table" and foretold["flows"] == []
            got = lab.client.run(["python3", "-c", f"""
import socket
s = socket.socket()
s.setsockopt(socket.IPPROTO_IP, 15, 1)
s.bind(("50.0.0.1", {port}))
s.connect(("{lab.vip4}", {MCONNECT_PORT}))
print(s.recv(64).decode())"""]).stdout.strip()
            assert TARGET_OF[got] == foretold["target"]


def test_each_packet_of_a_capture(lab, tmp_path):
    configure(lab)
    link = Ether(src="02:00:00:00:00:01", dst=lab.lb.mac("eth2"))
    tcp = IP(src="192.0.2.1", dst=lab.vip4) / TCP(sport=4000, dport=5001, flags="S")
    inner = IP(src=lab.vip4, dst="192.0.2.1") / TCP(sport=5001, dport=4000, flags="A")
    packets = [
        link / tcp,
        link / IP(src="192.0.2.1", dst="10.9.9.9") / UDP(sport=1, dport=53),
        link / ARP(pdst="192.168.1.1"),
        link / IP(src="192.0.2.1", dst=lab.vip4, frag=100, id=9) / UDP(sport=1, dport=2) / bytes(64),
        link / IP(src="198.51.100.1", dst=lab.vip4) / ICMP(type=3, code=4) / inner,
        link / IP(src="192.0.2.1", dst=lab.vip4, ttl=0) / UDP(sport=1, dport=2),
    ] + [link / tcp] * 60  # more than one request takes
    capture = tmp_path / "in.pcap"
    wrpcap(str(capture), packets)
    with Daemon(lab) as daemon:
        said = json.loads(xdplb(lab.lb, "where", "--pcap", capture, "--json").stdout)["packets"]
        assert [packet["n"] for packet in said] == list(range(1, len(packets) + 1))
        assert [packet["verdict"] for packet in said[:6]] == ["forward", "pass", "pass", "hold", "forward", "drop"]
        assert said[5]["reason"] == "ip_ttl"
        assert said[4]["packet"] == f"ICMP error about tcp 192.0.2.1:4000 -> {lab.vip4}:5001"
        assert {packet["target"] for packet in said[6:]} == {said[0]["target"]} == {said[4]["target"]}
        text = where_text(lab, "--pcap", str(capture))
        assert "packet 2: udp 192.0.2.1:1 -> 10.9.9.9:53\n  passes to the kernel: 10.9.9.9 is not a VIP\n" in text
        assert daemon.stats_now().rx == 0 and json.loads(xdplb(lab.lb, "flows", "--json").stdout)["total"] == 0

        lab.lb.run("ip link set eth1 down")
        wait_said(daemon, r"waiting: Interface \[eth1\] is down")
        assert "no worker runs: a device is away" in where_text(lab, "tcp", "192.0.2.1:1", f"{lab.vip4}:80")


def test_what_cannot_be_asked(lab, tmp_path):
    configure(lab)

    def refused(*arguments: str, status: int = 1) -> str:
        done = xdplb(lab.lb, "where", *arguments, check=False)
        assert done.returncode == status and done.stdout == "", done
        return done.stderr

    assert "No daemon answers on /run/xdplb/xdplb.sock" in refused("tcp", "192.0.2.1:1", "10.0.0.0:80")
    with Daemon(lab):
        assert "PROTO SRC:PORT DST:PORT" in refused("tcp", "192.0.2.1:1", status=2)
        assert "Invalid address [192.0.2.1]" in refused("tcp", "192.0.2.1", "10.0.0.0:80")
        assert "one is IPv4, the other IPv6" in refused("tcp", "192.0.2.1:1", "[1000::]:80")
        assert "Cannot open" in refused("--pcap", str(tmp_path / "none"))
        damaged = tmp_path / "damaged"
        damaged.write_bytes(b"no capture at all")
        assert str(damaged) in refused("--pcap", str(damaged))
