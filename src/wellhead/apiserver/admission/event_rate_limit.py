"""EventRateLimit: only so many Events a second, in all, of a namespace, a user, or about one object.

Upstream: plugin/pkg/admission/eventratelimit. Off unless it is turned on; its configuration says the limits.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from wellhead.api.errors import Cause, TooManyRequests
from wellhead.api.meta import Obj
from wellhead.api.resources import EVENTS, EVENTS_V1
from wellhead.apiserver.admission.configuration import ConfigurationError, refuse, strange
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request

_TYPES = ("Server", "Namespace", "User", "SourceAndObject")
_CACHE = 4096
_OBJECT = ("kind", "namespace", "name", "uid", "apiVersion")


class Bucket:
    """So many tokens, of which so many come back in a second."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._at = float("-inf")

    def take(self, now: float) -> bool:
        """Whether there is one."""
        self._tokens = min(float(self._burst), self._tokens + max(0.0, now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Limit:
    """One of the configured limits, with the buckets that were used last."""

    def __init__(self, limit: Obj) -> None:
        self.type: str = limit["type"]
        self._per_second, self._burst = float(limit["qps"]), int(limit["burst"])
        self._most = int(limit.get("cacheSize") or _CACHE)
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def takes(self, key: str, now: float) -> bool:
        """Whether one more with this key is within the limit."""
        bucket = self._buckets.setdefault(key, Bucket(self._per_second, self._burst))
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket.take(now)


class EventRateLimit(Plugin):
    name = "EventRateLimit"
    resources = (EVENTS, EVENTS_V1)

    def __init__(self, environment: Environment) -> None:
        """Raises ConfigurationError."""
        told = environment.configurations.get(self.name)
        if told is None:
            raise ConfigurationError(f"{self.name} needs a configuration: --admission-control-config-file")
        self._limits = limits(told)
        self._clock: Callable[[], float] = time.monotonic

    async def validate(self, request: Request) -> None:
        """Raises TooManyRequests."""
        if request.dry_run:
            return
        now = self._clock()
        reached = [
            f"limit reached on type {limit.type} for key {key}"
            for limit in self._limits
            if not limit.takes(key := key_of(limit.type, request), now)
        ]
        if reached:
            raise TooManyRequests(reached[0] if len(reached) == 1 else f"[{', '.join(reached)}]")


def limits(told: Obj) -> list[Limit]:
    """What the configuration says. Raises ConfigurationError."""
    strange(EventRateLimit.name, told, ("limits",))
    found = told.get("limits") or []
    causes = [] if found else [Cause.invalid("limits", found, "must not be empty")]
    for index, limit in enumerate(found):
        at = f"limits[{index}]"
        if limit.get("type") not in _TYPES:
            causes.append(Cause.not_supported(f"{at}.type", limit.get("type") or "", _TYPES))
        causes += [
            Cause.invalid(f"{at}.{field}", limit.get(field), "must be positive")
            for field in ("burst", "qps")
            if not isinstance(limit.get(field), int) or limit[field] <= 0
        ]
        if not isinstance(size := limit.get("cacheSize") or 0, int) or size < 0:
            causes.append(Cause.invalid(f"{at}.cacheSize", size, "must not be negative"))
    refuse(EventRateLimit.name, causes)
    return [Limit(limit) for limit in found]


def key_of(type: str, request: Request) -> str:
    """What a limit of this type counts together."""
    if type == "Namespace":
        return request.namespace
    if type == "User":
        return request.user.name
    if type == "Server":
        return ""
    event = request.obj
    source = event.get("source") or event.get("deprecatedSource") or {}
    about = event.get("involvedObject") or event.get("regarding") or {}
    parts = [source.get("component"), source.get("host"), *(about.get(field) for field in _OBJECT)]
    return "".join(part or "" for part in parts)
