from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wellhead.lab import state
from wellhead.lab.cluster import ClusterSpec
from wellhead.lab.state import MachineState, Publisher, Snapshot

_SPEC = ClusterSpec(name="test", nodes=1, proxy_mode="iptables", api_port=6443)


class _Server:
    """A publisher and its selector, turned by hand."""

    def __init__(self, path: Path) -> None:
        self.selector = selectors.DefaultSelector()
        self.restarts = 0
        self.publisher = Publisher(path, self.selector, self.snapshot)

    def snapshot(self) -> Snapshot:
        return Snapshot(1, _SPEC, "", (MachineState("edge", 7, self.restarts),), ())

    def turn(self) -> None:
        for key, _ in self.selector.select(1.0):
            key.data()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "socket"


@pytest.fixture
def server(path: Path) -> Iterator[_Server]:
    server = _Server(path)
    yield server
    for key in list(server.selector.get_map().values()):
        assert isinstance(key.fileobj, socket.socket)
        key.fileobj.close()
    server.selector.close()


def test_a_follower_is_told_the_state_and_its_changes(server: _Server, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as follower:
        follower.connect(str(path))
        server.turn()
        lines = follower.makefile("rb")
        assert state.decode(lines.readline()).machines[0].restarts == 0
        server.restarts = 1
        server.publisher.publish()
        assert state.decode(lines.readline()).machines[0].restarts == 1
        lines.close()
    server.turn()
    server.publisher.publish()  # to nobody


def test_a_follower_that_does_not_read_is_dropped(server: _Server, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as follower:
        follower.connect(str(path))
        server.turn()
        for _ in range(100_000):
            server.publisher.publish()
            if len(server.selector.get_map()) == 1:
                break
        assert len(server.selector.get_map()) == 1


def test_ask_returns_the_state_or_none(server: _Server, path: Path, tmp_path: Path) -> None:
    answers: list[Snapshot | None] = []
    asker = threading.Thread(target=lambda: answers.append(state.ask(path)))
    asker.start()
    server.turn()
    asker.join(10)
    assert answers == [server.snapshot()]
    assert state.ask(tmp_path / "nobody") is None
