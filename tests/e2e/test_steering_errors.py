"""ICMP errors find the server of the connection inside, whatever is left of it, on the queue that knows nothing of it.

The connections are real and came by queue 0; each error comes by queue 1, from a router. While the connections' servers
drain, the table would choose another one: so what arrives there was found in the other worker's flow table."""

import pytest
from lab import Lab, Spec, names
from scapy.layers.inet import ICMP, IP, TCP, IPOption
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from scapy.layers.ipsec import AH
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from support.connections import Connections, serve_echo
from support.daemon import Daemon, activate_servers, configure
from support.draining import drain
from support.packet_cases.errors import KINDS, MESSAGES6, TOO_BIG
from support.packets import Tap, mac_bytes
from support.programs import CTRAFFIC_PORT
from support.queues import SendQueue

ROUTER = {4: "203.0.113.9", 6: "2001:db8:ffff::9"}
CONNECTIONS = 12
EIGHT_BYTES = 8
# What lies before the TCP header in the packet inside.
CHAINS = {
    4: {
        "plain": lambda ip: ip,
        "options": lambda ip: IP(src=ip.src, dst=ip.dst, proto=6, options=[IPOption(b"\x01")] * 12),
        "first fragment": lambda ip: IP(src=ip.src, dst=ip.dst, proto=6, flags="MF", id=5),
    },
    6: {
        "plain": lambda ip: ip,
        "hop-by-hop": lambda ip: ip / IPv6ExtHdrHopByHop(),
        "destination": lambda ip: ip / IPv6ExtHdrDestOpt(),
        "routing": lambda ip: ip / IPv6ExtHdrRouting(addresses=["2001:db8::99"], segleft=0),
        "AH": lambda ip: ip / AH(payloadlen=4, spi=1, icv=b"i" * 12),
        "first fragment": lambda ip: ip / IPv6ExtHdrFragment(id=3, m=1),
        "all": lambda ip: ip / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(id=3, m=1) / IPv6ExtHdrDestOpt(),
    },
}


@pytest.fixture(scope="module")
def running():
    with Lab(Spec(queues=2)) as lab:
        configure(lab)
        serve_echo(lab)
        with Daemon(lab) as daemon:
            yield lab, daemon


class Errors:
    """A router's messages about connections, and the servers that they come to."""

    def __init__(self, lab: Lab, vip: str):
        self._lab, self._vip, self._version = lab, vip, 6 if ":" in vip else 4
        self._ethernet = Ether(src=lab.client.mac("eth2"), dst=lab.lb.mac("eth2"))
        self._in, self._out = Tap(lab.client, "eth2"), Tap(lab["switch"], "lb.1")
        self._servers = {mac_bytes(server.mac(names.SEGMENT)): server.name for server in names.servers(lab.spec)}

    def __enter__(self) -> "Errors":
        return self

    def __exit__(self, *exception) -> None:
        self._in.__exit__(*exception)
        self._out.__exit__(*exception)

    def all_about(self, client: str, port: int) -> dict[str, bytes]:
        """Every kind about a plain packet of the connection, and every chain of headers with packet too big, by name."""
        version = self._version
        made = {f"{kind}": self._message(client, port, "plain", kind) for kind in KINDS[version]}
        made |= {chain: self._message(client, port, chain, TOO_BIG[version]) for chain in CHAINS[version]}
        return made

    def _message(self, client: str, port: int, chain: str, kind: tuple[int, int]) -> bytes:
        # As a server sent it, cut behind the eighth byte of TCP, where the sequence number ends: one out of the window.
        tcp = bytes(TCP(sport=CTRAFFIC_PORT, dport=port, seq=1, flags="A"))[:EIGHT_BYTES]
        number, code = kind
        if self._version == 4:
            inside = CHAINS[4][chain](IP(src=self._vip, dst=client, proto=6)) / Raw(tcp)
            outside = IP(src=ROUTER[4], dst=self._vip) / ICMP(type=number, code=code)
        else:
            inside = CHAINS[6][chain](IPv6(src=self._vip, dst=client))
            inside.lastlayer().nh = 6
            inside = inside / Raw(tcp)
            outside = IPv6(src=ROUTER[6], dst=self._vip) / MESSAGES6[number](code=code)
        return bytes(self._ethernet / outside / Raw(bytes(inside)))

    def server_of(self, frame: bytes) -> str:
        self._out.forget()
        self._in.send(frame)
        (arrived,) = self._out.wait_for(lambda got: got[12:] == frame[12:])
        return self._servers[arrived[:6]]


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_errors_reach_the_server_of_the_connection(running, family):
    lab, daemon = running
    vip = lab.vip4 if family == "IPv4" else lab.vip6
    queue = SendQueue(lab.client, "eth2", lab.spec.queues)
    queue.use(0)
    with Connections(lab.client, vip, CONNECTIONS, "tcp") as connections, Errors(lab, vip) as errors:
        before = daemon.stats_now()
        assert before.workers[0]["flows"] >= CONNECTIONS and before.workers[1]["flows"] == 0
        servers = dict(connections.server)
        assert len(set(servers.values())) > 2
        sent = 0
        for draining in (False, True):
            if draining:
                drain(lab, *(int(name[3:]) - 1 for name in sorted(set(servers.values()))[:-1]))
            queue.use(1)
            for number, (client, port) in connections.addresses().items():
                for name, frame in errors.all_about(client, port).items():
                    assert errors.server_of(frame) == servers[number], f"{name}, draining: {draining}"
                    sent += 1
            queue.use(0)
        after = daemon.settled(before.rx + sent)
        assert after.workers[1]["rx"] - before.workers[1]["rx"] == sent and after.drops == before.drops
        assert after.workers[1]["flows"] == 0, "an error is no flow"
        assert connections.exchange() == servers, "a connection was harmed"
    activate_servers(lab)
