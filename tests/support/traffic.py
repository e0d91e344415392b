"""mconnect and ctraffic as processes, and the other end of their protocols in a few lines of Python.

The oracles here share no code with the tools: each test that uses one has the tool on one end only.
"""

import contextlib
import ctypes
import itertools
import os
import re
import selectors
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path

from lab.node import BUILD

from support.wait import wait_until

_ports = itertools.count(20000)
_libc = ctypes.CDLL(None, use_errno=True)


def next_port() -> int:
    """A port that no other test uses; below the ephemeral range."""
    return next(_ports)


def at(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def run(tool: str, *arguments: object, timeout: float = 60, **popen) -> subprocess.CompletedProcess:
    command = [str(BUILD / tool), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **popen)


class Process:
    """A tool that runs until it is told to stop. Its standard error is collected while it runs."""

    def __init__(self, tool: str, *arguments: object, hostname: str = "", **popen):
        command = [str(BUILD / tool), *map(str, arguments)]
        if hostname:
            command = ["unshare", "--uts", "sh", "-c", f'hostname {hostname}; exec "$@"', "sh", *command]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, **popen)
        self.errors = ""
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self):
        for line in self.process.stderr:
            self.errors += line

    def wait_for(self, text: str):
        wait_until(lambda: text in self.errors or self.process.poll() is not None, what=lambda: self.errors)
        assert text in self.errors, f"ended with {self.process.poll()}: {self.errors}"
        return self

    def stop(self, number: int = signal.SIGTERM, timeout: float = 10) -> tuple[int, str]:
        """Its exit status and what it wrote to standard output."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        output = self.process.stdout.read()
        status = self.process.wait(timeout)
        self._reader.join(timeout)
        return status, output

    def rss_kb(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()


@contextlib.contextmanager
def server(tool: str, *options: str, host: str = "::", hostname: str = "vm-001", port: int = 0, **popen):
    """A listening tool and its port. A test that passes has seen it end cleanly."""
    port = port or next_port()
    with Process(tool, "-server", "-address", at(host, port), *options, hostname=hostname, **popen) as process:
        process.wait_for("Listen on address;").port = port
        yield process
        assert process.stop()[0] == 0, process.errors


def established(port: int) -> int:
    """How many connections have this port as their server's end and are ESTABLISHED there."""
    count = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            count += fields[3] == "01" and int(fields[1].rsplit(":", 1)[1], 16) == port
    return count


class Oracle:
    """A server in Python: `answer(connection, data)` is called for what a connection brings, with b"" on accept. It
    returns what to send, or None to close. Runs in a thread of its own."""

    def __init__(self, answer, host: str = "::", backlog: int = 4096):
        self.answer = answer
        self.peers: list[str] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        dual = family == socket.AF_INET6
        self._listener = socket.create_server((host, 0), family=family, backlog=backlog, dualstack_ipv6=dual)
        self.port = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._ended.set()
        self._thread.join(5)
        for key in list((self._selector.get_map() or {}).values()):
            key.fileobj.close()
        self._selector.close()

    def _serve(self):
        while not self._ended.is_set():
            for key, _ in self._selector.select(0.02):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._receive(key.fileobj)

    def _accept(self):
        connection, peer = self._listener.accept()
        self.peers.append(peer[0].removeprefix("::ffff:"))
        self._selector.register(connection, selectors.EVENT_READ)
        self._send(connection, self.answer(connection, b""))

    def _receive(self, connection):
        try:
            data = connection.recv(65536)
        except ConnectionError:
            data = b""
        self._send(connection, self.answer(connection, data) if data else None)

    def _send(self, connection, data):
        if data is None:
            self._selector.unregister(connection)
            connection.close()
        elif data:
            connection.sendall(data)


class DatagramOracle:
    """A UDP server in Python: `answer(n, data)` is called for the n-th datagram; None sends nothing."""

    def __init__(self, answer, host: str = "127.0.0.1"):
        self.answer = answer
        self.received: list[tuple[bytes, tuple]] = []
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(0.02)
        self.port = self.socket.getsockname()[1]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join(5)
        self.socket.close()

    def _serve(self):
        while not self._ended.is_set():
            try:
                data, peer = self.socket.recvfrom(65536)
            except TimeoutError:
                continue
            self.received.append((data, peer))
            answer = self.answer(len(self.received), data)
            if answer is not None:
                self.socket.sendto(answer, peer)


def forbid_io_uring():
    """For preexec_fn: io_uring_setup fails with EPERM from here on, as in many containers."""
    io_uring_setup, eperm = 425, 1  # the number is the same on every architecture
    load, jump_equal, give = 0x20, 0x15, 0x06
    program = b"".join(
        struct.pack("HBBI", *step)
        for step in (
            (load, 0, 0, 0),  # the system call's number
            (jump_equal, 0, 1, io_uring_setup),
            (give, 0, 0, 0x00050000 | eperm),
            (give, 0, 0, 0x7FFF0000),
        )
    )
    filter_program = struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer := ctypes.create_string_buffer(program)))
    no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    assert _libc.prctl(no_new_privileges, 1, 0, 0, 0) == 0
    assert _libc.prctl(set_seccomp, filter_mode, ctypes.c_char_p(filter_program)) == 0, os.strerror(ctypes.get_errno())
    del buffer


def limit_descriptors(limit: int):
    """For preexec_fn: at most `limit` open files, and no right to change that."""

    def apply():
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        drop_from_bounding_set, sys_resource = 24, 24
        assert _libc.prctl(drop_from_bounding_set, sys_resource, 0, 0, 0) == 0

    return apply
