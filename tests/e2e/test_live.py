"""The second way out: live frames beside the TX ring. What leaves is the same, whole and in order."""

import itertools
import json
import random
import signal
import threading

import pytest
from lab import names
from lab.node import BUILD
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from support.daemon import Daemon, configure, xdplb
from support.faults import pins, program_on
from support.packets import Tap, mac_bytes, sent_by
from support.programs import ctraffic_report, serve, start_ctraffic

SIZES = [60, 1514, 61, 64, 1000, 128, 1513, 63]
FLOWS = 40


@pytest.fixture(params=[False, True], ids=["two-arm", "one-arm"])
def configured(request, make_lab):
    lab = make_lab(one_arm=request.param)
    configure(lab)
    return lab


@pytest.fixture
def one_arm(make_lab):
    lab = make_lab(one_arm=True)
    configure(lab)
    return lab


def frames_of(lab, count: int) -> list[bytes]:
    """Frames of FLOWS flows in turn, of all sizes; no two alike."""
    made = []
    device = lab.spec.ingress_device
    ether = Ether(src=lab.client.mac(device), dst=lab.lb.mac(device))
    for number in range(count):
        payload = number.to_bytes(4, "big") + random.Random(number).randbytes(SIZES[number % len(SIZES)] - 14 - 20 - 8 - 4)
        ip = IP(src="50.0.0.1", dst=lab.vip4, id=number & 0xFFFF) / UDP(sport=2000 + number % FLOWS, dport=5001)
        made.append(bytes(ether / ip / payload))
    return made


def by_flow(frames: list[bytes]) -> dict[bytes, list[bytes]]:
    """All behind the MAC addresses, in order, by source port."""
    flows: dict[bytes, list[bytes]] = {}
    for frame in frames:
        flows.setdefault(frame[34:36], []).append(frame[12:])
    return flows


def forwarded(lab, frames: list[bytes], bursts: list[int]) -> list[bytes]:
    """Sends the frames in bursts of these lengths, in turn, and gives what left the balancer; every MAC address was
    right."""
    servers = {mac_bytes(server.mac(names.SEGMENT)) for server in names.servers(lab.spec)}
    with Tap(lab.client, lab.spec.ingress_device) as client, Tap(lab["switch"], "lb.1") as wire:
        sent, lengths = 0, itertools.cycle(bursts)
        while sent < len(frames):
            burst = frames[sent : sent + next(lengths)]
            client.send(*burst)
            sent += len(burst)
            out = wire.wait_for(sent_by(lab.lb, "eth1"), sent)
    assert {frame[:6] for frame in out} <= servers
    return out


def live_packets(stats) -> int:
    return sum(worker["tx_live"] for worker in stats.workers)


@pytest.mark.parametrize("tx", ["live", "auto", "xsk"])
def test_frames_leave_whole_and_in_order_by_every_way(configured, tx):
    """Long bursts make large batches (--coalesce) and short ones small: `auto` uses both ways, in one flow."""
    frames = frames_of(configured, 1600)
    with Daemon(configured, f"--tx={tx}", "--coalesce=10000") as daemon:
        out = forwarded(configured, frames, bursts=[160, 5])
        stats = daemon.wait_received(len(frames))
    assert by_flow(out) == by_flow(frames)
    assert stats.tx == stats.rx == len(frames)
    live = live_packets(stats)
    assert {"live": live == len(frames), "auto": 0 < live < len(frames), "xsk": live == 0}[tx], live


def test_a_storm_of_interruptions_neither_loses_nor_repeats_a_frame(configured):
    """Stopping and continuing the process ends the call that sends a batch early, each time (EINTR)."""
    frames = frames_of(configured, 3000)
    with Daemon(configured, "--tx=live", "--spin") as daemon:
        over = threading.Event()

        def storm():
            while not over.is_set():
                daemon.process.send_signal(signal.SIGSTOP)
                daemon.process.send_signal(signal.SIGCONT)

        interrupting = threading.Thread(target=storm)
        interrupting.start()
        try:
            out = forwarded(configured, frames, bursts=[300])
        finally:
            over.set()
            interrupting.join()
        stats = daemon.wait_received(len(frames))
    assert by_flow(out) == by_flow(frames)
    assert stats.tx == stats.rx == live_packets(stats) == len(frames)


