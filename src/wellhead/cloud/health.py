"""Health checks: which nodes may get new flows, and which are dead.

A check asks GET /healthz on one port of one node, once for all Services that depend on it. Until its first
answer nothing is known, and the node gets no new flows. The first answer decides; after that it takes
`failures` bad answers in a row to take the node out, and one good one to bring it back.

A node is dead when none of its checked ports answers any more, not even by refusing the connection. A node
that answers badly is draining or unwell, and keeps the flows that it has.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import aiohttp

from wellhead.ip import IPAddress, bracketed
from wellhead.waiting import comes

_DEAD_ERRNOS = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT)
# A port that was just allocated is not served yet, but will be in a moment: look often at first.
_FIRST_RETRIES_SECONDS = (0.05, 0.1, 0.2, 0.4)
_JITTER = 0.1
_MAX_DETAIL = 120


@dataclass(frozen=True, order=True)
class Check:
    """GET http://NODE:PORT/healthz."""

    node: IPAddress
    port: int


@dataclass(frozen=True)
class Settings:
    """How often to check, how long to wait for an answer (seconds), how many failures take a node out."""

    interval: float = 1.0
    timeout: float = 1.0
    failures: int = 2


class Outcome(Enum):
    """What came of one check."""

    PASSED = "passed"
    FAILED = "failed"  # an answer, but not 200
    UNREACHABLE = "unreachable"  # no answer at all


@dataclass
class State:
    """What is known by one check. `passing` is None before the first answer; `since` is in Unix seconds."""

    passing: bool | None = None
    detail: str = "not checked yet"
    since: float = 0.0
    failures: int = 0  # in a row
    unreachable: int = 0  # in a row

    def record(self, outcome: Outcome, detail: str, threshold: int) -> bool:
        """Take note of an outcome. Returns whether `passing` changed."""
        self.failures = 0 if outcome is Outcome.PASSED else self.failures + 1
        self.unreachable = self.unreachable + 1 if outcome is Outcome.UNREACHABLE else 0
        self.detail = detail
        before = self.passing
        if outcome is Outcome.PASSED:
            self.passing = True
        elif before is None or self.failures >= threshold:
            self.passing = False
        if self.passing == before:
            return False
        self.since = time.time()
        return True


class Observer(Protocol):
    """Who wants to know. Called on the event loop; must not block."""

    def health_changed(self, check: Check, state: State) -> None:
        """The check passes now, or no longer does."""

    def node_died(self, node: IPAddress) -> None:
        """None of the node's ports answers any more."""


