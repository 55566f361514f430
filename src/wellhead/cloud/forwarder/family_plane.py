"""The forwarding of one family's VIPs: between those who ask, on the event loop, and the kernel's thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection

from wellhead.cloud.forwarder.disturbances import Disturbances
from wellhead.cloud.forwarder.hashing import Node
from wellhead.cloud.forwarder.own_changes import OwnChanges
from wellhead.cloud.forwarder.router import Router, Wishes, forget
from wellhead.cloud.forwarder.tables import Change, Frontend
from wellhead.cloud.plane import Follower
from wellhead.health import Check
from wellhead.ip import Family, IPAddress, IPNetwork
from wellhead.linux.netns import NetnsThread

_log = logging.getLogger(__name__)

_SETTLE_SECONDS = 0.05  # others' changes that come together are mended together


class FamilyPlane:
    """One router's forwarding of the VIPs of one family. See `Forwarder`, which has one for each."""

    def __init__(
        self,
        family: Family,
        pools: Collection[IPNetwork],
        netns: str | None,
        observe: Callable[[float, bool], None] | None,
        announced: Collection[str],
        on_vips: Callable[[int, frozenset[IPAddress]], None] | None,
        ours: OwnChanges,
    ) -> None:
        self._family = family
        self._netns = netns
        self._observe = observe
        self._announces = bool(announced)
        self._on_vips = on_vips
        self._ours = ours
        self._told: frozenset[IPAddress] = frozenset()
        self._router = Router(family, pools, announced, ours)
        self._follower = Follower(f"the forwarder ({family.nft})", Wishes)
        self._forgetter = Follower(f"the memory of flows ({family.nft})", set[Frontend])

    def checks(self) -> list[Check]:
        """That the kernel follows."""
        return [*self._follower.checks(), *self._forgetter.checks()]

    def submit(
        self,
        change: Change | None = None,
        *,
        nodes: frozenset[Node] | None = None,
        peers: frozenset[Node] | None = None,
        lost: Collection[Node] = (),
        mute: Collection[tuple[Frontend, Node]] = (),
    ) -> asyncio.Future[None]:
        """As `Forwarder.submit`, with what is of this family; `peers` are the nodes' addresses of both."""
        wishes = self._follower.wishes
        if change is not None:
            wishes.change.frontends |= change.frontends
            wishes.change.groups |= change.groups
        if nodes is not None:
            wishes.nodes = nodes
        if peers is not None:
            wishes.peers = peers
        wishes.lost |= set(lost)
        wishes.mute |= set(mute)
        return self._follower.submitted()

    async def run(self) -> None:
        """Make changes until cancelled. Raises OSError if the network namespace can't be joined."""
        thread, other = NetnsThread(self._netns), NetnsThread(self._netns)
        disturbances: Disturbances | None = None
        forgotten: set[Frontend] = set()

        async def follow(wishes: Wishes) -> float | None:
            started = time.monotonic()
            succeeded = False
            try:
                outcome = await thread.call(self._router.follow, wishes)
                succeeded = True
            finally:
                if self._observe is not None:
                    self._observe(time.monotonic() - started, succeeded)
            self._tell(outcome.vips)
            if outcome.gone:
                self._forgetter.wishes |= outcome.gone
                self._forgetter.wake()
            return outcome.again

        async def clear(gone: set[Frontend]) -> None:
            # Apart from the rest: however many flows there are, nobody waits for them.
            forgotten.update(gone)
            await other.call(forget, self._family, frozenset(forgotten))
            forgotten.clear()

        try:
            for warning in await thread.call(self._router.obstacles):
                _log.warning("%s", warning)
            disturbances = await thread.call(Disturbances, self._family, self._ours)
            disturbances.listen(self._table_changed, self._routes_changed, self._neighbour_heard)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follower.run(follow))
                group.create_task(self._forgetter.run(clear))
        finally:
            if disturbances is not None:
                disturbances.close()
            thread.close()
            other.close()

    def _table_changed(self) -> None:
        self._follower.wishes.table_disturbed = True
        self._follower.wake(_SETTLE_SECONDS)

    def _routes_changed(self) -> None:
        self._follower.wishes.routes_disturbed = True
        self._follower.wake(_SETTLE_SECONDS)

    def _neighbour_heard(self) -> None:
        if self._announces:
            self._follower.wake(_SETTLE_SECONDS)

    def _tell(self, vips: frozenset[IPAddress]) -> None:
        if self._on_vips is not None and vips != self._told:
            self._told = vips
            self._on_vips(self._family, vips)
