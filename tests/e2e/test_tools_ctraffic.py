"""ctraffic: both ends, each against the other and against a few lines of Python that speak its protocol."""

import json
import random
import re
import signal
import socket
import struct
import time

import pytest
from support.traffic import DatagramOracle, Oracle, Process, at, established, forbid_io_uring, next_port, run, server
from support.wait import wait_until

SECOND = 1_000_000_000
SUMMARY = (
    "Started Duration Rate Connections PacketSize FailedConnections Sent Received Dropped Retransmits FailedConnects"
).split()
CONN_STATS = "Started Connect Ended Err Sent Received Dropped Retransmits Local Remote Host".split()
MONITOR = re.compile(r"Conn act/fail/connecting: (\d+)/(\d+)/(\d+), Packets send/rec/dropped: (\d+)/(\d+)/(\d+)")


def generate(*options, expect: int = 0, **popen) -> dict:
    """Runs the client and returns its statistics."""
    result = run("ctraffic", *options, **popen)
    assert result.returncode == expect, result.stderr
    assert result.stdout.count("\n") == 1, "one line of JSON"
    return json.loads(result.stdout)


def echo(connection, data):
    return data


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_steady_traffic(host):
    with server("ctraffic") as running:
        options = ["-nconn", 100, "-rate", 1000, "-timeout", "4s", "-stats", "all", "-monitor"]
        result = run("ctraffic", "-address", at(host, running.port), *options)
        assert result.returncode == 0
        wait_until(lambda: established(running.port) == 0)
    stats = json.loads(result.stdout)
    assert list(stats) == [*SUMMARY, "ConnStats", "Samples"]
    assert (stats["Rate"], stats["Connections"], stats["PacketSize"]) == (1000, 100, 1024)
    assert (stats["FailedConnections"], stats["FailedConnects"]) == (0, 0)
    assert stats["Sent"] == stats["Received"] > 0
    # What was due and not sent counts as dropped: together they are the rate.
    assert stats["Sent"] + stats["Dropped"] == pytest.approx(4 * 1000, rel=0.05)
    assert stats["Duration"] == pytest.approx(4 * SECOND, rel=0.1)
    assert len(stats["ConnStats"]) == 100
    for connection in stats["ConnStats"]:
        assert list(connection) == CONN_STATS
        assert connection["Started"] <= connection["Connect"] < connection["Ended"] == 4 * SECOND
        assert (connection["Err"], connection["Host"]) == ("", "vm-001")
        assert connection["Remote"] == at(host, running.port)
        assert connection["Local"].startswith(at(host, 0)[:-1])
    for total, each in (("Sent", "Sent"), ("Received", "Received"), ("Dropped", "Dropped")):
        assert stats[total] == sum(connection[each] for connection in stats["ConnStats"])
    assert [round(sample["Time"] / SECOND) for sample in stats["Samples"]] == [1, 2, 3]
    assert list(stats["Samples"][0]) == ["Time", "Sent", "Received", "Dropped"]
    lines = [tuple(map(int, found)) for found in MONITOR.findall(result.stderr)]
    assert [line[:3] for line in lines] == [(100, 0, 0)] * 3
    assert [line[3:] for line in lines] == [(s["Sent"], s["Received"], s["Dropped"]) for s in stats["Samples"]]


def test_two_thousand_connections():
    with server("ctraffic") as running:
        command = ["-nconn", 2000, "-rate", 2000, "-timeout", "4s"]
        stats = generate("-address", at("::1", running.port), *command)
        assert list(stats) == SUMMARY
        assert (stats["FailedConnections"], stats["FailedConnects"]) == (0, 0)
        assert stats["Sent"] == stats["Received"] > 6000
        wait_until(lambda: established(running.port) == 0)


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("::", port))
            probe.listen()
        except OSError:
            return False
        return True


