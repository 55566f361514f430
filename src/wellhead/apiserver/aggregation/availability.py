"""Whether the servers behind APIServices answer: the condition Available, and what they serve.

Upstream: kube-aggregator's pkg/controllers/status/remote. A check is one request, when the APIService or its
endpoints change, and every half a minute; after a failure sooner.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import aiohttp
import msgspec

from wellhead.api.documents import read_json
from wellhead.api.errors import ApiError
from wellhead.api.kinds.apiservice import APISERVICES, AVAILABLE
from wellhead.api.limits import Limits
from wellhead.api.meta import Obj, condition, now
from wellhead.api.resources import ENDPOINTS, SERVICES
from wellhead.apiserver.aggregation.backend import Backends, Unreachable
from wellhead.apiserver.aggregation.services import Remote, Remotes
from wellhead.apiserver.answered import body_of
from wellhead.apiserver.authn import User
from wellhead.apiserver.authz import EVERYTHING
from wellhead.apiserver.calling_errors import reason
from wellhead.apiserver.registry.registry import Registry
from wellhead.backoff import Backoff
from wellhead.storage.event_log import Event

_log = logging.getLogger(__name__)

_SECONDS = 5.0
_EVERY_SECONDS = 30.0
_MOST_RESOURCES = 1000
_AGGREGATOR = User("system:kube-aggregator", (EVERYTHING,))


class Availability:
    """Checks each APIService that leads to a Service."""

    def __init__(self, registry: Registry, remotes: Remotes, backends: Backends, limits: Limits) -> None:
        self._registry = registry
        self._remotes = remotes
        self._backends = backends
        self._limits = limits
        self._news: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()
        remotes.on_change(self._notice)
        for resource in (SERVICES, ENDPOINTS):
            registry.collection(resource).observe(self._endpoints_changed)

    async def run(self) -> None:
        """Until cancelled: a task for each APIService that there is."""
        tasks: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                there = {each.name for each in self._remotes}
                for name in there - tasks.keys():
                    self._news[name] = asyncio.Event()
                    tasks[name] = group.create_task(self._watch(name))
                for name in tasks.keys() - there:
                    tasks.pop(name).cancel()
                    del self._news[name]
                await self._changed.wait()

    def _notice(self, name: str) -> None:
        self._changed.set()
        if name in self._news:
            self._news[name].set()

    def _endpoints_changed(self, event: Event) -> None:
        if not self._news:
            return
        for remote in self._remotes:
            if (remote.namespace, remote.service) == (event.item.namespace, event.item.name):
                self._notice(remote.name)

    async def _watch(self, name: str) -> None:
        news = self._news[name]
        backoff = Backoff(0.2, _EVERY_SECONDS)
        while (remote := self._remotes.named(name)) is not None:
            news.clear()
            wanted = await self._check(remote)
            wait = _EVERY_SECONDS
            if wanted["status"] == "True":
                backoff.reset()
            else:
                wait = backoff.next()
            try:
                await self._put(remote, wanted)
            except ApiError as error:
                _log.warning("the APIService %s: %s", name, error)
            try:
                async with asyncio.timeout(wait):
                    await news.wait()
            except TimeoutError:
                continue

    async def _check(self, remote: Remote) -> Obj:
        """The condition as it is to be."""
        for why, message in self._missing(remote):
            return _condition("False", why, message)
        try:
            answer = await self._backends.request(remote, "GET", remote.path, _AGGREGATOR, _SECONDS)
            async with answer:
                if not 200 <= answer.status < 300:
                    problem = f"bad status from {self._shown(remote)}: {answer.status}"
                    return _condition("False", "FailedDiscoveryCheck", problem)
                data = await body_of(answer, self._limits.request_body)
        except Unreachable as error:
            return _condition("False", "FailedDiscoveryCheck", str(error))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            why = reason(error, f"{remote.server_name}:{remote.port}")
            shown = self._shown(remote)
            text = f'failing or missing response from {shown}: Get "{shown}": {why}'
            return _condition("False", "FailedDiscoveryCheck", text)
        self._remotes.serves(remote, _resources(data, self._limits))
        return _condition("True", "Passed", "all checks passed")

    def _missing(self, remote: Remote) -> Iterator[tuple[str, str]]:
        where = f'service/{remote.service} in "{remote.namespace}"'
        service = self._registry.lookup(SERVICES, (remote.namespace, remote.service))
        if service is None:
            yield "ServiceNotFound", f"{where} is not present"
            return
        if service["spec"].get("type") == "ExternalName":
            return
        ports = [each for each in service["spec"].get("ports") or () if each["port"] == remote.port]
        if not ports:
            yield "ServicePortError", f"{where} is not listening on port {remote.port}"
            return
        endpoints = self._registry.lookup(ENDPOINTS, (remote.namespace, remote.service))
        if endpoints is None:
            yield "EndpointsNotFound", f"cannot find endpointslices for {where}"
            return
        name = ports[0].get("name", "")
        if not any(
            subset.get("addresses")
            and any(port.get("name", "") == name for port in subset.get("ports") or ())
            for subset in endpoints.get("subsets") or ()
        ):
            text = f'endpointslices for {where} have no addresses with port name "{name}"'
            yield "MissingEndpoints", text

    async def _put(self, remote: Remote, wanted: Obj) -> None:
        found = self._registry.lookup(APISERVICES, ("", remote.name))
        before = None if found is None else condition(found, AVAILABLE)
        if found is None or (before and all(before.get(field) == wanted[field] for field in _COMPARED)):
            return

        def change(obj: Obj) -> None:
            status = obj.setdefault("status", {})
            conditions = [each for each in status.get("conditions") or () if each["type"] != AVAILABLE]
            kept = condition(obj, AVAILABLE)
            since = kept and kept["status"] == wanted["status"] and kept.get("lastTransitionTime")
            status["conditions"] = [*conditions, wanted | {"lastTransitionTime": since or now()}]

        await self._registry.modify(APISERVICES, "", remote.name, change)

    def _shown(self, remote: Remote) -> str:
        return f"https://{remote.server_name}:{remote.port}{remote.path}"


_COMPARED = ("status", "reason", "message")


def _condition(status: str, why: str, message: str) -> Obj:
    return {"type": AVAILABLE, "status": status, "reason": why, "message": message}


class _Resource(msgspec.Struct):
    name: str
    kind: str
    namespaced: bool
    verbs: list[str]
    singularName: str = ""  # noqa: N815
    group: str = ""
    version: str = ""
    shortNames: list[str] = []  # noqa: N815
    categories: list[str] = []


class _ResourceList(msgspec.Struct):
    resources: list[_Resource] = []


def _resources(data: bytes, limits: Limits) -> list[Obj]:
    """The APIResources of a discovery document; none if it isn't one."""
    try:
        document, _ = read_json(data, limits)
        found = msgspec.convert(document, _ResourceList).resources
    except (ApiError, msgspec.ValidationError):
        return []
    return [msgspec.to_builtins(each) for each in found[:_MOST_RESOURCES]]
