"""Writes into a ValidatingAdmissionPolicy's status what is doubtful about its expressions.

Upstream: pkg/controller/validatingadmissionpolicystatus.
"""

from __future__ import annotations

import asyncio
import logging

from wellhead.api.cel.types import Type
from wellhead.api.custom.definition import schema_of
from wellhead.api.errors import ApiError, NotFound
from wellhead.api.meta import Obj
from wellhead.api.policies.checking import kinds_of, type_of, warnings
from wellhead.api.resource import Resource
from wellhead.api.resources import VALIDATING_POLICIES, by_kind
from wellhead.apiserver.custom.kinds import CustomKinds
from wellhead.apiserver.names import Names
from wellhead.apiserver.registry.registry import Registry
from wellhead.storage.event_log import Event

_log = logging.getLogger(__name__)


class PolicyKeeper:
    """Looks at each policy that changes."""

    def __init__(self, registry: Registry, kinds: CustomKinds) -> None:
        self._registry = registry
        self._kinds = kinds
        self._policies = registry.collection(VALIDATING_POLICIES)
        self._names = Names()

    def start(self) -> None:
        """Follow the policies from now on."""
        for item in self._policies.items(""):
            self._names.add(item.name)
        self._policies.observe(self._changed)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            name = await self._names.next()
            try:
                await self._look(name)
            except ApiError as error:
                _log.warning("%s: %s", name, error)

    def _changed(self, event: Event) -> None:
        if event.type != "DELETED":
            self._names.add(event.item.name)

    async def _look(self, name: str) -> None:
        policy = self._registry.lookup(VALIDATING_POLICIES, ("", name))
        if policy is None:
            return
        generation = policy["metadata"].get("generation", 1)
        if generation <= (policy.get("status") or {}).get("observedGeneration", 0):
            return
        said = await asyncio.to_thread(self._doubts, policy["spec"])
        checked: Obj = {"expressionWarnings": said} if said else {}

        def change(current: Obj) -> None:
            if current["metadata"].get("generation", 1) == generation:
                status = current.setdefault("status", {})
                status |= {"observedGeneration": generation, "typeChecking": checked}

        try:
            await self._registry.modify(VALIDATING_POLICIES, "", name, change)
        except NotFound:
            return

    def _doubts(self, spec: Obj) -> list[Obj]:
        types = {resource: self._type(resource) for resource in kinds_of(spec, self._kinds.lookup)}
        params = None
        if (kind := spec.get("paramKind")) is not None:
            named = (kind.get("apiVersion") or "", kind.get("kind") or "")
            resource = by_kind(*named) or self._kinds.by_kind(*named)
            params = None if resource is None else self._type(resource)
        return warnings(spec, types, params)

    def _type(self, resource: Resource) -> Type:
        defined = self._kinds.defined(resource) if resource.custom is not None else None
        return type_of(resource, None if defined is None else schema_of(defined.item.data, resource.version))
