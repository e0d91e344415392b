"""The configuration commands: what scripts rely on, and what is refused with which words. No device, no daemon."""

import concurrent.futures
import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
from lab.node import BUILD

XDPLB = BUILD / "xdplb"
SHM = Path("/dev/shm")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_shared_memory():
    """Each test begins and ends without any. Inside the sandbox /dev/shm is nobody else's."""
    for file in SHM.iterdir():
        file.unlink()
    yield
    for file in SHM.iterdir():
        file.unlink()


def run(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([XDPLB, *map(str, arguments)], capture_output=True, text=True, timeout=20, check=False)


def ok(*arguments: object) -> str:
    done = run(*arguments)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    assert done.stderr == ""
    return done.stdout


def refused(*arguments: object, status: int = 1) -> str:
    done = run(*arguments)
    assert done.returncode == status, f"{arguments}: {done.returncode} {done.stdout}{done.stderr}"
    return done.stderr.strip()


def shown(*arguments: object) -> dict:
    return json.loads(ok("show", "--json", *arguments))


def test_the_commands_of_the_seed():
    ok("init")
    for index, last in enumerate((1, 2, 3, 4)):
        ok("activate", f"--mac=0:0:0:1:1:{last}", index)
    lines = ok("show").splitlines()
    assert lines[0] == "M=997, N=20, lookup;"
    entries = lines[1].split()
    assert entries[-1] == "..." and len(entries) == 25
    assert set(entries[:-1]) <= {"0", "1", "2", "3"}
    assert lines[2:7] == ["Active:"] + [f"  {i} : 00:00:00:01:01:0{i + 1}" for i in range(4)]
    assert stat.S_IMODE((SHM / "xdplb").stat().st_mode) == 0o600


def test_one_dash_or_two():
    ok("init", "-m=101", "-n", "5", "-shm=t")
    ok("activate", "-shm", "t", "-mac=2:0:0:0:0:1", "4")
    assert ok("show", "--shm=t").splitlines()[3] == "  4 : 02:00:00:00:00:01"


def test_the_table_is_cut_only_where_it_is_long():
    ok("init", "--m=7", "--n=3")
    assert ok("show").splitlines()[1] == "-1 -1 -1 -1 -1 -1 -1"
    ok("activate", "--mac=2:0:0:0:0:1", 1)
    assert ok("show").splitlines()[1] == "1 1 1 1 1 1 1"
    ok("deactivate", 1)
    assert ok("show").splitlines()[1] == "-1 -1 -1 -1 -1 -1 -1"


def test_the_table_does_not_depend_on_the_order_or_on_macs():
    ok("init", "--shm=a")
    ok("init", "--shm=b")
    for index in range(6):
        ok("activate", "--shm=a", f"--mac=2:0:0:0:0:{index + 1}", index)
    for index in reversed(range(6)):
        ok("activate", "--shm=b", f"--mac=2:0:0:0:1:{index + 1}", index)
    assert shown("--shm=a")["lookup"] == shown("--shm=b")["lookup"]


def test_sizes_that_are_not_prime_are_rounded_down():
    assert "M=1000 is not a prime, using 997" in ok("init", "--m=1000")
    assert shown()["m"] == 997


def test_repeating_a_command_succeeds_and_changes_nothing():
    ok("init")
    ok("activate", "--mac=2:0:0:0:0:1", 0)
    ok("vip", "add", "10.0.0.0")
    generation = shown()["generation"]
    ok("init")
    ok("activate", "--mac=2:0:0:0:0:1", 0)
    ok("activate", 0)
    ok("vip", "add", "10.0.0.0/32")
    ok("deactivate", 7)
    assert shown()["generation"] == generation
    ok("vip", "del", "10.0.0.0")
    assert refused("vip", "del", "10.0.0.0", status=0) == "10.0.0.0/32 was no VIP"
    ok("deactivate", 0)
    ok("deactivate", 0)
    assert shown()["generation"] == generation + 2
    ok("activate", 0)
    assert shown()["active"] == [{"index": 0, "name": "0", "mac": "02:00:00:00:00:01"}]
    assert "is removed" in ok("clean")
    assert "was not there" in ok("clean")


def test_init_with_other_numbers_starts_the_targets_anew_and_keeps_the_vips():
    ok("init", "--m=101", "--n=4")
    ok("activate", "--mac=2:0:0:0:0:1", 0)
    ok("vip", "add", "10.0.0.0", "1000::")
    ok("init", "--m=101", "--n=4")
    assert len(shown()["active"]) == 1
    ok("init", "--m=101", "--n=5")
    assert (shown()["n"], shown()["active"]) == (5, [])
    assert [vip["vip"] for vip in shown()["vips"]] == ["10.0.0.0/32", "1000::/128"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["activate", "--mac=zz", 0], "Parse MAC failed [zz]"),
        (["activate", "--mac=1:2:3:4:5", 0], "Parse MAC failed [1:2:3:4:5]"),
        (["activate", "--mac=2:0:0:0:0:1", 99], "Invalid index [99]: 0 to 19 are targets"),
        (["activate", "--mac=2:0:0:0:0:1", -1], "Invalid index [-1]"),
        (["activate", "--mac=2:0:0:0:0:1", "1x"], "Invalid index [1x]"),
        (["activate", "--mac=2:0:0:0:0:1", "99999999999999999999"], "Invalid index [99999999999999999999]"),
        (["deactivate", 20], "Invalid index [20]"),
        (["activate", 3], "Target [3] has no MAC yet: `xdplb activate --mac=MAC 3`"),
        (["activate", "--mac=0:0:0:0:0:0", 1], "MAC 00:00:00:00:00:00 is that of no device"),
        (["activate", "--mac=1:0:5e:0:0:1", 1], "MAC 01:00:5e:00:00:01 is a multicast address"),
        (["activate", "--mac=2:0:0:0:0:1", 1, 2], "MAC 02:00:00:00:00:01 is that of target [1] already"),
        (["show", "--shm=../passwd"], "Invalid shared memory name [../passwd]"),
        (["show", "--shm=nosuch"], "There is no shared memory /dev/shm/nosuch: run `xdplb init --shm=nosuch` first"),
        (["stats"], "There are no statistics in /dev/shm/xdplb.stats: no daemon runs on [xdplb]"),
        (["vip", "add", "10.0.0.300/32"], '"10.0.0.300/32" is not an address or prefix'),
        (["vip", "add", "0.0.0.0/0"], "0.0.0.0/0 would take every packet of this host; --force if meant"),
        (["vip", "add", "::/0"], "::/0 would take every packet of this host; --force if meant"),
        (["vip", "add", "::/64"], "::/64 contains ::ffff:0:0/96, which stands for all of IPv4"),
        (["vip", "add", "fe80::1"], "fe80::1/128 is link-local: neighbour discovery needs it; --force if meant"),
        (["vip", "add", "224.0.0.5"], "224.0.0.5/32 is multicast; --force if meant"),
        (["vip", "add", "127.0.0.1"], "127.0.0.1/32 is loopback; --force if meant"),
        (["vip", "add", "128.0.0.0/1"], "contains 169.254.0.0/16 (link-local); --force if meant"),
    ],
)
def test_what_is_refused_is_named(arguments, words):
    ok("init")
    before = shown()
    assert words in refused(*arguments)
    assert shown() == before


