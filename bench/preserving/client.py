"""The client outside: downloads from URLs, and connects to them, in turn. `python3 client.py URL…`

Runs on its own, in the client's namespace. Prints a line of JSON: by URL, bits a second and connections a
second, each a list with a number for every round.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import sys
import time
from urllib.parse import urlsplit

_ROUNDS = 40
_DOWNLOAD_SECONDS = 0.3
_CONNECTIONS = 200
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
_PIECE = 1 << 18


def download(url: str) -> float:
    """Ask for `url` again and again over one connection; bits a second."""
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.hostname}\r\n\r\n".encode()
    received, piece = 0, memoryview(bytearray(_PIECE))
    with socket.create_connection((parts.hostname, parts.port), 5) as connection:
        connection.sendall(request * 2)  # there is always one more to answer
        answer = _length(connection)
        started = time.perf_counter()
        while (took := time.perf_counter() - started) < _DOWNLOAD_SECONDS:
            before = received // answer
            received += connection.recv_into(piece)
            if received // answer > before:
                connection.sendall(request)
    return received * 8 / took


def _length(connection: socket.socket) -> int:
    """How long an answer is, headers and all; none of it is consumed."""
    head = b""
    while b"\r\n\r\n" not in head:
        head = connection.recv(4096, socket.MSG_PEEK)
    before, _, _ = head.partition(b"\r\n\r\n")
    lengths = (line for line in before.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(before) + 4 + int(next(lengths).partition(b":")[2])


def connect(url: str) -> float:
    """Connect to where `url` is served, one at a time; connections a second."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 80)
    started = time.perf_counter()
    for _ in range(_CONNECTIONS):
        with socket.socket() as client:
            client.settimeout(5)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            client.connect(address)
    return _CONNECTIONS / (time.perf_counter() - started)


def main() -> None:
    urls = sys.argv[1:]
    found: dict[str, dict[str, list[float]]] = {url: {"bits": [], "connections": []} for url in urls}
    for number in range(_ROUNDS + 1):
        random.shuffle(urls)  # whatever one leaves behind meets each of the others alike
        for url in urls:
            samples = found[url]
            bits, connections = download(url), connect(url)
            if number:  # the first warms caches
                samples["bits"].append(bits)
                samples["connections"].append(connections)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
