"""A component of which several processes may run, while one of them works."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from wellhead.client.leases import Elector, LeaseSettings, new_identity
from wellhead.client.rest import Client
from wellhead.health import Check


class Work(Protocol):
    """What the one that leads does."""

    def checks(self) -> Iterable[Check]:
        """That it gets on."""

    async def run(self) -> None:
        """Until cancelled."""


class Replica:
    """One process: it works always or, where there is a lease, whenever it leads."""

    def __init__(self, client: Client, lease: LeaseSettings | None, start: Callable[[], Work]) -> None:
        """`start` makes the work, anew each time: what an earlier leader knew is old."""
        self._elector = Elector(client, lease, new_identity()) if lease is not None else None
        self._start = start
        self._work: Work | None = None

    def checks(self) -> Iterator[Check]:
        """That it hears who leads and, while that is this process, that its work gets on."""
        if self._elector is not None:
            yield from self._elector.checks()
        if self._work is not None:
            yield from self._work.checks()

    async def run(self) -> None:
        """Until cancelled. Raises what the work raises."""
        if self._elector is None:
            await self._lead()
        else:
            await self._elector.run(self._lead)

    async def _lead(self) -> None:
        self._work = self._start()
        try:
            await self._work.run()
        finally:
            self._work = None