def test_one_bad_argument_of_several_changes_nothing():
    ok("init")
    refused("vip", "add", "10.0.0.1", "nonsense")
    refused("vip", "add", "10.0.0.1", "fe80::1")
    assert shown()["vips"] == []
    ok("activate", "--mac=2:0:0:0:0:1", 0)
    refused("deactivate", 0, 99)
    assert len(shown()["active"]) == 1


def test_force_overrides_what_may_be_meant():
    ok("init")
    ok("activate", "--mac=1:0:5e:0:0:1", "--force", 0)
    ok("activate", "--mac=1:0:5e:0:0:1", "--force", 1)
    ok("vip", "add", "--force", "224.0.0.5")
    assert "would take every IPv4 address too" in refused("vip", "add", "--force", "::/0")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["show", "--nonsense"],
        ["show", "extra"],
        ["activate"],
        ["vip"],
        ["vip", "add"],
        ["vip", "add", "--fallback=maybe", "10.0.0.1"],
        ["lb"],
        ["lb", "--idev=eth2"],
    ],
)
def test_wrong_usage_is_status_2_with_words_on_stderr(arguments):
    assert refused(*arguments, status=2) != ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["init", "--m=abc"], "Invalid --m [abc]: 2 to 1048576"),
        (["init", "--m=0"], "Invalid --m [0]: 2 to 1048576"),
        (["init", "--n=-1"], "Invalid --n [-1]: 1 to 4096"),
        (["init", "--n=0x10"], "Invalid --n [0x10]: 1 to 4096"),
        (["init", "--n", "5.5"], "Invalid --n [5.5]: 1 to 4096"),
        (["flows", "--limit=-1"], "Invalid --limit [-1]: a whole number from 0 on"),
        (["flows", "tcp", "10.0.0.1:5"], "A flow is named by PROTO SRC:PORT DST:PORT, a filter by KEY=VALUE..."),
        (["capture", "-w", "x", "--count", "-1"], "Invalid --count [-1]: a whole number from 0 on"),
        (["capture", "-w", "x", "--snaplen=4097"], "Invalid --snaplen [4097]: 64 to 4096"),
        (["capture", "-w", "x", "--seconds=99999999999"], "Invalid --seconds [99999999999]: 1 to 3600"),
        (["where"], "A packet is named by PROTO SRC:PORT DST:PORT, or several by --pcap FILE"),
        (["deactivate", "--wait=1m", 0], "--wait is for --drain: without it connections break at once"),
        (["deactivate", "--drain", "--wait=999h", 0], "Invalid --wait [999h]: a number and ms, s, m or h, at most 168h"),
        (["lb", "--idev=a", "--edev=b", "--flows=0"], "Invalid --flows [0]: 64 to 134217728"),
        (["lb", "--idev=a", "--edev=b", "--batch=-1"], "Invalid --batch [-1]: 1 to 4096"),
        (["lb", "--idev=a", "--edev=b", "--queue=0,x"], "Invalid --queue [x]: 0 to 63"),
        (["lb", "--idev=a", "--edev=b", "--cpus=-1"], "Invalid --cpus [-1]: a whole number from 0 on"),
        (["lb", "--idev=a", "--edev=b", "--grace=999h"],
         "Invalid --grace [999h]: a duration such as 30s or 500ms, at most 168h; 0s: none"),
    ],
)
def test_a_wrong_option_is_status_2_and_says_what_would_do(arguments, words):
    ok("init")
    assert refused(*arguments, status=2).splitlines()[0] == words


