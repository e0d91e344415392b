"""mconnect: both ends, each against the other and against a few lines of Python that speak its protocol."""

import datetime
import ipaddress
import itertools
import json
import signal
import socket
import struct
import subprocess
import time

import pytest
from lab.node import BUILD
from support.traffic import (
    DatagramOracle,
    Oracle,
    Process,
    at,
    established,
    forbid_io_uring,
    limit_descriptors,
    next_port,
    run,
    server,
)
from support.wait import wait_until

LOOPBACKS = ["127.0.0.1", "::1"]


@pytest.fixture
def local_routes():
    """Prefixes of which every address is ours, as on a tester."""
    routes = ["-4 route replace local 50.0.0.0/16 dev lo", "-6 route replace local 2000::/112 dev lo"]
    for route in routes:
        subprocess.run(["ip", *route.split()], check=True)
    yield
    for route in routes:
        subprocess.run(["ip", *route.replace("replace", "del").split()], check=True)


def name_each_read(connection, data):
    return b"vm-007"


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("host", LOOPBACKS)
def test_both_ends(host, transport):
    options = ["-udp"] if transport == "udp" else []
    with server("mconnect", *options) as running:
        result = run("mconnect", "-address", at(host, running.port), "-nconn", 2000, *options)
        assert result.stdout == "Failed connects; 0\nFailed reads; 0\nvm-001 2000\n"
        assert result.returncode == 0
        wait_until(lambda: established(running.port) == 0, what="the server closes what the client closed")


def test_json():
    before = datetime.datetime.now(datetime.timezone.utc)
    with server("mconnect") as running:
        result = run("mconnect", "-address", at("::1", running.port), "-nconn", 50, "-output", "json")
    assert result.stdout.count("\n") == 1
    fields = json.loads(result.stdout)
    names = "hosts connects failed_connects failed_reads start_time timeout duration".split()
    assert list(fields) == names
    assert fields["hosts"] == {"vm-001": 50}
    assert (fields["connects"], fields["failed_connects"], fields["failed_reads"]) == (50, 0, 0)
    assert fields["timeout"] == 2_050_000_000
    assert 0 < fields["duration"] < fields["timeout"]
    seconds = fields["start_time"].replace("Z", "+00:00")
    start = datetime.datetime.fromisoformat(seconds[:19] + seconds[seconds.rindex("+") :])
    assert abs((start - before).total_seconds()) < 5


def test_the_client_counts_each_name():
    names = itertools.cycle([b"vm-001", b"vm-002", b"vm-003"])
    with Oracle(lambda connection, data: next(names)) as oracle:
        result = run("mconnect", "-address", at("127.0.0.1", oracle.port), "-nconn", "600")
    assert result.stdout == "Failed connects; 0\nFailed reads; 0\nvm-001 200\nvm-002 200\nvm-003 200\n"


def test_the_server_names_itself_on_accept_and_for_each_read():
    with server("mconnect", hostname="vm-042") as running:
        with socket.create_connection(("::1", running.port), timeout=5) as connection:
            assert connection.recv(100) == b"vm-042"
            for data in (b"x", b"y" * 1000):
                connection.sendall(data)
                assert connection.recv(100) == b"vm-042"
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == b""


def test_the_server_listens_to_both_families_or_to_one():
    with server("mconnect", "-udp", host="::") as running:
        for host in LOOPBACKS:
            assert run("mconnect", "-address", at(host, running.port)).returncode == 0
            assert run("mconnect", "-udp", "-address", at(host, running.port)).returncode == 0
    with server("mconnect", host="127.0.0.1") as running:
        assert run("mconnect", "-address", at("127.0.0.1", running.port)).returncode == 0
        assert run("mconnect", "-address", at("::1", running.port)).returncode == 1


@pytest.mark.parametrize("host", ["127.0.0.9", "::ffff:127.0.0.9"], ids=["IPv4", "mapped"])
def test_udp_answers_come_from_the_address_that_was_asked(host):
    with server("mconnect", "-udp") as running:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.sendto(b"Hello", ("127.0.0.9", running.port))
            assert client.recvfrom(100) == (b"vm-001", ("127.0.0.9", running.port))


@pytest.mark.parametrize("cidr, host", [("50.0.0.0/16", "50.0.0.1"), ("2000::/112", "2000::1")])
def test_sources_are_random_addresses_of_the_prefix(local_routes, cidr, host):
    with Oracle(name_each_read) as oracle:
        command = ["mconnect", "-address", at(host, oracle.port), "-nconn", 200, "-srccidr", cidr]
        for seed in (1, 1, 2):
            assert run(*command, "-seed", seed).returncode == 0
    first, again, other = (sorted(oracle.peers[i : i + 200]) for i in (0, 200, 400))
    network = ipaddress.ip_network(cidr)
    assert all(ipaddress.ip_address(peer) in network for peer in oracle.peers)
    assert len(set(first)) > 180
    assert first == again and first != other


def test_a_source_without_a_route_is_explained():
    with server("mconnect") as running:
        result = run("mconnect", "-address", at("127.0.0.1", running.port), "-srccidr", "51.0.0.0/16")
    assert result.returncode == 1
    assert "from a chosen source address, which needs a local route: " in result.stderr


def test_at_most_maxconcurrent_are_under_way():
    with DatagramOracle(lambda n, data: None) as oracle:
        command = ["-udp", "-nconn", 10, "-maxconcurrent", 3, "-timeout", "20s"]
        with Process("mconnect", "-address", at("127.0.0.1", oracle.port), *command) as client:
            wait_until(lambda: len(oracle.received) == 3)
            time.sleep(0.2)
            assert [data for data, _ in oracle.received] == [b"Hello"] * 3
            oracle.answer = lambda n, data: b"vm-007"
            for _, peer in list(oracle.received):
                oracle.socket.sendto(b"vm-007", peer)
            assert client.process.wait(10) == 0
            assert client.process.stdout.read() == "Failed connects; 0\nFailed reads; 0\nvm-007 10\n"


