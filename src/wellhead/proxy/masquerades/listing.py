"""Listing who masquerades here: every chain that the kernel calls for it, whoever's it is. These block."""

from __future__ import annotations

import contextlib
import logging
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from wellhead.ip import Family
from wellhead.linux import nft as program
from wellhead.linux.ipset import address_sets
from wellhead.linux.netlink import parse, string
from wellhead.linux.nft import NftError
from wellhead.linux.nftables import attributes as nfta
from wellhead.linux.nftables.news import NFPROTO_INET
from wellhead.linux.nftables.socket import Socket
from wellhead.linux.numbers import HookPriority, Table
from wellhead.proxy.masquerades import iptables, nft
from wellhead.proxy.masquerades.addresses import Addresses
from wellhead.proxy.masquerades.rules import BaseChain

log = logging.getLogger(__name__)

OTHER_PROXY = "kube-proxy"
"""Its nftables mode's table, which goes once ours is in force; in iptables mode it has our chains."""
NOT_FOREIGN = frozenset({*map(str, Table), OTHER_PROXY})
_OUR_CHAIN = "KUBE-POSTROUTING"
_POSTROUTING = 4
_IPTABLES = ("nat", "POSTROUTING")
_LEGACY_TABLES = "/proc/thread-self/net/{}_tables_names"
_SECONDS = 60.0


class AskedSet(NamedTuple):
    """A set of nftables that somebody's rules ask."""

    family: int
    table: str
    name: str


class Listing(NamedTuple):
    """What there is."""

    chains: list[BaseChain]
    asked: frozenset[AskedSet]
    """Sets whose change is a change of the rules."""
    unread: tuple[str, ...] = ()
    """Why some chains could not be read."""


class _Hooked(NamedTuple):
    family: int
    table: str
    name: str
    priority: int


def listed() -> Listing:
    """The chains of this network namespace, with those that they lead to."""
    found: list[BaseChain] = []
    asked: set[AskedSet] = set()
    unread: list[str] = []
    for hooked in _hooked():
        for family in [each for each in Family if hooked.family in (each.number, NFPROTO_INET)]:
            try:
                found.append(_of_nft(hooked, family, asked))
            except (NftError, ValueError, LookupError, TypeError, AttributeError) as error:
                # Of what another version of nft may say of what a rule is, nothing is certain.
                unread.append(f"table {hooked.table}: {type(error).__name__}: {error}")
    for family in Family:
        tables = Path(_LEGACY_TABLES.format("ip" if family is Family.IPV4 else "ip6"))
        with contextlib.suppress(OSError):
            if "nat" in tables.read_text().split():
                name = f"{family.iptables}-legacy"
                chain = _of_iptables(family, name, HookPriority.PROXY_SRCNAT)
                if chain is not None:
                    found.append(chain)
                else:
                    unread.append(f"{name}: it isn't here, or lists nothing")
    return Listing(found, frozenset(asked), tuple(unread))


def _hooked() -> Iterator[_Hooked]:
    try:
        socket = Socket()
    except OSError as error:
        log.debug("no nftables: %s", error)
        return
    with contextlib.closing(socket):
        for number in (*(each.number for each in Family), NFPROTO_INET):
            for reply in socket.dump(nfta.Message.GET_CHAIN, number):
                found = parse(reply.payload)
                if nfta.Chain.HOOK not in found or string(found[nfta.Chain.TYPE]) != "nat":
                    continue
                hook = parse(found[nfta.Chain.HOOK])
                table = string(found[nfta.Chain.TABLE])
                if int.from_bytes(hook[nfta.Hook.NUMBER], "big") == _POSTROUTING and table not in NOT_FOREIGN:
                    priority = int.from_bytes(hook[nfta.Hook.PRIORITY], "big", signed=True)
                    yield _Hooked(reply.family, table, string(found[nfta.Chain.NAME]), priority)


def _of_nft(hooked: _Hooked, family: Family, asked: set[AskedSet]) -> BaseChain:
    if (hooked.table, hooked.name) == _IPTABLES:
        # Its rules have matches that nft can't read.
        chain = _of_iptables(family, f"{family.iptables}-nft", hooked.priority)
        if chain is not None:
            return chain
    word = "inet" if hooked.family == NFPROTO_INET else family.nft
    objects = program.objects(word, hooked.table, terse=True)
    known: set[str] = set()
    while more := [each for each in nft.sets_of(objects, hooked.name) if each not in known]:
        for each in more:
            of_map = any("map" in one and one["map"]["name"] == each for one in objects)
            objects += program.elements(word, hooked.table, each, of_map=of_map)
        known.update(more)
    asked |= {AskedSet(hooked.family, hooked.table, each) for each in known}
    rules = nft.read(objects, program.listing(word, hooked.table, handles=True), family)
    return BaseChain(family, f"nft, table {word} {hooked.table}", hooked.priority, hooked.name, rules)


def _of_iptables(family: Family, name: str, priority: int) -> BaseChain | None:
    """What a program says of its table; None where there is no such program, or the table is none of its."""
    if shutil.which(name) is None:
        return None
    texts: dict[str, str] = {}
    wanted = [_IPTABLES[1]]
    while wanted:
        chain = wanted.pop()
        if chain in texts or chain == _OUR_CHAIN:
            continue
        done = subprocess.run(
            [name, "-w", "-t", "nat", "-S", chain],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        if done.returncode and not texts:
            log.debug("%s: %s", name, done.stderr.strip())
            return None
        texts[chain] = done.stdout
        wanted += iptables.leads_to(iptables.read(done.stdout, family).get(chain, ()))
    text = "\n".join(texts.values())
    sets = {
        each.name: Addresses.between(family, [ends for ends in each.ends if ends[0].version == family])
        for each in address_sets(iptables.sets_of(text))
    }
    return BaseChain(family, name, priority, _IPTABLES[1], iptables.read(text, family, sets))
