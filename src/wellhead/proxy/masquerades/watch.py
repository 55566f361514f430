"""Looking for others' masquerading when it may have changed, and telling what it does to whom."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence

from wellhead.ip import Family
from wellhead.linux.netlink import Message, News, parse, string
from wellhead.linux.nftables import attributes as nfta
from wellhead.linux.nftables.news import SUBSYSTEM, news_socket
from wellhead.linux.numbers import HookPriority
from wellhead.proxy.claims.settings import SourceClaims
from wellhead.proxy.claims.ways import Way
from wellhead.proxy.masquerades.kinds import kinds_of
from wellhead.proxy.masquerades.listing import NOT_FOREIGN, AskedSet, Listing, listed
from wellhead.proxy.masquerades.rules import Found, judge
from wellhead.services.node import LocalNode
from wellhead.waiting import comes

log = logging.getLogger(__name__)

_GATHER_SECONDS = 2.0
"""Changes come in crowds: those within this time are looked at once."""
_OURS, _NOT_OURS = "KUBE-", "KUBE-ROUTER-"
_LONGEST_RULE = 400
"""Characters of it that are said: a rule may name thousands of addresses."""


class MasqueradeWatch:
    """Says of each rule once what it does, and again after it was gone.

    `tell` gets whether it is a warning, and a message; `count` the number of rules for each family and
    whether what they would do is kept from happening.
    """

    def __init__(
        self,
        claims: SourceClaims,
        node: Callable[[], LocalNode],
        ways: Callable[[], Sequence[Way]],
        tell: Callable[[bool, str], None],
        count: Callable[[Family, bool, int], None],
    ) -> None:
        self._claims: SourceClaims = claims
        self._node = node
        self._ways = ways
        self._tell = tell
        self._count = count
        self._wake = asyncio.Event()
        self._told: frozenset[tuple[bool, str]] = frozenset()
        self._asked: frozenset[AskedSet] = frozenset()
        self._unread: tuple[str, ...] = ()

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
        """Rules and chains of others, and the sets that those ask: nothing else says who masquerades."""
        kind = message.kind & 0xFF
        if message.kind >> 8 != SUBSYSTEM or kind not in _TELLING:
            return
        found = parse(message.body[4:])
        if nfta.Rule.TABLE not in found or string(found[nfta.Rule.TABLE]) in NOT_FOREIGN:
            return
        if kind in _OF_ELEMENTS:
            table, name = string(found[nfta.Elements.TABLE]), string(found[nfta.Elements.SET])
            if AskedSet(message.body[0], table, name) in self._asked:
                self._wake.set()
            return
        chain = found.get(nfta.Chain.NAME if kind in _OF_CHAINS else nfta.Rule.CHAIN)
        name = string(chain) if chain is not None else ""
        if not name.startswith(_OURS) or name.startswith(_NOT_OURS):
            self._wake.set()

    async def _look(self) -> None:
        node = self._node()
        try:
            listing, found = await asyncio.to_thread(_judged, node, self._claims, self._ways())
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            log.warning("others' masquerading can't be looked up: %s", error)
            return
        self._asked = listing.asked
        if listing.unread != self._unread:
            self._unread = listing.unread
            for reason in listing.unread:
                log.warning("whether it masquerades can't be read: %s", reason)
        for family in Family:
            for kept in (True, False):
                rules = {(each.owner, each.rule) for each in found if each[0] is family and each.kept is kept}
                self._count(family, kept, len(rules))
        said = frozenset(messages(node.name, found))
        for hidden, text in sorted(said - self._told):
            self._tell(hidden, text)
        self._told = said


def _judged(node: LocalNode, claims: SourceClaims, ways: Sequence[Way]) -> tuple[Listing, tuple[Found, ...]]:
    """What there is, and what it does."""
    listing, kinds = listed(), kinds_of(node, claims, ways)
    return listing, judge(listing.chains, kinds, HookPriority.PROXY_CLAIMS)


_OF_CHAINS = (nfta.Message.NEW_CHAIN, nfta.Message.DEL_CHAIN)
_OF_ELEMENTS = (nfta.Message.NEW_SET_ELEMENT, nfta.Message.DEL_SET_ELEMENT)
_TELLING = (
    *_OF_CHAINS,
    *_OF_ELEMENTS,
    nfta.Message.NEW_RULE,
    nfta.Message.DEL_RULE,
    nfta.Message.DEL_TABLE,
)


def messages(node: str, found: Iterable[Found]) -> Iterator[tuple[bool, str]]:
    """What rules do, for people, each rule once; and whether it is bad."""
    whom: dict[Found, list[str]] = {}
    for each in found:
        whom.setdefault(each._replace(hides=""), []).append(each.hides)
    for each, hides in whom.items():
        yield not each.kept, message(node, each._replace(hides=", ".join(hides)))


def message(node: str, found: Found) -> str:
    """What a rule does, for people."""
    text = found.rule if len(found.rule) <= _LONGEST_RULE else f"{found.rule[:_LONGEST_RULE]}…"
    rule = f"node {node}: {found.owner}: {text}:"
    if found.kept:
        verb = "would hide" if found.sure else "might hide"
        return f"{rule} {verb} {found.hides} behind {found.seen}; the proxy keeps them visible"
    verb = "hides" if found.sure else "may hide"
    return f"{rule} {verb} {found.hides} behind {found.seen}, and endpoints see that"