def test_stored_statistics_are_analyzed(tmp_path):
    """A server that dies in the middle of a run, and another in its place."""
    port = next_port()
    stored = tmp_path / "data.json"
    options = ["-nconn", 20, "-rate", 200, "-timeout", "8s", "-stats", "all"]
    with server("ctraffic", port=port, hostname="vm-001") as first:
        client = Process("ctraffic", "-address", at("::1", port), *options)
        time.sleep(1.6)
        first.process.kill()
        first.process.wait()
        first.stop = lambda: (0, "")
        # The kernel lets go of what an io_uring waited for a moment after the process has ended.
        wait_until(lambda: is_free(port))
    with client, server("ctraffic", port=port, hostname="vm-002"):
        output = client.process.stdout.read()
        assert client.process.wait(15) == 0
    stored.write_text(output)
    stats = json.loads(output)
    lost = [connection for connection in stats["ConnStats"] if connection["Err"]]
    assert len(lost) == stats["FailedConnections"] == 20
    assert {connection["Host"] for connection in lost} == {"vm-001"}

    def analyze(what):
        result = run("ctraffic", "-stat_file", stored, "-analyze", what)
        assert (result.returncode, result.stderr) == (0, "")
        assert run("ctraffic", "-stat_file", "-", "-analyze", what, input=output).stdout == result.stdout
        return result.stdout

    assert analyze("hosts") == "Lost connections: 20\n  vm-001 20\nLasting connections: 20\n  vm-002 20\n"
    header, *rows = analyze("connections").splitlines()
    assert header == "Time Active New Failed Connecting"
    rows = [list(map(float, row.split())) for row in rows]
    assert [row[0] for row in rows] == [0.5 + second for second in range(len(rows))]
    assert rows[0] == [0.5, 20, 20, 0, 0]
    assert rows[-1][1:] == [20, 0, 0, 0]
    assert sum(row[3] for row in rows) == 20
    header, *rows = analyze("throughput").splitlines()
    assert header == "Time Throughput"
    assert len(rows) == len(stats["Samples"]) - 1
    assert float(rows[-1].split()[1]) == pytest.approx(200, rel=0.2)


def test_the_server_names_itself_in_the_first_64_bytes():
    with server("ctraffic", hostname="vm-042") as running:
        with socket.create_connection(("::1", running.port), timeout=5) as connection:
            connection.sendall(b"a" * 63)
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            connection.settimeout(5)
            connection.sendall(b"bcd")
            expected = b"vm-042".ljust(64, b"\0") + b"cd"
            received = b""
            while len(received) < len(expected):
                received += connection.recv(100)
            assert received == expected


def test_the_server_echoes_every_byte_also_to_a_slow_reader():
    data = random.Random(1).randbytes(64 << 20)
    with server("ctraffic") as running:
        with socket.create_connection(("::1", running.port), timeout=10) as connection:
            connection.setblocking(False)
            sent, received, idle_turns = 0, bytearray(), 0
            # First only send, until neither the sockets nor the server take more.
            while idle_turns < 20 and sent < len(data):
                try:
                    sent += connection.send(data[sent : sent + 65536])
                    idle_turns = 0
                except BlockingIOError:
                    idle_turns += 1
                    time.sleep(0.01)
            assert sent < len(data), "the server must not hoard what nobody reads"
            assert running.rss_kb() < 64 * 1024
            connection.settimeout(10)
            while len(received) < sent:
                received += connection.recv(1 << 20)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
    assert received[:64] == b"vm-001".ljust(64, b"\0")
    assert received[64:] == data[64:sent]


def test_the_server_over_udp():
    with server("ctraffic", "-udp") as running:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            for size in (3, 64, 1400, 30000):
                client.sendto(b"x" * size, ("127.0.0.9", running.port))
                expected = (b"vm-001".ljust(64, b"\0") + b"x" * (size - 64))[:size]
                assert client.recvfrom(65536) == (expected, ("127.0.0.9", running.port))


def test_hostile_clients_harm_nobody():
    with server("ctraffic", "-udp") as running:
        for i in range(300):
            with socket.create_connection(("::1", running.port)) as connection:
                connection.send(b"x" * (i % 130))
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams:
            datagrams.sendto(b"", ("::1", running.port))
        stats = generate("-address", at("::1", running.port), "-nconn", 20, "-rate", 200, "-timeout", "3s")
        assert stats["Sent"] == stats["Received"] > 0 == stats["FailedConnections"]
        wait_until(lambda: established(running.port) == 0)


