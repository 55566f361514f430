"""One round of work: from what the API and the kernel say to a plan in force. Blocks: called in a thread."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import monotonic

from wellhead.ip import IPNetwork
from wellhead.proxy.marks import Marks
from wellhead.proxy.symmetric_return.announcement import Announcement, TunnelEnd, announcement
from wellhead.proxy.symmetric_return.kernel import Kernel, ReturnPathError
from wellhead.proxy.symmetric_return.nodes import (
    Links,
    NodeFacts,
    end_of,
    inside,
    make_plan,
    needs_tunnel,
    tunnel_of,
    with_blocks,
)
from wellhead.proxy.symmetric_return.numbers import Numbers
from wellhead.proxy.symmetric_return.plan import LAST_INDEX, Plan, Tunnel, Way
from wellhead.proxy.symmetric_return.rules import comment
from wellhead.proxy.symmetric_return.settings import ReturnSettings
from wellhead.proxy.symmetric_return.settling import Settling

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What one round has come to."""

    plan: Plan
    announced: Announcement | None
    """What this node can promise now; None: nothing."""
    unsettled: bool
    """Something is to be looked at again in a few seconds."""
    problem: str = ""
    """Why part of it can't be had here: what is in force is the rest."""


class ReturnPath:
    """This node's return path, from one round to the next."""

    def __init__(
        self,
        settings: ReturnSettings,
        marks: Marks,
        cluster_networks: tuple[IPNetwork, ...],
    ) -> None:
        self._settings = settings
        self._marks = marks
        self._cluster_networks = cluster_networks
        self._kernel = Kernel()
        self._numbers: Numbers | None = None
        self._settling = Settling()
        self._ways: dict[str, tuple[Way, ...]] = {}

    def work(self, me: NodeFacts, others: list[NodeFacts], *, check_table: bool) -> Outcome:
        """Put in force what follows from these nodes.

        Raises:
            ReturnPathError: it isn't, or not all of it; call again.
        """
        if self._numbers is None:
            held = self._kernel.adopt()
            last = min(LAST_INDEX, self._marks.last_index)
            known = _by_name(held.numbers, others) if held else {}
            self._numbers = Numbers(last, known)
            self._settling = Settling(known)
        declared = me.pod_networks
        me, others = with_blocks(me, self._kernel.blocks(), others)
        links = self._kernel.interfaces(me)
        taking_part = [each for each in others if each.announced is not None]
        unsettled = self._look(taking_part)

        def on_link(node: NodeFacts) -> tuple[Way, ...]:
            return self._ways.get(node.name, ())

        tunnel, problem = self._tunnel(me, [each for each in taking_part if each.name in self._ways], links)
        nets = inside([me, *others], self._cluster_networks)
        plan = make_plan(me, others, self._settings, self._marks, self._numbers, nets, on_link, tunnel)
        if self._kernel.apply(plan, check_table=check_table):
            log.info("return paths by %d nodes are in force", len(plan.peers))
        gone = self._numbers.keep_only(each.name for each in taking_part)
        if gone:
            self._kernel.forget(self._marks, gone)
        announced = self._announcement(me, declared, links, plan.tunnel)
        if announced is None and not problem:
            problem = "no Ethernet interface of this node holds an InternalIP of it"
        return Outcome(plan, announced, unsettled, problem)

    def _look(self, others: list[NodeFacts]) -> bool:
        """Find the ways on shared links; those not known yet are left out. Returns whether to look again."""
        self._ways = {}
        if self._settings.path == "tunnel":
            self._ways = {each.name: () for each in others}
            return False
        found, now, unsettled = self._kernel.on_link(others), monotonic(), False
        for each in others:
            ways, again = self._settling.settle(each.name, found(each), now)
            unsettled |= again
            if ways or not again:
                self._ways[each.name] = ways
        self._settling.forget(self._settling.nodes - {each.name for each in others})
        return unsettled

    def _tunnel(self, me: NodeFacts, others: list[NodeFacts], links: Links) -> tuple[Tunnel | None, str]:
        if not needs_tunnel(others, self._settings, lambda node: self._ways.get(node.name, ())):
            return None, ""
        if (tunnel := tunnel_of(me, links, self._settings)) is None:
            return None, "no interface holds an InternalIP of this node, where a tunnel could end"
        try:
            self._kernel.ensure_tunnel(tunnel)
        except ReturnPathError as error:
            return None, str(error)
        return tunnel, ""

    def _announcement(
        self, me: NodeFacts, declared: tuple[IPNetwork, ...], links: Links, tunnel: Tunnel | None
    ) -> Announcement | None:
        addresses = {each: links[each].hardware_address for each in me.addresses if each in links}
        macs = {each: mac for each, mac in addresses.items() if mac and self._settings.path != "tunnel"}
        end: TunnelEnd | None = end_of(tunnel) if tunnel is not None else None
        blocks = [each for each in me.pod_networks if each not in declared]
        return announcement(macs, end, blocks) if macs or end is not None else None


def _by_name(numbers: dict[str, int], nodes: list[NodeFacts]) -> dict[str, int]:
    """Numbers by nodes' names, of numbers by comments."""
    named = {comment(each.name): each.name for each in nodes}
    # What belongs to nobody any more is kept under its comment, to be given up in the first round.
    return {named.get(each, each): number for each, number in numbers.items()}
