"""Which queue of a device a machine sends by, chosen by the test: XPS, so for everything that it sends meanwhile."""

import os

from lab import Node

EVERY_CPU = f"{(1 << os.cpu_count()) - 1:x}"


class SendQueue:
    def __init__(self, node: Node, device: str, queues: int):
        self._node, self._queues = node, queues
        self._path = f"/sys/class/net/{device}/queues"
        self._now: int | None = None

    def use(self, queue: int) -> None:
        """From now on all packets leave by this queue, and so reach the queue of that number at the other end."""
        if queue == self._now or self._queues == 1:
            return
        masks = [(number, EVERY_CPU if number == queue else "0") for number in range(self._queues)]
        # The one that is to send first: no packet finds all of them closed.
        masks.sort(key=lambda pair: pair[1] == "0")
        self._node.shell("\n".join(f"echo {mask} > {self._path}/tx-{number}/xps_cpus" for number, mask in masks))
        self._now = queue
