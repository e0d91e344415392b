"""What no socket serves, and what is not for a VIP."""

import pytest
from lab import names
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from support.daemon import Daemon, activate_servers, configure, xdplb
from support.flows import Flows
from support.packets import Tap
from support.programs import TRANSFER, wait_listening

FLOWS = 400
DISCOVER = BOOTP() / DHCP(options=[("message-type", "discover")])


@pytest.fixture(params=["native", "generic"])
def mode(request):
    return request.param


def queue_shares(lab, mode, frames) -> list[int]:
    """How many of the frames arrive on each queue: the client's kernel decides, by flow, the same way every time."""
    with Daemon(lab, f"--mode={mode}") as daemon, Tap(lab.client, "eth2") as client:
        client.send(*frames)
        shares = [worker["rx"] for worker in daemon.wait_received(len(frames)).workers]
    assert sum(shares) == len(frames) and all(shares), shares
    return shares


@pytest.mark.parametrize("fallback", ["drop", "pass"])
def test_a_queue_without_a_socket_takes_the_fallback(make_lab, mode, fallback):
    lab = make_lab(queues=2, generic=mode == "generic")
    xdplb(lab.lb, "init")
    xdplb(lab.lb, "vip", "add", "--fallback", fallback, *lab.spec.vips)
    activate_servers(lab)
    flows = Flows(lab)
    frames = [flows.frame(number) for number in range(FLOWS)]
    served, not_served = queue_shares(lab, mode, frames)
    with Daemon(lab, "--queue=0", f"--mode={mode}") as daemon:
        with Tap(lab.client, "eth2") as client, Tap(lab.lb, "eth2") as stack:
            client.send(*frames)
            stats = daemon.wait_received(served)
            expected = not_served if fallback == "pass" else 0
            passed = stack.wait_for(frames.__contains__, expected)
    assert stats.rx == stats.tx == served
    assert len(passed) == expected


def test_each_queue_can_be_the_only_one(make_lab, mode):
    lab = make_lab(queues=4, generic=mode == "generic")
    configure(lab)
    flows = Flows(lab)
    frames = [flows.frame(number) for number in range(FLOWS)]
    shares = queue_shares(lab, mode, frames)
    for queue in range(4):
        with Daemon(lab, f"--queue={queue}", f"--mode={mode}") as daemon, Tap(lab.client, "eth2") as client:
            client.send(*frames)
            stats = daemon.wait_received(shares[queue])
            assert stats.rx == stats.tx == shares[queue]


def things_not_for_a_vip(lab) -> list[bytes]:
    """One of each kind that a balancer's host gets besides VIP traffic, a few of them very near to it."""
    ethernet = Ether(src=lab.client.mac("eth2"), dst=lab.lb.mac("eth2"))
    broadcast = Ether(src=lab.client.mac("eth2"), dst="ff:ff:ff:ff:ff:ff")
    client, host = names.clients(lab.spec)[0], names.balancers(lab.spec)[0]
    own4, own6 = host.ip4(names.INGRESS), host.ip6(names.INGRESS)
    src4, src6 = client.ip4(names.INGRESS), client.ip6(names.INGRESS)
    solicitation = IPv6(src=src6, dst="ff02::1:ffa8:2c9") / ICMPv6ND_NS(tgt=own6)
    packets = [
        ethernet / IP(src=src4, dst=own4) / TCP(sport=1, dport=22, flags="S"),
        ethernet / IP(src=src4, dst=own4) / UDP(dport=53) / b"query",
        ethernet / IP(src=src4, dst=own4) / ICMP() / b"echo",
        ethernet / IP(src=lab.vip4, dst=own4) / TCP(flags="R"),  # from the VIP; the host answers no reset
        ethernet / IP(src=src4, dst="10.0.0.1") / UDP(dport=9),  # beside the VIP
        ethernet / IP(src=src4, dst="224.0.0.18", proto=112) / bytes(20),  # VRRP
        ethernet / IPv6(src=src6, dst=own6) / TCP(sport=1, dport=22, flags="S"),
        ethernet / IPv6(src=src6, dst=own6) / ICMPv6EchoRequest(),
        ethernet / IPv6(src=lab.vip6, dst=own6) / TCP(flags="R"),
        ethernet / IPv6(src=src6, dst="1000::1") / UDP(dport=9),
        ethernet / IPv6(src=src6, dst="::ffff:10.0.0.0") / UDP(dport=9),  # an IPv6 packet is not for an IPv4 VIP
        Ether(src=lab.client.mac("eth2"), dst="33:33:ff:a8:02:c9") / solicitation / ICMPv6NDOptSrcLLAddr(),
        broadcast / ARP(psrc=src4, pdst=own4, hwsrc=lab.client.mac("eth2")),
        broadcast / ARP(psrc=src4, pdst=lab.vip4, hwsrc=lab.client.mac("eth2")),  # about the VIP, not to it
        broadcast / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / DISCOVER,
        ethernet / Dot1Q(vlan=7) / IP(src=src4, dst=own4) / UDP(dport=9),
        Ether(src=lab.client.mac("eth2"), dst="01:80:c2:00:00:0e", type=0x88CC) / bytes(50),  # LLDP
    ]
    return [bytes(packet) for packet in packets]


@pytest.mark.parametrize("way", ["no daemon", "native", "generic", "stopped"])
def test_other_traffic_is_untouched(lab, way):
    """The same frames reach the host's stack, unchanged and in order, whether a daemon runs or not."""
    configure(lab)
    daemon = None if way == "no daemon" else Daemon(lab, f"--mode={way if way != 'stopped' else 'native'}")
    if way == "stopped":
        daemon.stop()
    frames = things_not_for_a_vip(lab)
    with Tap(lab.client, "eth2") as client, Tap(lab.lb, "eth2") as stack:
        client.send(*frames)
        seen = stack.wait_for(lambda frame: frame in frames, len(frames))
    assert seen == frames
    if daemon and daemon.process.running:
        assert daemon.stats_now().rx == 0
        daemon.stop()


@pytest.mark.parametrize("way", ["no daemon", "native", "generic"])
def test_the_host_answers(lab, way):
    """ARP, neighbour discovery, ping and a TCP login work from scratch."""
    configure(lab)
    host = names.balancers(lab.spec)[0]
    addresses = [host.ip4(names.INGRESS), host.ip6(names.INGRESS)]
    lab.lb.start([*TRANSFER, "serve", 22])
    wait_listening(lab.lb, 22)
    daemon = None if way == "no daemon" else Daemon(lab, f"--mode={way}")
    lab.client.run("ip neigh flush dev eth2")
    for address in addresses:
        lab.client.run(["ping", "-n", "-c1", "-W5", address])
        lab.client.run([*TRANSFER, "send", address, 22, 100_000])
    if daemon:
        daemon.stop()
