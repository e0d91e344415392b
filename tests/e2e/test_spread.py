"""How connections spread over equal targets, and how many move when one goes."""

from collections import Counter

import pytest
from lab import names
from support.daemon import Daemon, configure, xdplb
from support.flows import Course, Flows
from support.programs import mconnect, serve

CONNECTIONS = 4000
SETS = 20


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_even_within_ten_percent(lab, protocol):
    configure(lab)
    with Daemon(lab), Course(lab, Flows(lab, protocol)) as course:
        spread = Counter(course.run(range(CONNECTIONS)).values())
    even = CONNECTIONS / 4
    assert len(spread) == 4
    assert all(0.9 * even <= count <= 1.1 * even for count in spread.values()), spread


def test_real_connections(lab):
    """With ports that the kernel picks at random the bound is wider: 15 % is more than five standard deviations."""
    configure(lab)
    serve(lab)
    with Daemon(lab):
        spread = mconnect(lab.client, lab.vip4, CONNECTIONS)
    assert spread.failed == 0 and spread.answered == CONNECTIONS
    assert len(spread.hosts) == 4
    assert all(850 <= count <= 1150 for count in spread.hosts.values()), spread.hosts


def test_deactivating_one_moves_little_more_than_its_share(lab):
    """20 sets of identities: a target's identity is its index, so each set uses other indices. Beyond the flows of the
    target that went, whose move is its share, 5 % of all may move on average."""
    xdplb(lab.lb, "init", "--n=100")
    xdplb(lab.lb, "vip", "add", *lab.spec.vips)
    servers = names.servers(lab.spec)
    others_moved = []
    with Daemon(lab), Course(lab, Flows(lab)) as course:
        for number in range(SETS):
            indices = range(4 * number, 4 * number + 4)
            for index, server in zip(indices, servers, strict=True):
                # --force: the same machines as before, under other indices
                xdplb(lab.lb, "activate", "--force", f"--mac={server.mac(names.SEGMENT)}", index)
            flows = range(number * CONNECTIONS, (number + 1) * CONNECTIONS)
            before = course.run(flows)
            gone = number % 4
            xdplb(lab.lb, "deactivate", indices[gone])
            after = course.run(flows)
            assert servers[gone].name not in after.values()
            others = [flow for flow, server in before.items() if server != servers[gone].name]
            others_moved.append(sum(before[flow] != after[flow] for flow in others))
            xdplb(lab.lb, "deactivate", *(index for index in indices if index != indices[gone]))
    assert sum(others_moved) / SETS <= 0.05 * CONNECTIONS, others_moved
