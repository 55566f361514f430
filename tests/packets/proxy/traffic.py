"""Traffic that goes on while a test does harm: downloads that are held, and new connections all the time."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from tests.packets.proxy.world import Answer, Host, dial
from tests.patience import PATIENCE, until

_ENOUGH = 20
LATE_SECONDS = 0.9
"""Whoever waited longer has repeated a SYN, which the kernel does after one second."""


class Downloads:
    """A server in a host that sends one number after the other to whoever connects, and its clients."""

    def __init__(self, host: Host, address: str, port: int) -> None:
        self._listener = host.inside(lambda: socket.create_server((address, port)))
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._accept, name="downloads")]
        self._threads[0].start()
        self._clients: list[tuple[socket.socket, list[int]]] = []

    def start(self, host: Host, address: str, port: int) -> None:
        """Begin another one, through the frontend that the client dials; its first number has come."""
        client = host.inside(socket.socket)
        client.settimeout(PATIENCE)
        client.connect((address, port))
        received: list[int] = []
        thread = threading.Thread(target=_receive, args=(client, received), name="download")
        self._clients.append((client, received))
        self._threads.append(thread)
        thread.start()
        until(lambda: received)

    def received(self) -> list[int]:
        """The last number that each has got."""
        return [numbers[-1] for _, numbers in self._clients]

    def finish(self) -> None:
        """End them in good order, and assert that each has got all that it was sent."""
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in self._threads:
            each.join()
        self._listener.close()
        for client, numbers in self._clients:
            client.close()
            assert numbers[-1] == 0, f"it broke after {numbers[-1]}"
            assert numbers[:-1] == list(range(1, len(numbers)))

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            number = 0
            while not self._stop.wait(0.01):
                number += 1
                connection.sendall(f"{number}\n".encode())
            connection.sendall(b"0\n")


def _receive(client: socket.socket, received: list[int]) -> None:
    with contextlib.suppress(OSError), client.makefile("r") as lines:
        received.extend(map(int, lines))


class Dialling:
    """Connections one after the other, from a host to some frontends in turn."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, Answer]] = []
        self.late = 0
        """How many took so long that a SYN must have been repeated."""


@contextlib.contextmanager
def dialling(host: Host, *frontends: tuple[str, int]) -> Iterator[Dialling]:
    """Dial all the time while the block runs, and a few times at least."""
    found, stop = Dialling(), threading.Event()

    def dial_on() -> None:
        while not stop.wait(0.002):
            for address, port in frontends:
                started = time.monotonic()
                found.answers.append((f"{address}:{port}", dial(host, address, port, timeout=PATIENCE)))
                found.late += time.monotonic() - started > LATE_SECONDS

    thread = threading.Thread(target=dial_on, name="dialling")
    thread.start()
    try:
        yield found
        until(lambda: len(found.answers) > _ENOUGH)
    finally:
        stop.set()
        thread.join()
