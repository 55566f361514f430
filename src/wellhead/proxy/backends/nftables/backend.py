"""The nftables backend: what the view says, in force in both families."""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.ip import Family, IPNetwork
from wellhead.linux.nftables.objects import Transaction
from wellhead.proxy.backends import tables
from wellhead.proxy.backends.nftables.layout import TABLE
from wellhead.proxy.backends.nftables.ruleset import NftablesConfig, Ruleset
from wellhead.proxy.backends.tables import Tables
from wellhead.services.node import LocalNode
from wellhead.services.node_view import ViewDiff


class NftablesBackend:
    """nftables mode. One instance programs the network namespace that its process is in."""

    mode = "nftables"

    def __init__(self, families: Iterable[Family], config: NftablesConfig | None = None) -> None:
        self._rulesets = [Ruleset(each, config) for each in families]
        self._tables = Tables(TABLE, self._rulesets)
        self._node: LocalNode | None = None

    async def apply(self, diff: ViewDiff) -> None:
        """Take in what changed and put it in force, in one transaction for each family."""
        self._node = diff.node
        await self._tables.apply(diff)

    async def set_service_ranges(self, ranges: tuple[IPNetwork, ...]) -> None:
        """ClusterIPs come from these networks now: ServiceCIDR objects come and go.

        Raises:
            BackendError: as `apply`.
        """

        def changes() -> list[Transaction]:
            return [each.set_service_ranges(ranges, self._node) for each in self._rulesets]

        await self._tables.change(changes)

    async def check(self) -> bool:
        """Put back what others changed. Reads the tables only if the kernel told of a change by others."""
        return await self._tables.check()

    async def changed(self) -> None:
        """Wait until somebody else changes our tables: `check` is then due."""
        await self._tables.changed()

    async def remove_leftovers(self) -> None:
        """Remove the table of a family that is no longer used."""
        await self._tables.remove_unused()

    async def cleanup(self) -> None:
        """Remove our tables, in both families."""
        await self._tables.cleanup()

    def close(self) -> None:
        """Let go of the sockets. What is in force stays."""
        self._tables.close()


def remove_tables(name: str = TABLE, families: Iterable[Family] = tuple(Family)) -> None:
    """Remove the tables of a name, by default those that this proxy made in this or an earlier process.

    Raises:
        BackendError: some could not be removed, or there is no nftables here.
    """
    tables.remove_tables(name, families)
