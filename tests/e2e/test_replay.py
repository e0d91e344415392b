"""`xdplb replay`: what the data path does with every packet case, and with flows, fragments and errors of flows.

What is expected is worked out here, from scapy's packets. Needs neither root nor devices: one case runs as nobody."""

import json
import os
import random
import subprocess
import tempfile
from pathlib import Path

import pytest
from lab.node import BUILD
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from support.offline import EGRESS_MAC, configuration, is_for_vip, replay, target_mac, write_capture
from support.packets import mac_bytes

CASES = json.loads((Path(__file__).parents[1] / "support" / "packet_cases.json").read_text())
VIPS = {"10.0.0.0", "1000::"}
VIP = {4: "10.0.0.0", 6: "1000::"}
CLIENT = {4: "192.0.2.10", 6: "2001:db8::10"}
ROUTER = {4: "203.0.113.9", 6: "2001:db8:ffff::9"}
MTU = 1500


def ether():
    return Ether(dst="02:00:00:00:00:aa", src="02:00:00:00:00:bb")


def ip(version, **fields):
    layer = IP if version == 4 else IPv6
    return layer(src=CLIENT[version], dst=VIP[version], **fields)


def udp(version, port, size=20):
    return bytes(ether() / ip(version) / UDP(sport=port, dport=53) / Raw(b"u" * size))


def pieces(version, port, number, size=3000):
    datagram = UDP(sport=port, dport=53, chksum=1) / Raw(b"f" * size)
    if version == 4:
        whole = fragment(ip(4, id=number) / datagram, fragsize=1000)
    else:
        whole = fragment6(ip(6) / IPv6ExtHdrFragment(id=number) / datagram, 1200)
    return [bytes(ether() / piece) for piece in whole]


def too_big(version, port):
    """A router's message about an answer to the client's port."""
    answer = (IP if version == 4 else IPv6)(src=VIP[version], dst=CLIENT[version]) / UDP(sport=53, dport=port)
    inside = Raw(bytes(answer)[: (20 if version == 4 else 40) + 8])
    if version == 4:
        return bytes(ether() / IP(src=ROUTER[4], dst=VIP[4]) / ICMP(type=3, code=4, nexthopmtu=1280) / inside)
    return bytes(ether() / IPv6(src=ROUTER[6], dst=VIP[6]) / ICMPv6PacketTooBig(mtu=1280) / inside)


def at_once(frames, start=1000.0, gap=0.001):
    return [(start + i * gap, frame) for i, frame in enumerate(frames)]


def expected_alone(case):
    """Verdict and reason of a case's frame that comes alone."""
    frame, expected = bytes.fromhex(case["frame"]), case["expected"]
    if not is_for_vip(frame, VIPS):
        return "pass", None
    if expected["reason"] != "none":
        return "drop", expected["reason"]
    if expected["kind"] == "later_fragment":
        return "drop", "fragment_timeout"
    if expected["packet_len"] - expected["l3_offset"] > MTU:
        return "drop", "too_big"
    return "forward", None


def check_sent(replayed, frames):
    """What was sent is what came in, but for the two addresses."""
    forwarded = [(packet, frame) for packet, (_, frame) in zip(replayed.packets, frames) if
                 packet["verdict"] == "forward"]
    assert len(replayed.sent) == len(forwarded)
    for sent, (packet, frame) in zip(replayed.sent, forwarded):
        assert sent[:6] == mac_bytes(target_mac(int(packet["target"])))
        assert sent[6:12] == mac_bytes(EGRESS_MAC)
        assert sent[12:] == frame[12:]


@pytest.mark.parametrize("pcapng", [False, True], ids=["pcap", "pcapng"])
def test_every_packet_case_alone(tmp_path, pcapng):
    # Far enough apart that no fragment meets another of its number. An empty frame is none that a capture keeps.
    cases = [case for case in CASES if case["frame"]]
    assert len(cases) > 300
    frames = [(1000.0 + 10 * i, bytes.fromhex(case["frame"])) for i, case in enumerate(cases)]
    replayed = replay(tmp_path, configuration(), frames, pcapng)
    assert [packet["n"] for packet in replayed.packets] == list(range(1, len(cases) + 1))
    wrong = {case["name"]: (packet["verdict"], packet["reason"], expected_alone(case))
             for case, packet in zip(cases, replayed.packets)
             if (packet["verdict"], packet["reason"]) != expected_alone(case)}
    assert not wrong
    check_sent(replayed, frames)
    for packet in replayed.packets:
        assert (packet["target"] is None) == (packet["verdict"] != "forward")
        assert packet["service"] == ("all" if packet["verdict"] == "forward" else None)
    assert replayed.counters["packets"] == len(cases)


