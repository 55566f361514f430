"""Keeps the node's own nftables tables as they should be, whoever changes them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from wellhead.health import Check
from wellhead.ip import IPAddress, IPNetwork
from wellhead.linux import nft
from wellhead.linux.netlink import Socket
from wellhead.linux.nft import NftError
from wellhead.linux.nftables import news
from wellhead.linux.numbers import Table
from wellhead.node.network.flows import forget_udp_flows
from wellhead.node.network.host_ports import HostPort, HostPortTaken, conflict
from wellhead.node.network.restoring import Restoring, Say
from wellhead.node.network.ruleset import FAMILIES, PodEnd, changed, whole
from wellhead.node.runtime.commands import uninterrupted

_log = logging.getLogger(__name__)


class NodeRules:
    """The tables, and whose elements are in them by pod UID. `say` is told what had to be put back."""

    def __init__(
        self, pod_cidrs: Iterable[IPNetwork], inside: Iterable[IPNetwork], say: Say = _log.warning
    ) -> None:
        self._pod_cidrs = tuple(pod_cidrs)
        self._inside = tuple(inside)
        self._pods: dict[str, PodEnd] = {}
        self._writing = asyncio.Lock()
        self._ours: deque[int] = deque(maxlen=16)  # the processes that have written for us
        self._news: Socket | None = None
        self._restoring = Restoring("rules", self._restore, say)

    async def admit(self, uid: str, link: str, addresses: Iterable[IPAddress]) -> None:
        """Let the pod send from these addresses by this link, and from no others. Raises NftError."""
        await self._set(uid, PodEnd(link, tuple(addresses)))

    async def set_host_ports(self, uid: str, ports: frozenset[HostPort]) -> None:
        """Let these host ports lead to the pod that was admitted, and no others.

        UDP flows that went elsewhere, or nowhere, are decided anew.

        Raises:
            HostPortTaken: another pod has one of them; all stays as it was.
            NftError: nft refuses.
        """
        pod = self._pods[uid]
        if ports == pod.host_ports:
            return
        others = (port for other, end in self._pods.items() if other != uid for port in end.host_ports)
        if taken := conflict(ports, others):
            raise HostPortTaken(f"{taken} leads to the pod {taken.pod_ip} already")
        await self._set(uid, replace(pod, host_ports=ports))
        await forget_udp_flows(ports ^ pod.host_ports, ports)

    async def dismiss(self, uid: str) -> None:
        """The pod is no more. Raises NftError."""
        pod = self._pods.get(uid)
        if pod is not None:
            await self._set(uid, None)
            await forget_udp_flows(pod.host_ports, frozenset())

    def restore(self, uid: str, pod: PodEnd) -> None:
        """Say before the first `apply` what a pod that is there already has."""
        self._pods[uid] = pod

    async def apply(self) -> None:
        """Write the whole tables. Raises NftError."""
        async with self._writing:
            await self._load(whole(self._pod_cidrs, self._inside, self._pods.values()))

    def checks(self) -> list[Check]:
        """That the tables are in place."""
        return self._restoring.checks()

    async def run(self) -> None:
        """Put back what others change, until cancelled. The tables stay."""
        self._news = news.news_socket()
        try:
            with contextlib.closing(news.watch(Table.NODE, FAMILIES, self._restoring.disturbed, self._news)):
                # Since the tables were written, somebody may have changed them unheard.
                await self.apply()
                await self._restoring.run()
        finally:
            self._news = None

    async def _set(self, uid: str, pod: PodEnd | None) -> None:
        async with self._writing:
            before = self._pods.get(uid)
            if pod is None:
                del self._pods[uid]
            else:
                self._pods[uid] = pod
            try:
                if text := changed(before, pod):
                    await uninterrupted(self._change(text))
            except BaseException:
                self._pods.pop(uid, None)
                if before is not None:
                    self._pods[uid] = before
                raise

    async def _change(self, text: str) -> None:
        try:
            await self._load(text)
        except NftError as error:
            # Somebody has taken away what the change builds on, and we have not been told yet.
            _log.info("the tables aren't as they should be: %s", error)
            await self._load(whole(self._pod_cidrs, self._inside, self._pods.values()))

    async def _load(self, text: str) -> None:
        await asyncio.to_thread(lambda: nft.run(text, started=self._note))

    def _note(self, process: int) -> None:
        """Hear nothing of what this process is going to change for us."""
        self._ours.append(process)
        if self._news is not None:
            self._news.ignore(self._ours)

    async def _restore(self) -> str:
        await self.apply()
        return f"somebody changed the nftables tables {Table.NODE}: they were put back"
