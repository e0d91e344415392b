"""The metrics port of a daemon: asking it, and reading the text format of Prometheus."""

import http.client
import re
from dataclasses import dataclass, field

from lab import Node

PORT = 9100
OPTION = f"--metrics=127.0.0.1:{PORT}"
SAMPLE = re.compile(r'^(\w+)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)+)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def connect(node: Node, timeout: float = 10) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=timeout)
    with node.network():
        connection.connect()
    return connection


def get(node: Node, path: str, method: str = "GET") -> tuple[int, str]:
    connection = connect(node)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@dataclass
class Scrape:
    """values["xdplb_ready"][()] and values["xdplb_target_flows"][(("target", "0"),)]"""

    values: dict[str, dict[tuple, float]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    helps: dict[str, str] = field(default_factory=dict)

    def one(self, metric: str, **labels: str) -> float:
        return self.values[metric][tuple(labels.items())]

    def sum(self, metric: str) -> float:
        return sum(self.values[metric].values())


def parse(text: str) -> Scrape:
    """Strictly: each line is one of the three kinds, and no sample stands twice."""
    assert text.endswith("\n")
    scrape = Scrape()
    for line in text.splitlines():
        if line.startswith("# "):
            _, what, metric, rest = line.split(" ", 3)
            {"HELP": scrape.helps, "TYPE": scrape.kinds}[what][metric] = rest
            scrape.values.setdefault(metric, {})
            continue
        found = SAMPLE.match(line)
        assert found, line
        labels = tuple(LABEL.findall(found[2] or ""))
        assert labels not in scrape.values[found[1]], line
        scrape.values[found[1]][labels] = float(found[3])
    return scrape


def scrape(node: Node) -> Scrape:
    status, text = get(node, "/metrics")
    assert status == 200, text
    return parse(text)
