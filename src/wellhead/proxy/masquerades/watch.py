"""Looking for others' masquerading when it may have changed, and telling what it does to whom."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Callable, Mapping
from ipaddress import ip_network

from wellhead.ip import Family, IPNetwork
from wellhead.linux.netlink import Message, News, parse, string
from wellhead.linux.nftables import attributes as nfta
from wellhead.linux.nftables.news import SUBSYSTEM, news_socket
from wellhead.linux.numbers import HookPriority
from wellhead.proxy.claims.settings import SourceClaims
from wellhead.proxy.masquerades.listing import NOT_FOREIGN, listed
from wellhead.proxy.masquerades.rules import Flows, Found, judge
from wellhead.services.node import FromNetwork, LocalNode
from wellhead.waiting import comes

log = logging.getLogger(__name__)

_GATHER_SECONDS = 2.0
"""Changes come in crowds: those within this time are looked at once."""
_OURS = "KUBE-"

OUTSIDE: Mapping[Family, IPNetwork] = {
    Family.IPV4: ip_network("198.51.100.0/24"),
    Family.IPV6: ip_network("2001:db8::/32"),
}
"""Stand for all clients outside the cluster: nobody's addresses (RFC 5737, RFC 3849)."""


def flows_of(node: LocalNode, claims: SourceClaims) -> dict[tuple[Family, str], tuple[Flows, bool]]:
    """What the proxy of a node leaves alone, by family and in words; and whether it claims the source."""
    found: dict[tuple[Family, str], tuple[Flows, bool]] = {}
    for family in Family:
        detector = node.detector(family)
        own = tuple(each for each in node.pod_networks if each.version == family)
        if not own and isinstance(detector, FromNetwork):
            own = (detector.network,)
        others = tuple(each for each in (*node.cluster_networks, *node.ways.routed) if each.version == family)
        if not own:
            continue
        outside = Flows((OUTSIDE[family],), own)
        found[family, "clients outside under policy Local"] = outside, claims != "none"
        if detector is not None and not node.masquerade_all:
            claimed = claims == "all" or (claims == "auto" and bool(others))
            found[family, "pods that dial Services"] = Flows(own, others), claimed
    return found


class MasqueradeWatch:
    """Says of each rule once what it does, and again after it was gone.

    `tell` gets whether it is a warning, and a message; `count` the number of rules for each family and
    whether what they would do is kept from happening.
    """

    def __init__(
        self,
        claims: SourceClaims,
        node: Callable[[], LocalNode],
        tell: Callable[[bool, str], None],
        count: Callable[[Family, bool, int], None],
    ) -> None:
        self._claims: SourceClaims = claims
        self._node = node
        self._tell = tell
        self._count = count
        self._wake = asyncio.Event()
        self._told: frozenset[Found] = frozenset()

    def stir(self) -> None:
        """What is known of the node has changed."""
        self._wake.set()

    async def run(self, check_period: float) -> None:
        """Look at the start, when the kernel tells of a change, and every so often: iptables-legacy doesn't
        tell."""
        news: News | None = None
        try:
            news = News(news_socket(), self._hear, self._wake.set)
        except OSError as error:
            log.debug("no news of nftables: %s", error)
        try:
            while True:
                self._wake.clear()
                await self._look()
                if await comes(self._wake, check_period):
                    await asyncio.sleep(_GATHER_SECONDS)
        finally:
            if news is not None:
                news.close()

    def _hear(self, message: Message) -> None:
        """Rules and chains of others: nothing else says who masquerades."""
        kind = message.kind & 0xFF
        if message.kind >> 8 != SUBSYSTEM or kind not in _TELLING:
            return
        found = parse(message.body[4:])
        if nfta.Rule.TABLE not in found or string(found[nfta.Rule.TABLE]) in NOT_FOREIGN:
            return
        chain = found.get(nfta.Chain.NAME if kind in _OF_CHAINS else nfta.Rule.CHAIN)
        if chain is None or not string(chain).startswith(_OURS):
            self._wake.set()

    async def _look(self) -> None:
        try:
            chains = await asyncio.to_thread(listed)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            log.warning("others' masquerading can't be looked up: %s", error)
            return
        node = self._node()
        found = frozenset(judge(chains, flows_of(node, self._claims), HookPriority.PROXY_CLAIMS))
        for family in Family:
            for kept in (True, False):
                rules = {(each.owner, each.rule) for each in found if each[0] is family and each.kept is kept}
                self._count(family, kept, len(rules))
        for each in sorted(found - self._told, key=str):
            self._tell(not each.kept, message(node.name, each))
        self._told = found


_OF_CHAINS = (nfta.Message.NEW_CHAIN, nfta.Message.DEL_CHAIN)
_TELLING = (*_OF_CHAINS, nfta.Message.NEW_RULE, nfta.Message.DEL_RULE, nfta.Message.DEL_TABLE)


def message(node: str, found: Found) -> str:
    """What a rule does, for people."""
    rule = f"node {node}: {found.owner}: {found.rule}:"
    if found.kept:
        return f"{rule} would hide {found.hides} behind this node's address; the proxy keeps them visible"
    return f"{rule} may hide {found.hides} behind this node's address, and endpoints see that"
