"""The other arrangements: one-arm, zero copy on one side only, generic mode, and what must be refused."""
from balanced import Balanced
from change_cases import ingress_link_goes_down_and_up, it_is_killed
from forward_cases import (every_packet_arrives_once, everyone_gets_tcp, everyone_gets_udp, fragments_arrive, register,
                           says_what_it_uses)


class OneArm(Balanced):
    one_arm = True


class ZeroCopyIn(Balanced):
    """Zero copy where packets come in, copies where they go out."""

    veth = ("eth1",)


class ZeroCopyOut(Balanced):
    veth = ("eth2",)


class Generic(Balanced):
    """A generic program never sees what a zero-copy socket would take: xdplb has to ask for copy mode. The program on the
    egress side is native."""

    options = ("--mode=generic",)

    def zero_copy_expected(self):
        return super().zero_copy_expected() | {self.lab.spec.ingress_device: False}


class Live(Balanced):
    """Every packet leaves as a live frame, through the redirect of a real driver."""

    options = ("--mode=native", "--zerocopy=off", "--tx=live")

    def zero_copy_expected(self):
        return {device: False for device in self.devices}


class LiveOneArm(Live):
    """The program on the device receives and transmits."""

    one_arm = True


register(OneArm, "one_arm", says_what_it_uses, everyone_gets_udp, everyone_gets_tcp, every_packet_arrives_once,
         fragments_arrive, ingress_link_goes_down_and_up, it_is_killed)
register(ZeroCopyIn, "zero_copy_in", says_what_it_uses, everyone_gets_udp, everyone_gets_tcp,
         every_packet_arrives_once)
register(ZeroCopyOut, "zero_copy_out", says_what_it_uses, everyone_gets_udp, everyone_gets_tcp,
         every_packet_arrives_once)
register(Generic, "generic", says_what_it_uses, everyone_gets_udp, everyone_gets_tcp)
register(Live, "live", says_what_it_uses, everyone_gets_udp, everyone_gets_tcp, every_packet_arrives_once)
register(LiveOneArm, "live_one_arm", says_what_it_uses, everyone_gets_udp, everyone_gets_tcp, every_packet_arrives_once)
