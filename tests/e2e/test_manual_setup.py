"""The manual set-up of the original, line by line: scripts that were written for it must work unchanged."""

import pytest
from lab.node import BUILD
from support import maps
from support.daemon import READY
from support.programs import CTRAFFIC_PORT, MCONNECT_PORT, ctraffic_report, established, mconnect, serve, start_ctraffic
from support.wait import wait_until

SETUP = """\
bpftool prog loadall /bin/xdp_vip_kern.o /sys/fs/bpf/lb pinmaps /sys/fs/bpf/lb
ip link set dev eth2 xdpgeneric pinned /sys/fs/bpf/lb/xdp_vip
ip link set dev eth1 xdpgeneric pinned /sys/fs/bpf/lb/xdp_vip
bpftool map update name xdp_vip_map key hex 0 0 0 0 0 0 0 0 0 0 ff ff 0a 0 0 0 value 1 0 0 0
bpftool map update name xdp_vip_map key hex 10 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 value 1 0 0 0
bpftool map dump name xdp_vip_map
xdplb init
xdplb activate --mac=0:0:0:1:1:1 0
xdplb activate --mac=0:0:0:1:1:2 1
xdplb activate --mac=0:0:0:1:1:3 2
xdplb activate --mac=0:0:0:1:1:4 3
xdplb show
"""
HOSTS = {"vm-001", "vm-002", "vm-003", "vm-004"}


@pytest.fixture
def by_hand(lab):
    """The lines above, typed on the balancer, and `xdplb lb`."""
    maps.wait_gone()
    # /bin/xdp_vip_kern.o, without touching the machine's /bin.
    lab.lb.shell(
        f"""mkdir -p /run/bin/new /run/bin/work
        mount -t overlay overlay -o lowerdir=/usr/bin,upperdir=/run/bin/new,workdir=/run/bin/work /usr/bin
        cp {BUILD}/xdp_vip_kern.o /bin/"""
    )
    outputs = {line: lab.lb.shell(line).stdout for line in SETUP.splitlines()}
    daemon = lab.lb.start("xdplb lb --idev=eth2 --edev=eth1")
    daemon.wait_for(READY)
    yield lab, daemon, outputs
    print(daemon.output)
    daemon.kill()


def test_show_has_the_old_form(by_hand):
    _lab, _daemon, outputs = by_hand
    lines = outputs["xdplb show"].splitlines()
    assert lines[0] == "M=997, N=20, lookup;"
    table = lines[1].split()
    assert len(table) == 25 and table[24] == "..."
    assert {int(entry) for entry in table[:24]} <= {0, 1, 2, 3}
    assert lines[2] == "Active:"
    assert lines[3:7] == [f"  {i} : 00:00:00:01:01:0{i + 1}" for i in range(4)]


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_mconnect_uses_all_servers(by_hand, family):
    lab, _daemon, _outputs = by_hand
    serve(lab)
    spread = mconnect(lab.client, lab.vip4 if family == "IPv4" else lab.vip6, 100)
    assert spread.failed == 0
    assert spread.connects == spread.answered == 100
    assert set(spread.hosts) == HOSTS
    no_connection_left(lab, MCONNECT_PORT)


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_ctraffic_loses_nothing(by_hand, family):
    lab, _daemon, _outputs = by_hand
    serve(lab, mconnect=False, ctraffic=True)
    vip = lab.vip4 if family == "IPv4" else lab.vip6
    client = start_ctraffic(lab.client, vip, "-nconn", "50", "-rate", "500", "-timeout", "3s")
    report = ctraffic_report(client)
    assert report["FailedConnections"] == report["FailedConnects"] == report["Dropped"] == 0
    assert report["Sent"] == report["Received"] > 500
    assert {connection["Host"] for connection in report["ConnStats"]} == HOSTS
    no_connection_left(lab, CTRAFFIC_PORT)


def test_what_the_operator_put_there_stays(by_hand):
    lab, daemon, _outputs = by_hand
    before = operators_things(lab)
    assert daemon.stop() == 0
    assert operators_things(lab) == before
    assert before["pins"] == "xdp_vip\nxdp_vip_map\nxsks_map\n"


def operators_things(lab) -> dict[str, str]:
    return {
        "pins": lab.lb.shell("ls /sys/fs/bpf/lb | grep -x -e xdp_vip -e xdp_vip_map -e xsks_map").stdout,
        "attached": lab.lb.shell("ip link show | grep -o 'xdp[a-z]*\\|prog/xdp id [0-9]*'").stdout,
        "vips": lab.lb.shell("bpftool map dump pinned /sys/fs/bpf/lb/xdp_vip_map").stdout,
    }


def no_connection_left(lab, port) -> None:
    """The bug of the original: the FIN stayed in a ring, and connections in ESTABLISHED on the servers."""

    def left():
        return {node.name: connections for node in lab.servers if (connections := established(node, port))}

    wait_until(lambda: not left(), what=left, timeout=10)