def test_an_unknown_command_is_named():
    assert refused("nonsense", status=2) == "Unknown command [nonsense]; `xdplb --help` lists them"


def test_an_option_without_its_value_does_not_take_the_next_argument():
    ok("init")
    assert refused("activate", "--mac=", 0, status=2) == (
        "Nothing behind [--mac=]: give it a value, or leave the option out"
    )


def test_help_is_status_0():
    assert "init" in ok("--help")
    assert "--mac" in ok("activate", "-h")


def test_vips_and_their_fallback():
    ok("init")
    ok("vip", "add", "10.0.0.0", "1000::/64")
    ok("vip", "add", "--fallback=pass", "10.0.0.1")
    assert [line.split()[:2] for line in ok("vip", "list").splitlines()] == [
        ["10.0.0.0/32", "drop"],
        ["1000::/64", "drop"],
        ["10.0.0.1/32", "pass"],
    ]
    ok("vip", "add", "10.0.0.1")
    assert "pass" not in ok("vip", "list")
    ok("vip", "del", "1000::/64", "10.0.0.1")
    assert ok("vip", "list").split() == ["10.0.0.0/32", "drop", "vip", "add"]


def test_a_vip_of_a_file_and_of_the_default_service_names_both(tmp_path):
    ok("init")
    ok("vip", "add", "10.0.0.0")
    file = tmp_path / "lb.json"
    file.write_text('{"version": 1, "services": [{"name": "web", "vips": ["10.0.0.0/32"], "targets": []}]}')
    assert refused("apply", file).endswith(
        '10.0.0.0/32 is a VIP of service "web" (any protocol) and of the default service (any protocol), which commands '
        "own: `xdplb vip del 10.0.0.0/32` takes it from there"
    )


def test_check_reads_pipes_of_the_shell_and_waits_for_no_other(tmp_path):
    file = ROOT / "configs/minimal.json"
    for command in (f"{XDPLB} check /dev/stdin <{file}", f"cat {file} | {XDPLB} check /dev/stdin", f"{XDPLB} check <(cat {file})"):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20, check=True)
        assert "no warnings" in done.stdout
    os.mkfifo(tmp_path / "fifo")
    assert refused("check", tmp_path / "fifo") == f"{tmp_path}/fifo is a FIFO: nobody may ever write to it"


