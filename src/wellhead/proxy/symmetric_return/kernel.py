"""Brings this network namespace's kernel to a plan. Everything here blocks: call it in a thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from wellhead.proxy.symmetric_return import flows, table, tunnel
from wellhead.proxy.symmetric_return.marks import Marks
from wellhead.proxy.symmetric_return.nodes import Links, NodeFacts, OnLink
from wellhead.proxy.symmetric_return.plan import Plan, Tunnel
from wellhead.proxy.symmetric_return.reverse_path import disregard_marks, heed_marks
from wellhead.proxy.symmetric_return.routing import Routing
from wellhead.proxy.symmetric_return.rules import table as table_text
from wellhead.proxy.symmetric_return.surroundings import interfaces, ways_on_link
from wellhead.proxy.symmetric_return.table import Held, TableError

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
        with _explained("the interfaces"), _routing_socket() as ip:
            return interfaces(ip, me.addresses)

    def on_link(self, others: Iterable[NodeFacts]) -> OnLink:
        """How the others are reached on shared links, as of now."""
        with _explained("the routes to other nodes"), _routing_socket() as ip:
            names = {link["index"]: link.get("ifname") for link in ip.get_links()}
            found = {each.name: ways_on_link(ip, each, names) for each in others}
        return lambda node: found.get(node.name, ())

    def ensure_tunnel(self, wanted: Tunnel) -> None:
        """Have the tunnel's device, for the first time or as it should be.

        Raises:
            ReturnPathError: the kernel has none, or this may not.
        """
        with _explained(f"the VXLAN device {tunnel.TUNNEL_DEVICE}"), _routing_socket() as ip:
            tunnel.ensure(ip, wanted)

    def apply(self, plan: Plan) -> bool:
        """Put a plan in force, also if others have changed something. Returns whether anything was changed.

        What is new can be used before the rules lead there, and what is old goes after them.

        Raises:
            ReturnPathError: between the former state and the plan; call again.
        """
        changed = False
        with _routing_socket() as ip:
            if plan.tunnel is not None:
                with _explained(f"the VXLAN device {tunnel.TUNNEL_DEVICE}"):
                    changed |= tunnel.ensure(ip, plan.tunnel)
            with _explained("reverse-path settings"):
                devices = [*plan.link_devices, *([tunnel.TUNNEL_DEVICE] if plan.tunnel is not None else [])]
                self._validated |= heed_marks(devices)
            with _explained("the routing rules"):
                routing = Routing(ip)
                changed |= routing.add(plan)
            with _explained("the nftables rules"):
                changed |= self._load(table_text(plan, self._validated))
            with _explained("the routing rules"):
                changed |= routing.remove_others(plan)
            if plan.tunnel is None:
                with _explained(f"the VXLAN device {tunnel.TUNNEL_DEVICE}"):
                    changed |= tunnel.remove(ip)
        return changed

    def _load(self, text: str) -> bool:
        if text == self._loaded and self._listing and table.listing() == self._listing:
            return False
        table.load(text)
        self._loaded, self._listing = text, table.listing()
        return True

    def forget(self, marks: Marks, numbers: Iterable[int]) -> None:
        """Delete the connections by way of peers that are gone."""
        with _explained("connections of nodes that are gone"):
            flows.forget(marks, numbers)


def remove_all(marks: Marks | None = None) -> bool:
    """Remove everything that this or an earlier process has made. Returns whether there was anything.

    Raises:
        ReturnPathError: something is left.
    """
    problems: list[str] = []
    removed = False

    def attempt(what: str, work: Callable[[], bool]) -> None:
        nonlocal removed
        try:
            with _explained(what):
                removed |= work()
        except ReturnPathError as error:
            problems.append(str(error))

    try:
        held = table.held()
    except TableError as error:
        log.debug("no table to remove: %s", error)
    else:
        if held is not None:
            attempt("the nftables rules", table.remove)
            attempt("reverse-path settings", lambda: disregard_marks(held.validated) or False)
            attempt("connections", lambda: flows.forget_all(marks or Marks()) or False)
    with _routing_socket() as ip:
        attempt("the routing rules", lambda: Routing(ip).remove_others(Plan(marks or Marks())))
        attempt("the VXLAN device", lambda: tunnel.remove(ip))
    if problems:
        raise ReturnPathError("; ".join(problems))
    return removed


@contextmanager
def _routing_socket() -> Iterator[Any]:
    with IPRoute(strict_check=True) as ip:
        yield ip


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except (NetlinkError, OSError, TableError, KeyError) as error:
        raise ReturnPathError(f"{what}: {error}") from error
