"""The forwarder: takes changes, and makes the router's kernel follow, one transaction after the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from wellhead.client.backoff import Backoff
from wellhead.cloud.forwarder import conntrack
from wellhead.cloud.forwarder.elements import TABLE
from wellhead.cloud.forwarder.hashing import Node
from wellhead.cloud.forwarder.netns import NetnsThread
from wellhead.cloud.forwarder.routes import Routes
from wellhead.cloud.forwarder.tables import Change, Frontend, Tables

_log = logging.getLogger(__name__)

_NFT_TIMEOUT_SECONDS = 60.0
_UNREACHABLE_RETRY_SECONDS = 5.0


class ForwarderError(Exception):
    """The kernel refused a change. It is tried again, so this is a delay, not a loss."""


@dataclass
class _Pending:
    change: Change = field(default_factory=Change)
    nodes: frozenset[Node] | None = None
    lost: set[Node] = field(default_factory=set)
    mute: set[tuple[Frontend, Node]] = field(default_factory=set)
    waiters: list[asyncio.Future[None]] = field(default_factory=list)


class Forwarder:
    """One router's forwarding of VIPs. Changes that come while one is being made are made together.

    `run` replaces what an earlier run left in the kernel in one transaction, by what was submitted before it
    started; flows that were established stay with their nodes. When it is cancelled everything stays in the
    kernel and goes on forwarding; `remove` takes it away.

    `observe` is called with the seconds that each transaction took, and whether it went well.
    """

    def __init__(
        self,
        pools: Iterable[IPv4Network],
        netns: str | None = None,
        observe: Callable[[float, bool], None] | None = None,
    ) -> None:
        self._netns = netns
        self._observe = observe
        self._pending = _Pending()
        self._wake = asyncio.Event()
        # What follows belongs to the namespace's thread.
        self._pools = tuple(pools)
        self._tables = Tables(self._pools)
        self._routes = Routes()
        self._nodes: frozenset[Node] = frozenset()
        self._unreachable: frozenset[Node] = frozenset()
        self._adopted = False
        self._in_kernel = False  # whether the table is there, and as `_tables` remembers it
        self._forgotten_frontends: set[Frontend] = set()
        self._lost_nodes: set[Node] = set()
        self._mute: set[tuple[Frontend, Node]] = set()

    def submit(
        self,
        change: Change | None = None,
        *,
        nodes: frozenset[Node] | None = None,
        lost: Collection[Node] = (),
        mute: Collection[tuple[Frontend, Node]] = (),
    ) -> asyncio.Future[None]:
        """Ask for a change. The future is done when packets follow it, or raises ForwarderError.

        `nodes` are all that can get packets; one that is left out loses its flows and its route. Those in
        `lost` stay, but their flows are decided anew: the node is dead, so they are too. So are those from
        frontend to node in `mute`: the node lives, but will never answer for that frontend again.
        """
        if change is not None:
            self._pending.change.frontends |= change.frontends
            self._pending.change.groups |= change.groups
        if nodes is not None:
            self._pending.nodes = nodes
        self._pending.lost |= set(lost)
        self._pending.mute |= set(mute)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody has to look at it: an error is logged and tried again here.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._pending.waiters.append(future)
        self._wake.set()
        return future

    async def run(self) -> None:
        """Make changes until cancelled.

        Raises:
            OSError: the network namespace can't be joined.
        """
        thread = NetnsThread(self._netns)
        backoff = Backoff(0.05, 10.0)
        try:
            for warning in await thread.call(_obstacles):
                _log.warning("%s", warning)
            self._wake.set()  # what is there gets adopted even if nothing was submitted
            while True:
                # A node that there was no way to may have one now; nobody tells.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_UNREACHABLE_RETRY_SECONDS if self._unreachable else None):
                        await self._wake.wait()
                self._wake.clear()
                pending, self._pending = self._pending, _Pending()
                started = time.monotonic()
                try:
                    await thread.call(self._commit, pending)
                except (ForwarderError, NetlinkError, OSError, subprocess.SubprocessError) as error:
                    self._done(started, pending, ForwarderError(str(error)))
                    delay = backoff.next()
                    _log.error("the forwarder's change failed, again in %.1f s: %s", delay, error)
                    await asyncio.sleep(delay)
                    self._wake.set()
                else:
                    backoff.reset()
                    self._done(started, pending, None)
        finally:
            thread.close()
            for waiter in self._pending.waiters:
                waiter.cancel()

    def _done(self, started: float, pending: _Pending, error: ForwarderError | None) -> None:
        if self._observe is not None:
            self._observe(time.monotonic() - started, error is None)
        for waiter in pending.waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    async def remove(self) -> None:
        """Remove table, rules, routes and the flows' memory of them: every trace."""
        thread = NetnsThread(self._netns)
        try:
            await thread.call(_remove)
        finally:
            thread.close()

    def _commit(self, pending: _Pending) -> None:
        if not self._adopted:
            self._routes.adopt()
            self._adopted = True
            self._nodes = frozenset(self._routes.marks)
        # Remembered first, so that a failure half-way loses nothing: the next attempt does all of it.
        self._lost_nodes |= pending.lost
        self._mute |= pending.mute
        self._forgotten_frontends |= {
            frontend
            for frontend, target in pending.change.frontends.items()
            if target is None and frontend in self._tables.frontends
        }
        fresh = not self._in_kernel
        self._in_kernel = False  # until all of this has succeeded
        commands = [self._tables.change(pending.change)]
        if pending.nodes is not None:
            self._nodes = pending.nodes
        if fresh or self._unreachable or self._nodes != self._routes.marks.keys():
            errors = self._routes.add(self._nodes)
            for node in errors.keys() - self._unreachable:
                _log.error("no route to node %s, which must be a neighbour: %s", node, errors[node])
            self._unreachable = frozenset(errors)
            marks = {node: self._routes.marks[node] for node in self._nodes - self._unreachable}
            links = self._routes.links(self._nodes)
            commands.append(self._tables.route(marks, links))
            if links:
                self._routes.own(self._pools, min(links))
        text = self._tables.replace() if fresh else "".join(commands)
        if text.strip():
            _nft(text)
        self._forget(sweep=fresh)
        self._in_kernel = True

    def _forget(self, *, sweep: bool) -> None:
        gone = self._routes.marks.keys() - self._nodes
        marks = {self._routes.marks[node] for node in (gone | self._lost_nodes) & self._routes.marks.keys()}
        if marks:
            conntrack.forget_marks(marks)
        if gone:
            self._routes.remove(gone)
        if self._forgotten_frontends:
            kept = self._tables.frontends
            conntrack.forget_frontends([each for each in self._forgotten_frontends if each not in kept])
        for frontend, node in self._mute:
            if node in self._routes.marks:
                conntrack.forget_between(frontend, self._routes.marks[node])
        if sweep:
            conntrack.forget_others(self._tables.frontends, set(self._routes.marks.values()))
        self._lost_nodes.clear()
        self._mute.clear()
        self._forgotten_frontends.clear()


