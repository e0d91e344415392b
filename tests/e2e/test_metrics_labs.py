"""The metrics port where each test needs a lab of its own: thousands of services, two balancers, no port to be had."""

import json
import socket
import time

import pytest
from lab import Lab, Spec
from support.daemon import Daemon, configure, xdplb
from support.faults import must_fail, pins
from support.scrape import OPTION, get, parse, scrape
from support.wait import wait_until

SCRAPE_SECONDS_MAX = 0.05


def test_4096_services_of_64_targets(make_lab, tmp_path):
    lab = make_lab()
    targets = [f"t{i}" for i in range(64)]
    config = {
        "version": 1,
        "targets": [{"name": name, "mac": f"02:00:00:00:01:{i:02x}"} for i, name in enumerate(targets)],
        "services": [{"name": f"s{i}", "vips": [f"10.1.{i >> 8}.{i & 255}/32"], "table_size": 251, "targets": targets}
                     for i in range(4096)],
    }  # fmt: skip
    file = tmp_path / "lb.json"
    file.write_text(json.dumps(config))
    with Daemon(lab, OPTION, f"--config={file}"):
        seconds = []
        for _ in range(8):
            begin = time.monotonic()
            page = get(lab.lb, "/metrics")[1]
            seconds.append(time.monotonic() - begin)
            time.sleep(0.3)  # so that it is made anew
        assert len(parse(page).values["xdplb_service_packets_total"]) == 4096
        assert len(parse(page).values["xdplb_target_packets_total"]) == 64
        assert min(seconds) < SCRAPE_SECONDS_MAX, seconds


def test_balancers_can_be_compared():
    """Equal digests where they choose alike, whatever the order of the changes; others where they do not."""
    with Lab(Spec(balancers=2)) as lab:
        for name in ("lb", "lb2"):
            configure(lab, lab[name])
        xdplb(lab["lb2"], "deactivate", 1, 2)
        with Daemon(lab, OPTION), Daemon(lab, OPTION, node=lab["lb2"]):

            def digests() -> list[float]:
                return [scrape(lab[name]).one("xdplb_service_table_digest", service="default") for name in ("lb", "lb2")]

            first, second = digests()
            assert first != second
            xdplb(lab["lb2"], "activate", 2)
            xdplb(lab["lb2"], "activate", 1)
            wait_until(lambda: digests() == [first, first], what=digests, every=0.1)


@pytest.mark.parametrize("at, why", [
    ("192.0.2.1:9100", "Cannot listen on 192.0.2.1:9100: Cannot assign requested address (--metrics)"),
    ("127.0.0.1:9101", "Cannot listen on 127.0.0.1:9101: Address already in use (--metrics)"),
])  # fmt: skip
def test_an_address_that_cannot_be_had(make_lab, at, why):
    """Ends the start before anything is attached."""
    lab = make_lab()
    configure(lab)
    with lab.lb.network():
        taken = socket.create_server(("127.0.0.1", 9101))
    with taken:
        assert must_fail(lab, f"--metrics={at}") == why
    assert pins(lab) == []
