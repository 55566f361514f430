"""What this node's NetworkPolicies let through to a pod that begins: nothing, before they know of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterable

from wellhead.ip import Family, IPAddress, family_of
from wellhead.linux.netlink import NetlinkError
from wellhead.linux.nftables import news
from wellhead.linux.nftables.content import read_set
from wellhead.linux.nftables.socket import Socket
from wellhead.linux.numbers import PolicySet, Table

_log = logging.getLogger(__name__)

_PATIENCE = 2.0  # seconds; who begins too early loses a second, and nothing else


async def admitted(addresses: Iterable[IPAddress], told: Coroutine[None, None, None]) -> None:
    """Where policies are in force, wait until they know these addresses: a first packet that is dropped costs
    a second. `told` is to finish once the API has them, and is waited for only then.
    """
    with contextlib.closing(told), contextlib.suppress(OSError):  # no nftables here: no policies
        socket = Socket()
        with contextlib.closing(socket):
            wanted = [each for each in addresses if _is_guarded(socket, family_of(each))]
            if not wanted:
                return
            try:
                async with asyncio.timeout(_PATIENCE):
                    await _known(socket, wanted, told)
            except TimeoutError:
                _log.warning("policies don't know of %s yet: it is cut off until they do", wanted[0])


async def _known(socket: Socket, addresses: list[IPAddress], told: Coroutine[None, None, None]) -> None:
    changed = asyncio.Event()
    families = {family.number for family in Family}
    with contextlib.closing(news.watch(Table.POLICY, families, changed.set)):
        await told
        while not all(_passes(socket, each) for each in addresses):
            await changed.wait()
            changed.clear()


def _is_guarded(socket: Socket, family: Family) -> bool:
    """Whether policies cut off pods that they don't know."""
    try:
        return bool(read_set(socket, family, Table.POLICY, PolicySet.POD_NETWORKS))
    except NetlinkError:
        return False


def _passes(socket: Socket, address: IPAddress) -> bool:
    """Whether it is known, or nobody needs to be any more: there are no policies, or no table."""
    family = family_of(address)
    try:
        known = read_set(socket, family, Table.POLICY, PolicySet.KNOWN_PODS)
    except NetlinkError:
        return True
    return any(each.key == address.packed for each in known) or not _is_guarded(socket, family)
