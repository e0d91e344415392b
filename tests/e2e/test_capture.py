"""`xdplb capture`: what the workers take and send, side by side, with the reason of each drop. The file is read by
support/pcapng.py, which shares no code with the writer."""

import json
import signal

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from support import pcapng
from support.daemon import Daemon, configure, xdplb
from support.packets import Tap, sent_by
from support.wait import wait_until



class Capture:
    """`xdplb capture` into a file, begun when the daemon says so."""

    def __init__(self, lab, file, *options: str):
        self.file = file
        self.process = lab.lb.start(["xdplb", "capture", "-w", str(file), *options])
        self.process.wait_for("capturing on")

    def packets(self) -> list[tuple[bytes, str, str]]:
        """Of each packet in the file: its bytes, interface and comment. Fails where the file is not a valid one."""
        return [(packet.data, packet.interface, packet.comment) for packet in pcapng.read(self.file)]

    def wait_packets(self, count: int) -> list[tuple[bytes, str, str]]:
        return wait_until(lambda: len(self.packets()) >= count and self.packets(), what=lambda: f"{count} packets: {self.packets()}")


def request(lab, number: int, dst: str = "", **ip) -> bytes:
    link = Ether(dst=lab.lb.mac("eth2"), src=lab.client.mac("eth2"))
    return bytes(link / IP(src="192.168.2.221", dst=dst or lab.vip4, **ip) / UDP(sport=20000 + number, dport=53) / bytes(40))


@pytest.fixture
def served(make_lab):
    lab = make_lab(servers=2)
    configure(lab)
    with Daemon(lab) as daemon, Tap(lab.client, "eth2") as client, Tap(lab["switch"], "lb.1") as wire:
        yield lab, daemon, client, wire
        assert daemon.stats_now().balanced


def test_requests_of_a_vip_in_and_out_with_their_target(served, tmp_path):
    lab, _daemon, client, wire = served
    capture = Capture(lab, tmp_path / "out.pcapng", "--count=40")
    sent = [request(lab, n) for n in range(20)] * 2
    client.send(*sent[:20])
    forwarded = wire.wait_for(sent_by(lab.lb, "eth1"), 20)
    client.send(*sent[20:])
    forwarded += wire.wait_for(sent_by(lab.lb, "eth1"), 40)[20:]
    assert capture.process.wait(20) == 0
    assert "40 packets captured, 0 lost" in capture.process.output

    packets = capture.packets()
    came = [(data, comment) for data, interface, comment in packets if interface == "eth2 in"]
    left = [(data, comment) for data, interface, comment in packets if interface == "eth1 out"]
    assert len(packets) == 80 and len(came) == len(left) == 40
    assert sorted(data for data, _ in came) == sorted(sent)
    assert sorted(data for data, _ in left) == sorted(bytes(frame) for frame in forwarded)
    macs = {lab.servers[i].mac("eth1"): str(i) for i in range(2)}
    for data, comment in left:
        assert f"service default, target {macs[Ether(data).dst]}, flow " in comment
    assert [comment for _, comment in came] == [comment for _, comment in left]
    assert ["flow new" in comment for _, comment in came] == [True] * 20 + [False] * 20
    assert all("flow hit" in comment for _, comment in came[20:])


def test_filters_by_vip_and_target(served, tmp_path):
    lab, _daemon, client, wire = served
    xdplb(lab.lb, "vip", "add", "10.0.0.7")
    of_vip = Capture(lab, tmp_path / "vip", "--vip=10.0.0.7", "--snaplen=64")
    other = xdplb(lab.lb, "capture", "-w", str(tmp_path / "second"), check=False)
    assert other.returncode == 1 and "one at a time" in other.stderr
    client.send(*[request(lab, n) for n in range(10)], *[request(lab, n, "10.0.0.7") for n in range(10)])
    wire.wait_for(sent_by(lab.lb, "eth1"), 20)
    packets = of_vip.wait_packets(20)
    of_vip.process.stop(signal.SIGINT)
    assert len(packets) == len(of_vip.packets()) == 20
    assert {IP(data[14:]).dst for data, *_ in packets} == {"10.0.0.7"} and {len(data) for data, *_ in packets} == {64}

    wire.forget()
    of_target = Capture(lab, tmp_path / "target", "--target=1", "--service=default")
    client.send(*[request(lab, n) for n in range(30)])
    frames = wire.wait_for(sent_by(lab.lb, "eth1"), 30)
    expected = sum(Ether(frame).dst == lab.servers[1].mac("eth1") for frame in frames)
    packets = of_target.wait_packets(2 * expected)
    of_target.process.stop(signal.SIGINT)
    assert 0 < expected < 30 and len(of_target.packets()) == 2 * expected
    assert all("target 1," in comment for _, _, comment in packets)


