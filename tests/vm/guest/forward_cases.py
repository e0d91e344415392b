"""xdplb forwards, two-arm: the usual case. shape_cases.py asks the same of other arrangements."""
import collections

import traffic
from balanced import Balanced, modes
from harness import case, say

VIPS = ("vip4", "vip6")


class TwoArm(Balanced):
    pass


def says_what_it_uses(balanced):
    """The daemon's word, and the kernel's where it has one (sock_diag of AF_XDP)."""
    output = balanced.daemon.output
    for line in modes(output):
        say(line)
    for device, expected in balanced.zero_copy_expected().items():
        word = "yes" if expected else "no"
        lines = [line for line in output.splitlines() if device in line and "zero-copy" in line]
        assert any(f"zero-copy: {word}" in line for line in lines), f"{device}: expected {word}, said {lines}"
    for device, found in balanced.zero_copy_by_kernel().items():
        say(f"kernel: {device} zero-copy {'/'.join(map(str, found))}")
        assert found == {balanced.zero_copy_expected()[device]}, device


def everyone_gets_udp(balanced):
    for vip in VIPS:
        spread = traffic.udp(balanced.lab, getattr(balanced.lab, vip), 60)
        assert len(spread) == len(balanced.lab.servers), f"{vip}: {dict(spread)}"
    balanced.settled()


def everyone_gets_tcp(balanced):
    spread = sum((traffic.tcp(balanced.lab, getattr(balanced.lab, vip), 15) for vip in VIPS), collections.Counter())
    assert len(spread) == len(balanced.lab.servers), dict(spread)
    balanced.settled()


def every_packet_arrives_once(balanced):
    """Sent = received = right: so many datagrams of all sizes, and the balancer counted exactly those."""
    before = balanced.settled()
    balanced.servers.datagrams.clear()
    sent = collections.Counter()
    for size in (1, 18, 64, 511, 1024, 1432):
        for vip in VIPS:
            traffic.udp(balanced.lab, getattr(balanced.lab, vip), 50, size=size, sent=sent)
    received = balanced.servers.datagrams
    assert received == sent, f"{(received - sent).total()} too many, {(sent - received).total()} missing"
    after = balanced.settled()
    assert after.rx - before.rx == after.tx - before.tx == sent.total(), f"{sent.total()} sent, {before} -> {after}"
    balanced.all_frames_are_back()


def fragments_arrive(balanced):
    for vip in VIPS:
        for size in (3000, 20000):
            traffic.udp(balanced.lab, getattr(balanced.lab, vip), 10, size=size)
    balanced.settled()


def register(given, name, *checks):
    for check in checks:
        def run(balanced, check=check):
            check(balanced)
        run.__name__ = f"{name}_{check.__name__}"
        case(given)(run)


register(TwoArm, "two_arm", says_what_it_uses, everyone_gets_udp, everyone_gets_tcp, every_packet_arrives_once,
         fragments_arrive)
