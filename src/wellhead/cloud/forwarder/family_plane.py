"""The forwarding of one family's VIPs: takes changes, and makes the kernel follow, in transactions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from wellhead.client.backoff import Backoff
from wellhead.cloud.forwarder import conntrack
from wellhead.cloud.forwarder.disturbances import Disturbances
from wellhead.cloud.forwarder.elements import TABLE
from wellhead.cloud.forwarder.family import Family
from wellhead.cloud.forwarder.hashing import Node
from wellhead.cloud.forwarder.netns import NetnsThread
from wellhead.cloud.forwarder.own_changes import OwnChanges
from wellhead.cloud.forwarder.routes import Routes
from wellhead.cloud.forwarder.ruleset import HERE
from wellhead.cloud.forwarder.tables import Change, Frontend, Tables
from wellhead.cloud.plane import PlaneError
from wellhead.cloud.vips import IPAddress, IPNetwork

_log = logging.getLogger(__name__)

_NFT_TIMEOUT_SECONDS = 60.0
_UNREACHABLE_RETRY_SECONDS = 5.0
_SETTLE_SECONDS = 0.05  # others' changes that come together are mended together


class ForwarderError(PlaneError):
    """The kernel refused a change."""


@dataclass
class _Pending:
    change: Change = field(default_factory=Change)
    nodes: frozenset[Node] | None = None
    peers: frozenset[Node] | None = None
    lost: set[Node] = field(default_factory=set)
    mute: set[tuple[Frontend, Node]] = field(default_factory=set)
    waiters: list[asyncio.Future[None]] = field(default_factory=list)


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
        self._ours = ours
        self._netns = netns
        self._observe = observe
        self._on_vips = on_vips
        self._pending = _Pending()
        self._wake = asyncio.Event()
        self._table_disturbed = False  # somebody else has changed what is ours
        self._routes_disturbed = False  # or may have
        self._neighbours_disturbed = False
        self._told_vips: frozenset[IPAddress] = frozenset()
        # What follows belongs to the namespace's thread.
        self._pools = tuple(pools)
        self._announced = frozenset(announced)
        self._tables = Tables(self._pools, family, announced)
        self._routes = Routes(family)
        self._nodes: frozenset[Node] = frozenset()
        self._peers: frozenset[Node] = frozenset()
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
        peers: frozenset[Node] | None = None,
        lost: Collection[Node] = (),
        mute: Collection[tuple[Frontend, Node]] = (),
    ) -> asyncio.Future[None]:
        """As `Forwarder.submit`, with what is of this family; `peers` are the nodes' addresses of both."""
        if change is not None:
            self._pending.change.frontends |= change.frontends
            self._pending.change.groups |= change.groups
        if nodes is not None:
            self._pending.nodes = nodes
        if peers is not None:
            self._pending.peers = peers
        self._pending.lost |= set(lost)
        self._pending.mute |= set(mute)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody has to look at it: an error is logged and tried again here.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._pending.waiters.append(future)
        self._wake.set()
        return future

    async def run(self) -> None:
        """Make changes until cancelled. Raises OSError if the network namespace can't be joined."""
        thread = NetnsThread(self._netns)
        backoff = Backoff(0.05, 10.0)
        disturbances: Disturbances | None = None
        try:
            for warning in await thread.call(_obstacles, self._family, bool(self._announced)):
                _log.warning("%s", warning)
            disturbances = await thread.call(
                Disturbances,
                self._family,
                self._table_changed,
                self._routes_changed,
                self._neighbour_heard,
                self._ours,
            )
            disturbances.listen()
            self._wake.set()  # what is there gets adopted even if nothing was submitted
            while True:
                # A node that there was no way to may have one now; nobody tells.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_UNREACHABLE_RETRY_SECONDS if self._unreachable else None):
                        await self._wake.wait()
                if self._routes_disturbed or self._table_disturbed or self._neighbours_disturbed:
                    await asyncio.sleep(_SETTLE_SECONDS)
                self._wake.clear()
                pending, self._pending = self._pending, _Pending()
                if self._table_disturbed and self._in_kernel:
                    _log.warning("somebody has changed the table %s: it is made anew", TABLE)
                    self._in_kernel = False
                check = self._routes_disturbed
                self._table_disturbed = self._routes_disturbed = self._neighbours_disturbed = False
                started = time.monotonic()
                try:
                    await thread.call(self._commit, pending, check)
                except (ForwarderError, NetlinkError, OSError, subprocess.SubprocessError) as error:
                    self._done(started, pending, ForwarderError(str(error)))
                    delay = backoff.next()
                    _log.error("the forwarder's change failed, again in %.1f s: %s", delay, error)
                    await asyncio.sleep(delay)
                    self._wake.set()
                else:
                    backoff.reset()
                    self._done(started, pending, None)
                    self._tell_vips()
        finally:
            if disturbances is not None:
                disturbances.close()
            thread.close()
            for waiter in self._pending.waiters:
                waiter.cancel()

    def _table_changed(self) -> None:
        self._table_disturbed = True
        self._wake.set()

    def _routes_changed(self) -> None:
        self._routes_disturbed = True
        self._wake.set()

    def _neighbour_heard(self) -> None:
        if self._announced:
            self._neighbours_disturbed = True
            self._wake.set()

    def _tell_vips(self) -> None:
        if self._on_vips is not None:
            vips = frozenset(frontend.vip for frontend in self._tables.frontends)
            if vips != self._told_vips:
                self._told_vips = vips
                self._on_vips(self._family.version, vips)

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

    def _commit(self, pending: _Pending, check_routes: bool) -> None:
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
        if pending.peers is not None:
            self._peers = pending.peers
        if fresh or check_routes or self._unreachable or self._nodes != self._routes.marks.keys():
            errors = self._routes.add(self._nodes)
            for node in errors.keys() - self._unreachable:
                _log.error("no route to node %s, which must be a neighbour: %s", node, errors[node])
            self._unreachable = frozenset(errors)
            marks = {node: self._routes.marks[node] for node in self._nodes - self._unreachable}
            links = self._routes.links(self._nodes)
            commands.append(self._tables.route(marks, links))
            if links and not self._announced:
                self._routes.own(self._pools, min(links))
        if self._announced:
            commands.append(self._tables.neighbours(self._routes.macs(self._peers)))
        text = self._tables.replace() if fresh else "".join(commands)
        if text.strip():
            nft(text, self._ours)
        self._forget(sweep=fresh)
        self._in_kernel = True

    def _forget(self, *, sweep: bool) -> None:
        gone = self._routes.marks.keys() - self._nodes
        marks = {self._routes.marks[node] for node in (gone | self._lost_nodes) & self._routes.marks.keys()}
        if marks:
            conntrack.forget_marks(self._family, marks)
        if gone:
            self._routes.remove(gone)
        if self._forgotten_frontends:
            kept = self._tables.frontends
            gone_frontends = [each for each in self._forgotten_frontends if each not in kept]
            conntrack.forget_frontends(self._family, gone_frontends)
        for frontend, node in self._mute:
            if node in self._routes.marks:
                conntrack.forget_between(frontend, self._family, self._routes.marks[node])
        if sweep:
            conntrack.forget_others(
                self._family, self._tables.frontends, set(self._routes.marks.values()) - {HERE}
            )
        self._lost_nodes.clear()
        self._mute.clear()
        self._forgotten_frontends.clear()


