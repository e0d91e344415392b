"""`xdplb doctor` in the lab: things are broken one by one; it sees each, and the command that it names mends it."""

import json

import pytest
from support.daemon import configure, xdplb
from support.faults import pins, program_on

EXIT_FINE, EXIT_FAILED, EXIT_USAGE, EXIT_WARNINGS = 0, 1, 2, 3


def diagnose(node, *arguments: str) -> tuple[int, list[dict]]:
    """Its exit code, and what is wrong."""
    done = xdplb(node, "doctor", "--json", *arguments, check=False)
    report = json.loads(done.stdout)
    wrong = [finding for finding in report["findings"] if finding["severity"] != "ok"]
    assert report["errors"] + report["warnings"] == len(wrong)
    return done.returncode, wrong


def well(findings: list[dict], beside: list[dict]) -> list[dict]:
    return [finding for finding in findings if finding not in beside]


def broken_and_mended(node, breaks: str, check: str, *arguments: str) -> dict:
    """Breaks one thing, sees exactly one finding of that check more than before, and mends it as it says."""
    code_before, before = diagnose(node, *arguments)
    assert code_before == (EXIT_WARNINGS if before else EXIT_FINE)
    node.run(breaks)
    code, findings = diagnose(node, *arguments)
    assert code == EXIT_WARNINGS
    new = well(findings, before)
    assert [finding["check"] for finding in new] == [check], findings
    assert new[0]["why"] and new[0]["mend"]
    node.run(new[0]["mend"])
    assert diagnose(node, *arguments) == (code_before, before)
    return new[0]


BALANCER = [
    ("ip link set dev eth1 mtu 1400", "mtu", "error"),
    ("ip link set dev eth1 down", "link", "error"),
    ("ethtool -K eth2 gro on", "offloads", "warning"),
    ("ip addr add 10.0.0.0/32 dev eth1", "vips", "error"),
    ("sysctl -qw net.ipv4.ip_forward=1", "forwarding", "warning"),
    ("sysctl -qw net.ipv6.conf.all.forwarding=1", "forwarding", "warning"),
    ("umount /sys/fs/bpf", "bpffs", "error"),
]

SERVER = [
    ("sysctl -qw net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.eth1.arp_ignore=0", "arp_ignore"),
    ("sysctl -qw net.ipv4.conf.all.arp_announce=0 net.ipv4.conf.eth1.arp_announce=0", "arp_announce"),
    ("ip addr del 10.0.0.0/32 dev lo", "vip"),
    ("ip -6 addr del 1000::/128 dev lo", "vip"),
    ("ip addr add 10.0.0.0/32 dev eth1", "vip"),
]


@pytest.fixture(scope="module")
def healthy():
    from lab import Lab, Spec

    lab = Lab(Spec(servers=1))
    configure(lab)
    lab.lb.run("ethtool -K eth2 gro off")
    lab.lb.run("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")
    yield lab
    lab.destroy()


@pytest.mark.parametrize("breaks, check, severity", BALANCER, ids=[breaks for breaks, *_ in BALANCER])
def test_a_balancer_is_broken_and_mended(healthy, breaks, check, severity):
    assert broken_and_mended(healthy.lb, breaks, check, "--idev=eth2", "--edev=eth1")["severity"] == severity


@pytest.mark.parametrize("breaks, check", SERVER, ids=[breaks for breaks, _ in SERVER])
def test_a_server_is_broken_and_mended(healthy, breaks, check):
    options = "--server", "--vip=10.0.0.0", "--vip=1000::", "--dev=eth1"
    assert broken_and_mended(healthy.servers[0], breaks, check, *options)["severity"] == "error"


def test_a_server_without_a_way_back(healthy):
    server = healthy.servers[0]
    assert diagnose(server, "--server") == (EXIT_FINE, [])
    route = server.run("ip route show default").stdout.strip()
    server.run("ip route del default")
    code, findings = diagnose(server, "--server", "--dev=eth1")
    assert code == EXIT_WARNINGS and [finding["check"] for finding in findings] == ["way back"]
    assert findings[0]["mend"] == "ip route replace default via ROUTER"
    server.run(f"ip route add {route}")
    assert diagnose(server, "--server") == (EXIT_FINE, [])


def test_it_changes_nothing_and_says_everything_in_words(healthy):
    lab = healthy

    def state() -> list:
        commands = "ip -d addr", "ip route", "sysctl -a --pattern ^net.ipv4.conf", "ethtool -k eth2", "ls /dev/shm /run"
        return [lab.lb.run(command).stdout for command in commands] + pins(lab) + [program_on(lab, "eth2")]

    before = state()
    text = xdplb(lab.lb, "doctor", "--idev=eth2", "--edev=eth1", check=False).stdout
    assert state() == before
    for check in ("kernel", "capabilities", "bpf", "af_xdp", "bpffs", "link", "driver", "queues", "offloads", "mtu", "vips",
                  "rss", "memory", "forwarding", "interrupts"):
        assert f" {check} " in text, text
    assert "2 VIPs, none of them an address of this host" in text
    lab.lb.run("ip link set dev eth1 mtu 1400")
    text = xdplb(lab.lb, "doctor", "--idev=eth2", "--edev=eth1", check=False).stdout
    lab.lb.run("ip link set dev eth1 mtu 1500")
    assert "error    mtu          MTU 1400 of eth1 is below 1500 of eth2" in text
    assert "why: frames go out as they came in" in text and "mend: ip link set dev eth1 mtu 1500" in text


def test_what_cannot_be_checked(healthy):
    def refused(code: int, *arguments: str) -> str:
        done = xdplb(healthy.lb, "doctor", *arguments, check=False)
        assert done.returncode == code and done.stdout == "", done
        return done.stderr

    assert "Which host" in refused(EXIT_USAGE)
    assert "Which host" in refused(EXIT_USAGE, "--idev=eth2")
    assert "Which host" in refused(EXIT_USAGE, "--server", "--idev=eth2", "--edev=eth1")
    assert "Unknown interface [eth9]" in refused(EXIT_FAILED, "--idev=eth9", "--edev=eth1")
    assert "Unknown interface [eth9]" in refused(EXIT_FAILED, "--server", "--dev=eth9")
    assert "10.0.0.300" in refused(EXIT_FAILED, "--idev=eth2", "--edev=eth1", "--vip=10.0.0.300")
    assert "a single address" in refused(EXIT_FAILED, "--server", "--dev=eth1", "--vip=10.0.0.0/24")


def test_without_privileges_it_says_so(healthy):
    done = healthy.lb.run(["setpriv", "--bounding-set=-all", "--inh-caps=-all", "xdplb", "doctor", "--json", "--idev=eth2", "--edev=eth1"], check=False)
    wrong = {finding["check"] for finding in json.loads(done.stdout)["findings"] if finding["severity"] == "error"}
    assert done.returncode == EXIT_WARNINGS and {"capabilities", "bpf", "af_xdp"} <= wrong
