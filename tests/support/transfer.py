#!/usr/bin/python3
"""One TCP transfer, hashed at both ends: `transfer.py serve PORT`, `transfer.py send ADDRESS PORT BYTES`.

The sender writes pseudo-random bytes and closes its side; the receiver answers with how many bytes it got and their
SHA-256. The sender prints `same N` or `different ...` and exits with 0 or 1.
"""

import hashlib
import random
import socket
import sys
import threading

CHUNK = 1 << 16


def serve(port: int) -> None:
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    while True:
        connection, _peer = listener.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection: socket.socket) -> None:
    total, digest = 0, hashlib.sha256()
    with connection:
        while data := connection.recv(CHUNK):
            total += len(data)
            digest.update(data)
        connection.sendall(f"{total} {digest.hexdigest()}\n".encode())


def send(address: str, port: int, size: int) -> int:
    block = random.Random(port).randbytes(CHUNK + 1)  # not a power of two: blocks do not line up with segments
    digest, left = hashlib.sha256(), size
    with socket.create_connection((address, port)) as connection:
        while left:
            data = block[:left]
            connection.sendall(data)
            digest.update(data)
            left -= len(data)
        connection.shutdown(socket.SHUT_WR)
        reply = connection.makefile().readline().strip()
    here = f"{size} {digest.hexdigest()}"
    print(f"same {size}" if reply == here else f"different: sent {here}, received {reply}")
    return 0 if reply == here else 1


if __name__ == "__main__":
    sys.exit(serve(int(sys.argv[2])) if sys.argv[1] == "serve" else send(sys.argv[2], *map(int, sys.argv[3:])))
