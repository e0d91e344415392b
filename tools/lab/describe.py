"""The lab in words and lines, for people: the diagram and the table of machines. Values only."""

from . import names
from .names import INGRESS, SEGMENT, Spec

TWO_ARM = """\
  {client}                        {lb}
  +------------+ eth2      eth2 +--------------+
  |  client    |================|  load        |    requests to a VIP go to the balancer,
  |            |   network 2    |  balancer    |
  |  and the   |                +--------------+
  |  servers'  |                       | eth1       which passes each to one server,
  |  router    |                       |
  +------------+                       |
        | eth1       network 1         |
   =====+==============================+=====+==========+=====    (a switch)
     ^                                       |          |
     +---- and replies come straight       eth1       eth1
           back: the balancer never      {servers}
           sees them                       (each has the VIPs on lo)
"""

ONE_ARM = """\
  {client}                        {lb}
  +------------+                +--------------+
  |  client,   |                |  load        |    requests to a VIP go to the balancer,
  |  servers'  |                |  balancer    |    which passes each to one server
  |  router    |                +--------------+    through the same device,
  +------------+                       | eth1
        | eth1       network 1         |
   =====+==============================+=====+==========+=====    (a switch)
     ^                                       |          |
     +---- and replies come straight       eth1       eth1
           back: the balancer never      {servers}
           sees them                       (each has the VIPs on lo)
"""


def diagram(spec: Spec) -> str:
    def span(machines):
        first, last = machines[0].name, machines[-1].name
        return first if first == last else f"{first} .. {last}"

    text = ONE_ARM if spec.one_arm else TWO_ARM
    return text.format(
        client=f"{span(names.clients(spec)):<12}",
        lb=span(names.balancers(spec)),
        servers=span(names.servers(spec)),
    )


def table(spec: Spec) -> str:
    nets = (SEGMENT,) if spec.one_arm else (SEGMENT, INGRESS)
    lines = [f"  {'machine':<9}{'device':<8}{'IPv4':<16}{'IPv6':<24}{'MAC':<19}queues"]
    for machine in names.clients(spec) + names.balancers(spec) + names.servers(spec):
        for net in nets if machine not in names.servers(spec) else (SEGMENT,):
            queues = spec.device_queues(f"eth{net}") if machine in names.balancers(spec) else ""
            lines.append(
                f"  {machine.name:<9}{f'eth{net}':<8}{machine.ip4(net):<16}{machine.ip6(net):<24}"
                f"{machine.mac(net):<19}{queues}".rstrip()
            )
    lines.append(f"  VIPs: {', '.join(spec.vips)}; routed by the client through the balancer's {spec.ingress_device}")
    return "\n".join(lines)
