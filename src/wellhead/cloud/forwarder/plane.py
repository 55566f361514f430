"""The forwarder: one router's forwarding of VIPs, whichever family they are of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable

from wellhead.cloud.forwarder.family_plane import FamilyPlane
from wellhead.cloud.forwarder.hashing import Node
from wellhead.cloud.forwarder.own_changes import OwnChanges
from wellhead.cloud.forwarder.router import Router
from wellhead.cloud.forwarder.tables import Change, Frontend
from wellhead.health import Check
from wellhead.ip import Family, IPAddress, IPNetwork
from wellhead.linux.netns import NetnsThread


class Forwarder:
    """One router's forwarding of VIPs. Changes that come while one is being made are made together.

    `run` makes of what an earlier run left in the kernel, in one transaction a family, what was submitted
    before it started; flows that were established stay with their nodes. What others take away is put back.
    When it is cancelled everything stays in the kernel and goes on forwarding; `remove` takes it away.

    `observe` is called with the seconds that each transaction took, and whether it went well. `announced`
    names the interfaces at which VIPs are announced, of a machine on the nodes' own network; `on_vips` is
    told which VIPs of an IP version are forwarded, whenever that is others.
    """

    def __init__(
        self,
        pools: Iterable[IPNetwork],
        netns: str | None = None,
        observe: Callable[[float, bool], None] | None = None,
        *,
        announced: Collection[str] = (),
        on_vips: Callable[[int, frozenset[IPAddress]], None] | None = None,
    ) -> None:
        self._netns = netns
        networks = list(pools)
        ours = OwnChanges()
        self._planes: dict[int, FamilyPlane] = {}
        for family in Family:
            mine = [network for network in networks if network.version == family]
            if mine:
                self._planes[family] = FamilyPlane(family, mine, netns, observe, announced, on_vips, ours)

    def checks(self) -> list[Check]:
        """That the kernel follows."""
        return [check for plane in self._planes.values() for check in plane.checks()]

    def submit(
        self,
        change: Change | None = None,
        *,
        nodes: frozenset[Node] | None = None,
        lost: Collection[Node] = (),
        mute: Collection[tuple[Frontend, Node]] = (),
    ) -> asyncio.Future[list[None]]:
        """Ask for a change. The future is done when packets follow it, or raises PlaneError.

        `nodes` are all that can get packets; one that is left out loses its flows and its route. Those in
        `lost` stay, but their flows are decided anew: the node is dead, so they are too. So are those from
        frontend to node in `mute`: the node lives, but will never answer for that frontend again.

        A group may have members of both families: a flow goes to one of its own.
        """
        change = change or Change()
        submitted = []
        for version, plane in self._planes.items():
            part = Change(
                {each: target for each, target in change.frontends.items() if each.vip.version == version},
                {name: _of(members, version) for name, members in change.groups.items()},
            )
            submitted.append(
                plane.submit(
                    part,
                    nodes=None if nodes is None else _of(nodes, version),
                    peers=nodes,
                    lost=_of(lost, version),
                    mute=[
                        (frontend, node)
                        for frontend, node in mute
                        if frontend.vip.version == node.version == version
                    ],
                )
            )
        future = asyncio.gather(*submitted)
        # Nobody has to look at it: an error is logged, and tried again.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return future

    async def run(self) -> None:
        """Make changes until cancelled.

        Raises:
            OSError: the network namespace can't be joined.
        """
        async with asyncio.TaskGroup() as group:
            for plane in self._planes.values():
                group.create_task(plane.run())

    async def remove(self) -> None:
        """Remove tables, rules, routes and the flows' memory of them: every trace, of both families."""
        thread = NetnsThread(self._netns)
        try:
            for family in Family:
                await thread.call(Router(family, (), (), OwnChanges()).remove)
        finally:
            thread.close()


def _of(nodes: Collection[Node], version: int) -> frozenset[Node]:
    return frozenset(node for node in nodes if node.version == version)
