"""The kernel object with nothing but bpftool and ip: the first lines of what scripts written for the seeds do."""

import json
import subprocess

from lab.node import BUILD
from support import maps

# In namespaces of its own: a bpffs and a network that end with it.
PRELUDE = """
set -eu
mount -t bpf bpf /sys/fs/bpf
ip link add eth1 type veth peer name peer1
ip link add eth2 type veth peer name peer2
"""

SET_UP = f"""
bpftool prog loadall {BUILD}/xdp_vip_kern.o /sys/fs/bpf/lb pinmaps /sys/fs/bpf/lb
ip link set dev eth2 xdpgeneric pinned /sys/fs/bpf/lb/xdp_vip
ip link set dev eth1 xdpgeneric pinned /sys/fs/bpf/lb/xdp_vip
"""


def script(text: str) -> str:
    maps.wait_gone()
    done = subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-c", PRELUDE + text], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_loadall_pins_the_program_and_only_the_maps_we_name():
    pins = script(SET_UP + "ls -1 /sys/fs/bpf/lb").split()
    assert set(pins) >= {"xdp_vip", "xdp_vip_map", "xsks_map"}
    assert all(pin.startswith("xdp_") or pin == "xsks_map" for pin in pins), "a section became a map"
    assert all(len(pin) <= 15 for pin in pins), "the kernel cuts longer names"


def test_maps_have_the_type_key_and_value_of_the_contract():
    shown = script(
        SET_UP
        + """
        bpftool -j map show pinned /sys/fs/bpf/lb/xdp_vip_map
        bpftool -j map show pinned /sys/fs/bpf/lb/xsks_map
        """
    )
    vips, sockets = (json.loads(line) for line in shown.splitlines() if line)
    assert (vips["name"], vips["type"], vips["bytes_key"], vips["bytes_value"]) == ("xdp_vip_map", "hash", 16, 4)
    assert vips["max_entries"] >= 4096
    assert (sockets["name"], sockets["type"], sockets["bytes_key"], sockets["bytes_value"]) == ("xsks_map", "xskmap", 4, 4)
    assert sockets["max_entries"] >= 64


def test_vips_are_updated_and_dumped_by_map_name():
    dumped = script(
        SET_UP
        + """
        bpftool map update name xdp_vip_map key hex 0 0 0 0 0 0 0 0 0 0 ff ff 0a 0 0 0 value 1 0 0 0
        bpftool map update name xdp_vip_map key hex 10 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 value 1 0 0 0
        bpftool -j map dump name xdp_vip_map
        """
    )
    entries = {bytes(int(byte, 16) for byte in entry["key"]): entry["value"] for entry in json.loads(dumped)}
    drop = ["0x01", "0x00", "0x00", "0x00"]
    assert entries == {bytes.fromhex("00" * 10 + "ffff0a000000"): drop, bytes.fromhex("10" + "00" * 15): drop}


def test_both_devices_run_the_pinned_program():
    shown = script(
        SET_UP
        + """
        bpftool -j prog show pinned /sys/fs/bpf/lb/xdp_vip
        echo
        ip -j -d link show
        """
    )
    program, links = (json.loads(line) for line in shown.splitlines() if line)
    attached = {link["ifname"]: link["xdp"]["prog"]["id"] for link in links if "xdp" in link}
    assert (program["name"], program["gpl_compatible"]) == ("xdp_vip", True)
    assert attached == {"eth1": program["id"], "eth2": program["id"]}
