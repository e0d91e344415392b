"""The guided tour: a lab, xdplb in it, real connections, a server that leaves and comes back. For newcomers to read."""

import json
import sys
import time

from . import describe, names
from .names import SEGMENT, Spec
from .node import BUILD, Node, Process
from .topology import Lab

SPEC = Spec(servers=4)
CONNECTIONS = 1000
LASTING = 80
WIDTH = 100
BAR = 40


def main() -> int:
    missing = [name for name in ("xdplb", "mconnect", "ctraffic") if not (BUILD / name).exists()]
    if missing:
        print(f"lab: not built: {', '.join(missing)} (in {BUILD}); run make", file=sys.stderr)
        return 1
    began = time.monotonic()
    say("xdplb balances connections over servers by looking at each packet once, in user space, through AF_XDP.")
    say("This demo builds a small network inside this machine, out of namespaces. Nothing outside it is touched.")
    with Lab(SPEC) as lab:
        headline("The network")
        print(describe.diagram(SPEC))
        start_servers(lab)
        configure(lab)
        balancer = start_balancer(lab)
        connect(lab)
        lose_a_server(lab)
        show_counters(lab)
        stop(lab, balancer)
    headline("Done")
    say(f"The network is gone, after {time.monotonic() - began:.0f} s. To play with it yourself: tools/lab/lab shell")
    return 0


def start_servers(lab: Lab) -> None:
    say("Every server has the addresses 10.0.0.0 and 1000:: (the VIPs) on its loopback device and listens there:")
    for node in lab.servers:
        node.start("mconnect -server -address [::]:5001")
        node.start("ctraffic -server -address [::]:5003")
    for node in lab.servers:
        for port in (5001, 5003):
            while not node.run(f"ss -Hnlt sport = :{port}").stdout:
                time.sleep(0.02)
    print("    vm-001 .. vm-004    mconnect on port 5001 (answers with its hostname), ctraffic on port 5003 (echoes)")


def configure(lab: Lab) -> None:
    headline("1. Tell the balancer what to do")
    say("The configuration lies in shared memory; these commands write it. A target is a server's MAC address:")
    show(lab.lb, "xdplb init")
    show(lab.lb, "xdplb vip add 10.0.0.0/32 1000::/128")
    for index, server in enumerate(names.servers(SPEC)):
        show(lab.lb, f"xdplb activate --mac={server.mac(SEGMENT)} {index}")
    say("A hash of each connection's addresses and ports picks a row of this table, and the row names the target:")
    show(lab.lb, "xdplb show", lines=8)


def start_balancer(lab: Lab) -> Process:
    headline("2. Start it")
    say("eth2 is where requests come in, eth1 leads to the servers. It says how it runs, and why:")
    print("    lb# xdplb lb --idev=eth2 --edev=eth1")
    balancer = lab.lb.start("xdplb lb --idev=eth2 --edev=eth1")
    balancer.wait_for(r"^ready$")
    print(indented(balancer.output))
    return balancer


def connect(lab: Lab) -> None:
    headline("3. Connect")
    say("The client connects many times to one address. Each server answers with its hostname, so we see who served:")
    for vip in ("10.0.0.0:5001", "[1000::]:5001"):
        command = f"mconnect -address {vip} -nconn {CONNECTIONS} -output json"
        print(f"    client# {command.replace(' -output json', '')}")
        report = json.loads(lab.client.run(command, check=False).stdout)
        bars(report["hosts"])
        failed = report["failed_connects"] + report["failed_reads"]
        print(f"      {report['connects'] - failed} of {CONNECTIONS} connections served, {failed} failed\n")
    say("The servers replied straight to the client: replies do not pass the balancer (direct server return).")


def lose_a_server(lab: Lab) -> None:
    headline("4. Take a server away, and give it back")
    say(f"{LASTING} connections send traffic for 6 s. After 2 s vm-004 is deactivated, after 4 s it is active again:")
    report = "/run/ctraffic.json"
    command = f"ctraffic -address 10.0.0.0:5003 -nconn {LASTING} -rate 800 -timeout 6s -reconnect -stats all"
    print(f"    client# {command}")
    client = lab.client.start(["sh", "-c", f"exec {command} > {report}"], "ctraffic")
    mac = names.servers(SPEC)[3].mac(SEGMENT)
    time.sleep(2)  # the plot of the story, not synchronisation
    show(lab.lb, "xdplb deactivate 3")
    time.sleep(2)
    show(lab.lb, f"xdplb activate --mac={mac} 3")
    client.wait()
    print()
    show(lab.client, f"ctraffic -stat_file {report} -analyze hosts")
    say("Lost are the connections that vm-004 served; they were made anew and found other servers. The others lasted.")


def show_counters(lab: Lab) -> None:
    headline("5. The counters")
    say("Every packet that came in was sent to a server, or dropped for a reason that has a name:")
    show(lab.lb, "xdplb stats")


def stop(lab: Lab, balancer: Process) -> None:
    headline("6. Stop it")
    print("    lb# kill -TERM the balancer")
    before = len(balancer.output)
    status = balancer.stop()
    print(indented(balancer.output[before:]))
    programs = lab.lb.shell("ip link show | grep prog/xdp || true").stdout.splitlines()
    pins = lab.lb.shell("find /sys/fs/bpf/lb -type f || true").stdout.splitlines()
    print(f"      exit status {status}; XDP programs left on its devices: {len(programs)}; pins left: {len(pins)}")


# --- telling --------------------------------------------------------------------------------------------------


def headline(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def say(text: str) -> None:
    print(text, flush=True)


def show(node: Node, command: str, lines: int = 40) -> None:
    """Runs a command and prints it with the first lines of what it said."""
    print(f"    {node.name}# {command}", flush=True)
    done = node.run(command)
    output = (done.stdout + done.stderr).splitlines()
    if len(output) > lines:
        output[lines:] = ["..."]
    print(indented("\n".join(output)), end="\n" if output else "", flush=True)


def indented(text: str) -> str:
    return "\n".join(f"      {line[:WIDTH]}" for line in text.splitlines())


def bars(hosts: dict[str, int]) -> None:
    most = max(hosts.values(), default=1)
    for host, count in sorted(hosts.items()):
        print(f"      {host} {'#' * (BAR * count // most):<{BAR}} {count}")
