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

from wellhead.api.meta import Key
from wellhead.cloud.haproxy import addresses, changes, commands, config
from wellhead.cloud.haproxy.changes import Sections
from wellhead.cloud.haproxy.config import USUAL_LIMITS, Instance, Limits
from wellhead.cloud.haproxy.later import Later
from wellhead.cloud.haproxy.process import HAProxy
from wellhead.cloud.haproxy.sections import Section
from wellhead.cloud.plane import Follower, PlaneError
from wellhead.health import Check
from wellhead.ip import IPAddress

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5  # how often what is to be done later is looked at
_GATHER_SECONDS = 0.02  # changes that come together cost one reload together
_BURIAL_SECONDS = 1.5 * config.CONNECT_SECONDS
_FAREWELL_SECONDS = 1.0  # a machine can't say that a connection ends from an address that isn't its own
_KEEP_RETRY_SECONDS = 5.0


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
    limits: Limits = USUAL_LIMITS


@dataclass
class Wishes:
    """The sections of some Services (none: it has none any more), and the addresses of who has died."""

    services: dict[Key, Sections] = field(default_factory=dict)
    lost: set[IPAddress] = field(default_factory=set)


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
        self._instance = Instance(settings.directory, settings.addresses, limits=settings.limits)
        self.haproxy = HAProxy(settings.program, self._instance, self._ended)
        self._follower = Follower("the terminating proxy", Wishes, _GATHER_SECONDS)
        self._adopted = False
        self._wanted: dict[Key, Sections] = {}
        self._running: dict[Key, Sections] | None = None  # None: not known, so only a reload helps
        self._held: frozenset[IPAddress] = frozenset()
        self._unwanted: Later[IPAddress] = Later(_FAREWELL_SECONDS)  # held for no Service any more
        self._dead: Later[str] = Later(_BURIAL_SECONDS)  # servers (SECTION/SERVER) that are no more
        self._routes_disturbed = False  # whether somebody may have taken VIPs' routes away
        self.kept = True
        """Whether the keeper holds the sockets that HAProxy has."""

    def checks(self) -> list[Check]:
        """That HAProxy follows."""
        return self._follower.checks()

    def submit(
        self, services: Mapping[Key, Collection[Section]] | None = None, *, lost: Collection[IPAddress] = ()
    ) -> asyncio.Future[None]:
        """Ask for these sections of these Services (empty: none any more). The future is done when HAProxy
        follows, or raises PlaneError.

        Connections to the addresses in `lost` are ended: who had them is dead.
        """
        wishes = self._follower.wishes
        for service, sections in (services or {}).items():
            wishes.services[service] = {section.listener.name: section for section in sections}
        wishes.lost |= set(lost)
        return self._follower.submitted()

    async def run(self) -> None:
        """Make changes until cancelled."""
        news = addresses.watch(self._disturbed)
        try:
            await self._follower.run(self._follow)
        finally:
            news.close()
            self.haproxy.release()

    async def remove(self) -> None:
        """End HAProxy with the connections that it has, and remove its files and VIPs: every trace."""
        await self.haproxy.adopt()
        await self.haproxy.stop()
        await asyncio.to_thread(lambda: addresses.release(addresses.held()))
        await asyncio.to_thread(shutil.rmtree, self._instance.directory, ignore_errors=True)

    def _ended(self) -> None:
        if self.haproxy.pid is None:
            self._running = None
        self.kept = False
        self._follower.wake()

    def _disturbed(self) -> None:
        self._routes_disturbed = True
        self._follower.wake(_GATHER_SECONDS)

    async def _follow(self, wishes: Wishes) -> float | None:
        self._remember(wishes)  # first, so that a failure loses nothing
        disturbed, self._routes_disturbed = self._routes_disturbed, False
        try:
            if disturbed or not self._adopted:
                self._held = await asyncio.to_thread(addresses.held)
            if not self._adopted:
                await self.haproxy.adopt()
                self._adopted = True
            everything = disturbed or self._running is None
            await self._hold(self._wanted if everything else wishes.services)
            await self._steer(wishes.services.keys())
        except BaseException:
            self._running = None
            self._routes_disturbed |= disturbed
            raise
        await self._bury()
        await self._release()
        later = _LOOK_SECONDS if self._unwanted or self._dead else None
        return later if await self._keep() else _KEEP_RETRY_SECONDS

    def _remember(self, wishes: Wishes) -> None:
        if wishes.lost:
            every = [*_all(self._running or {}), *_all(self._wanted)]
            self._dead.add(changes.servers(every, frozenset(wishes.lost)))
        for service, sections in wishes.services.items():
            self._wanted.pop(service, None)
            if sections:
                self._wanted[service] = sections

    async def _hold(self, services: Mapping[Key, Sections]) -> None:
        """Answer for these Services' VIPs from now on."""
        vips = _vips(services)
        self._unwanted.discard(vips)
        if missing := vips - self._held:
            await asyncio.to_thread(addresses.hold, missing)
            self._held |= missing

    async def _bury(self) -> None:
        """End the connections to the dead, once those that were only being made have found somebody else."""
        if due := self._dead.due():
            await self._close(due - changes.servers(_all(self._wanted), ready=True))
            self._dead.discard(due)

    async def _release(self) -> None:
        """Stop answering for the VIPs that nobody has wanted for a while."""
        if due := self._unwanted.due():
            await asyncio.to_thread(addresses.release, due)
            self._held -= due
            self._unwanted.discard(due)

    async def _keep(self) -> bool:
        """Have HAProxy's sockets kept, so that nobody is refused while it is away. Returns whether they are.

        Without it, HAProxy is as good as ever until it ends.
        """
        if self.kept or self.haproxy.pid is None:
            return True
        listeners = [section.listener for section in _all(self._running or {})]
        try:
            await self.haproxy.keep([(each.vip, each.port) for each in listeners])
        except PlaneError as error:
            _log.warning("new connections would be refused if HAProxy ended now: %s", error)
            return False
        self._routes_disturbed = False  # whether somebody may have taken VIPs' routes away
        self.kept = True
        return True

    async def _steer(self, touched: Collection[Key]) -> None:
        """Make HAProxy do as is wanted; `touched` are the Services for which that may be something new."""
        if self._running is not None and self.haproxy.pid is not None:
            planned = {
                service: changes.change(self._running.get(service, {}), self._wanted.get(service, {}))
                for service in touched
            }
            known = {service: change for service, change in planned.items() if change is not None}
            if len(known) == len(planned):
                if known:
                    with self._observed("commands"):
                        await self._command(self._running, known)
                return
        before = _all(self._running or {})
        self.kept = False
        if self.haproxy.pid is not None:
            with self._observed("reload"):
                await self.haproxy.reload(self._text())
        elif self._wanted:
            with self._observed("start"):
                await self.haproxy.start(self._text())
        else:
            await self.haproxy.stop()  # the keeper that is left of one has nobody to keep for
        self._running = dict(self._wanted)
        names = {section.listener.name for section in _all(self._wanted)}
        # Nobody is led to these any more, so their connections would only linger.
        await self._close(changes.servers(each for each in before if each.listener.name not in names))
        self._unwanted.add(self._held - _vips(self._wanted))

    async def _command(self, running: dict[Key, Sections], planned: Mapping[Key, changes.Change]) -> None:
        path = self._instance.master_socket
        every = [command for change in planned.values() for command in change.commands]
        if every:
            await commands.execute(path, every)
        for service, change in planned.items():
            deleted = await commands.delete(path, change.deletions)
            running[service] = changes.without(change.running, deleted)

    async def _close(self, servers: Collection[str]) -> None:
        if self.haproxy.pid is not None:
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