def test_the_client_sends_packets_of_zeros_and_reads_the_name():
    seen = {}

    def name_first(connection, data):
        first = not seen.get(connection)
        seen[connection] = seen.get(connection, b"") + data
        return b"vm-007".ljust(64, b"\0") + data[64:] if first and data else data

    with Oracle(name_first) as oracle:
        command = ["-psize", 300, "-nconn", 3, "-rate", 10, "-timeout", "3s", "-stats", "all"]
        stats = generate("-address", at("127.0.0.1", oracle.port), *command)
    assert stats["PacketSize"] == 300
    assert [connection["Host"] for connection in stats["ConnStats"]] == ["vm-007"] * 3
    assert sorted(len(data) for data in seen.values()) == sorted(300 * c["Sent"] for c in stats["ConnStats"])
    assert set(b"".join(seen.values())) == {0}


def test_a_server_without_the_custom_has_no_name():
    with Oracle(echo) as oracle:
        stats = generate("-address", at("127.0.0.1", oracle.port), "-timeout", "3s", "-stats", "all")
    assert "Host" not in stats["ConnStats"][0]
    assert stats["Sent"] == stats["Received"] > 0


def test_packets_larger_than_the_sockets_hold():
    megabytes = 16
    with server("ctraffic") as running:
        command = ["-psize", megabytes << 20, "-rate", megabytes << 11, "-timeout", "4s"]
        stats = generate("-address", at("::1", running.port), *command)
    assert stats["FailedConnections"] == 0
    assert stats["Sent"] == stats["Received"] >= 5


@pytest.mark.parametrize("reconnect", [True, False])
def test_connections_that_the_server_closes(reconnect):
    received = {}

    def close_after_three(connection, data):
        received[connection] = received.get(connection, 0) + len(data)
        return data if received[connection] <= 3 * 64 else None

    with Oracle(close_after_three) as oracle:
        options = ["-psize", 64, "-nconn", 2, "-rate", 1, "-timeout", "5s", "-stats", "all", "-retries", 100]
        stats = generate("-address", at("::1", oracle.port), *options, f"-reconnect={str(reconnect).lower()}")
    lost = [connection for connection in stats["ConnStats"] if connection["Err"]]
    assert {connection["Err"] for connection in lost} == {"EOF"}
    assert all((c["Sent"], c["Received"]) == (4, 3) for c in lost)
    assert len(lost) == stats["FailedConnections"]
    assert (len(lost) > 2) == reconnect
    if not reconnect:
        assert len(stats["ConnStats"]) == 2


def test_too_many_reconnects_end_the_run():
    with Oracle(lambda connection, data: None if data else b"") as oracle:
        options = ["-nconn", 2, "-rate", 100, "-timeout", "20s", "-retries", 3]
        result = run("ctraffic", "-address", at("::1", oracle.port), *options)
    assert result.returncode == 1
    assert "Too many re-connects: 6" in result.stderr
    assert json.loads(result.stdout)["FailedConnections"] >= 5


def test_a_connection_that_stands_still_is_lost_and_what_was_due_is_dropped():
    with Oracle(lambda connection, data: b"") as oracle:
        options = ["-rate", 20, "-timeout", "4s", "-stats", "all", "-reconnect=false"]
        (connection,) = generate("-address", at("127.0.0.1", oracle.port), *options)["ConnStats"]
    assert (connection["Sent"], connection["Received"]) == (1, 0)
    assert connection["Err"] == f"read tcp {connection['Local']}->{connection['Remote']}: i/o timeout"

    def echo_late(_connection, data):
        time.sleep(0.3)
        return data

    with Oracle(echo_late) as oracle:
        stats = generate("-address", at("127.0.0.1", oracle.port), "-rate", 20, "-timeout", "3s")
    assert stats["Sent"] == stats["Received"] < 12
    assert stats["Sent"] + stats["Dropped"] == pytest.approx(20 * 3, rel=0.2)


