"""The tables of both families, kept as policies want them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable

from wellhead.ip import Family, IPNetwork
from wellhead.linux.nftables.content import read, remove
from wellhead.linux.nftables.keeping import KeptTable, Link
from wellhead.linux.nftables.objects import Transaction
from wellhead.linux.nftables.socket import Socket
from wellhead.linux.numbers import Table
from wellhead.policies.cluster_policies import ClusterSubject
from wellhead.policies.followed import Changes
from wellhead.policies.node_policies import Subject
from wellhead.policy import layout
from wellhead.policy.ruleset import Ruleset

log = logging.getLogger(__name__)


class Enforcement:
    """Of one node, whose network namespace the process is in. Made on a running loop.

    Raises:
        OSError: there is no nftables here.
    """

    def __init__(self, families: Iterable[Family]) -> None:
        self._rulesets = {family: Ruleset(family) for family in families}
        self._tables = {family: KeptTable(each) for family, each in self._rulesets.items()}
        self._link = Link(Table.POLICY, {family.number for family in self._rulesets})
        self._networks: tuple[IPNetwork, ...] = ()

    async def guard(self, networks: tuple[IPNetwork, ...]) -> bool:
        """Until policies are known, let nothing through to or from pods, if nothing is in force yet.

        So it is after a node's start. What an earlier process left is in force, and stays. Returns whether
        the guard was needed.

        Raises:
            OSError: the kernel refuses.
        """
        absent = [
            family for family in self._tables if not read(self._link.socket, layout.table(family)).exists
        ]
        for family, table in self._tables.items():
            if family not in absent:
                table.own(self._link)
        if not absent or not networks:
            return False
        self.set_pod_networks(networks)
        for family in absent:
            await self._tables[family].apply(self._link, Transaction())
        return True

    def set_pod_networks(self, networks: tuple[IPNetwork, ...]) -> None:
        """The node's pods have their addresses there: one that isn't known is cut off. Takes force with the
        next `apply`."""
        if networks == self._networks:
            return
        self._networks = networks
        for family, ruleset in self._rulesets.items():
            ruleset.set_pod_networks(networks)
            self._tables[family].forget()

    async def apply(self, changes: Changes[Subject], cluster: Changes[ClusterSubject] | None = None) -> int:
        """Take in what changed and put it in force, at once in each family. Returns how much that changed.

        What fails is caught up with by the next call.

        Raises:
            OSError: the kernel refuses.
        """
        changed = 0
        transactions = {family: each.update(changes, cluster) for family, each in self._rulesets.items()}
        failed: OSError | None = None
        for family, transaction in transactions.items():
            try:
                changed += await self._tables[family].apply(self._link, transaction)
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed
        return changed

    async def disturbed(self) -> None:
        """Wait until somebody else changes our tables; the next `apply` puts that right."""
        await self._link.monitor.changed.wait()
        if self._link.monitor.take():
            for each in self._tables.values():
                each.forget()

    def close(self) -> None:
        """Let go of the sockets. What is in force stays."""
        self._link.close()


def clean_up() -> list[str]:
    """Remove our tables. Returns what was removed.

    Raises:
        OSError: one is still there, or there is no nftables here.
    """
    with contextlib.closing(Socket()) as socket:
        return [
            f"table {family.nft} {Table.POLICY}" for family in Family if remove(socket, family, Table.POLICY)
        ]
