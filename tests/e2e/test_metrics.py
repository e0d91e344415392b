"""The metrics port: what it says agrees with `stats` and lasts under hostile clients; and what is built on it (alerts,
dashboard, runbook) names what is there."""

import json
import re
import socket
import time
from pathlib import Path

import pytest
from lab import Lab, Spec
from lab.node import REPO
from support.daemon import Daemon, configure, xdplb
from support.faults import forward
from support.scrape import OPTION, connect, get, scrape
from support.stopped_thread import StoppedThread, threads
from support.wait import wait_until

CONFIGS = Path(REPO) / "configs"


@pytest.fixture(scope="module")
def served():
    with Lab(Spec()) as lab:
        configure(lab)
        with Daemon(lab, OPTION) as daemon:
            yield lab, daemon


def fresh(lab: Lab, daemon: Daemon):
    """A scrape and statistics of the same moment of rest."""
    stats = daemon.stats_now()
    time.sleep(0.5)  # a page may be 0.2 s old, and is made from statistics that may be 0.05 s old
    return scrape(lab.lb), stats


def test_it_says_what_stats_says(served):
    lab, daemon = served
    forward(lab)
    page, stats = fresh(lab, daemon)
    worker = stats.workers[0]
    assert page.one("xdplb_worker_received_packets_total", worker="0") == worker["rx"] >= 40
    assert page.one("xdplb_worker_sent_packets_total", worker="0") == worker["tx"]
    assert page.one("xdplb_worker_flows", worker="0") == worker["flows"]
    assert page.one("xdplb_worker_flows_high_water", worker="0") == worker["flows_high_water"] >= worker["flows"]
    assert page.one("xdplb_worker_busy_seconds_total", worker="0") == pytest.approx(worker["busy_ns"] / 1e9)
    assert page.one("xdplb_worker_info", worker="0", queues="eth2/0", cpu=str(worker["cpu"])) == 1
    assert page.sum("xdplb_dropped_packets_total") == stats.drops.total()
    for target in stats.report["targets"]:
        assert page.one("xdplb_target_packets_total", target=target["name"]) == target["packets"]
        assert page.one("xdplb_target_usable", target=target["name"]) == 1
    service = stats.report["services"][0]
    assert page.one("xdplb_service_bytes_total", service="default") == service["bytes"] > 0
    assert page.one("xdplb_service_targets_usable", service="default") == 4
    assert page.one("xdplb_service_table_digest", service="default") == service["table_digest"]
    assert page.one("xdplb_config_generation") == stats.report["generation"]
    assert page.one("xdplb_ready") == page.one("xdplb_data_plane_up") == 1 and page.one("xdplb_going") == 0
    assert abs(page.one("xdplb_start_time_seconds") - time.time()) < 600
    version = re.match(r"xdplb (\S+)", xdplb(lab.lb, "version").stdout)[1]
    assert page.one("xdplb_build_info", version=version) == 1
    assert {labels[0][1] for labels in page.values["xdplb_device_receive_dropped_packets_total"]} == {"eth1", "eth2"}


def test_pages(served):
    lab, _daemon = served
    assert get(lab.lb, "/readyz") == (200, "ready\n")
    assert get(lab.lb, "/livez") == (200, "alive\n")
    assert get(lab.lb, "/") == (200, "xdplb: /metrics /readyz /livez\n")
    assert get(lab.lb, "/metrics", "HEAD") == (200, "")
    connection = connect(lab.lb)
    connection.request("GET", "/metrics")
    assert connection.getresponse().headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_not_ready_has_its_reasons(served):
    lab, _daemon = served
    xdplb(lab.lb, "deactivate", "--drain", 0, 1, 2, 3)
    reason = "not ready: service default has 0 of 1 usable target that it needs\n"
    wait_until(lambda: get(lab.lb, "/readyz") == (503, reason), what=lambda: get(lab.lb, "/readyz"), every=0.1)
    page = scrape(lab.lb)
    assert page.one("xdplb_ready") == 0 and page.one("xdplb_target_usable", target="0") == 0
    assert get(lab.lb, "/livez")[0] == 200
    xdplb(lab.lb, "activate", 0, 1, 2, 3)
    wait_until(lambda: get(lab.lb, "/readyz") == (200, "ready\n"), every=0.1)


def test_a_worker_that_hangs_is_no_life(served):
    lab, daemon = served
    with StoppedThread(threads(daemon.process.pid)["xdplb-eth2/0"]):
        wait_until(lambda: get(lab.lb, "/livez") == (503, "a worker gives no sign of life\n"), every=0.1)
        assert get(lab.lb, "/readyz")[0] == 503
    wait_until(lambda: get(lab.lb, "/livez")[0] == 200, every=0.1)