def test_the_packets_of_a_flow_stay_together_and_flows_spread(tmp_path):
    rng = random.Random(7)
    flows = [(version, port) for version in (4, 6) for port in range(20000, 20200)]
    order = flows * 5
    rng.shuffle(order)
    replayed = replay(tmp_path, configuration(), at_once([udp(*flow) for flow in order]))
    targets: dict[tuple, set] = {}
    for flow, packet in zip(order, replayed.packets):
        assert packet["verdict"] == "forward"
        assert packet["flow"] == ("hit" if flow in targets else "new")
        targets.setdefault(flow, set()).add(packet["target"])
    assert all(len(chosen) == 1 for chosen in targets.values())
    by_target = [sum(next(iter(chosen)) == str(i) for chosen in targets.values()) for i in range(4)]
    assert min(by_target) > 60, f"400 flows over 4 targets: {by_target}"
    assert replayed.counters["flows"]["new"] == len(flows)


def test_algorithms(tmp_path):
    """Each fills the table in its own way: what moves when one of five targets goes is known of each."""
    flows = [(version, port) for version in (4, 6) for port in range(20000, 20500)]

    def choices(algorithm: str, gone: bool) -> list[str]:
        config = configuration(targets=5, **({"algorithm": algorithm} if algorithm else {}))
        if gone:
            config["targets"][4]["state"] = "down"
        return [packet["target"] for packet in replay(tmp_path, config, at_once([udp(*flow) for flow in flows])).packets]

    chosen = {name: choices(name, gone=False) for name in ("maglev", "rendezvous", "modulo")}
    assert choices("", gone=False) == chosen["maglev"]
    assert len({tuple(targets) for targets in chosen.values()}) == 3
    moved = {}
    for name, before in chosen.items():
        assert all(before.count(target) > len(flows) / 5 * 0.7 for target in "01234")
        after = choices(name, gone=True)
        assert "4" not in after
        moved[name] = sum(was != now for was, now in zip(before, after) if was != "4") / len(flows)
    assert moved["rendezvous"] == 0 < moved["maglev"] < 0.1 and moved["modulo"] > 0.5, moved


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("order", ["in order", "reversed", "first last", "first missing", "twice", "mixed"])
def test_fragments(tmp_path, version, order):
    """Datagrams of flows whose targets are known from a whole packet."""
    rng = random.Random(version)
    ports = range(30000, 30040)
    frames, of = [udp(version, port) for port in ports], [(port, True) for port in ports]
    trains = []
    for number, port in enumerate(ports, 1):
        train = [(frame, port, i == 0) for i, frame in enumerate(pieces(version, port, number))]
        assert len(train) >= 3
        if order == "reversed":
            train.reverse()
        elif order == "first last":
            train.append(train.pop(0))
        elif order == "first missing":
            train.pop(0)
        elif order == "twice":
            train += train
        trains.append(train)
    parts = [part for train in trains for part in train]
    if order == "mixed":
        rng.shuffle(parts)
    frames += [frame for frame, _, _ in parts]
    of += [(port, first) for _, port, first in parts]
    replayed = replay(tmp_path, configuration(), at_once(frames))
    target = {port: packet["target"] for (port, _), packet in zip(of, replayed.packets[: len(ports)])}
    for (port, _), packet in zip(of, replayed.packets):
        if order == "first missing" and packet["n"] > len(ports):
            assert (packet["verdict"], packet["reason"]) == ("drop", "fragment_timeout")
            assert packet["service"] is None and packet["target"] is None
        else:
            assert (packet["verdict"], packet["target"]) == ("forward", target[port])


@pytest.mark.parametrize("version", [4, 6])
def test_errors_go_to_the_flow_they_are_about(tmp_path, version):
    ports = list(range(40000, 40100))
    frames = [udp(version, port) for port in ports] + [too_big(version, port) for port in reversed(ports)]
    replayed = replay(tmp_path, configuration(), at_once(frames))
    target = {port: packet["target"] for port, packet in zip(ports, replayed.packets)}
    assert len(set(target.values())) == 4
    for port, packet in zip(reversed(ports), replayed.packets[len(ports) :]):
        assert (packet["verdict"], packet["target"], packet["flow"]) == ("forward", target[port], "hit")


def test_held_fragments_are_sent_when_the_first_has_come_and_not_before(tmp_path):
    first, *rest = pieces(4, 30000, 1)
    others = [udp(4, 31000 + i) for i in range(2)]
    frames = [rest[0], others[0], rest[1], first, others[1]]
    replayed = replay(tmp_path, configuration(), at_once(frames))
    assert {packet["verdict"] for packet in replayed.packets} == {"forward"}
    order = [frame[12:] for frame in replayed.sent]
    assert order == [frame[12:] for frame in (others[0], first, rest[0], rest[1], others[1])]


def test_time_is_the_captures(tmp_path):
    config = configuration(timeouts={"udp_s": 10})
    times = (1000, 1009, 1018, 1029, 1020)  # the last: a clock that was set back
    replayed = replay(tmp_path, config, [(float(time), udp(4, 9)) for time in times])
    assert [packet["flow"] for packet in replayed.packets] == ["new", "hit", "hit", "new", "hit"]