def nft(commands: str, ours: OwnChanges | None = None) -> None:
    """Have nft execute this in one transaction. Its process is announced to `ours` before it does.

    Raises:
        ForwarderError: it refuses.
    """
    with subprocess.Popen(
        ["nft", "-f", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        if ours is not None:
            ours.announce(process.pid)
        try:
            _, errors = process.communicate(commands, timeout=_NFT_TIMEOUT_SECONDS)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise ForwarderError(f"nft: {errors.strip()[:1000] or process.returncode}")


def remove(family: Family) -> None:
    """Remove table, rules, routes and the flows' memory of them from the calling thread's namespace."""
    routes = Routes(family)
    routes.adopt()
    # `add` makes `delete` succeed when there is no table.
    nft(f"add table {family.nft} {TABLE}\ndelete table {family.nft} {TABLE}\n")
    conntrack.forget_others(family, (), ())
    routes.remove(list(routes.marks))
    routes.disown()


def _obstacles(family: Family, announced: bool) -> list[str]:
    """What in this namespace would keep packets from passing: set by whoever set up the router, not by us."""
    found = []
    if _sysctl(family.forwarding) != "1":
        found.append(f"the router does not forward: {family.forwarding.replace('/', '.')} is not 1")
    if announced and _sysctl("net/netfilter/nf_conntrack_tcp_loose") == "0":
        found.append(
            "net.netfilter.nf_conntrack_tcp_loose is 0: of connections that are announced here only the "
            "clients' half is seen, and conntrack takes that for invalid; set it to 1"
        )
    if announced or family.version == 6:
        return found
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