def test_nobody_there():
    port = next_port()
    result = run("ctraffic", "-address", at("::1", port), "-nconn", 3, "-timeout", "3s", "-stats", "all")
    assert result.returncode == 0
    stats = json.loads(result.stdout)
    assert stats["FailedConnects"] >= 6 and stats["FailedConnections"] == 0
    assert [(c["Connect"], c["Err"], c["Sent"]) for c in stats["ConnStats"]] == [(0, "", 0)] * 3
    assert f"connect tcp [::1]:{port}: Connection refused" in result.stderr


def test_udp_survives_loss():
    with DatagramOracle(lambda n, data: data if n % 4 else None) as oracle:
        options = ["-udp", "-nconn", 10, "-rate", 30, "-timeout", "5s", "-stats", "all"]
        stats = generate("-address", at("127.0.0.1", oracle.port), *options)
    assert stats["FailedConnections"] == 0
    assert 0 < stats["Received"] < stats["Sent"] == len(oracle.received)
    assert len(stats["ConnStats"]) == 10
    assert {connection["Err"] for connection in stats["ConnStats"]} == {""}


def test_udp_with_nobody_there_goes_on():
    stats = generate("-udp", "-address", at("127.0.0.1", next_port()), "-rate", 10, "-timeout", "3s")
    assert stats["Sent"] > 10 and stats["Received"] == 0 == stats["FailedConnections"]


def test_sources_from_a_file(tmp_path):
    sources = tmp_path / "sources"
    sources.write_text("127.0.0.5\n# two\n127.0.0.6:7000\n127.0.0.7\n")
    with server("ctraffic") as running:
        command = ["-address", at("127.0.0.1", running.port), "-timeout", "3s", "-stats", "all", "-srcfile", sources]
        stats = generate(*command, "-nconn", 3)
        local = [connection["Local"] for connection in stats["ConnStats"]]
        assert [address.split(":")[0] for address in local] == ["127.0.0.5", "127.0.0.6", "127.0.0.7"]
        assert local[1] == "127.0.0.6:7000"
        result = run("ctraffic", *command, "-nconn", 4)
    assert result.returncode == 1
    assert f"Ran out of source addresses: {sources} has 3" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_client_with_its_statistics(number):
    with server("ctraffic") as running:
        command = ["-nconn", 50, "-rate", 100, "-timeout", "1m", "-stats", "all"]
        with Process("ctraffic", "-address", at("::1", running.port), *command) as client:
            wait_until(lambda: established(running.port) == 50)
            time.sleep(0.5)
            status, output = client.stop(number)
    stats = json.loads(output)
    assert status == 0
    assert stats["Duration"] < 5 * SECOND
    assert stats["Sent"] == stats["Received"] > 0
    assert stats["FailedConnections"] == 0 and len(stats["ConnStats"]) == 50


def test_without_io_uring():
    with server("ctraffic", preexec_fn=forbid_io_uring) as running:
        assert "io_uring is not available: Operation not permitted; using epoll instead" in running.errors
        command = ["-address", at("::1", running.port), "-nconn", 100, "-rate", 500, "-timeout", "3s"]
        stats = generate(*command, preexec_fn=forbid_io_uring)
    assert stats["FailedConnections"] == 0
    assert stats["Sent"] == stats["Received"] > 1000


def test_stats_none_prints_nothing():
    with server("ctraffic") as running:
        result = run("ctraffic", "-address", at("::1", running.port), "-timeout", "1s", "-stats", "none")
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize(
    "content, complaint",
    [
        ("", "parse error"),
        ('{"Sent": "many"}', 'Sent: "many" has the wrong type'),
        ('{"Duration": 5}', "No samples found"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, content, complaint):
    path = tmp_path / "data.json"
    path.write_text(content)
    result = run("ctraffic", "-stat_file", path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"ctraffic: {path}: ") and complaint in result.stderr
