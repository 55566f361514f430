"""The terminating proxy: takes changes, and makes HAProxy follow; starts it again when it has ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from wellhead.api.meta import Key
from wellhead.client.backoff import Backoff
from wellhead.cloud.haproxy import addresses, changes, commands, config
from wellhead.cloud.haproxy.changes import Sections
from wellhead.cloud.haproxy.commands import ProxyError
from wellhead.cloud.haproxy.config import Instance
from wellhead.cloud.haproxy.process import Process
from wellhead.cloud.haproxy.sections import Section
from wellhead.cloud.vips import IPAddress

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5  # how often what is to be done later is looked at
_GATHER_SECONDS = 0.02  # changes that come together cost one reload together
_BURIAL_SECONDS = 1.5 * config.CONNECT_SECONDS
_FAREWELL_SECONDS = 1.0  # a machine can't say that a connection ends from an address that isn't its own
_LONG_ENOUGH_SECONDS = 10.0  # an HAProxy that ended after this is started again at once


@dataclass(frozen=True)
class Settings:
    """Where and how HAProxy runs.

    `program` is HAProxy, or something that execs it. Nodes see `addresses`, one a family, and the router
    sends VIPs of that family there. `dials_endpoints` says that pods can be reached from here, for Services
    without node ports.
    """

    addresses: tuple[IPAddress, ...]
    program: Path
    directory: Path = Path("/run/wellhead/proxy")
    dials_endpoints: bool = False


@dataclass
class _Pending:
    services: dict[Key, Sections] = field(default_factory=dict)
    lost: set[IPAddress] = field(default_factory=set)
    waiters: list[asyncio.Future[None]] = field(default_factory=list)


class TerminatingProxy:
    """One machine's HAProxy. Changes that come while one is being made are made together.

    `run` finds the HAProxy that an earlier run left, and reloads it once with what was submitted before; the
    connections that it has go on. When it is cancelled HAProxy stays, and goes on; `remove` takes it away.

    `observe` is called with the kind of each change ("start", "reload" or "commands"), the seconds that it
    took, and whether it went well.
    """

    def __init__(self, settings: Settings, observe: Callable[[str, float, bool], None] | None = None) -> None:
        self.settings = settings
        self._observe = observe
        self._instance = Instance(settings.directory, settings.addresses)
        self._process = Process(settings.program, self._instance, self._ended)
        self._pending = _Pending()
        self._wake = asyncio.Event()
        self._wanted: dict[Key, Sections] = {}
        self._running: dict[Key, Sections] | None = None  # None: not known, so only a reload helps
        self._held: frozenset[IPAddress] = frozenset()
        self._unwanted: dict[IPAddress, float] = {}  # held for no Service any more, since when
        self._dead: dict[str, float] = {}  # servers (SECTION/SERVER) that are no more, since when
        self._started = float("-inf")  # time.monotonic()
        self._starts = Backoff(0.1, 10.0)

    @property
    def pid(self) -> int | None:
        """HAProxy's master process; None while there is none."""
        return self._process.pid

    @property
    def reloads(self) -> int:
        """How often the HAProxy that runs was reloaded."""
        return self._process.reloads

    def submit(
        self, services: Mapping[Key, Collection[Section]] | None = None, *, lost: Collection[IPAddress] = ()
    ) -> asyncio.Future[None]:
        """Ask for these sections of these Services (empty: none any more). The future is done when HAProxy
        follows, or raises ProxyError.

        Connections to the addresses in `lost` are ended: who had them is dead.
        """
        for service, sections in (services or {}).items():
            self._pending.services[service] = {section.listener.name: section for section in sections}
        self._pending.lost |= set(lost)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody has to look at it: an error is logged and tried again here.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._pending.waiters.append(future)
        self._wake.set()
        return future

    async def run(self) -> None:
        """Make changes until cancelled."""
        backoff = Backoff(0.1, 10.0)
        adopted = False
        self._wake.set()
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS if self._unwanted or self._dead else None):
                        await self._wake.wait()
                await asyncio.sleep(_GATHER_SECONDS)
                self._wake.clear()
                pending, self._pending = self._pending, _Pending()
                # First, so that a failure loses nothing: the next attempt does all of it.
                self._remember(pending)
                try:
                    if not adopted:
                        self._held = await asyncio.to_thread(addresses.held)
                        await self._process.adopt()
                        adopted = True
                    await self._commit(pending)
                except (ProxyError, NetlinkError, OSError) as error:
                    _settle(pending.waiters, ProxyError(str(error)))
                    self._running = None
                    delay = backoff.next()
                    _log.error("the proxy's change failed, again in %.1f s: %s", delay, error)
                    await asyncio.sleep(delay)
                    self._wake.set()
                else:
                    _settle(pending.waiters, None)
                    backoff.reset()
        finally:
            self._process.release()
            for waiter in self._pending.waiters:
                waiter.cancel()

    async def remove(self) -> None:
        """End HAProxy with the connections that it has, and remove its files and VIPs: every trace."""
        if await self._process.adopt():
            await self._process.stop()
        await asyncio.to_thread(lambda: addresses.release(addresses.held()))
        await asyncio.to_thread(shutil.rmtree, self._instance.directory, ignore_errors=True)

    def _ended(self) -> None:
        self._running = None
        self._wake.set()

    def _remember(self, pending: _Pending) -> None:
        if pending.lost:
            every = [*_all(self._running or {}), *_all(self._wanted)]
            lost = changes.servers(every, frozenset(pending.lost))
            self._dead |= dict.fromkeys(lost - self._dead.keys(), time.monotonic())
        for service, sections in pending.services.items():
            self._wanted.pop(service, None)
            if sections:
                self._wanted[service] = sections

    async def _commit(self, pending: _Pending) -> None:
        if self._running is None:
            await self._hold(self._wanted)
        else:
            await self._hold(pending.services)
        await self._follow(pending.services.keys())
        await self._bury()
        await self._release()

    async def _hold(self, services: Mapping[Key, Sections]) -> None:
        """Answer for these Services' VIPs from now on."""
        vips = _vips(services)
        for vip in vips:
            self._unwanted.pop(vip, None)
        if missing := vips - self._held:
            await asyncio.to_thread(addresses.hold, missing)
            self._held |= missing

    async def _bury(self) -> None:
        """End the connections to the dead, once those that were only being made have found somebody else."""
        now = time.monotonic()
        due = {server for server, since in self._dead.items() if now - since >= _BURIAL_SECONDS}
        if due:
            await self._close(due - changes.servers(_all(self._wanted), ready=True))
            for server in due:
                del self._dead[server]

    async def _release(self) -> None:
        """Stop answering for the VIPs that nobody has wanted for a while."""
        now = time.monotonic()
        due = {vip for vip, since in self._unwanted.items() if now - since >= _FAREWELL_SECONDS}
        if due:
            await asyncio.to_thread(addresses.release, due)
            self._held -= due
            for vip in due:
                del self._unwanted[vip]

    async def _follow(self, touched: Collection[Key]) -> None:
        """Make HAProxy do as is wanted; `touched` are the Services for which that may be something new."""
        if self._running is not None and self._process.pid is not None:
            planned = {
                service: changes.change(self._running.get(service, {}), self._wanted.get(service, {}))
                for service in touched
            }
            known = {service: change for service, change in planned.items() if change is not None}
            if len(known) == len(planned):
                if known:
                    with self._observed("commands"):
                        await self._command(known)
                return
        before = _all(self._running or {})
        if self._process.pid is not None:
            with self._observed("reload"):
                await self._process.reload(self._text())
        elif self._wanted:
            await self._start()
        self._running = dict(self._wanted)
        names = {section.listener.name for section in _all(self._wanted)}
        # Nobody is led to these any more, so their connections would only linger.
        await self._close(changes.servers(each for each in before if each.listener.name not in names))
        now = time.monotonic()
        self._unwanted |= dict.fromkeys(self._held - _vips(self._wanted) - self._unwanted.keys(), now)

    async def _start(self) -> None:
        if time.monotonic() - self._started > _LONG_ENOUGH_SECONDS:
            self._starts.reset()
        else:
            await asyncio.sleep(self._starts.next())
        self._started = time.monotonic()
        with self._observed("start"):
            await self._process.start(self._text())

    async def _command(self, planned: Mapping[Key, changes.Change]) -> None:
        assert self._running is not None
        path = self._instance.master_socket
        every = [command for change in planned.values() for command in change.commands]
        if every:
            await commands.execute(path, every)
        for service, change in planned.items():
            deleted = await commands.delete(path, change.deletions)
            self._running[service] = changes.without(change.running, deleted)

    async def _close(self, servers: Collection[str]) -> None:
        if self._process.pid is not None:
            await commands.close_connections(self._instance.master_socket, servers)

    def _text(self) -> str:
        every = sorted(_all(self._wanted), key=lambda section: section.listener.name)
        return config.render(self._instance, every)

    @contextlib.contextmanager
    def _observed(self, kind: str) -> Iterator[None]:
        started = time.monotonic()
        succeeded = False
        try:
            yield
            succeeded = True
        finally:
            if self._observe is not None:
                self._observe(kind, time.monotonic() - started, succeeded)


def _vips(services: Mapping[Key, Sections]) -> frozenset[IPAddress]:
    return frozenset(section.listener.vip for section in _all(services))


def _all(services: Mapping[Key, Sections]) -> list[Section]:
    return [section for sections in services.values() for section in sections.values()]


def _settle(waiters: list[asyncio.Future[None]], error: ProxyError | None) -> None:
    for waiter in waiters:
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)