def test_ports_that_no_service_names_are_left_to_the_kernel(tmp_path):
    config = configuration(listen=[{"protocol": "tcp", "ports": [80, "5000-5010"]}, {"protocol": "udp", "ports": [53]}])

    def tcp(port):
        return bytes(ether() / ip(4) / TCP(sport=1, dport=port, flags="S"))

    frames = [tcp(80), tcp(81), tcp(4999), tcp(5000), tcp(5010), tcp(5011), udp(4, 7),
              bytes(ether() / ip(4) / UDP(sport=7, dport=80)), bytes(ether() / ip(4, proto=47) / Raw(bytes(8))),
              bytes(ether() / ip(4) / ICMP())]
    replayed = replay(tmp_path, config, at_once(frames))
    passed = [packet["verdict"] == "pass" for packet in replayed.packets]
    assert passed == [False, True, True, False, False, True, False, True, True, False]
    assert {packet["verdict"] for packet in replayed.packets} == {"forward", "pass"}


@pytest.mark.parametrize("on_empty", ["drop", "pass"])
def test_a_service_without_targets(tmp_path, on_empty):
    config = configuration(on_empty=on_empty)
    for target in config["targets"]:
        target["state"] = "down"
    packet = replay(tmp_path, config, at_once([udp(4, 1)])).packets[0]
    wanted = ("drop", "no_target", "all") if on_empty == "drop" else ("pass", None, None)
    assert (packet["verdict"], packet["reason"], packet["service"]) == wanted


def test_needs_no_root():
    """Root runs it as nobody."""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        before = nobody if os.geteuid() == 0 else []
        assert replay(Path(folder), configuration(), at_once([udp(4, 1)]), before=before).counters["forward"] == 1


@pytest.mark.parametrize("spoil, message", [
    (lambda data: b"", "shorter than the header"),
    (lambda data: b"nonsense" * 4, "neither pcap nor pcapng"),
    (lambda data: data[:-1], "damaged after packet 1: it ends inside a packet"),
    (lambda data: data[:20] + b"\x71" + data[21:], "link type 113, not Ethernet"),
    (lambda data: data[:32] + b"\xff\xff\xff\xff" + data[36:], "damaged after packet 0: a packet of impossible length"),
])
def test_a_bad_capture_is_refused(tmp_path, spoil, message):
    (tmp_path / "config.json").write_text(json.dumps(configuration()))
    write_capture(tmp_path / "in.pcap", at_once([udp(4, 1), udp(4, 2)]))
    (tmp_path / "in.pcap").write_bytes(spoil((tmp_path / "in.pcap").read_bytes()))
    done = subprocess.run([BUILD / "xdplb", "replay", "--config", tmp_path / "config.json", "--in",
                           tmp_path / "in.pcap", "--out", tmp_path / "out.pcap"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1 and message in done.stderr


@pytest.mark.parametrize("version", [4, 6])
def test_fragments_that_another_balancer_owns_leave_for_it(tmp_path, version):
    members = ["02:00:00:00:02:01", "02:00:00:00:02:02", "02:00:00:00:02:03"]
    config = configuration() | {"lb_tier": {"own_index": 1, "members": members}}
    clients = [f"192.0.2.{i}" if version == 4 else f"2001:db8::{i:x}" for i in range(1, 61)]

    def from_client(client, sender="02:00:00:00:00:bb"):
        packets = [Ether(piece) for piece in pieces(version, 30000, 1)]
        for packet in packets:
            packet.src, packet[1].src = sender, client
            if version == 4:
                del packet[1].chksum
        return [bytes(packet) for packet in packets]

    frames = [frame for client in clients for frame in from_client(client)]
    train = len(from_client(clients[0]))
    replayed = replay(tmp_path, config, at_once(frames))
    assert {packet["verdict"] for packet in replayed.packets} == {"forward"}
    owners = [packet.get("peer", 1) for packet in replayed.packets]
    assert set(owners) == {0, 1, 2} and replayed.counters["to_peers"] == len(frames) - owners.count(1)
    for at in range(0, len(frames), train):
        assert len(set(owners[at : at + train])) == 1, "a datagram has several owners"
    for packet, sent, frame in zip(replayed.packets, replayed.sent, frames):
        assert (packet["target"] is None) == ("peer" in packet) == (packet["service"] is None)
        to = members[packet["peer"]] if "peer" in packet else target_mac(int(packet["target"]))
        source = members[1] if "peer" in packet else EGRESS_MAC
        assert sent == mac_bytes(to) + mac_bytes(source) + frame[12:]
    # Whole packets, and what a peer has handed over, stay.
    for frames in ([udp(version, port) for port in range(100)],
                   [frame for client in clients for frame in from_client(client, members[0])]):
        assert replay(tmp_path, config, at_once(frames)).counters["to_peers"] == 0
