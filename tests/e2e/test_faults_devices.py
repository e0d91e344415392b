"""Devices that are missing, down, changed or replaced: at the start an error, while running a wait, then recovery."""

import json

import pytest
from lab.names import SEGMENT
from support.daemon import Daemon, configure
from support.faults import cable, forward, make_client_cable, must_fail, pins, program_on, wait_forwards, wait_said
from support.flows import Flows
from support.packets import Tap

UP_AGAIN = r"the data plane is up again"


@pytest.fixture
def running(daemon, lab):
    """A daemon that serves, and where its flows went before anything happened."""
    daemon.before = forward(lab)
    return daemon


def recovered(lab, daemon, times: int = 1) -> None:
    """Every flow goes where it went before."""
    wait_said(daemon, UP_AGAIN, times)
    wait_forwards(lab)
    assert forward(lab) == daemon.before
    assert daemon.stats_now().balanced, str(daemon.stats())


# --- at the start ---


@pytest.mark.parametrize("options", [{"idev": "eth9"}, {"edev": "eth9"}], ids=["ingress", "egress"])
def test_unknown_interface(lab, options):
    configure(lab)
    assert must_fail(lab, **options) == "Unknown interface [eth9]"


@pytest.mark.parametrize("device", ["eth1", "eth2"])
def test_interface_that_is_down(lab, device):
    configure(lab)
    lab.lb.run(f"ip link set {device} down")
    assert f"Interface [{device}] is down; set it up with `ip link set dev {device} up`" in must_fail(lab)


def test_bridge_is_refused(lab):
    configure(lab)
    lab.lb.shell("ip link add br0 type bridge; ip link set br0 up")
    assert "[br0] is a bridge" in must_fail(lab, idev="br0")


def test_queue_that_the_device_does_not_have(lab):
    configure(lab)
    assert "Invalid --queue [7]: [eth2] has 1 receive queue" in must_fail(lab, "--queue=7")


# --- while running ---


@pytest.mark.parametrize("device", ["eth1", "eth2"])
def test_interface_goes_down_and_up(lab, running, device):
    lab.lb.run(f"ip link set {device} down")
    wait_said(running, rf"\[{device}\] is down: taking the data plane down")
    workers = json.loads(lab.lb.run("xdplb stats --json").stdout)["workers"]
    assert [worker["name"] for worker in workers] == ["eth2/0"], "its counters stay, and its name"
    lab.lb.run(f"ip link set {device} up")
    recovered(lab, running)
    said = running.output.partition("the data plane is up again")[2].split("\n", 1)[1]
    assert said == "", "as it was before the start report counts; nothing of it is said again"


def test_what_is_new_after_a_change_is_said(make_lab):
    """A second queue: one more worker, and more memory. The flows, the program and the rest are as they were."""
    lab = make_lab(queues=2)
    configure(lab)
    lab.lb.run("ethtool -L eth2 rx 1")
    with Daemon(lab) as daemon:
        lab.lb.run("ethtool -L eth2 rx 2")
        wait_said(daemon, UP_AGAIN)
        wait_said(daemon, r"^worker eth2/1: ")
        said = daemon.output.partition("the data plane is up again\n")[2]
        assert {line.partition(":")[0] for line in said.splitlines()} == {"worker eth2/1", "memory"}


def test_vips_fall_back_while_the_egress_is_down(lab, running):
    """The program stays, and so the VIP's packets do not reach a host that does not own the VIP."""
    program = program_on(lab, "eth2")
    lab.lb.run("ip link set eth1 down")
    wait_said(running, r"waiting: Interface \[eth1\] is down")
    assert program_on(lab, "eth2") == program
    with Tap(lab.client, "eth2") as client, Tap(lab.lb, "eth2") as stack:
        flows = Flows(lab, "udp")
        client.send(*(flows.frame(n) for n in range(50)))
        # Behind them one that is not for a VIP: when it has come, they have, too.
        other = bytearray(flows.frame(51))
        other[30:34] = bytes([192, 0, 2, 1])
        client.send(bytes(other))
        seen = stack.wait_for(lambda frame: frame[30:34] == bytes([192, 0, 2, 1]))
        assert len(seen) == 1
        assert stack.matching(lambda frame: frame[12:14] == b"\x08\x00" and frame[30:34] == bytes([10, 0, 0, 0])) == []
    lab.lb.run("ip link set eth1 up")
    recovered(lab, running)