def test_any_of_several_values(served, tmp_path):
    lab, _daemon, client, wire = served
    xdplb(lab.lb, "vip", "add", "10.0.0.7", "10.0.0.8")
    capture = Capture(lab, tmp_path / "out", "--vip=10.0.0.7,1000::", "--vip", "10.0.0.8", "--target=0,1")
    client.send(*[request(lab, n, vip) for n in range(5) for vip in (lab.vip4, "10.0.0.7", "10.0.0.8")])
    wire.wait_for(sent_by(lab.lb, "eth1"), 15)
    packets = capture.wait_packets(20)
    capture.process.stop(signal.SIGINT)
    assert len(capture.packets()) == 20 and {IP(data[14:]).dst for data, *_ in packets} == {"10.0.0.7", "10.0.0.8"}


def test_drops_with_their_reason(served, tmp_path):
    lab, _daemon, client, _wire = served
    capture = Capture(lab, tmp_path / "drops", "--reason=ip_ttl")
    client.send(request(lab, 1), request(lab, 2, ttl=0), request(lab, 3))
    packets = capture.wait_packets(1)
    capture.process.stop(signal.SIGINT)
    assert len(capture.packets()) == 1
    data, interface, comment = packets[0]
    assert data == request(lab, 2, ttl=0) and interface == "eth2 in"
    assert "dropped: ip_ttl: TTL or hop limit is zero" in comment

    xdplb(lab.lb, "deactivate", 0, 1)
    capture = Capture(lab, tmp_path / "no_target", "--reason=no_target")
    client.send(request(lab, 4))
    assert "service default, dropped: no_target: no usable target" in capture.wait_packets(1)[0][2]
    capture.process.stop(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_capture_is_a_whole_file(served, tmp_path, number):
    lab, _daemon, client, _wire = served
    capture = Capture(lab, tmp_path / "out")
    assert capture.packets() == []
    client.send(*[request(lab, n) for n in range(5)])
    capture.wait_packets(10)
    capture.process.send_signal(number)
    assert capture.process.wait(10) == 0
    assert "5 packets captured, 0 lost" in capture.process.output and len(capture.packets()) == 10
    again = Capture(lab, tmp_path / "again", "--seconds=1")
    assert again.process.wait(20) == 0 and "0 packets captured" in again.process.output


def test_a_killed_command_harms_nobody(served, tmp_path):
    lab, daemon, client, wire = served
    capture = Capture(lab, tmp_path / "out")
    client.send(*[request(lab, n) for n in range(5)])
    capture.wait_packets(10)
    capture.process.kill()
    assert len(capture.packets()) == 10
    client.send(*[request(lab, n) for n in range(100)])
    wire.wait_for(sent_by(lab.lb, "eth1"), 105)
    assert daemon.stats_now().rx == 105

    def free() -> bool:
        return xdplb(lab.lb, "capture", "-w", str(tmp_path / "next"), "--seconds=1", check=False).returncode == 0

    wait_until(free, what="the capture that nobody reads has ended", every=0.2)


def test_a_daemon_that_goes_ends_the_capture(lab, tmp_path):
    configure(lab)
    with Daemon(lab) as daemon:
        capture = Capture(lab, tmp_path / "out")
        daemon.stop()
        assert capture.process.wait(20) == 1
        assert "No daemon answers" in capture.process.output or "/run/xdplb" in capture.process.output
        assert capture.packets() == []


def test_what_cannot_be_captured(lab, tmp_path):
    configure(lab)
    file = tmp_path / "out"

    def refused(*arguments: str) -> str:
        done = xdplb(lab.lb, "capture", *arguments, check=False)
        assert done.returncode in (1, 2) and done.stdout == "", done
        return done.stderr

    assert "No daemon answers" in refused("-w", str(file))
    with Daemon(lab):
        assert "required" in refused()
        assert "Unknown target [vm-009]" in refused("-w", str(file), "--target=0,vm-009")
        assert "Unknown service [web]" in refused("-w", str(file), "--service=web")
        assert "Unknown reason [bad_luck]" in refused("-w", str(file), "--reason=bad_luck")
        assert "--snaplen [5]" in refused("-w", str(file), "--snaplen=5")
        assert "Cannot write" in refused("-w", str(tmp_path / "none" / "out"))
        assert "Cannot write /dev/full: No space left on device" in refused("-w", "/dev/full")
        assert json.loads(xdplb(lab.lb, "stats", "--json").stdout)["total"]["rx"] == 0
