"""Tables of nftables that follow a view: bringing the kernel to them, in one transaction for each change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Protocol

from wellhead.client.collector import uncollected
from wellhead.ip import Family
from wellhead.linux.netlink import NetlinkError
from wellhead.linux.nftables.content import Content, Wanted, remove
from wellhead.linux.nftables.keeping import KeptTable, Link
from wellhead.linux.nftables.objects import Element, Transaction
from wellhead.linux.nftables.socket import Socket
from wellhead.proxy.backends.base import BackendError
from wellhead.services.node_view import ViewDiff

log = logging.getLogger(__name__)

_PART = 800
"""Ports, each of some five elements: the kernel's hash tables grow between transactions only."""


class Following(Wanted, Protocol):
    """What the table of one family should hold, kept current by single changes."""

    family: Family

    def elements(self) -> Iterator[Element]:
        """Every element."""

    def adopt(self, held: Content) -> None:
        """Take over what there is with the next update, as far as can be."""

    def update(self, diff: ViewDiff) -> Transaction:
        """Take in a change of the view, and say what it changes in the table.

        Raises:
            BackendError: part of it has no room.
        """


class Tables:
    """The tables of one name, one in each family. They are in the network namespace of this process."""

    def __init__(self, name: str, rulesets: Iterable[Following]) -> None:
        self._name = name
        self._link: Link | None = None
        self._families = [FamilyTable(each) for each in rulesets]
        self._lock = asyncio.Lock()

    async def apply(self, diff: ViewDiff) -> None:
        """Take in what changed and put it in force, in one transaction for each family.

        Raises:
            BackendError: it is not, or only in part; call again.
        """
        async with self._lock:
            await self._each(diff)

    async def change(self, rulesets: Callable[[], Iterable[Transaction]]) -> None:
        """Have the rulesets changed by a function that says for each what this changes, and put it in force.

        Raises:
            BackendError: as `apply`.
        """
        async with self._lock:
            for family, each in zip(self._families, rulesets(), strict=True):
                family.note(each)
            await self._each()

    async def check(self) -> bool:
        """Put back what others changed. Reads the tables only if the kernel told of a change by others.

        Raises:
            BackendError: as `apply`.
        """
        async with self._lock:
            if self._open().monitor.take():
                for family in self._families:
                    family.forget()
            return await self._each() > 0

    async def changed(self) -> None:
        """Wait until somebody else changes our tables: `check` is then due."""
        await self._open().monitor.changed.wait()

    @contextlib.contextmanager
    def deaf(self) -> Iterator[None]:
        """Don't listen meanwhile: a listener makes large changes slower, whoever makes them."""
        if self._link is None:
            yield
            return
        with self._link.monitor.deaf():
            yield

    async def remove_unused(self) -> None:
        """Remove the table of a family that is no longer used."""
        used = {each.wish.family for each in self._families}
        remove_tables(self._name, (family for family in Family if family not in used))

    async def cleanup(self) -> None:
        """Remove the tables, in both families."""
        async with self._lock:
            self.close()
            remove_tables(self._name, Family)
            for family in self._families:
                family.forget()

    def close(self) -> None:
        """Let go of the sockets. What is in force stays."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _open(self) -> Link:
        if self._link is None:
            try:
                self._link = Link(self._name, {each.wish.family.number for each in self._families})
            except OSError as error:
                raise BackendError(f"nftables: no netlink socket: {error}") from error
        return self._link

    async def _each(self, diff: ViewDiff | None = None) -> int:
        link = self._open()
        errors: list[BackendError] = []
        changed = 0
        for family in self._families:
            try:
                changed += await family.sync(link, diff)
            except BackendError as error:
                errors.append(error)
        if errors:
            raise BackendError("; ".join(str(each) for each in errors))
        return changed


def in_parts(wish: Following, news: ViewDiff, size: int) -> Iterator[Transaction]:
    """A table from nothing, by `size` ports of the first view: the kernel takes some while more are compiled.

    The chains that have hooks come last. No packet meets anything before everything is there.
    """
    wish.update(ViewDiff(news.node))
    yield Transaction(
        add_table=True,
        add_sets=list(wish.table.sets),
        add_chains=[each for each in wish.chains.values() if each.hook is None],
        add_elements=list(wish.elements()),
    )
    ports = (each for each in news.ports.items() if each[0].family is wish.family)
    while part := dict(islice(ports, size)):
        yield wish.update(ViewDiff(news.node, part))
    yield Transaction(add_chains=[each for each in wish.chains.values() if each.hook is not None])


class FamilyTable(KeptTable[Following]):
    """One family's: it takes in changes of the view, and adopts what an earlier process has left."""

    def __init__(self, ruleset: Following) -> None:
        super().__init__(ruleset)
        self._begun = False
        self._noted: list[Transaction] = []
        self._news: ViewDiff | None = None
        self._alone = True  # the news, without anything noted

    def note(self, change: Transaction) -> None:
        """Put in force with the next sync a change that the ruleset knows already."""
        self._noted.append(change)

    async def sync(self, link: Link, news: ViewDiff | None) -> int:
        """Bring the table to what it should hold. Returns how much that changed.

        Raises:
            BackendError: see there.
        """
        if not self._begun and news is None:
            return 0  # no view yet: leave what an earlier process left
        self._news = news
        try:
            noted, self._noted = self._noted, []
            self._alone = not noted
            if self.known and news is not None:
                noted.append(self._take())
            with uncollected():
                return await self.apply(link, *noted)
        except (BackendError, OSError) as error:
            if self._news is not None:  # it is not given again
                with contextlib.suppress(BackendError):
                    self._take()
            why = error.strerror if isinstance(error, NetlinkError) else error
            raise BackendError(f"nftables, {self.wish.table}: {why}") from error

    def parts(self) -> Iterator[Transaction] | None:
        if self._news is None or self._begun or len(self._news.ports) <= _PART:
            return None
        return self._parts(self._news)

    def _parts(self, news: ViewDiff) -> Iterator[Transaction]:
        yield from in_parts(self.wish, news, _PART)
        self._news, self._begun = None, True

    def wished(self, held: Content) -> Iterable[Element]:
        if self._news is None:
            return self.wish.elements()
        first = not self._begun
        if first:
            self.wish.adopt(held)
        fresh = self._take()
        if first and self._alone and not fresh.delete_elements:
            return fresh.add_elements  # all there are
        return self.wish.elements()

    def _take(self) -> Transaction:
        assert self._news is not None
        news, self._news, self._begun = self._news, None, True
        return self.wish.update(news)


def remove_tables(name: str, families: Iterable[Family] = tuple(Family)) -> None:
    """Remove the tables of a name, in some families.

    Raises:
        BackendError: some could not be removed, or there is no nftables here.
    """
    try:
        with contextlib.closing(Socket()) as socket:
            for family in families:
                if remove(socket, family, name):
                    log.info("removed table %s %s", family.nft, name)
    except OSError as error:
        raise BackendError(f"nftables, table {name}: {error.strerror or error}") from error
