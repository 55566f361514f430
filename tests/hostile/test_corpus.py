"""Every hostile request is answered, costs little, and nobody else notices it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.hostile.corpus import CONFIGMAPS, CORPUS, Hostile, before
from tests.hostile.expressions import expressions
from tests.hostile.rooms import ROOMS
from tests.hostile.server import Connection, Server, request, serve

_MOST_GROWTH = 50 * 1024 * 1024
_OTHERS_WAIT = 0.1
_TRIES = 3


@contextlib.contextmanager
def prepared(directory: Path) -> Iterator[Server]:
    """A server with what the requests are about."""
    with serve(directory) as server:
        with server.connection() as connection:
            for each in before():
                assert connection.ask(each)[0] in (200, 201)
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with prepared(tmp_path_factory.mktemp("server")) as server:
        yield server


class _Others:
    """Somebody else, who asks again and again for a small thing while a request is answered.

    Time is what the server has computed, not what passed: a loaded machine slows everybody down.
    """

    def __init__(self, server: Server, connection: Connection) -> None:
        self._server = server
        self._connection = connection
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.longest = 0.0
        self.codes: set[int] = set()

    def __enter__(self) -> _Others:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._done.is_set():
            begun = self._server.cpu
            code, _ = self._connection.ask(request("GET", f"{CONFIGMAPS}/nobody"))
            self.longest = max(self.longest, self._server.cpu - begun)
            self.codes.add(code)
            self._done.wait(0.01)


@pytest.mark.parametrize("part", [*CORPUS, expressions, *ROOMS], ids=lambda part: part.__name__)
def test_hostile_requests_hurt_nobody(
    server: Server, part: Callable[[], Iterator[Hostile]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    complaints = _of_all(server, part)
    # On a machine with much else to do, the same work takes more of the processor's time now and then. What
    # costs too much does so again, at a server that has seen none of it yet.
    for _ in range(_TRIES - 1):
        if complaints and all(each.is_cost for each in complaints):
            with prepared(tmp_path_factory.mktemp("again")) as another:
                again = {each.about for each in _of_all(another, part)}
            complaints = [each for each in complaints if each.about in again]
    assert not complaints, "\n".join(f"{each.about}: {each.words}" for each in complaints)


class Complaint(NamedTuple):
    """What is wrong with the answer to a request, or with what that has cost."""

    about: str
    words: str
    is_cost: bool = False


def _of_all(server: Server, part: Callable[[], Iterator[Hostile]]) -> list[Complaint]:
    return [complaint for hostile in part() for complaint in _complaints(server, hostile)]


def _complaints(server: Server, hostile: Hostile) -> Iterator[Complaint]:
    with server.connection() as connection, server.connection() as others_connection:
        others_connection.ask(request("GET", "/version"))
        server.forget_peak()
        resident, begun = server.resident, server.cpu
        with _Others(server, others_connection) as others:
            code, body = connection.ask(hostile.request)
            spent = server.cpu - begun
        growth = server.peak - resident
    if code not in hostile.codes:
        yield Complaint(hostile.name, f"answered {code}, not one of {hostile.codes}: {body[:300]!r}")
    if b"\x1b" in body:
        yield Complaint(hostile.name, "the answer speaks to terminals")
    if spent > hostile.seconds:
        yield Complaint(hostile.name, f"computed for {spent:.2f} s", is_cost=True)
    if growth > _MOST_GROWTH:
        yield Complaint(hostile.name, f"grew by {growth / 1e6:.0f} MB", is_cost=True)
    if others.codes - {404}:
        yield Complaint(hostile.name, f"others were answered {others.codes}")
    # Where a thread computes for long by right, its work counts as well while others are answered.
    if others.longest > (_OTHERS_WAIT if hostile.seconds == 1 else max(_OTHERS_WAIT, spent / 2)):
        yield Complaint(hostile.name, f"others waited for {others.longest:.2f} s of work", is_cost=True)
