"""Keeping tables as somebody wants them: differences committed, and what others change put back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from wellhead.ip import Family
from wellhead.linux.netlink import NetlinkError
from wellhead.linux.nftables.content import Content, can_own, difference, own, read
from wellhead.linux.nftables.messages import messages
from wellhead.linux.nftables.monitor import Monitor
from wellhead.linux.nftables.objects import Chain, Element, Table, Transaction
from wellhead.linux.nftables.socket import Batch, Socket

log = logging.getLogger(__name__)

_LARGE = 2000  # changes; about 10 ms in the kernel
_STAGE = 4000  # elements


class Link:
    """The way to the kernel: transactions, and the news of everybody else's changes to tables of a name.

    Raises:
        OSError: there is no nftables here.
    """

    def __init__(self, table: str, families: Collection[int]) -> None:
        self.socket = Socket()
        try:
            self.monitor = Monitor(self.socket.port_id, table, families)
        except OSError:
            self.socket.close()
            raise

    @cached_property
    def can_own(self) -> bool:
        """Whether tables that are to be this process' own can be that on this kernel."""
        return can_own(self.socket, Family.IPV4)

    def close(self) -> None:
        self.monitor.close()
        self.socket.close()

    async def commit(self, transaction: Transaction, table: Table) -> None:
        """Put `transaction` in force.

        Raises:
            NetlinkError: it was refused, and nothing that a packet meets has changed.
        """
        if transaction.size < _LARGE:
            owned = table.owned and self.can_own
            self.socket.transact(messages(transaction, table, owned=owned))
        else:
            await self.commit_all(transaction.stages(_STAGE), table)

    async def commit_all(self, transactions: Iterable[Transaction], table: Table) -> int:
        """Put many changes in force, one after the other. Each is made, in a thread, when it is due.

        Returns how much they changed.

        Raises:
            NetlinkError: one was refused; those before it are in force. What making them raises.
        """
        owned = table.owned and self.can_own
        sizes: list[int] = []

        def batches() -> Iterator[Batch]:
            for each in transactions:
                yield self.socket.batch(messages(each, table, owned=owned))
                sizes.append(each.size)

        def commit() -> None:
            # The kernel takes a batch without Python's lock: the one after it is made meanwhile.
            made = batches()
            with ThreadPoolExecutor(1) as ahead:
                coming = ahead.submit(next, made, None)
                while (batch := coming.result()) is not None:
                    coming = ahead.submit(next, made, None)
                    self.socket.commit(batch)

        # Half a million notifications of our own doing are not worth having.
        with self.monitor.paused(self.socket.generation, lambda: len(sizes)):
            await asyncio.to_thread(commit)
        return sum(sizes)


class Wish(Protocol):
    """What a table should hold."""

    @property
    def table(self) -> Table: ...

    @property
    def chains(self) -> Mapping[str, Chain]: ...

    def elements(self) -> Iterator[Element]: ...


W = TypeVar("W", bound=Wish)


class KeptTable(Generic[W]):
    """A table, and whether it is known to be as wished."""

    def __init__(self, wish: W) -> None:
        self.wish = wish
        self.known = False

    def forget(self) -> None:
        """Look at the kernel again before the next change."""
        self.known = False

    def own(self, link: Link) -> bool:
        """Make the table that there is this process' own, where that is wished and can be. False: it would
        have to be made anew for that.

        Raises:
            OSError: it is another process'.
        """
        return not (self.wish.table.owned and link.can_own) or own(link.socket, self.wish.table)

    async def apply(self, link: Link, *changes: Transaction) -> int:
        """Put in force what has changed in the wish; compare everything where the table isn't known.

        Returns how much that changed.

        Raises:
            OSError: the kernel refuses. The next call compares everything.
        """
        if self.known:
            try:
                return await self._commit(link, changes)
            except NetlinkError as error:  # the table is not what it was: somebody else's doing
                log.warning("%s: %s; comparing everything", self.wish.table, error.strerror)
        held = await asyncio.to_thread(read, link.socket, self.wish.table)
        if not held.exists and (parts := self.parts()) is not None:
            self.known = False
            size = await link.commit_all(parts, self.wish.table)
            log.info("%s: %d changes, from nothing", self.wish.table, size)
            self.known = True
            return size
        found = difference(self.wish, self.wished(held), held)
        if held.exists and not found.rebuild and not self.own(link):
            found = difference(self.wish, self.wished(held), Content())
            found.rebuild = True
        if found:
            log.info("%s: %d changes, having compared everything", self.wish.table, found.size)
        await self._commit(link, [found])
        return max(found.size, int(bool(found)))

    def parts(self) -> Iterator[Transaction] | None:
        """The table from nothing, where its content is made as it is put in force; None: it is there."""
        return None

    def wished(self, held: Content) -> Iterable[Element]:
        """Every element, for a table that holds this: who adopts from it does so here."""
        return self.wish.elements()

    async def _commit(self, link: Link, changes: Iterable[Transaction]) -> int:
        self.known = False  # should this fail half-way, the next call compares everything
        size = 0
        for each in changes:
            if each:
                await link.commit(each, self.wish.table)
                log.debug("%s: %d changes", self.wish.table, each.size)
                size += each.size
        self.known = True
        return size
