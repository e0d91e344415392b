"""XDP programs while the daemon runs: ours detached or replaced, the operator's, and no target behind them."""

import pytest
from lab.node import BUILD
from support import maps
from support.daemon import Daemon, configure, xdplb
from support.faults import attach_foreign, forward, must_fail, pins, program_on, wait_forwards, wait_said
from support.flows import Flows
from support.packets import Tap

UP_AGAIN = r"the data plane is up again"

def test_our_program_detached(lab, daemon):
    before, program = forward(lab), program_on(lab, "eth2")
    lab.lb.run("ip link set dev eth2 xdp off")
    wait_said(daemon, r"the program on \[eth2\] was detached")
    wait_said(daemon, UP_AGAIN)
    assert program_on(lab, "eth2") == program, "the same, with its maps and VIPs"
    wait_forwards(lab)
    assert forward(lab) == before


def test_egress_program_detached(lab, daemon):
    """Alone: drivers that need it for zero-copy transmit would send nothing any more."""
    before = forward(lab)
    assert program_on(lab, "eth1") != 0
    lab.lb.run("ip link set dev eth1 xdp off")
    wait_said(daemon, r"the program on \[eth1\] was detached")
    wait_said(daemon, UP_AGAIN)
    assert program_on(lab, "eth1") != 0
    wait_forwards(lab)
    assert forward(lab) == before


def test_our_program_replaced(lab, daemon):
    """The other one stays for as long as its owner wants; then ours comes back."""
    before = forward(lab)
    foreign = attach_foreign(lab, "eth2", force=True)
    wait_said(daemon, rf"the program on \[eth2\] was replaced by another, id {foreign}")
    wait_said(daemon, rf"waiting: Another XDP program is attached to \[eth2\]: id {foreign}")
    assert program_on(lab, "eth2") == foreign
    lab.lb.run("ip link set dev eth2 xdpdrv off")
    wait_said(daemon, UP_AGAIN)
    wait_forwards(lab)
    assert forward(lab) == before


def test_stop_leaves_the_program_that_replaced_ours(lab, daemon):
    foreign = attach_foreign(lab, "eth2", force=True)
    wait_said(daemon, r"waiting: Another XDP program")
    daemon.stop()
    assert program_on(lab, "eth2") == foreign and pins(lab) == ["/sys/fs/bpf/foreign"]


def test_pinned_but_attached_nowhere(lab):
    """An operator is half way through the set-up: the message says what is missing, and nothing of it is touched."""
    configure(lab)
    lab.lb.run(f"bpftool prog loadall {BUILD}/xdp_vip_kern.o /sys/fs/bpf/lb pinmaps /sys/fs/bpf/lb")
    before = pins(lab)
    assert "exists: an operator pinned a program there but attached it to no ingress device" in must_fail(lab)
    assert pins(lab) == before


@pytest.mark.parametrize("device", ["eth1", "eth2"])
def test_what_the_operator_attached_stays(lab, device):
    """Set up by hand, with a VIP by bpftool: after the daemon all of it is as it was."""
    maps.wait_gone()
    configure(lab)
    lab.lb.shell(
        f"""bpftool prog loadall {BUILD}/xdp_vip_kern.o /sys/fs/bpf/lb pinmaps /sys/fs/bpf/lb
        ip link set dev eth2 xdpgeneric pinned /sys/fs/bpf/lb/xdp_vip
        bpftool map update name xdp_vip_map key hex 0 0 0 0 0 0 0 0 0 0 ff ff 0a 9 9 9 value 2 0 0 0"""
    )
    if device == "eth1":
        lab.lb.run("ip link set dev eth1 xdpgeneric pinned /sys/fs/bpf/lb/xdp_vip")

    def state():
        dump = lab.lb.run("bpftool -j map dump pinned /sys/fs/bpf/lb/xdp_vip_map").stdout
        return program_on(lab, "eth2"), program_on(lab, "eth1"), pins(lab), dump

    before = state()
    with Daemon(lab) as daemon:
        daemon.process.wait_for("attached by the operator, left in place")
        forward(lab)
    assert state() == before


def test_all_targets_deactivated(lab, daemon):
    """Dropped for that reason, counted; the first target that comes back takes them."""
    forward(lab)
    xdplb(lab.lb, "deactivate", 0, 1, 2, 3)

    rx = daemon.stats_now().rx
    with Tap(lab.client, "eth2") as client:
        client.send(*(Flows(lab, "udp").frame(n) for n in range(100, 150)))
        stats = daemon.wait_received(rx + 50)
    assert stats.drops["no_target"] >= 50 and stats.balanced
    xdplb(lab.lb, "activate", 2)
    assert set(forward(lab).values()) == {"vm-003"}