def test_flapping_leaks_nothing(lab, running):
    """Down and up twenty times, each seen by the daemon: as many descriptors, mappings and threads as before."""

    def resources() -> dict[str, int]:
        proc = f"/proc/{running.process.pid}"
        lines = lab.lb.shell(f"ls {proc}/fd | wc -l; wc -l < {proc}/maps; ls {proc}/task | wc -l").stdout.split()
        return dict(zip(("fds", "mappings", "threads"), map(int, lines)))

    def flap(times: int) -> None:
        lab.lb.run("ip link set eth2 down")
        wait_said(running, r"\[eth2\] is down: taking", times)
        lab.lb.run("ip link set eth2 up")
        wait_said(running, UP_AGAIN, times)

    flap(1)
    before = resources()
    for times in range(2, 21):
        flap(times)
    after = resources()
    assert after["fds"] == before["fds"] and after["threads"] == before["threads"]
    assert after["mappings"] <= before["mappings"] + 4, "the allocator may keep some, twenty planes may not"
    recovered(lab, running, 20)


def test_flapping_faster_than_it_is_seen(lab, running):
    lab.lb.shell("for i in 1 2 3 4 5 6 7 8 9 10; do ip link set eth2 down; ip link set eth2 up; done")
    wait_forwards(lab)
    assert forward(lab) == running.before


def test_ingress_deleted_and_made_anew(lab, running):
    lab.lb.run("ip link del eth2")
    wait_said(running, r"\[eth2\] is gone: taking the data plane down")
    wait_said(running, r"waiting: Unknown interface \[eth2\]")
    make_client_cable(lab)
    recovered(lab, running)


def test_egress_deleted_and_made_anew(lab, running):
    lb = lab.machines["lb"]
    lab.lb.run("ip link del eth1")
    wait_said(running, r"\[eth1\] is gone: taking the data plane down")
    cable("lb", "eth1", lb.mac(SEGMENT), "switch", "lb.1", "02:00:00:00:00:01")
    recovered(lab, running)


def test_mtu_changed(lab, running):
    lab.lb.run("ip link set eth1 mtu 1400")
    wait_said(running, r"\[eth1\] has MTU 1400 now")
    recovered(lab, running)


def test_mac_changed(lab, running):
    """Frames leave with the MAC that the device has now."""
    lab.lb.run("ip link set eth1 address 02:00:00:00:00:77")
    wait_said(running, r"\[eth1\] has MAC 02:00:00:00:00:77 now")
    recovered(lab, running)


@pytest.mark.parametrize(("device", "text"), [("eth2", "2 receive and 2 transmit"), ("eth1", "2 receive and 2 transmit")])
def test_channels_changed(make_lab, device, text):
    """A queue more, and a worker more serves it. Fewer: the kernel refuses that to a queue which a socket serves."""
    lab = make_lab(queues=2)
    configure(lab)
    lab.lb.run(f"ethtool -L {device} rx 1 tx 1")
    with Daemon(lab, "--mode=generic") as running:  # with fewer queues than its peer a veth has no native mode
        before = forward(lab)
        assert len(running.stats().workers) == 1
        lab.lb.run(f"ethtool -L {device} rx 2 tx 2")
        wait_said(running, rf"\[{device}\] has {text} queues now")
        wait_said(running, UP_AGAIN)
        wait_forwards(lab)
        assert forward(lab) == before
        assert len(running.stats_now().workers) == 2
        assert lab.lb.run(f"ethtool -L {device} rx 1 tx 1", check=False).returncode != 0


def test_daemon_stops_while_a_device_is_away(lab, running):
    lab.lb.run("ip link del eth2")
    wait_said(running, r"waiting: Unknown interface \[eth2\]")
    running.stop()
    assert pins(lab) == [] and program_on(lab, "eth1") == 0