def test_ten_thousand_kept_connections():
    with server("mconnect") as running:
        with Process("mconnect", "-address", at("::1", running.port), "-nconn", 10000, "-keep") as client:
            wait_until(lambda: established(running.port) == 10000, what=lambda: established(running.port), every=0.5)
            assert client.stop(signal.SIGINT) == (0, "Failed connects; 0\nFailed reads; 0\nvm-001 10000\n")
        wait_until(lambda: established(running.port) == 0, what=lambda: established(running.port), every=0.2)


def test_a_kept_connection_that_the_server_closes_is_a_failed_read():
    with Oracle(name_each_read) as oracle:
        with Process("mconnect", "-address", at("::1", oracle.port), "-keep") as client:
            wait_until(lambda: oracle.peers)
            time.sleep(0.1)
            oracle.close()
            assert client.process.wait(10) == 1
            assert client.process.stdout.read() == "Failed connects; 0\nFailed reads; 1\nvm-007 1\n"


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_nobody_there(transport):
    udp = transport == "udp"
    port = next_port()
    result = run("mconnect", "-address", at("127.0.0.1", port), "-nconn", "5", *["-udp"] * udp)
    expected = "Failed connects; 0\nFailed reads; 5\n" if udp else "Failed connects; 5\nFailed reads; 0\n"
    assert (result.returncode, result.stdout) == (1, expected)
    assert f"{transport} 127.0.0.1:{port}: Connection refused" in result.stderr


def test_a_silent_server_costs_no_more_than_the_timeout():
    with Oracle(lambda connection, data: b"") as oracle:
        started = time.monotonic()
        result = run("mconnect", "-address", at("::1", oracle.port), "-nconn", "20", "-timeout", "700ms")
        assert 0.6 < time.monotonic() - started < 3
    assert (result.returncode, result.stdout) == (1, "Failed connects; 0\nFailed reads; 20\n")


def test_hostile_clients_harm_nobody():
    with server("mconnect", "-udp") as running:
        deaf = [socket.create_connection(("::1", running.port)) for _ in range(20)]
        for connection in deaf:  # ask without end and read nothing
            connection.setblocking(False)
            try:
                while connection.send(b"x" * 65536):
                    pass
            except BlockingIOError:
                pass
        for i in range(300):  # come and reset, at different moments
            with socket.create_connection(("::1", running.port)) as connection:
                if i % 3 == 0:
                    connection.recv(1)
                if i % 3 == 1:
                    connection.send(b"x" * 100)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams:
            for size in (0, 1, 60000):
                datagrams.sendto(b"x" * size, ("::1", running.port))
        assert run("mconnect", "-address", at("::1", running.port), "-nconn", "500").returncode == 0
        assert run("mconnect", "-udp", "-address", at("::1", running.port), "-nconn", "50").returncode == 0
        assert running.rss_kb() < 64 * 1024
        for connection in deaf:
            connection.close()
        wait_until(lambda: established(running.port) == 0)


def test_a_server_without_descriptors_says_so_and_recovers():
    with server("mconnect", preexec_fn=limit_descriptors(64)) as running:
        # One served before: UBSan looks at a class for the first time through a pipe, and would find no descriptor.
        assert run("mconnect", "-address", at("::1", running.port)).returncode == 0
        crowd = [socket.create_connection(("::1", running.port)) for _ in range(100)]
        running.wait_for("Too many open files")
        assert "RLIMIT_NOFILE 64" in running.errors
        for connection in crowd:
            connection.close()
        assert run("mconnect", "-address", at("::1", running.port), "-nconn", "50").returncode == 0


def test_a_client_without_descriptors():
    """-keep cannot do with fewer; otherwise fewer connections at a time do."""
    limited = limit_descriptors(128)
    with server("mconnect") as running:
        command = ["mconnect", "-address", at("::1", running.port), "-nconn", "500", "-maxconcurrent", "400"]
        kept = run(*command, "-keep", preexec_fn=limited)
        assert kept.returncode == 1 and kept.stdout == ""
        assert "-keep -nconn 500 needs 532 file descriptors, but RLIMIT_NOFILE allows 128" in kept.stderr
        result = run(*command, preexec_fn=limited)
        assert (result.returncode, result.stdout) == (0, "Failed connects; 0\nFailed reads; 0\nvm-001 500\n")


def test_without_io_uring():
    with server("mconnect", "-udp", preexec_fn=forbid_io_uring) as running:
        assert "io_uring is not available: Operation not permitted; using epoll instead" in running.errors
        for options in ([], ["-udp"]):
            command = ["mconnect", "-address", at("::1", running.port), "-nconn", "1000", *options]
            assert "vm-001 1000\n" in run(*command, preexec_fn=forbid_io_uring).stdout
        wait_until(lambda: established(running.port) == 0)


def test_a_port_that_is_taken():
    with server("mconnect") as running:
        result = run("mconnect", "-server", "-address", at("::", running.port))
    assert result.returncode == 1
    assert result.stderr == f"mconnect: Cannot listen on tcp [::]:{running.port}: Address already in use\n"


def test_results_that_cannot_be_written():
    with server("mconnect") as running, open("/dev/full", "w") as full:
        command = ["mconnect", "-address", at("::1", running.port)]
        result = subprocess.run([BUILD / command[0], *command[1:]], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert "Cannot write the result: No space left on device" in result.stderr
