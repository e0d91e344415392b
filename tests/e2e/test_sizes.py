"""Every frame size, and clients that leave checksums and segmentation to the device."""

import re

import pytest
from lab import names
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from support.daemon import Daemon, configure
from support.faults import wait_said
from support.packets import Tap, mac_bytes, sent_by
from support.programs import TRANSFER, wait_listening
from support.wait import wait_until

MTU = 1500
ETHERNET = 14
PORT = 7000
OFFLOADS = {"tx": "on", "tso": "on", "gso": "on"}


def frames_of_every_size(lab, ip) -> list[bytes]:
    """One UDP frame of each size from 60 bytes to a full MTU, each a flow of its own."""
    ethernet = Ether(src=lab.client.mac("eth2"), dst=lab.lb.mac("eth2"))
    frames = []
    for size in range(60, MTU + ETHERNET + 1):
        head = ethernet / ip / UDP(sport=20000 + size, dport=PORT)
        if size >= len(head):  # IPv6 begins at 62
            frames.append(bytes(head / bytes(i % 251 for i in range(size - len(head)))))
    return frames


@pytest.mark.parametrize("mode", ["native", "generic"])
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_every_size_arrives_unchanged(lab, mode, family):
    configure(lab)
    ip = IP(src="50.0.0.1", dst=lab.vip4) if family == "IPv4" else IPv6(src="2000::1", dst=lab.vip6)
    frames = frames_of_every_size(lab, ip)
    with Daemon(lab, f"--mode={mode}") as daemon, Tap(lab.client, "eth2") as client, Tap(lab["switch"], "lb.1") as wire:
        client.send(*frames)
        sent = wire.wait_for(sent_by(lab.lb, "eth1"), len(frames))
        stats = daemon.wait_received(len(frames))
    assert sorted(frame[12:] for frame in sent) == sorted(frame[12:] for frame in frames)
    servers = {mac_bytes(server.mac(names.SEGMENT)) for server in names.servers(lab.spec)}
    assert {frame[:6] for frame in sent} == servers
    assert stats.rx == stats.tx == len(frames)


@pytest.mark.parametrize("mode", ["native", "generic"])
def test_one_byte_more_than_the_mtu_is_counted(lab, mode):
    configure(lab)
    lab.client.run("ip link set eth2 mtu 1600")
    ethernet = Ether(src=lab.client.mac("eth2"), dst=lab.lb.mac("eth2"))
    head = ethernet / IP(src="50.0.0.1", dst=lab.vip4) / UDP(dport=PORT)
    fits, too_long = (head / bytes(ETHERNET + MTU + more - len(head)) for more in (0, 1))
    with Daemon(lab, f"--mode={mode}") as daemon, Tap(lab.client, "eth2") as client, Tap(lab["switch"], "lb.1") as wire:
        client.send(too_long, fits)
        stats = daemon.wait_received(2)
        assert [frame[12:] for frame in wire.wait_for(sent_by(lab.lb, "eth1"))] == [bytes(fits)[12:]]
    assert stats.rx == 2 and stats.tx == 1 and stats.drops == {"too_big": 1}


def test_frames_are_as_long_as_the_mtu_asks(lab):
    """Small ones while every packet fits one. The MTU is changed while the daemon runs, and the longest packets arrive."""
    configure(lab)
    ethernet = Ether(src=lab.client.mac("eth2"), dst=lab.lb.mac("eth2"))
    head = ethernet / IP(src="50.0.0.1", dst=lab.vip4) / UDP(dport=PORT)
    with Daemon(lab) as daemon, Tap(lab.client, "eth2") as client, Tap(lab["switch"], "lb.1") as wire:
        wait_said(daemon, "^memory: .* frames of 2 KiB,")
        for mtu, kib, times in ((1771, 4, 1), (1770, 2, 2), (3000, 4, 2)):
            lab.client.run(f"ip link set eth2 mtu {mtu}")
            lab["switch"].run(f"ip link set lb.1 mtu {mtu}")
            lab.lb.shell(f"ip link set eth1 mtu {mtu}; ip link set eth2 mtu {mtu}")
            wait_said(daemon, f"^memory: .* frames of {kib} KiB,", times)
            longest = bytes(head / bytes(ETHERNET + mtu - len(head)))
            wait_until(lambda: forwarded(lab, client, wire, longest), what=f"a packet of {mtu} bytes")


def forwarded(lab, client, wire, frame: bytes) -> bool:
    """Devices that were set up anew may lose the first packets."""
    client.send(frame)
    return frame[12:] in [sent[12:] for sent in wire.matching(sent_by(lab.lb, "eth1"))]


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
@pytest.mark.parametrize("mode, offloads", [("native", True), ("native", False), ("generic", False)])
def test_a_transfer_arrives_unchanged(make_lab, mode, offloads, family):
    lab = make_lab(offloads={"client.eth2": OFFLOADS} if offloads else {})
    configure(lab)
    serve_transfers(lab)
    with Daemon(lab, f"--mode={mode}") as daemon:
        vip = lab.vip4 if family == "IPv4" else lab.vip6
        assert lab.client.run([*TRANSFER, "send", vip, PORT, 20_000_000]).stdout == "same 20000000\n"
        stats = daemon.stats_now()
        assert stats.balanced and stats.drops["too_big"] == 0, stats
        if offloads:
            assert stats.rx > 20_000_000 // MTU, "no segment may be longer than the MTU"


def test_generic_with_segmentation_offload_counts_and_warns(make_lab):
    """Generic XDP is handed whole super-packets. They cannot be forwarded; the operator must learn why."""
    lab = make_lab(offloads={"client.eth2": OFFLOADS})
    configure(lab)
    serve_transfers(lab)
    with Daemon(lab, "--mode=generic") as daemon:
        sender = lab.client.start([*TRANSFER, "send", lab.vip4, PORT, 20_000_000])
        assert re.search(r"warning: .*eth2.* generic.* TSO ", daemon.output)

        def oversize():
            stats = daemon.stats()
            return stats.drops["too_big"] + stats.kernel_rx_dropped

        wait_until(oversize, what="oversize frames are counted")
        assert daemon.stats_now().balanced
        sender.kill()


def serve_transfers(lab) -> None:
    for node in lab.servers:
        node.start([*TRANSFER, "serve", PORT])
    for node in lab.servers:
        wait_listening(node, PORT)

