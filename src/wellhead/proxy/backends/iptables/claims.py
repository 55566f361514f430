"""Claims of sources beside iptables: in a table of nftables, whichever variant of iptables there is."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Iterable, Iterator

from wellhead.ip import Family
from wellhead.proxy.backends.base import BackendError
from wellhead.proxy.backends.iptables.ruleset import RulesetConfig
from wellhead.proxy.backends.tables import Tables, remove_tables
from wellhead.proxy.claims.ruleset import NAME, ClaimRuleset
from wellhead.services.node_view import ViewDiff

log = logging.getLogger(__name__)

_NO_NFTABLES = {errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EINVAL}


class Claims:
    """The table, if it is wanted and the kernel has nftables. Services are served without."""

    def __init__(self, families: Iterable[Family], config: RulesetConfig) -> None:
        self._tables: Tables | None = None
        if config.claims != "none":
            marks, addresses = config.node.marks, config.node_port_addresses
            self._tables = Tables(
                NAME, [ClaimRuleset(each, config.claims, marks, addresses) for each in families]
            )

    async def apply(self, diff: ViewDiff) -> None:
        """Take in what changed.

        Raises:
            BackendError: it is not in force; call again.
        """
        if self._tables is not None:
            try:
                await self._tables.apply(diff)
            except BackendError as error:
                self._unless_there_is_none(error)

    async def check(self) -> bool:
        """Put back what others changed. Returns whether there was anything."""
        return self._tables is not None and await self._tables.check()

    async def keep(self) -> None:
        """Put back what others change as soon as the kernel tells, until cancelled.

        It tells of every rule of iptables-nft's, too, and of a large change not all: the small table is
        compared then, and nothing else.

        Raises:
            BackendError: there is no way to listen, or something can't be put back; call again.
        """
        while self._tables is not None:
            await self._tables.changed()
            if self._tables is not None and await self._tables.check():
                log.warning("claims of sources had been changed by others: restored")
        await asyncio.Event().wait()

    @contextlib.contextmanager
    def deaf(self) -> Iterator[None]:
        """Don't listen while all rules of iptables are loaded."""
        with self._tables.deaf() if self._tables is not None else contextlib.nullcontext():
            yield

    async def remove_leftovers(self) -> None:
        """Remove what an earlier proxy left that made more claims."""
        if self._tables is not None:
            await self._tables.remove_unused()
        else:
            await remove_claims()

    def close(self) -> None:
        """Let go of the sockets. What is in force stays."""
        if self._tables is not None:
            self._tables.close()

    def _unless_there_is_none(self, error: BackendError) -> None:
        cause = error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in _NO_NFTABLES:
            raise error
        log.warning("no nftables in this kernel: others' masquerading may hide the sources of connections")
        self._tables = None


async def remove_claims() -> None:
    """Remove the table of this or an earlier process.

    Raises:
        BackendError: it is still there.
    """
    try:
        remove_tables(NAME, Family)
    except BackendError as error:
        if getattr(error.__cause__, "errno", None) not in _NO_NFTABLES:
            raise