def test_a_device_that_is_away(served):
    lab, _daemon = served
    lab.lb.run("ip link set dev eth1 down")
    wait_until(lambda: scrape(lab.lb).one("xdplb_data_plane_up") == 0, every=0.1)
    assert "no data plane: Interface [eth1] is down" in get(lab.lb, "/readyz")[1]
    lab.lb.run("ip link set dev eth1 up")
    wait_until(lambda: scrape(lab.lb).one("xdplb_data_plane_up") == 1, every=0.1)


# --- hostile clients ---

HOSTILE = [
    b"", b"\0", b"\r\n\r\n", b"GET", b"GET /metrics HTTP/1.1\r\n", b"POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
    b"DELETE /metrics HTTP/1.1\r\n\r\n", b"GET /../../etc/shadow HTTP/1.1\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 50, b"A" * 1_000_000, b"GET /" + b"a" * 100_000,
    b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 100_000, b"GET /metrics HTTP/1.1\r\n\r\n" * 1000,
]  # fmt: skip


def test_hostile_requests(served):
    """None gets more than an answer; the next one is served as ever."""
    lab, daemon = served
    memory = resident_kb(lab, daemon)
    for request in HOSTILE * 5:
        connection = connect(lab.lb).sock
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(100)
        except OSError:
            answer = b""  # cut off
        assert not answer or re.match(rb"HTTP/1\.1 (200|4\d\d) ", answer), (request[:40], answer)
        connection.close()
        assert b"shadow" not in answer
    assert get(lab.lb, "/readyz") == (200, "ready\n")
    assert resident_kb(lab, daemon) < memory + 8192
    forward(lab)


def test_slow_clients_keep_nobody_out(served):
    """Two hundred who never end their request, and some who never read: a scrape takes no longer, packets flow, and
    within a while they are gone."""
    lab, daemon = served
    idle = [connect(lab.lb).sock for _ in range(200)]
    for one in idle:
        one.send(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
    for _ in range(5):
        begin = time.monotonic()
        assert get(lab.lb, "/metrics")[0] == 200
        assert time.monotonic() - begin < 2
    forward(lab)

    def open_sockets() -> int:
        return int(lab.lb.shell(f"ls -l /proc/{daemon.process.pid}/fd | grep -c socket").stdout)

    few = 60  # those of the data plane, too
    wait_until(lambda: open_sockets() < few, what=lambda: f"{open_sockets()} sockets", every=0.2)
    for one in idle:
        one.close()


def resident_kb(lab: Lab, daemon: Daemon) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", lab.lb.run(f"cat /proc/{daemon.process.pid}/status").stdout)[1])


@pytest.mark.parametrize("at", ["9100", "here:9100", "::1:9100", "127.0.0.1:70000", "127.0.0.1:"])
def test_what_is_no_address(served, at):
    lab, _daemon = served
    done = lab.lb.run(f"xdplb lb --idev=eth2 --edev=eth1 --metrics={at}", check=False)
    assert (done.returncode, done.stderr) == (2, f"--metrics: Invalid address [{at}]: ADDRESS:PORT, or [ADDRESS]:PORT\n")


# --- what is built on it ---


def expressions() -> dict[str, str]:
    """PromQL by where it stands."""
    alerts = re.findall(r"- alert: (\w+)\n\s+expr: (.*)", (CONFIGS / "alerts.yml").read_text())
    dashboard = json.loads((CONFIGS / "grafana-xdplb.json").read_text())
    panels = [(f"panel {panel['title']}", target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(alerts) > 10 and len(panels) > 20
    return {f"{where} {n}": text for n, (where, text) in enumerate(alerts + panels)}


def test_alerts_and_dashboard_name_what_is_there(served):
    lab, _daemon = served
    page = scrape(lab.lb)
    for where, text in expressions().items():
        names = set(re.findall(r"\bxdplb_\w+", text))
        assert names or text == 'up{job="xdplb"} == 0', where
        assert names <= page.values.keys(), where
        for name, selector in re.findall(r"\b(xdplb_\w+)\{([^}]*)\}", text):
            for label, values in re.findall(r'(\w+)=~?"([^"$]+)"', selector):
                there = {dict(labels).get(label) for labels in page.values[name]}
                assert set(values.split("|")) <= there, f"{where}: {label}"


def test_each_alert_has_its_section_in_the_runbook():
    alerts = re.findall(r"- alert: (\w+)", (CONFIGS / "alerts.yml").read_text())
    assert re.findall(r"^## (\w+)$", (CONFIGS / "RUNBOOK.md").read_text(), re.M) == alerts


def test_every_metric_is_explained(served):
    """METRICS.md is what HELP says: nothing more, nothing less."""
    lab, _daemon = served
    page = scrape(lab.lb)
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", (CONFIGS / "METRICS.md").read_text(), re.M)
    assert {name: (kind, text) for name, kind, text in rows} == {name: (page.kinds[name], page.helps[name]) for name in page.helps}
