"""xdpgen and xdpsink: what one sends the other counts, and what is wrong with a packet it says."""

import json
import signal
import socket
import subprocess

import pytest
from lab.node import Node
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from support.wait import wait_until

TARGET = "02:00:00:00:01:01"
SOURCE = "02:00:00:00:01:c9"
VIPS = {4: "10.0.0.0", 6: "1000::"}


@pytest.fixture
def wire():
    """Two machines and a cable; the receiver has NAPI without a program on it."""
    sender, receiver = Node("sender"), Node("receiver")
    command = "ip link add eth0 netns sender type veth peer name eth0 netns receiver"
    subprocess.run(command.split(), check=True)
    receiver.shell("ethtool -K eth0 gro on; ip link set eth0 up")
    sender.shell("ip link set eth0 up")
    yield sender, receiver
    sender.destroy()
    receiver.destroy()


def sink_at(receiver: Node, *options: str):
    process = receiver.start(["xdpsink", "--device", "eth0", "--targets", TARGET, "--source", SOURCE, *options])
    process.wait_for(r"^ready$")
    return process


def send(sender: Node, *options: str, to: str = TARGET, source: str = SOURCE) -> dict:
    command = ["xdpgen", "--device", "eth0", "--to", to, "--from", source, *map(str, options)]
    return json.loads(sender.run(command).stdout)


def result(sink) -> dict:
    assert sink.stop() == 0
    return json.loads(sink.stdout.splitlines()[-1])


def whole_lines(process) -> list[str]:
    return process.stdout.split("\n")[:-1]


FAULTS = ("bad_destination", "bad_source", "bad_checksum", "bad_payload", "out_of_order", "gaps", "unknown_flow")


def faults(report: dict) -> dict:
    return {name: report[name] for name in FAULTS if report[name]}


@pytest.mark.parametrize("family, size", [(4, 60), (4, 1514), (6, 80), (6, 1514), (4, 71)])
def test_all_of_many_flows_arrive_as_sent(wire, family, size):
    sender, receiver = wire
    sink = sink_at(receiver, "--verify", "1")
    # Slow enough for a ring of 256 on a busy machine: a call hands over what its own CPU then receives.
    sent = send(sender, "--vip", VIPS[family], "--size", size, "--flows", 20_000, "--count", 50_000, "--rate", 500_000)
    assert sent["sent"] == 50_000
    report = result(sink)
    assert (report["packets"], faults(report)) == (50_000, {})
    assert report["verified"] == 50_000
    assert report["bytes"] == 50_000 * size
    assert report["targets"] == {TARGET: 50_000}
    assert 0 < report["p50_ns"] <= report["p99_ns"]


@pytest.mark.parametrize("family, header", [(4, IP), (6, IPv6)])
def test_packets_are_right_in_scapys_eyes(wire, family, header):
    sender, receiver = wire
    with receiver.network():
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800 if family == 4 else 0x86DD))
        packets.bind(("eth0", 0x0800 if family == 4 else 0x86DD))
    packets.settimeout(5)
    send(sender, "--vip", VIPS[family], "--flows", 3, "--size", 90, "--count", 7, "--rate", 1000, "--port", 80)
    ports = []
    for _ in range(7):
        frame = Ether(packets.recv(2048))
        assert (frame.dst, frame.src, len(frame)) == (TARGET, SOURCE, 90)
        assert (frame[header].dst, frame[UDP].dport) == (VIPS[family], 80)
        ports.append(frame[UDP].sport)
        again = frame.copy()
        del again[UDP].chksum
        if family == 4:
            del again[IP].chksum
        assert bytes(Ether(bytes(again))) == bytes(frame)  # scapy puts its own checksums in
    assert ports == [1024, 1025, 1026, 1024, 1025, 1026, 1024]
    packets.close()


def test_wrong_addresses_are_seen(wire):
    sender, receiver = wire
    sink = sink_at(receiver)
    send(sender, "--count", 10, "--rate", 10_000, to="02:00:00:00:02:01", source="02:00:00:00:01:ca")
    report = result(sink)
    assert (report["packets"], faults(report)) == (10, {"bad_destination": 10, "bad_source": 10})


def test_changed_bytes_and_order_are_seen(wire):
    sender, receiver = wire
    with receiver.network():
        listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        listener.bind(("eth0", 0x0800))
    listener.settimeout(5)
    send(sender, "--size", 100, "--count", 4, "--rate", 1000)
    first, second, third, fourth = (listener.recv(2048) for _ in range(4))
    listener.close()
    sink = sink_at(receiver, "--verify", "1", "--interval", "20ms")
    in_address, in_stamp, in_payload = bytearray(fourth), bytearray(fourth), bytearray(fourth)
    in_address[29] ^= 1
    in_stamp[43] ^= 1
    in_payload[99 - 1] ^= 1  # the last whole eight bytes end at 100
    with sender.network():
        out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        out.bind(("eth0", 0))
    for frame in (first, third, second, in_address, in_stamp, in_payload):
        out.send(frame)
    out.send(b"\xff" * 12 + b"\x08\x06" + bytes(46))  # ARP: nobody's stamp
    out.close()
    # Sequences 1, 3, 2, then three times 4: one gap, the 2 late, the 4 repeated twice.
    wait_until(lambda: '"packets":6' in sink.stdout, 5, what="six packets")
    assert faults(result(sink)) == {"bad_checksum": 2, "bad_payload": 1, "out_of_order": 3, "gaps": 1}


def test_the_rate_holds_and_a_signal_ends_it(wire):
    sender, receiver = wire
    sink = sink_at(receiver, "--interval", "20ms")
    generator = sender.start(["xdpgen", "--device", "eth0", "--to", TARGET, "--from", SOURCE, "--rate", "1000"])
    wait_until(lambda: any(json.loads(line)["packets"] for line in whole_lines(sink)), 10, what="a packet")
    assert generator.stop() == 0
    sent = json.loads(generator.stdout)
    seconds = sent["duration_ns"] / 1e9
    # A busy machine may make it later, nothing may make it faster.
    assert 0 < sent["sent"] <= seconds * 1000 + 64
    assert result(sink)["packets"] == sent["sent"]


def test_sigusr1_says_what_came_and_begins_anew(wire):
    sender, receiver = wire
    sink = sink_at(receiver)
    for count in (5, 7):
        send(sender, "--count", count, "--rate", 10_000)
        lines = len(whole_lines(sink))
        sink.send_signal(signal.SIGUSR1)
        wait_until(lambda: len(whole_lines(sink)) > lines, 5, what="a report")
        report = json.loads(whole_lines(sink)[-1])
        assert (report["packets"], faults(report)) == (count, {})
    assert result(sink)["packets"] == 0