def test_real_connections_over_live_frames(configured):
    serve(configured, ctraffic=True)
    with Daemon(configured, "--tx=live") as daemon:
        client = start_ctraffic(configured.client, configured.vip4, "-nconn=20", "-rate=2000", "-timeout=3s")
        report = ctraffic_report(client)
        stats = daemon.stats_now()
    assert report["FailedConnections"] == report["FailedConnects"] == 0
    assert report["Sent"] == report["Received"] > 0
    assert live_packets(stats) == stats.tx == stats.rx


def test_the_start_says_which_way_and_stats_count_both(configured):
    with Daemon(configured) as daemon:
        assert "transmit: live frames for batches of 24 and more, the TX ring for fewer" in daemon.output
        forwarded(configured, frames_of(configured, 3), bursts=[1])
        daemon.wait_received(3)
        text = xdplb(configured.lb, "stats").stdout
    assert "sent: 3 through the TX ring, 0 as live frames in 0 batches" in text


def test_a_far_end_that_stops_taking_live_frames_costs_no_packet_after_that_is_known(configured):
    frames = frames_of(configured, 160)
    with Daemon(configured, "--tx=live") as daemon:
        forwarded(configured, frames, bursts=[160])
        configured["switch"].run("ethtool -K lb.1 gro off")
        daemon.process.wait_for(r"transmit: TX ring \(\[eth1\] takes no redirected frames now: its peer has neither")
        assert by_flow(forwarded(configured, frames, bursts=[160])) == by_flow(frames)
        assert live_packets(daemon.wait_received(320)) == 160
        configured["switch"].run("ethtool -K lb.1 gro on")
        daemon.process.wait_for(r"(?s)takes no redirected.*transmit: live frames")
        assert by_flow(forwarded(configured, frames, bursts=[160])) == by_flow(frames)
        assert live_packets(daemon.wait_received(480)) == 320


def test_live_alone_is_refused_where_the_far_end_takes_none(configured):
    configured["switch"].run("ethtool -K lb.1 gro off")
    refused = Daemon(configured, "--tx=live", wait=False)
    assert refused.process.wait() == 1
    assert "[eth1] takes no redirected frames now: its peer has neither an XDP program nor GRO" in refused.output
    with Daemon(configured) as daemon:
        assert "transmit: TX ring ([eth1] takes no redirected frames" in daemon.output


def test_a_killed_daemon_leaves_a_program_that_the_next_one_takes_back(configured):
    daemon = Daemon(configured, "--tx=live")
    daemon.process.kill()
    daemon.process.wait()
    assert "prog/xdp" in configured.lb.run("ip -d link show dev eth1").stdout
    with Daemon(configured, "--tx=live") as again:
        frames = frames_of(configured, 80)
        assert by_flow(forwarded(configured, frames, bursts=[80])) == by_flow(frames)
        assert live_packets(again.wait_received(80)) == 80
    assert "prog/xdp" not in configured.lb.run("ip -d link show dev eth1").stdout


@pytest.mark.parametrize("gone, back, says", [
    ("ip link set dev eth1 down", "ip link set dev eth1 up", "waiting: Interface"),
    ("ip link set dev eth1 xdp off", "true", r"the program on \[eth1\] was detached"),
], ids=["down", "detached"])
def test_live_frames_come_back_with_the_device(configured, gone, back, says):
    """The daemon has given up the privileges to load its program by then: it must have kept it."""
    with Daemon(configured, "--tx=live") as daemon:
        configured.lb.run(gone)
        daemon.process.wait_for(says)
        configured.lb.run(back)
        daemon.process.wait_for("the data plane is up again")
        frames = frames_of(configured, 80)
        assert by_flow(forwarded(configured, frames, bursts=[80])) == by_flow(frames)
        assert live_packets(daemon.wait_received(80)) == 80


