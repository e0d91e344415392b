"""What happens to a running balancer on real NIC drivers: targets, links and daemons that come and go."""
import signal
import threading
import time

import traffic
from forward_cases import TwoArm, VIPS, everyone_gets_udp, register
from harness import case
from support.daemon import xdplb
from support.wait import wait_until


class Load:
    """Connections that exchange data without a pause, in one thread, until stopped. `broken` has the servers of those
    that failed."""

    def __init__(self, lab, connections=24):
        self._connections = [traffic.Connection(lab, getattr(lab, VIPS[i % 2])) for i in range(connections)]
        self.broken, self.rounds = [], 0
        self._running = True
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def _go(self):
        while self._running:
            for connection in list(self._connections):
                try:
                    connection.exchange(traffic.blob(f"{self.rounds}", 600))
                except OSError:
                    self.broken.append(connection.server)
                    self._connections.remove(connection)
                    connection.abort()
            self.rounds += 1
            time.sleep(0.02)  # the load is not what is tested

    def passes(self, rounds=3):
        """Waits until every connection that lives has been round so often from now on."""
        goal = self.rounds + rounds + 1
        wait_until(lambda: self.rounds >= goal, timeout=30, what="connections exchange data")

    def servers(self):
        return {connection.server for connection in self._connections}

    def stop(self):
        self._running = False
        self._thread.join()
        for connection in self._connections:
            connection.close()


@case(TwoArm)
def two_arm_targets_change_under_load(balanced):
    """Only the connections of the target that goes are lost, and none when it comes back."""
    lab = balanced.lab
    load = Load(lab)
    try:
        load.passes()
        assert load.servers() == {node.name for node in lab.servers}, load.servers()
        assert not load.broken
        xdplb(lab.lb, "deactivate", 0)
        gone = lab.servers[0].name
        wait_until(lambda: gone not in load.servers(), timeout=30, what=f"connections of {gone} end")
        load.passes()
        spread = traffic.udp(lab, lab.vip4, 40)
        assert set(spread) == {node.name for node in lab.servers[1:]}, dict(spread)
        xdplb(lab.lb, "activate", 0)
        load.passes()
        assert set(load.broken) == {gone}, load.broken
    finally:
        load.stop()
    everyone_gets_udp(balanced)


def interrupted(balanced, break_it, mend_it):
    """Connections survive an interruption of a second."""
    load = Load(balanced.lab, connections=8)
    try:
        load.passes()
        break_it()
        time.sleep(1)  # what is broken, not what we wait for
        mend_it()
        load.passes()
        assert not load.broken, load.broken
    finally:
        load.stop()
    everyone_gets_udp(balanced)


def flap(balanced, device):
    def link(state):
        return lambda: balanced.lab.lb.run(f"ip link set {device} {state}")
    interrupted(balanced, link("down"), link("up"))


def ingress_link_goes_down_and_up(balanced):
    flap(balanced, balanced.lab.spec.ingress_device)


def egress_link_goes_down_and_up(balanced):
    flap(balanced, "eth1")


def it_is_restarted(balanced):
    interrupted(balanced, balanced.stop, balanced.start)


def it_is_killed(balanced):
    """kill -9: the program stays, drops what is for the VIPs, and the next daemon takes over."""
    interrupted(balanced, balanced.kill, balanced.start)


def it_hangs(balanced):
    process = balanced.daemon.process
    interrupted(balanced, lambda: process.send_signal(signal.SIGSTOP), lambda: process.send_signal(signal.SIGCONT))


register(TwoArm, "two_arm", ingress_link_goes_down_and_up, egress_link_goes_down_and_up, it_is_restarted,
         it_is_killed, it_hangs)
