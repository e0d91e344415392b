"""NICs with several queues, to which virtio_net adds receive queues when a program is attached: one for each CPU, without
transmit queues to go with them."""
import os
import re

import traffic
from balanced import Balanced
from change_cases import ingress_link_goes_down_and_up, it_is_killed
from forward_cases import everyone_gets_tcp, everyone_gets_udp, register, says_what_it_uses
from rig.nics import WIDE_QUEUES


class WideTwoArm(Balanced):
    """One queue in use, and so one to send by."""

    wide = 1


class WideOneArm(Balanced):
    one_arm, wide = True, 1


class WideFull(Balanced):
    """All queues in use: there is none to add."""

    wide = WIDE_QUEUES


class WideGeneric(Balanced):
    """The client leaves checksums to the hardware, which here is nobody."""

    wide, options = 1, ("--mode=generic",)

    def zero_copy_expected(self):
        return super().zero_copy_expected() | {self.lab.spec.ingress_device: False}

    def __init__(self):
        super().__init__()
        self.lab.client.run("ethtool -K eth2 tx on tso off gso off")


def workers(balanced):
    """Receive queues by worker, as the daemon says at its start."""
    return re.findall(r"^worker eth\d/([\d,]+): ", balanced.daemon.output, re.M)


def added_queues_are_served(balanced):
    """All by one worker, the only one that can send. And the daemon does not take them for a change of the device."""
    assert workers(balanced) == [",".join(map(str, range(1 + os.cpu_count())))], balanced.daemon.output
    assert "taking the data plane down" not in balanced.daemon.output


def each_queue_has_a_worker(balanced):
    assert workers(balanced) == [str(queue) for queue in range(WIDE_QUEUES)], balanced.daemon.output
    stats = balanced.settled()
    assert all(worker["rx"] for worker in stats.workers), [worker["rx"] for worker in stats.workers]


def checksums_are_partial(balanced):
    """Else the case before said nothing: as they come, no server takes them."""
    balanced.stop()
    balanced.options += ("--checksum=none",)
    balanced.start()
    try:
        spread = traffic.udp(balanced.lab, balanced.lab.vip4, 5, timeout_s=2)
    except AssertionError as error:
        assert "5 of 5 flows missing" in str(error), error
    else:
        raise AssertionError(f"answered: {dict(spread)}")


# The program and the sockets must go in the right order: added queues that vanish under a socket crash the kernel.
register(WideTwoArm, "wide_two_arm", says_what_it_uses, everyone_gets_udp, everyone_gets_tcp, added_queues_are_served,
         it_is_killed, ingress_link_goes_down_and_up)
register(WideOneArm, "wide_one_arm", says_what_it_uses, everyone_gets_udp, everyone_gets_tcp, added_queues_are_served)
register(WideFull, "wide_full", says_what_it_uses, everyone_gets_udp, each_queue_has_a_worker)
register(WideGeneric, "wide_generic", says_what_it_uses, everyone_gets_tcp, checksums_are_partial)
