"""The keeper of listening sockets takes over what a worker passes on, and passes it on to the next."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wellhead.cloud.haproxy import keeper


@contextmanager
def worker(path: Path, held: list[socket.socket], promised: int | None = None) -> Iterator[None]:
    """One that answers as HAProxy's worker does, once."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fspath(path))
    listener.listen()

    def answer() -> None:
        peer, _ = listener.accept()
        with peer:
            assert peer.recv(64) == b"_getsocks\n"
            if promised is not None:
                peer.sendall(promised.to_bytes(4, "little"))
            else:
                keeper.give(peer, held)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        listener.close()


def listeners(count: int) -> list[socket.socket]:
    return [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]


def close(*sockets: socket.socket) -> None:
    for each in sockets:
        each.close()


@pytest.mark.parametrize("count", [0, 1, 300])  # one message has room for 252
def test_sockets_listen_on_when_who_made_them_is_gone(tmp_path: Path, count: int) -> None:
    made = listeners(count)
    names = [each.getsockname() for each in made]
    with worker(tmp_path / "worker.sock", made):
        kept = keeper.fetch(os.fspath(tmp_path / "worker.sock"))
    close(*made)
    assert [each.getsockname() for each in kept] == names
    for name in names[:3]:
        socket.create_connection(name).close()  # nobody accepts; nobody is refused either
    close(*kept)


def test_unix_sockets_are_not_kept(tmp_path: Path) -> None:
    made = listeners(1)
    other = socket.socket(socket.AF_UNIX)
    other.bind(os.fspath(tmp_path / "stats.sock"))
    other.listen()
    with worker(tmp_path / "worker.sock", [other, *made]):
        kept = keeper.fetch(os.fspath(tmp_path / "worker.sock"))
    assert [each.family for each in kept] == [socket.AF_INET]
    close(other, *made, *kept)


def test_a_worker_that_ends_in_the_middle_is_an_error_and_nothing_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with (
        worker(tmp_path / "worker.sock", [], promised=3),
        pytest.raises(ConnectionError, match="0 of 3 sockets"),
    ):
        keeper.fetch(os.fspath(tmp_path / "worker.sock"))
    assert len(os.listdir("/proc/self/fd")) == before


def test_without_a_worker_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        keeper.fetch(os.fspath(tmp_path / "worker.sock"))
