"""A lab of network namespaces for xdplb: a client that is also the servers' router, balancers, servers.

    from lab import Lab, Spec
    with Lab(Spec(servers=4, queues=2)) as lab:      # inside a sandbox, see sandbox.py
        lab.client.run("ping -c1 10.0.0.0")

Layers: names (addresses, values only) <- sandbox, node (one machine) <- topology (the whole lab) <- cli, demo.
"""

from .names import Spec
from .node import Node
from .topology import Lab

__all__ = ["Lab", "Node", "Spec"]
