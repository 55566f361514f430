"""ResourceQuota: what a namespace may use in all, kept under any number of writers at a time.

Upstream: apiserver's pkg/admission/plugin/resourcequota. As there, what a write takes is noted in the
quota's status before the object is stored; here it is given back if that fails. Writes that wait for each
other share a commit.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from wellhead.api.errors import ApiError, Cause, Forbidden, NotFound
from wellhead.api.kinds.resourcequota import RESOURCEQUOTAS
from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity
from wellhead.api.quota.check import Exceeded, charged, demand, handles
from wellhead.api.quota.limited import uncovered
from wellhead.api.quota.usage import Usage
from wellhead.api.resource import Resource
from wellhead.apiserver.admission.configuration import refuse, strange
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Operation, Request
from wellhead.apiserver.registry.registry import Registry

_UNCOUNTED = ("events", "events.events.k8s.io", "bindings")


@dataclass(eq=False)
class _Entry:
    """A write that waits for its turn, then what became of it."""

    request: Request
    done: bool = False
    error: ApiError | None = None
    charges: dict[str, Usage] = field(default_factory=dict)
    """By quota."""


class ResourceQuota(Plugin):
    name = "ResourceQuota"

    def __init__(self, environment: Environment) -> None:
        """Raises ConfigurationError."""
        self._registry = environment.registry
        self._quotas = environment.registry.collection(RESOURCEQUOTAS)
        self._limited = limited_resources(environment.configurations.get(self.name, {}))
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: dict[str, list[_Entry]] = defaultdict(list)

    def concerns(self, operation: Operation, resource: Resource, subresource: str) -> bool:
        if not resource.namespaced or resource.is_review or resource.group_resource in _UNCOUNTED:
            return False
        if operation == "CREATE":
            return subresource == ""
        measured = ("pods", "services", "persistentvolumeclaims", "resourceclaims.resource.k8s.io")
        fields = ("", "status", "resize")
        return operation == "UPDATE" and resource.group_resource in measured and subresource in fields

    async def validate(self, request: Request) -> None:
        """Raises Forbidden."""
        namespace = request.namespace
        if not self._limited and not self._quotas.items(namespace):
            return
        if not handles(request.operation, request.resource, request.subresource, request.obj, request.old):
            return
        if self._limited:
            self._check_covered(request)
            if not self._quotas.items(namespace):
                return
        entry = _Entry(request)
        self._waiting[namespace].append(entry)
        try:
            async with self._turns[namespace]:
                if not entry.done:
                    await self._settle(namespace, self._waiting.pop(namespace))
        finally:
            if not entry.done and entry in self._waiting.get(namespace, ()):
                self._waiting[namespace].remove(entry)
        if entry.error is not None:
            raise entry.error
        if entry.charges:
            request.undo.append(lambda: self._give_back(namespace, [entry]))

    def _check_covered(self, request: Request) -> None:
        """Raises Forbidden for what may only be used where a quota speaks of it."""
        found = self._quotas.items(request.namespace)
        quotas = [self._registry.decoded(RESOURCEQUOTAS, item) for item in found]
        said = uncovered(self._limited, quotas, request.resource, request.obj, datetime.now(UTC))
        if said:
            raise Forbidden.of(request.resource, request.name, said)

    async def _settle(self, namespace: str, entries: list[_Entry]) -> None:
        """Decide on writes that came together, in their order, with one commit for each quota."""
        try:
            for item in self._quotas.items(namespace):
                allowed = [entry for entry in entries if entry.error is None]
                await self._charge(namespace, item.name, allowed)
            await self._give_back(namespace, [entry for entry in entries if entry.error is not None])
        except ApiError as error:
            for entry in entries:
                entry.error = entry.error or error
        except BaseException:
            # This turn's holder is cancelled; the others have their turns yet.
            self._waiting[namespace] = [*entries, *self._waiting[namespace]]
            raise
        for entry in entries:
            entry.done = True

    async def _charge(self, namespace: str, name: str, entries: list[_Entry]) -> None:
        now = datetime.now(UTC)
        decided: dict[_Entry, Usage | ApiError] = {}

        def change(quota: Obj) -> Obj:
            decided.clear()
            for entry in entries:
                quota, decided[entry] = _decide(quota, entry.request, now)
            return quota

        quota = self._registry.lookup(RESOURCEQUOTAS, (namespace, name))
        if quota is None:
            return
        before = (quota.get("status") or {}).get("used")
        if (change(quota).get("status") or {}).get("used") != before:
            try:
                await self._registry.update(RESOURCEQUOTAS, namespace, name, change, subresource="status")
            except NotFound:
                return
        for entry, outcome in decided.items():
            if isinstance(outcome, ApiError):
                entry.error = outcome
            elif outcome and not entry.request.dry_run:
                entry.charges[name] = outcome

    async def _give_back(self, namespace: str, entries: list[_Entry]) -> None:
        for name in {name for entry in entries for name in entry.charges}:
            charges = [entry.charges.pop(name) for entry in entries if name in entry.charges]
            await _give_back(self._registry, namespace, name, charges)


def limited_resources(told: Obj) -> list[Obj]:
    """What may only be used where a quota speaks of it. Raises ConfigurationError."""
    strange(ResourceQuota.name, told, ("limitedResources",))
    found: list[Obj] = told.get("limitedResources") or []
    causes = []
    for index, each in enumerate(found):
        strange(ResourceQuota.name, each, ("apiGroup", "resource", "matchContains", "matchScopes"))
        if not each.get("resource"):
            causes.append(Cause.required(f"limitedResources[{index}].resource"))
    refuse(ResourceQuota.name, causes)
    return found


def _decide(quota: Obj, request: Request, now: datetime) -> tuple[Obj, Usage | ApiError]:
    """The quota after this write, and what that takes of it, or why it may not be."""
    try:
        more = demand(quota, request.resource, request.obj, request.old, now)
        if not more:
            return quota, {}
        used = charged(quota, more, check=not request.is_status)
    except Exceeded as exceeded:
        return quota, Forbidden.of(request.resource, request.name, str(exceeded))
    if request.dry_run:
        return quota, more
    return _with_used(quota, used), more


def _with_used(quota: Obj, used: Mapping[str, Quantity]) -> Obj:
    status = quota.get("status") or {}
    return {**quota, "status": {**status, "used": {name: str(amount) for name, amount in used.items()}}}


async def _give_back(
    registry: Registry, namespace: str, name: str, charges: list[dict[str, Quantity]]
) -> None:
    """What was taken and not used after all. The controller counts, should this fail."""

    def change(quota: Obj) -> Obj:
        for charge in charges:
            less = {each: Quantity(-amount.nanos, amount.format) for each, amount in charge.items()}
            quota = _with_used(quota, charged(quota, less, check=False))
        return quota

    try:
        await registry.update(RESOURCEQUOTAS, namespace, name, change, subresource="status")
    except ApiError:
        return
