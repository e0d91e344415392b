"""What systemd is to a daemon: a datagram socket that NOTIFY_SOCKET names, and the time that the watchdog allows."""

import socket
import time

from .wait import wait_until


class Manager:
    def __init__(self, directory, watchdog_s: float = 0):
        self._path = str(directory / "notify")
        self._watchdog_s = watchdog_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(self._path)
        self._heard: list[tuple[float, str]] = []

    def __enter__(self) -> "Manager":
        return self

    def __exit__(self, *_exception) -> None:
        self._socket.close()

    @property
    def prefix(self) -> list[str]:
        """What a program is started with that is to tell us."""
        watchdog = [f"WATCHDOG_USEC={round(self._watchdog_s * 1e6)}"] if self._watchdog_s else []
        return ["env", f"NOTIFY_SOCKET={self._path}", *watchdog]

    def heard(self) -> list[str]:
        """All messages so far."""
        while True:
            try:
                message = self._socket.recv(4096).decode()
            except BlockingIOError:
                return [message for _, message in self._heard]
            self._heard.append((time.monotonic(), message))

    def wait_for(self, message: str, since: int = 0) -> int:
        """Waits for a message after the first `since`; returns how many there were up to it."""
        wait_until(lambda: message in self.heard()[since:], what=lambda: f"{message} of {self.heard()[since:]}")
        return self.heard().index(message, since) + 1
