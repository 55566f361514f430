"""What a supervisor tells whoever connects to its socket: the state now, and again after every change.

One JSON document a line. It is told for as long as the connection stays; nothing is ever asked through it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from wellhead.lab.cluster import ClusterSpec

_MOST_FOLLOWERS = 64


class MachineState(msgspec.Struct, frozen=True, rename="camel"):
    """A machine; `pid` is 0 while it is off."""

    name: str
    pid: int
    restarts: int
    problem: str = ""


class ComponentState(msgspec.Struct, frozen=True, rename="camel"):
    """A component; `pid` is 0 while it doesn't run."""

    machine: str
    name: str
    pid: int
    since: float  # Unix time of its last start or end
    restarts: int
    problem: str = ""  # why it last ended
    outdated: bool = False  # it runs with an earlier command line, and is about to end


class Snapshot(msgspec.Struct, frozen=True, rename="camel"):
    """Everything that a supervisor looks after."""

    pid: int
    spec: ClusterSpec  # what it brings about
    problem: str  # what keeps it from going on; empty if nothing does
    machines: tuple[MachineState, ...]
    components: tuple[ComponentState, ...]


_decoder = msgspec.json.Decoder(Snapshot)


def decode(line: bytes) -> Snapshot:
    """Raises msgspec.DecodeError."""
    return _decoder.decode(line)


def ask(path: Path, timeout: float = 2.0) -> Snapshot | None:
    """The supervisor's state now; None if no supervisor listens at `path` or it doesn't answer in time."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(os.fspath(path))
            with connection.makefile("rb") as lines:
                return decode(lines.readline())
        except (OSError, msgspec.DecodeError):
            return None


class Publisher:
    """The supervisor's side: a listening Unix socket in somebody else's selector.

    Every registration carries a callable without arguments, to be called when the selector reports it.
    A follower that doesn't read is dropped: nobody may hold the supervisor up.
    """

    def __init__(
        self, path: Path, selector: selectors.BaseSelector, snapshot: Callable[[], Snapshot]
    ) -> None:
        path.unlink(missing_ok=True)
        self._snapshot = snapshot
        self._selector = selector
        self._followers: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        os.fchmod(self._listener.fileno(), 0o600)  # which the file that bind makes inherits
        self._listener.bind(os.fspath(path))
        self._listener.listen()
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def publish(self) -> None:
        """Tell all followers the state."""
        if self._followers:
            line = self._line()
            for follower in list(self._followers):
                self._send(follower, line)

    def _line(self) -> bytes:
        return msgspec.json.encode(self._snapshot()) + b"\n"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            follower, _ = self._listener.accept()
            if len(self._followers) >= _MOST_FOLLOWERS:
                follower.close()
                return
            follower.setblocking(False)
            self._followers.add(follower)
            # It has nothing to say: readable means that it hung up.
            self._selector.register(follower, selectors.EVENT_READ, lambda: self._drop(follower))
            self._send(follower, self._line())

    def _send(self, follower: socket.socket, line: bytes) -> None:
        try:
            complete = follower.send(line) == len(line)
        except OSError:
            complete = False
        if not complete:
            self._drop(follower)

    def _drop(self, follower: socket.socket) -> None:
        if follower in self._followers:
            self._followers.discard(follower)
            self._selector.unregister(follower)
            follower.close()
