"""A container's own input and output, through conmon's attach socket.

Source: conmon's src/conn_sock.c. The socket carries packets: what is received starts with a byte
that names the stream, what is sent is input as it is. Any number of clients may attach, each sees all output.
Attach only to give input: when a client leaves a container whose `stdinOnce` is set, its input is over,
unless it has a terminal.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from wellhead.linux import descriptors
from wellhead.node.runtime import terminals

_STDERR = 3
_PACKET = 32768
_CHUNK = 16384


class Attachment:
    """Use as an async context manager; leaving it detaches and leaves the container alone.

    Raises OSError on entry if the container no longer runs.
    """

    def __init__(self, attach_socket: Path, bundle: Path) -> None:
        self._path = attach_socket
        self._bundle = bundle
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    async def __aenter__(self) -> Self:
        self._socket.setblocking(False)
        # The path may be longer than the 107 bytes that fit into a socket's address.
        directory = os.open(self._path.parent, os.O_PATH)
        try:
            self._socket.connect(f"/proc/self/fd/{directory}/{self._path.name}")
        except OSError:
            self._socket.close()
            raise
        finally:
            os.close(directory)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    async def receive(self) -> tuple[bool, bytes]:
        """(is it standard error, data); no data: the container has ended."""
        while True:
            try:
                packet = self._socket.recv(_PACKET)
                return packet[:1] == bytes([_STDERR]), packet[1:]
            except BlockingIOError:
                await descriptors.readable(self._socket.fileno())
            except ConnectionError:
                return False, b""

    async def send(self, data: bytes) -> None:
        """Give the container input. Raises OSError once it has ended."""
        for start in range(0, len(data), _CHUNK):
            await descriptors.write(self._socket.fileno(), data[start : start + _CHUNK])

    def end_input(self) -> None:
        """Say that there is no more input. The container sees it if its `stdinOnce` is set."""
        self._socket.shutdown(socket.SHUT_WR)

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the container's terminal."""
        resize_terminal(self._bundle, rows, columns)


def resize_terminal(bundle: Path, rows: int, columns: int) -> None:
    """Set the size of the terminal of a container's first process; nothing if it is gone or has none.

    Not by conmon's control fifo: of two sizes that it reads at once, conmon takes the first twice (ctrl.c,
    read_from_ctrl_buffer, as of 2.1.6), and kubectl sends two.
    """
    with contextlib.suppress(OSError, ValueError):
        terminals.set_size_of(int((bundle / "pid").read_text()), rows, columns)
