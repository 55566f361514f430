"""Leader election by a Lease, as client-go's: one process of several acts; when it has died, another.

Nobody's clock is trusted but one's own, and that only for how much time has passed: a candidate takes the
lease when it has seen no change of it for the lease's duration; a leader stops when it has not renewed it for
two thirds of that. So a clock that is wrong or set anew does no harm. Time in which the machine was suspended
counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from wellhead.api.errors import AlreadyExists, ApiError, Conflict, NotFound
from wellhead.api.meta import Obj
from wellhead.api.well_known import LEASES
from wellhead.client.rest import Client
from wellhead.health import Check, Overdue

_log = logging.getLogger(__name__)

_RENEW_SHARE, _RETRY_SHARE = 2 / 3, 1 / 6  # of the lease's duration, as client-go's defaults are
_RELEASE_SECONDS = 2.0
_AWAY_SECONDS = 20.0
_ENDING_SECONDS = 60.0
_JITTER = 0.2


def boottime() -> float:
    """Seconds since the machine started, also those in which it slept. Nobody can set this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def new_identity() -> str:
    """A name for this process alone: the next must not take its predecessor's lease for its own."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


@dataclass(frozen=True)
class LeaseSettings:
    """Which Lease, and for how long (seconds, at least 1) nobody takes it from a leader that has died."""

    namespace: str = "kube-system"
    name: str = "wellhead-cloud"
    duration: float = 5.0


class Elector:
    """One candidate. `identity` must be no other's, nor that of an earlier process."""

    def __init__(
        self,
        client: Client,
        settings: LeaseSettings,
        identity: str,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self.settings = settings
        self.identity = identity
        self.holder = ""
        """Who holds the lease, as far as is known; empty: nobody."""
        self._client = client
        self._clock = clock
        self._observed: Obj | None = None
        self._observed_at = 0.0
        self._renewed_at: float | None = None  # None: not the leader
        self._away = Overdue("the lease can't be taken or renewed", _AWAY_SECONDS)
        self._ending = Overdue("what only the leader may do has not ended", _ENDING_SECONDS)

    def leads(self) -> bool:
        """Whether this process is the leader at this very moment, and nobody else can be."""
        return (
            self._renewed_at is not None
            and self._clock() < self._renewed_at + self.settings.duration * _RENEW_SHARE
        )

    def checks(self) -> list[Check]:
        """That it hears who leads, and that a leader that is none any more has stopped."""
        return [
            Check("leader-election", self._away.problem),
            Check("leader-ended", self._ending.problem, mortal=True),
        ]

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Run `lead` whenever this process is the leader; it is cancelled as soon as that is no longer so.

        Raises:
            Exception: what `lead` raises. The lease is given back, as it is on cancellation.
        """
        retry = self.settings.duration * _RETRY_SHARE
        while True:
            if not await self._attempt():
                await asyncio.sleep(retry * random.uniform(1, 1 + _JITTER))
                continue
            _log.info("%s leads", self.identity)
            try:
                await self._lead(lead, retry)
            finally:
                still = self.leads()
                self._renewed_at = None
                if still:
                    await self._release()
            _log.error("%s leads no longer: the lease could not be renewed in time", self.identity)

    async def _lead(self, lead: Callable[[], Awaitable[None]], retry: float) -> None:
        """Lead for as long as the lease is renewed."""
        leading = asyncio.ensure_future(lead())
        try:
            while self.leads():
                done, _ = await asyncio.wait([leading], timeout=retry)
                if done:
                    leading.result()
                    raise RuntimeError("the leader's work has ended by itself")
                assert self._renewed_at is not None
                left = self._renewed_at + self.settings.duration * _RENEW_SHARE - self._clock()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(left, 0)):
                        await self._attempt()
        finally:
            leading.cancel()
            self._ending.begin(asyncio.get_running_loop().time())
            await asyncio.gather(leading, return_exceptions=True)
            self._ending.end()

    async def _attempt(self) -> bool:
        """Take or renew the lease, if that may be. Returns whether it is ours now."""
        started = self._clock()  # before anybody can see the change
        try:
            async with asyncio.timeout(self.settings.duration):
                taken = await self._take()
        except (Conflict, AlreadyExists):
            self._away.end()
            return False  # somebody was quicker; who, the next attempt tells
        except (ApiError, OSError, TimeoutError) as error:
            _log.warning("the lease can't be taken or renewed: %s", error)
            self._away.begin(asyncio.get_running_loop().time(), str(error))
            return False
        self._away.end()
        self._renewed_at = started if taken else None
        return taken

    async def _take(self) -> bool:
        namespace, name = self.settings.namespace, self.settings.name
        try:
            lease = await self._client.get(LEASES, name, namespace)
        except NotFound:
            metadata = {"namespace": namespace, "name": name}
            spec = self._spec({})
            lease = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.kind,
                "metadata": metadata,
                "spec": spec,
            }
            self._observe(await self._client.create(LEASES, lease))
            return True
        self._observe(lease)
        spec = lease.get("spec") or {}
        if self.holder not in ("", self.identity):
            duration = spec.get("leaseDurationSeconds") or self.settings.duration
            if self._clock() < self._observed_at + duration:
                return False
        # By the version that was read: whoever has changed it since makes this a Conflict.
        self._observe(await self._client.update(LEASES, {**lease, "spec": self._spec(spec)}))
        return True

    def _observe(self, lease: Obj) -> None:
        spec = lease.get("spec") or {}
        if spec != self._observed:
            self._observed, self._observed_at = spec, self._clock()
        self.holder = spec.get("holderIdentity") or ""

    def _spec(self, before: Obj) -> Obj:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        same = before.get("holderIdentity") == self.identity
        return {
            **before,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self.settings.duration)),
            "acquireTime": before.get("acquireTime") or now if same else now,
            "renewTime": now,
            "leaseTransitions": (before.get("leaseTransitions") or 0) + (not same and bool(before)),
        }

    async def _release(self) -> None:
        """Give the lease back, so that another need not wait. What fails here costs only time."""
        with contextlib.suppress(ApiError, OSError, TimeoutError):
            async with asyncio.timeout(_RELEASE_SECONDS):
                lease = await self._client.get(LEASES, self.settings.name, self.settings.namespace)
                if lease["spec"].get("holderIdentity") == self.identity:
                    spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._client.update(LEASES, {**lease, "spec": spec})