def test_own_addresses_gateways_and_macs_are_refused(lab):
    lab.lb.run([XDPLB, "init"])
    own = json.loads(lab.lb.run(["ip", "-j", "addr"]).stdout)
    addresses = [a["local"] for link in own for a in link["addr_info"] if a["scope"] == "global"]
    assert addresses
    for address in addresses:
        done = lab.lb.run([XDPLB, "vip", "add", address], check=False)
        assert done.returncode == 1
        assert f"would cut the host off from its own address {address}" in done.stderr
    mac = lab.lb.mac("eth1")
    done = lab.lb.run([XDPLB, "activate", f"--mac={mac}", "0"], check=False)
    assert done.returncode == 1
    assert f"MAC {mac} is that of our own interface eth1: packets would loop" in done.stderr
    lab.lb.run(["ip", "route", "add", "203.0.113.0/24", "via", "192.0.2.77", "dev", "eth1", "onlink"])
    done = lab.lb.run([XDPLB, "vip", "add", "192.0.2.77"], check=False)
    assert "would cut the host off from its gateway 192.0.2.77" in done.stderr


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\0" * 4096, b"#!/bin/sh\n", os.urandom(40000)])
def test_a_file_that_is_not_ours_is_an_error_with_a_way_out(content):
    (SHM / "xdplb").write_bytes(content)
    (SHM / "xdplb").chmod(0o600)
    for command in (["show"], ["init"], ["activate", "0"], ["vip", "list"], ["clean"]):
        assert "xdplb clean --force" in refused(*command)
    ok("clean", "--force")
    ok("init")


def test_init_force_replaces_what_cannot_be_read():
    ok("init")
    os.truncate(SHM / "xdplb", 5000)
    assert "has 5000 bytes" in refused("show")
    ok("init", "--force")
    ok("show")


def test_links_directories_and_strangers_files_are_refused(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (SHM / "xdplb").symlink_to(victim)
    for command in (["init"], ["show"], ["activate", "0"]):
        assert refused(*command) == "/dev/shm/xdplb is a symbolic link: refused"
    assert victim.read_text() == "precious"
    (SHM / "xdplb").unlink()

    ok("init")
    (SHM / "xdplb").chmod(0o666)
    assert "has mode 0666, others may write to it" in refused("show")
    (SHM / "xdplb").chmod(0o600)
    os.chown(SHM / "xdplb", 65534, 65534)
    assert "belongs to uid 65534, not to us" in refused("show")


def test_many_writers_at_once_lose_no_change():
    ok("init", "--n=40")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda i: run("activate", f"--mac=2:0:0:0:1:{i:x}", i), range(40)))
    assert [d.stderr for d in done if d.returncode != 0] == []
    assert len(shown()["active"]) == 40
    assert shown()["generation"] == 41


def test_version_and_completion():
    assert re.match(r"xdplb \d+\.\d+\.\d+ ", ok("version"))
    script = ok("completion")
    probe = script + '\nCOMP_WORDS=(xdplb vip add --f) COMP_CWORD=3; _xdplb; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--fallback", "--force"]
    probe = script + '\nCOMP_WORDS=(xdplb de) COMP_CWORD=1; _xdplb; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["deactivate"]


def test_output_that_cannot_be_written_is_a_failure():
    ok("init")
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([XDPLB, "show"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "cannot write to standard output" in done.stderr


def test_a_file_of_layout_1_is_steered_and_stays_one():
    """What an older daemon reads, which still runs: an upgraded command must not take it away from it."""
    bytes_of = dict(re.findall(r"(kV1\w+)\[\] = \{(.*?)\};", (ROOT / "tests/unit/ctl/config_v1.inc").read_text(), re.S))
    header, slot = (bytes(int(b, 16) for b in re.findall(r"0x(\w\w)", bytes_of[name])) for name in ("kV1Header", "kV1Slot"))
    with open(SHM / "xdplb", "wb") as file:
        os.chmod(file.fileno(), 0o600)
        file.write(header)
        file.seek(4096 + (16 << 20))
        file.write(slot)
        file.truncate(4096 + (32 << 20))
    assert shown()["generation"] == 1 and shown()["m"] == 101
    assert ok("activate", "--mac=0:0:0:1:1:1", 0) == "Generation 2; no daemon runs\n"
    ok("deactivate", "--drain", 0)
    assert shown()["targets"][0]["state"] == "draining" and not shown()["targets"][0]["by_hand"]
    with open(SHM / "exported.json", "w") as file:
        file.write(ok("export"))
    assert ok("apply", SHM / "exported.json").endswith("Generation 3; no daemon runs\n")
    text = (SHM / "exported.json").read_text().replace('"name": "web"', '"name": "web", "need": 2')
    (SHM / "exported.json").write_text(text)
    assert refused("apply", SHM / "exported.json") == (
        '"need" of service "web" has no room in layout 1 of the shared memory, that of the daemon that runs: '
        "restart the daemon (no flow is lost), then try again"
    )
    with open(SHM / "xdplb", "rb") as file:
        assert file.read(12)[8] == 1
