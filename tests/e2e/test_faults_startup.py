"""What `xdplb lb` refuses at the start: exit code 1, one line that names the thing, the cause and the way out."""

import re

import pytest
from support.daemon import Daemon, configure, xdplb

FOREIGN = """
clang -target bpf -O2 -g -c -o /run/foreign.o -x c - <<'END'
__attribute__((section("xdp"), used)) int foreign(void *ctx) { return 2; }
END
ip link set dev eth2 xdpgeneric obj /run/foreign.o sec xdp
"""


def refusal(lab, *options: str, prefix: str = "", idev: str = "eth2") -> str:
    done = lab.lb.run(f"{prefix} xdplb lb --idev={idev} --edev=eth1 {' '.join(options)}", check=False)
    assert done.returncode == 1, f"exit code {done.returncode}:\n{done.stdout}{done.stderr}"
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    left_nothing(lab)
    return done.stderr.strip()


def left_nothing(lab) -> None:
    assert "prog/xdp id" not in lab.lb.run("ip -d link show dev eth1").stdout
    assert lab.lb.run("find /sys/fs/bpf -name 'xdp_*'").stdout == ""


@pytest.fixture
def configured(lab):
    configure(lab)
    return lab


def test_no_shared_memory(lab):
    assert "xdplb init" in refusal(lab)


def test_forced_zero_copy_on_veth(configured):
    text = refusal(configured, "--zerocopy=force")
    assert "eth2 queue 0" in text and re.search("zero.copy", text), text


def test_no_bpffs(configured):
    configured.lb.run("umount /sys/fs/bpf")
    done = configured.lb.run("xdplb lb --idev=eth2 --edev=eth1", check=False)
    assert done.returncode == 1
    assert "mount -t bpf bpf /sys/fs/bpf" in done.stderr, done.stderr


def test_a_foreign_program_is_named_and_stays(configured):
    configured.lb.shell(FOREIGN)
    done = configured.lb.run("xdplb lb --idev=eth2 --edev=eth1", check=False)
    assert done.returncode == 1
    assert "[foreign]" in done.stderr and "ip link set dev eth2 xdp off" in done.stderr, done.stderr
    assert "prog/xdp id" in configured.lb.run("ip -d link show dev eth2").stdout


@pytest.mark.parametrize(
    "lacking, words",
    [("cap_net_raw", "CAP_NET_RAW"), ("cap_bpf,cap_sys_admin", "CAP_BPF")],
    ids=["CAP_NET_RAW", "CAP_BPF"],
)
def test_a_missing_capability_is_named(configured, lacking, words):
    drop = ",".join("-" + capability.removeprefix("cap_") for capability in lacking.split(","))
    prefix = f"setpriv --bounding-set={drop} --inh-caps=-all --"
    assert words in refusal(configured, prefix=prefix)


def test_too_little_locked_memory_is_named(configured):
    prefix = "prlimit --memlock=65536:65536 -- setpriv --bounding-set=-ipc_lock,-sys_resource --inh-caps=-all --"
    text = refusal(configured, prefix=prefix)
    assert "RLIMIT_MEMLOCK" in text and "CAP_IPC_LOCK" in text, text


def test_a_second_daemon_on_the_same_program_is_refused_and_harms_nobody(configured):
    with Daemon(configured) as daemon:
        xdplb(configured.lb, "init", "--shm=second")
        done = configured.lb.run("xdplb lb --shm=second --idev=eth2 --edev=eth1 --heartbeat-ms=0", check=False)
        assert done.returncode == 1
        assert "is that of another xdplb that runs" in done.stderr, done.stderr
        # The first one has not noticed.
        assert configured.client.run("ping -c1 -W2 10.0.0.0", check=False).returncode == 0
        assert daemon.stats_now().balanced


@pytest.mark.parametrize(
    "options, words",
    [
        ("--mode=fast", "Invalid --mode [fast]"),
        ("--zerocopy=yes", "Invalid --zerocopy [yes]"),
        ("--checksum=maybe", "Invalid --checksum [maybe]"),
        ("--event-loop=select", "select"),
        ("--rx-ring=1000", "Invalid --rx-ring [1000]"),
        ("--tx-ring=1", "Invalid --tx-ring [1]"),
        ("--batch=0", "Invalid --batch [0]"),
        ("--batch=many", "many"),
        ("--heartbeat-ms=10", "Invalid --heartbeat-ms [10]"),
        ("--poll --spin", "--spin"),
        ("--adaptive --spin", "--spin"),
        ("--tx=fast", "Invalid --tx [fast]: auto, xsk or live"),
        ("--coalesce=10001", "Invalid --coalesce [10001]: 0 (off) to 10000 microseconds"),
        ("--spin --coalesce=10", "--coalesce sleeps and --spin never does"),
        ("--fifo=100", "Invalid --fifo [100]"),
        ("--fifo=1 --spin", "--fifo goes with --poll alone"),
        ("--no-such-option", "--no-such-option"),
    ],
)
def test_wrong_options_are_status_2(configured, options, words):
    done = configured.lb.run(f"xdplb lb --idev=eth2 --edev=eth1 {options}", check=False)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr, done.stderr


@pytest.mark.parametrize(
    "options, words",
    [
        ("--queue=1", "Invalid --queue [1]: [eth2] has 1 receive queue"),
        ("--cpus=77", "Invalid --cpus [77]"),
        ("--flows=1", "Invalid --flows [1]"),
        ("--shm=../etc", "../etc"),
    ],
)
def test_options_that_this_host_cannot_have(configured, options, words):
    done = configured.lb.run(f"xdplb lb --idev=eth2 --edev=eth1 {options}", check=False)
    assert done.returncode in (1, 2), done.stderr
    assert words in done.stderr, done.stderr
    left_nothing(configured)
