"""When a supervisor makes a guardian."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from wellhead.lab.cluster import Cluster
from wellhead.lab.guarded import Guarded


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sockets each guardian keeps; they do nothing."""
    found: list[int] = []

    def fork(cluster: Cluster, listener: socket.socket | None, kept: Sequence[socket.socket]) -> int:
        found.append(len(kept))
        return os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "1000")

    monkeypatch.setattr("wellhead.lab.guardian.fork", fork)
    return found


@pytest.fixture
def kept(tmp_path: Path, made: list[int]) -> Iterator[Guarded]:
    with selectors.DefaultSelector() as selector:
        one = Guarded(Cluster("test", tmp_path), selector)
        yield one
        one.end()


def test_a_guardian_is_another_when_what_it_keeps_is(kept: Guarded, made: list[int]) -> None:
    with socket.socket() as one, socket.socket() as other:
        for sockets in ([], [], [one], [one], [one, other], [other, one], []):
            kept.see_to_it(0.0, None, sockets)
    assert made == [0, 1, 2, 0]


def test_what_an_adopted_guardian_keeps_is_not_known(kept: Guarded, made: list[int]) -> None:
    pid = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "1000")
    kept.watch(pid, os.pidfd_open(pid))
    assert kept.process is not None
    kept.see_to_it(0.0, None)
    assert made == [0]
