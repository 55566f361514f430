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
from wellhead.linux.netlink import parse, string
from wellhead.linux.nft import NftError
from wellhead.linux.nftables import attributes as nfta
from wellhead.linux.nftables.news import NFPROTO_INET
from wellhead.linux.nftables.socket import Socket
from wellhead.linux.numbers import HookPriority, Table
from wellhead.proxy.masquerades import iptables, nft
from wellhead.proxy.masquerades.rules import BaseChain, Rule

log = logging.getLogger(__name__)

OTHER_PROXY = "kube-proxy"
"""Its nftables mode's table, which goes once ours is in force; in iptables mode it has our chains."""
NOT_FOREIGN = frozenset({*map(str, Table), OTHER_PROXY})
_OUR_CHAINS = "KUBE-"
_POSTROUTING = 4
_IPTABLES = ("nat", "POSTROUTING")
_LEGACY_TABLES = "/proc/thread-self/net/{}_tables_names"
_SECONDS = 60.0


class _Hooked(NamedTuple):
    family: int
    table: str
    name: str
    priority: int


def listed() -> list[BaseChain]:
    """The chains of this network namespace, with those that they lead to."""
    found: list[BaseChain] = []
    for hooked in _hooked():
        for family in [each for each in Family if hooked.family in (each.number, NFPROTO_INET)]:
            with contextlib.suppress(NftError):
                found.append(_of_nft(hooked, family))
    for family in Family:
        tables = Path(_LEGACY_TABLES.format("ip" if family is Family.IPV4 else "ip6"))
        with contextlib.suppress(OSError):
            if "nat" in tables.read_text().split():
                chain = _of_iptables(family, f"{family.iptables}-legacy", HookPriority.PROXY_SRCNAT)
                found += [chain] if chain is not None else []
    return found


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


def _of_nft(hooked: _Hooked, family: Family) -> BaseChain:
    if (hooked.table, hooked.name) == _IPTABLES:
        # Its rules have matches that nft can't read.
        chain = _of_iptables(family, f"{family.iptables}-nft", hooked.priority)
        if chain is not None:
            return chain
    word = "inet" if hooked.family == NFPROTO_INET else family.nft
    rules = nft.read(program.objects(word, hooked.table), program.listing(word, hooked.table), family)
    return BaseChain(family, f"nft, table {word} {hooked.table}", hooked.priority, hooked.name, rules)


def _of_iptables(family: Family, name: str, priority: int) -> BaseChain | None:
    if shutil.which(name) is None:
        return None
    chains: dict[str, tuple[Rule, ...]] = {}
    wanted = [_IPTABLES[1]]
    while wanted:
        chain = wanted.pop()
        if chain in chains or chain.startswith(_OUR_CHAINS):
            continue
        done = subprocess.run(
            [name, "-w", "-t", "nat", "-S", chain],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        chains[chain] = iptables.read(done.stdout).get(chain, ())
        wanted += iptables.leads_to(chains[chain])
    return BaseChain(family, name, priority, _IPTABLES[1], chains)