def _nft(commands: str) -> None:
    result = subprocess.run(
        ["nft", "-f", "-"],
        input=commands,
        capture_output=True,
        text=True,
        timeout=_NFT_TIMEOUT_SECONDS,
        check=False,
    )
    if result.returncode != 0:
        raise ForwarderError(f"nft: {result.stderr.strip()[:1000] or result.returncode}")


def _remove() -> None:
    routes = Routes()
    routes.adopt()
    # `add` makes `delete` succeed when there is no table.
    _nft(f"add table ip {TABLE}\ndelete table ip {TABLE}\n")
    conntrack.forget_others((), ())
    routes.remove(list(routes.marks))
    routes.disown()


def _obstacles() -> list[str]:
    """What in this namespace would keep packets from passing: set by whoever set up the router, not by us."""
    found = []
    if _sysctl("net/ipv4/ip_forward") != "1":
        found.append("the router does not forward: net.ipv4.ip_forward is not 1")
    if (value := _sysctl("net/ipv4/conf/all/rp_filter")) not in ("0", ""):
        found.append(
            f"net.ipv4.conf.all.rp_filter is {value}: answers come from VIPs, to which the router has no "
            "route, so its reverse-path filter drops them; set it to 0, also on the nodes' interface"
        )
    return found


def _sysctl(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""
