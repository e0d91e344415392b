"""The flows outlive the daemon: killed or stopped, the next one knows every connection, those on drained targets too.

That the drained ones live proves it: their target takes no new flows, so a balancer that had forgotten them would
choose another.
"""

import re

import pytest
from support.connections import Connections, serve_echo, wait_established
from support.daemon import Daemon, configure
from support.draining import drain

CONNECTIONS = 100
DRAINED = (0, 1)
DRAINED_SERVERS = {"vm-001", "vm-002"}
ENDS = {"kill -9": lambda daemon: daemon.process.kill(), "SIGTERM": lambda daemon: daemon.stop()}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("queues", [1, 2])
def test_no_connection_is_lost(make_lab, end, queues):
    lab = make_lab(queues=queues)
    configure(lab)
    serve_echo(lab)
    client, vips = lab.client, (lab.vip4, lab.vip6)
    with Daemon(lab) as first:
        opened = [Connections(client, vip, CONNECTIONS, kind) for vip in vips for kind in ("tcp", "udp")]
        before = [dict(connections.server) for connections in opened]
        assert all(DRAINED_SERVERS < set(servers.values()) for servers in before)
        drain(lab, *DRAINED)
        assert [connections.exchange() for connections in opened] == before
        ENDS[end](first)
    with Daemon(lab) as second:
        kept = int(re.search(r"^flows: .*; (\d+) flows of an earlier daemon kept", second.output, re.M).group(1))
        assert kept >= len(opened) * CONNECTIONS, second.output
        assert [connections.exchange() for connections in opened] == before
        assert not any(connections.broken for connections in opened)
        with Connections(client, lab.vip4, CONNECTIONS) as late:
            assert not DRAINED_SERVERS & set(late.server.values()), "the new daemon forgot who is drained"
        for connections in opened:
            connections.close()
        wait_established(lab, {})
        assert second.stats_now().drops.total() == 0


@pytest.mark.parametrize("flows", [2048, 4194304])
def test_tables_of_another_size_lose_none(make_lab, flows):
    lab = make_lab(queues=2)
    configure(lab)
    serve_echo(lab)
    with Daemon(lab):
        opened = [Connections(lab.client, vip, CONNECTIONS) for vip in (lab.vip4, lab.vip6)]
        drain(lab, *DRAINED)
        before = [connections.exchange() for connections in opened]
        assert all(DRAINED_SERVERS < set(servers.values()) for servers in before)
    with Daemon(lab, f"--flows={flows}") as second:
        said = re.search(r"(\d+) flows of an earlier daemon kept.*; moved from tables for 1048576 flows, 0 found no room",
                         second.output)
        assert said and int(said.group(1)) >= len(opened) * CONNECTIONS, second.output
        assert [connections.exchange() for connections in opened] == before
        assert not any(connections.broken for connections in opened)
        for connections in opened:
            connections.close()
