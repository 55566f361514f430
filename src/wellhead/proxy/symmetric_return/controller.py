"""The symmetric return as a part of the proxy: when it works, what it announces, and what others are told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from wellhead.api.errors import ApiError
from wellhead.api.meta import Obj
from wellhead.api.well_known import NODES
from wellhead.backoff import Backoff
from wellhead.client.informer import TypedInformer
from wellhead.client.rest import Client, ConnectionLost
from wellhead.ip import IPNetwork
from wellhead.proxy.marks import Marks
from wellhead.proxy.symmetric_return.announcement import ANNOTATION, encode, only_loses
from wellhead.proxy.symmetric_return.kernel import ReturnPathError, is_in_use, remove_all
from wellhead.proxy.symmetric_return.monitor import watching
from wellhead.proxy.symmetric_return.nodes import NodeFacts, facts
from wellhead.proxy.symmetric_return.settings import ReturnSettings
from wellhead.proxy.symmetric_return.settling import SECONDS as SETTLING_SECONDS
from wellhead.proxy.symmetric_return.state import Outcome, ReturnPath
from wellhead.waiting import comes

log = logging.getLogger(__name__)

GRACE_SECONDS = 5.0
"""How long after a change of the announcement peers are given to learn of it."""

_FIRST_SECONDS = 5.0
"""How long the first sync and this wait for each other: the one that is needed first goes first."""

_GATHER_SECONDS = 1.0
"""Changes of the kernel's come in crowds: those within this time are one."""


@dataclass(frozen=True)
class Returning:
    """What the ingress side needs to know. Empty until it can be relied on."""

    nodes: frozenset[str] = frozenset()
    """The other nodes that return replies by this one."""
    inside: tuple[IPNetwork, ...] = ()
    """Where clients inside the cluster are."""


