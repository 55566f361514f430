"""The APIServices of what this server itself answers for: each version of each group.

Upstream: kube-aggregator's pkg/controllers/autoregister, pkg/controlplane/apiserver/aggregator.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from wellhead.api.errors import AlreadyExists, ApiError, NotFound
from wellhead.api.kinds.apiservice import APISERVICES, AVAILABLE
from wellhead.api.meta import Obj, condition, labels, now
from wellhead.api.resource import Resource
from wellhead.api.resources import CUSTOMRESOURCEDEFINITIONS, RESOURCES
from wellhead.apiserver.custom.kinds import CustomKinds
from wellhead.apiserver.registry.deletion import DeleteOptions
from wellhead.apiserver.registry.registry import Registry

_log = logging.getLogger(__name__)

MANAGED = "kube-aggregator.kubernetes.io/automanaged"
_AT_START, _ALWAYS = "onstart", "true"
_PRIORITIES = {
    "": 18000,
    "apiregistration.k8s.io": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "resource.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
    "storagemigration.k8s.io": 15800,
}
_VERSION_PRIORITIES = {("", "v1"): 1, ("autoscaling", "v2"): 30}
CUSTOM_PRIORITY = 1000
_CUSTOM_VERSION_PRIORITY = 100


def priority(group: str) -> int:
    """Where a group that this server answers for stands in discovery."""
    return _PRIORITIES.get(group, CUSTOM_PRIORITY)


def wanted(resources: Iterable[Resource]) -> dict[str, Obj]:
    """The local APIServices, by name."""
    found: dict[str, Obj] = {}
    for each in resources:
        name = f"{each.version}.{each.group}"
        if name in found:
            continue
        custom = each.custom is not None
        spec = {
            "version": each.version,
            "groupPriorityMinimum": priority(each.group),
            "versionPriority": _CUSTOM_VERSION_PRIORITY
            if custom
            else _VERSION_PRIORITIES.get((each.group, each.version), 15),
        }
        found[name] = {
            "apiVersion": APISERVICES.api_version,
            "kind": APISERVICES.kind,
            "metadata": {"name": name, "labels": {MANAGED: _ALWAYS if custom else _AT_START}},
            "spec": spec | ({"group": each.group} if each.group else {}),
        }
    return found


def _available() -> Obj:
    return {
        "type": AVAILABLE,
        "status": "True",
        "reason": "Local",
        "message": "Local APIServices are always available",
        "lastTransitionTime": now(),
    }


class LocalServices:
    """Keeps them: those of built-in kinds at the start, those of custom kinds always."""

    def __init__(self, registry: Registry, kinds: CustomKinds) -> None:
        self._registry = registry
        self._kinds = kinds
        self._seen = -1

    async def ensure(self) -> None:
        """Raises InternalError when they can't be stored."""
        await asyncio.gather(*(self._ensure(name, each) for name, each in wanted(RESOURCES).items()))
        await self.follow()

    async def run(self) -> None:
        """Follow the definitions until cancelled."""
        collection = self._registry.collection(CUSTOMRESOURCEDEFINITIONS)
        news = asyncio.Event()
        collection.observe(lambda _: news.set())
        while True:
            news.clear()
            await self.follow()
            await news.wait()

    async def follow(self) -> None:
        """Do what definitions have changed."""
        if self._seen == self._kinds.changes:
            return
        self._seen = self._kinds.changes
        there = wanted(self._kinds.all())
        for name, each in there.items():
            await self._ensure(name, each)
        for item in self._registry.collection(APISERVICES).items():
            metadata = item.head["metadata"]
            marks = metadata.get("labels") or {} if isinstance(metadata, dict) else {}
            if marks.get(MANAGED) == _ALWAYS and item.name not in there:
                await self._remove(item.name)

    async def _ensure(self, name: str, obj: Obj) -> None:
        try:
            found = self._registry.lookup(APISERVICES, ("", name))
            if found is None:
                with contextlib.suppress(AlreadyExists):  # another server is starting, too
                    await self._registry.create(APISERVICES, "", obj)
            elif found["spec"].get("service") is not None or MANAGED not in labels(found):
                return  # somebody else answers for it, or keeps it
            elif {**found["spec"]} != obj["spec"]:
                await self._registry.update(APISERVICES, "", name, lambda old: {**old, "spec": obj["spec"]})
            if found is None or (condition(found, AVAILABLE) or {}).get("status") != "True":
                await self._registry.modify(APISERVICES, "", name, _set_available)
        except ApiError as error:
            _log.warning("the APIService %s: %s", name, error)

    async def _remove(self, name: str) -> None:
        try:
            await self._registry.delete(APISERVICES, "", name, DeleteOptions())
        except NotFound:
            pass
        except ApiError as error:
            _log.warning("the APIService %s stays: %s", name, error)


def _set_available(obj: Obj) -> None:
    obj["status"] = {"conditions": [_available()]}