def program_name(lab) -> str:
    shown = lab.lb.run(f"bpftool -j prog show id {program_on(lab, 'eth1')}").stdout
    return json.loads(shown)["name"]


def sends_by_the_ring(lab, daemon, why: str) -> bool:
    """All of a batch that would go live, whole and in order; and `lb` says why."""
    frames = frames_of(lab, 160)
    assert by_flow(forwarded(lab, frames, bursts=[160])) == by_flow(frames)
    assert f"transmit: TX ring ({why}" in daemon.output
    return program_name(lab) == "xdp_vip" and live_packets(daemon.wait_received(160)) == 0


@pytest.mark.parametrize("tx, name", [("auto", "xdp_vip_live"), ("live", "xdp_vip_live"), ("xsk", "xdp_vip")])
def test_one_arm_only_who_sends_live_frames_has_the_program_for_it(one_arm, tx, name):
    """Under whichever name, the pins are those that scripts know."""
    with Daemon(one_arm, f"--tx={tx}"):
        assert program_name(one_arm) == name
        known = {f"/sys/fs/bpf/lb/{pin}" for pin in ("xdp_vip", "xdp_vip_map", "xsks_map")}
        assert known <= set(pins(one_arm))
    assert program_on(one_arm, "eth1") == 0 and pins(one_arm) == []


def test_one_arm_an_operators_xdp_vip_is_used_as_it_is(one_arm):
    one_arm.lb.shell(
        f"""bpftool prog loadall {BUILD}/xdp_vip_kern.o /sys/fs/bpf/lb pinmaps /sys/fs/bpf/lb
        ip link set dev eth1 xdpdrv pinned /sys/fs/bpf/lb/xdp_vip"""
    )
    before = program_on(one_arm, "eth1"), pins(one_arm)
    why = "the xdp_vip on [eth1] is the operator's; detach it and remove its pins"
    with Daemon(one_arm) as daemon:
        assert sends_by_the_ring(one_arm, daemon, why)
    refused = Daemon(one_arm, "--tx=live", wait=False)
    assert refused.process.wait() == 1
    assert f"--tx live is not possible: {why}" in refused.output
    assert (program_on(one_arm, "eth1"), pins(one_arm)) == before
    one_arm.lb.run("ip link set dev eth1 xdp off")
    one_arm.lb.run("rm -r /sys/fs/bpf/lb")
    with Daemon(one_arm, "--tx=live"):
        assert program_name(one_arm) == "xdp_vip_live"


def test_one_arm_an_xdp_vip_left_by_a_killed_daemon_serves_until_a_restart(one_arm):
    daemon = Daemon(one_arm, "--tx=xsk")
    daemon.process.kill()
    daemon.process.wait()
    with Daemon(one_arm) as daemon:
        assert "taken over from a daemon that died" in daemon.output
        assert sends_by_the_ring(one_arm, daemon, "the xdp_vip on [eth1] was left by a daemon that died; a restart")
    with Daemon(one_arm, "--tx=live"):
        assert program_name(one_arm) == "xdp_vip_live"


def test_one_arm_without_native_mode_there_are_none(one_arm):
    """A veth takes no native program where its peer's frames do not fit a page."""
    one_arm["switch"].run("ip link set dev lb.1 mtu 9000")
    with Daemon(one_arm) as daemon:
        assert "XDP on [eth1]: generic (native: " in daemon.output
        assert sends_by_the_ring(one_arm, daemon, "[eth1] takes no native XDP program")
    with Daemon(one_arm, "--mode=generic") as daemon:
        assert sends_by_the_ring(one_arm, daemon, "--mode generic")
