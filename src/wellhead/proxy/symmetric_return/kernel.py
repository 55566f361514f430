"""Brings this network namespace's kernel to a plan. Everything here blocks: call it in a thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from wellhead.ip import IPNetwork
from wellhead.linux import conntrack, nft, pyroute2
from wellhead.linux.nft import NftError
from wellhead.linux.numbers import TUNNEL_DEVICE, RouteOwner
from wellhead.linux.routing import Owned
from wellhead.linux.rtnetlink import Requests
from wellhead.proxy.marks import Marks
from wellhead.proxy.symmetric_return import table, tunnel
from wellhead.proxy.symmetric_return.nodes import Links, NodeFacts, OnLink
from wellhead.proxy.symmetric_return.plan import Plan, Tunnel
from wellhead.proxy.symmetric_return.reverse_path import disregard_marks, heed_marks
from wellhead.proxy.symmetric_return.routing import TABLES, routes, rules
from wellhead.proxy.symmetric_return.rules import FAMILY, TABLE, removal
from wellhead.proxy.symmetric_return.rules import table as table_text
from wellhead.proxy.symmetric_return.surroundings import blocks, interfaces, ways_on_link
from wellhead.proxy.symmetric_return.table import Held

log = logging.getLogger(__name__)


class ReturnPathError(Exception):
    """The kernel did not take part of it. The message says what was refused."""


class Kernel:
    """What is in force. A new one knows nothing and adopts what is there."""

    def __init__(self) -> None:
        self._loaded = ""
        self._listing = ""
        self._validated: frozenset[str] = frozenset()

    def adopt(self) -> Held | None:
        """What an earlier process has left, if anything.

        Raises:
            ReturnPathError: there is no nftables here.
        """
        with _explained("the rules"):
            found = table.held()
        if found is not None:
            self._validated = found.validated
        return found

    def interfaces(self, me: NodeFacts) -> Links:
        """The interfaces that hold the node's addresses."""
        with _explained("the interfaces"), Requests() as asker:
            return interfaces(asker, me.addresses)

    def on_link(self, others: Iterable[NodeFacts]) -> OnLink:
        """How the others are reached on shared links, as of now."""
        with _explained("the routes to other nodes"), Requests() as asker:
            found = ways_on_link(asker, others)
        return lambda node: found.get(node.name, ())

    def blocks(self) -> tuple[IPNetwork, ...]:
        """The blocks of addresses that a pod network has given this node."""
        with _explained("the routes to blocks of pods"):
            return blocks()

    def ensure_tunnel(self, wanted: Tunnel) -> None:
        """Have the tunnel's device, if there is none.

        Raises:
            ReturnPathError: the kernel has none, or this may not.
        """
        with _explained(f"the VXLAN device {TUNNEL_DEVICE}"):
            tunnel.ensure_device(wanted)

    def apply(self, plan: Plan, *, check_table: bool = True) -> bool:
        """Put a plan in force, also if others have changed something. Returns whether anything was changed.

        What is new can be used before the rules lead there, and what is old goes after them. `check_table`:
        whether others may have changed the nftables table.
        Raises:
            ReturnPathError: between the former state and the plan; call again.
        """
        changed = False
        with Requests() as asker:
            if plan.tunnel is not None:
                with _explained(f"the VXLAN device {TUNNEL_DEVICE}"):
                    changed |= tunnel.ensure(asker, plan.tunnel)
            with _explained("reverse-path settings"):
                self._validated |= heed_marks(plan.devices)
            with _explained("the routing rules"):
                owned = _owned(asker)
                changed |= owned.add(rules(plan), routes(plan))
            with _explained("the nftables rules"):
                changed |= self._load(table_text(plan, self._validated), check_table)
            with _explained("the routing rules"):
                changed |= owned.remove_others(rules(plan), routes(plan))
            if plan.tunnel is None:
                with _explained(f"the VXLAN device {TUNNEL_DEVICE}"):
                    changed |= tunnel.remove()
        return changed

    def _load(self, text: str, check: bool) -> bool:
        if text == self._loaded and (not check or nft.listing(FAMILY, TABLE) == self._listing):
            return False
        nft.run(text)
        self._loaded, self._listing = text, nft.listing(FAMILY, TABLE)
        return True

    def forget(self, marks: Marks, numbers: Iterable[int]) -> None:
        """Delete the connections by way of peers that are gone."""
        with _explained("connections of nodes that are gone"):
            _forget(marks, numbers)


def is_in_use(marks: Marks) -> bool:
    """Whether connections go by return paths that an earlier process has made.

    Raises:
        ReturnPathError: that can't be told.
    """
    with _explained("connections"):
        found = table.held()
        return found is not None and conntrack.any_marked(
            map(marks.of, found.numbers.values()), marks.index_mask
        )


def remove_all(marks: Marks) -> bool:
    """Remove everything that this or an earlier process has made. Returns whether there was anything.

    Raises:
        ReturnPathError: something is left.
    """
    try:
        held = table.held()
    except NftError as error:
        log.debug("no table to remove: %s", error)
        held = None
    steps: list[tuple[str, Callable[[Requests], object]]] = []
    if held is not None:
        steps = [
            ("the nftables rules", lambda _: nft.run(removal())),
            ("reverse-path settings", lambda _: disregard_marks(held.validated)),
            ("connections", lambda _: _forget(marks, held.numbers.values())),
        ]
    removed = [held is not None]
    steps += [
        (
            "the routing rules",
            lambda asker: removed.append(_owned(asker).remove_others((), ())),
        ),
        ("the VXLAN device", lambda _: removed.append(tunnel.remove())),
    ]
    problems = []
    with _explained("routing"), Requests() as asker:
        for what, work in steps:
            try:
                with _explained(what):
                    work(asker)
            except ReturnPathError as error:
                problems.append(str(error))
    if problems:
        raise ReturnPathError("; ".join(problems))
    return any(removed)


def _owned(asker: Requests) -> Owned:
    return Owned(asker, RouteOwner.RETURN, TABLES)


def _forget(marks: Marks, numbers: Iterable[int]) -> None:
    conntrack.forget_marked(map(marks.of, numbers), marks.index_mask)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except (pyroute2.NetlinkError, OSError, NftError, KeyError) as error:
        raise ReturnPathError(f"{what}: {error}") from error