class HealthMonitor:
    """Runs the checks of every port that somebody watches, on every node."""

    def __init__(
        self,
        observer: Observer,
        settings: Settings | None = None,
        count: Callable[[Outcome], None] | None = None,
    ) -> None:
        self._observer = observer
        self._settings = settings or Settings()
        self._count = count
        self._nodes: frozenset[IPAddress] = frozenset()
        self._ports: Counter[int] = Counter()
        self._states: dict[Check, State] = {}
        self._dead: set[IPAddress] = set()
        self._tasks: dict[Check, asyncio.Task[None]] = {}
        self._running: tuple[asyncio.TaskGroup, aiohttp.ClientSession] | None = None
        self._unknown: set[Check] = set()
        self._settled = asyncio.Event()
        self._settled.set()

    def set_nodes(self, nodes: frozenset[IPAddress]) -> None:
        """Check these nodes and no others."""
        added, removed = nodes - self._nodes, self._nodes - nodes
        self._nodes = nodes
        self._dead -= removed
        self._remove(Check(node, port) for node in removed for port in self._ports)
        self._add(Check(node, port) for node in added for port in self._ports)

    def watch(self, port: int) -> None:
        """Check this port; as often as `watch` was called, `unwatch` must be before that ends."""
        self._ports[port] += 1
        if self._ports[port] == 1:
            self._add(Check(node, port) for node in self._nodes)

    def unwatch(self, port: int) -> None:
        """The opposite of `watch`."""
        self._ports[port] -= 1
        if not self._ports[port]:
            del self._ports[port]
            self._remove(Check(node, port) for node in self._nodes)

    def state(self, check: Check) -> State:
        """What is known about the check; a fresh State if nobody watches that port."""
        return self._states.get(check) or State()

    def states(self) -> dict[Check, State]:
        """All checks."""
        return dict(self._states)

    async def settled(self, seconds: float) -> bool:
        """Wait until every check has had an answer, at most this long. Returns whether it is so."""
        return await comes(self._settled, seconds)

    async def run(self) -> None:
        """Check until cancelled."""
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=self._settings.timeout, sock_read=self._settings.timeout
        )
        # A connection of its own for every check: one that was kept open would prove too little.
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        session = aiohttp.ClientSession(connector=connector, timeout=limits)
        try:
            async with session, asyncio.TaskGroup() as group:
                self._running = group, session
                for check in self._states:
                    self._start(check)
                await asyncio.get_running_loop().create_future()  # the checks go on until cancelled
        finally:
            self._running = None
            self._tasks.clear()

    def _add(self, checks: Iterable[Check]) -> None:
        for check in checks:
            self._states[check] = State()
            self._unknown.add(check)
            self._settled.clear()
            self._start(check)

    def _remove(self, checks: Iterable[Check]) -> None:
        for check in checks:
            self._states.pop(check, None)
            self._known(check)
            if (task := self._tasks.pop(check, None)) is not None:
                task.cancel()

    def _start(self, check: Check) -> None:
        if self._running is not None:
            group, session = self._running
            self._tasks[check] = group.create_task(self._repeat(check, session))

    def _known(self, check: Check) -> None:
        self._unknown.discard(check)
        if not self._unknown:
            self._settled.set()

    async def _repeat(self, check: Check, session: aiohttp.ClientSession) -> None:
        clock = asyncio.get_running_loop().time
        state = self._states[check]
        first_retries = iter(_FIRST_RETRIES_SECONDS)
        while True:
            started = clock()
            outcome, detail = await ask(session, check)
            if self._count is not None:
                self._count(outcome)
            self._record(check, state, outcome, detail)
            pause = self._settings.interval * random.uniform(1 - _JITTER, 1 + _JITTER)
            if outcome is not Outcome.PASSED:
                pause = min(pause, next(first_retries, pause))
            else:
                first_retries = iter(())
            await asyncio.sleep(max(0.0, pause - (clock() - started)))

    def _record(self, check: Check, state: State, outcome: Outcome, detail: str) -> None:
        if self._states.get(check) is not state:
            return  # nobody wants to know any more
        changed = state.record(outcome, detail, self._settings.failures)
        self._known(check)
        if changed:
            self._observer.health_changed(check, state)
        mine = (self._states[Check(check.node, port)] for port in self._ports)
        if outcome is not Outcome.UNREACHABLE:
            self._dead.discard(check.node)
        elif check.node not in self._dead and all(
            other.unreachable >= self._settings.failures for other in mine
        ):
            self._dead.add(check.node)
            self._observer.node_died(check.node)


async def ask(session: aiohttp.ClientSession, check: Check) -> tuple[Outcome, str]:
    """Do one check. Returns what came of it, in a word and in a sentence."""
    try:
        async with session.get(
            f"http://{bracketed(check.node)}:{check.port}/healthz", allow_redirects=False
        ) as response:
            if response.status == 200:
                return Outcome.PASSED, "200"
            # A body of text says why; JSON, a page or nothing does not.
            body = (await response.content.read(_MAX_DETAIL)).decode(errors="replace").strip()
            text = "" if body.startswith(("{", "<")) else f": {body.splitlines()[0]}" if body else ""
            return Outcome.FAILED, f"{response.status}{text}"
    except aiohttp.ConnectionTimeoutError:
        return Outcome.UNREACHABLE, "no answer"
    except aiohttp.ServerTimeoutError:
        return Outcome.FAILED, "connected, but no response"
    except aiohttp.ClientOSError as error:
        outcome = Outcome.UNREACHABLE if error.errno in _DEAD_ERRNOS else Outcome.FAILED
        return outcome, os.strerror(error.errno) if error.errno else str(error)[:_MAX_DETAIL]
    except aiohttp.ClientError as error:
        return Outcome.FAILED, (str(error) or type(error).__name__)[:_MAX_DETAIL]