class SymmetricReturn:
    """Nothing is installed, watched or announced before it is wanted for the first time.

    `changed` is called when `returning` has, `complain` with a reason
    and a message for an event on this node; `own_node` gives its Node object, if there is one.
    """

    def __init__(
        self,
        client: Client,
        node_name: str,
        settings: ReturnSettings,
        marks: Marks,
        cluster_networks: tuple[IPNetwork, ...],
        *,
        check_period: float,
        changed: Callable[[], None],
        complain: Callable[[str, str], None],
        own_node: Callable[[], Obj | None],
    ) -> None:
        self.returning = Returning()
        self._client = client
        self._node_name = node_name
        self._settings = settings
        self._check_period = check_period
        self._changed = changed
        self._complain = complain
        self._own_node = own_node
        self._wanted = asyncio.Event()
        self._wake = asyncio.Event()
        self._announce = asyncio.Event()
        self._knows = asyncio.Event()
        self._nodes = TypedInformer(client, NODES, facts)
        self._nodes.on_change(self._on_node)
        self._marks = marks
        self._path = ReturnPath(settings, marks, cluster_networks)
        self._outcome: Outcome | None = None
        self._check_table = True
        self._in_place: str | None = None
        """The announcement that peers have had time to learn of."""
        self._said = ""

    def want(self) -> None:
        """A Service wants it. Once is for good: its connections may go on after the Service."""
        if self._settings.path != "none":
            self._wanted.set()

    async def run(self) -> None:
        """Serve until cancelled. Call when all Services are known, and `want` has been called for them."""
        if not self._wanted.is_set():
            self._knows.set()  # nobody asks
            await comes(self._wanted, _FIRST_SECONDS)  # first things first: the first sync
            if not self._wanted.is_set() and not await self._is_in_use():
                await self._remove_leftovers()
        await self._wanted.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._nodes.run())
            tasks.create_task(self._keep_announcing())
            tasks.create_task(self._keep_working())

    async def known(self) -> None:
        """Wait until `returning` says what an earlier process left in force; no longer than 5 seconds."""
        await comes(self._knows, _FIRST_SECONDS)

    async def _is_in_use(self) -> bool:
        """Connections outlive the Service's wish, also from one process to the next."""
        try:
            if self._settings.path == "none" or not await asyncio.to_thread(is_in_use, self._marks):
                return False
        except ReturnPathError as error:
            log.debug("%s", error)
            return False
        self.want()
        return True

    async def _remove_leftovers(self) -> None:
        """An earlier process may have been told otherwise."""
        try:
            if await asyncio.to_thread(remove_all, self._marks):
                log.info("removed the return paths of an earlier proxy: no Service wants them")
        except ReturnPathError as error:
            log.warning("return paths of an earlier proxy: %s", error)
        node = self._own_node()
        if node is None or not facts(node).text:
            return
        try:
            await withdraw(self._client, self._node_name)
        except (ApiError, ConnectionLost) as error:
            log.warning("the announcement of an earlier proxy: %s", error)

    def _on_node(self, old: NodeFacts | None, new: NodeFacts | None) -> None:
        if old == new:
            return  # a heartbeat
        self._wake.set()
        if new is not None and new.name == self._node_name:
            self._announce.set()

    async def _keep_working(self) -> None:
        await self._nodes.synced()
        backoff = Backoff(0.5, 60.0)
        loop = asyncio.get_running_loop()

        due: list[asyncio.TimerHandle] = []

        def later() -> None:
            if not due or due[0].when() <= loop.time():
                due[:] = [loop.call_later(_GATHER_SECONDS, self._wake.set)]

        def table_changed() -> None:
            self._check_table = True
            later()

        with watching(later, table_changed) as listen:
            while True:
                self._wake.clear()
                delay = self._check_period
                try:
                    await self._work()
                except ReturnPathError as error:
                    delay = backoff.next()
                    self._say(f"not in force, next attempt in {delay:.0f} s", str(error))
                else:
                    backoff.reset()
                    if self._outcome is not None and self._outcome.plan is not None:
                        listen(self._outcome.plan.devices)
                    if self._outcome is not None and self._outcome.unsettled:
                        delay = SETTLING_SECONDS
                self._knows.set()
                self._check_table |= not await comes(self._wake, delay)

    async def _work(self) -> None:
        me = self._nodes.get(self._node_name)
        if me is None:
            return
        others = [each for each in self._nodes.values() if each is not me]
        check, self._check_table = self._check_table, False
        try:
            outcome = await asyncio.to_thread(self._path.work, me, others, check_table=check)
        except ReturnPathError:
            self._check_table = True
            raise
        if self._outcome is None and outcome.announced is not None:
            text = encode(outcome.announced)
            if me.text == text:
                self._in_place = text  # since an earlier process
        self._outcome = outcome
        if outcome.problem:
            self._say("works in part", outcome.problem)
        else:
            self._said = ""
        self._announce.set()
        self._publish()

    def _say(self, state: str, why: str) -> None:
        if why != self._said:
            self._said = why
            log.error("symmetric return %s: %s", state, why)
            self._complain("SymmetricReturnFailed", f"node {self._node_name}: symmetric return: {why}")

    def _publish(self) -> None:
        plan, announced = (self._outcome.plan, self._outcome.announced) if self._outcome else (None, None)
        if plan is None or announced is None or encode(announced) != self._in_place:
            found = Returning()
        else:
            found = Returning(frozenset(each.name for each in plan.peers), plan.inside)
        if found != self.returning:
            log.info(
                "clients' addresses are kept towards %s", ", ".join(sorted(found.nodes)) or "no other node"
            )
            self.returning = found
            self._changed()

    async def _keep_announcing(self) -> None:
        """Have the annotation say what is in force, and know since when it has."""
        backoff = Backoff(0.5, 60.0)
        written = ""
        written_at = 0.0
        now = asyncio.get_running_loop().time
        losing_since: float | None = None
        while True:
            await self._announce.wait()
            self._announce.clear()
            node = self._nodes.get(self._node_name)
            if node is None or self._outcome is None:
                continue
            wanted = encode(self._outcome.announced) if self._outcome.announced else ""
            if node.announced is not None and only_loses(node.announced, self._outcome.announced):
                # To take it back breaks connections by this node: not for what is missing for a moment.
                if losing_since is None:
                    losing_since = now()
                if (left := losing_since + SETTLING_SECONDS - now()) > 0:
                    asyncio.get_running_loop().call_later(left, self._announce.set)
                    continue
            losing_since = None
            if node.text != wanted:
                try:
                    await annotate(self._client, self._node_name, wanted or None)
                except (ApiError, ConnectionLost) as error:
                    delay = backoff.next()
                    self._say("can't be announced", str(error))
                    asyncio.get_running_loop().call_later(delay, self._announce.set)
                    continue
                written, written_at = wanted, now()
                log.info("announced on node %s: %s", self._node_name, wanted or "nothing")
            backoff.reset()
            if wanted != self._in_place:
                self._in_place = None
                self._publish()
                if wanted == written:
                    await asyncio.sleep(max(0.0, written_at + GRACE_SECONDS - now()))
                self._in_place = wanted
                self._publish()


def _annotated(value: str | None) -> Obj:
    return {"metadata": {"annotations": {ANNOTATION: value}}}


async def annotate(client: Client, node_name: str, value: str | None) -> None:
    """Set the annotation of a node, or with None remove it.

    Raises:
        wellhead.api.errors.ApiError, ConnectionLost: it is not set.
    """
    await client.patch(NODES, node_name, _annotated(value))


async def withdraw(client: Client, node_name: str) -> None:
    """Remove a node's announcement, if there is one.

    Raises:
        wellhead.api.errors.ApiError, ConnectionLost: it may still be there.
    """
    node = facts(await client.get(NODES, node_name))
    if node.text:
        await annotate(client, node_name, None)
        log.info("withdrew the announcement on node %s", node_name)
