"""A controller with an API in memory and a forwarder that only remembers."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
from collections.abc import AsyncIterator, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any, cast

from tests.patience import reached
from wellhead.api.errors import Conflict, NotFound
from wellhead.api.meta import Key, Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import ENDPOINTSLICES, NODES, SERVICES
from wellhead.client.events import EventRecorder
from wellhead.client.rest import Client, Event, Listing
from wellhead.cloud.controller import Controller
from wellhead.cloud.forwarder.hashing import Node
from wellhead.cloud.forwarder.plane import Forwarder
from wellhead.cloud.forwarder.tables import Change, Frontend, Target
from wellhead.cloud.health import Check, Outcome, Settings
from wellhead.cloud.plane import PlaneError
from wellhead.cloud.vips import VIPPool
from wellhead.ip import IPNetwork

POOL = IPv4Network("203.0.113.0/29")  # .1 to .6
ONE, TWO, THREE = (IPv4Address(f"10.240.0.{host}") for host in (11, 12, 13))
ALL = frozenset({ONE, TWO, THREE})


def _merge(into: Obj, patch: Obj) -> None:
    for name, value in patch.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = copy.deepcopy(value)


class FakeAPI:
    """As much of `Client` as the controller uses."""

    def __init__(self) -> None:
        self.version = 0
        self.objects: dict[str, dict[Key, Obj]] = {
            name: {} for name in ("services", "nodes", "endpointslices", "events")
        }
        self._watches: list[tuple[str, asyncio.Queue[Event]]] = []

    def put(self, resource: Resource, obj: Obj) -> Obj:
        self.version += 1
        metadata = obj["metadata"]
        obj = {"apiVersion": "v1", "kind": resource.kind, **copy.deepcopy(obj)}
        obj["metadata"] |= {
            "resourceVersion": str(self.version),
            "uid": metadata.get("uid", str(self.version)),
        }
        name = (metadata.get("namespace", ""), metadata["name"])
        known = name in self.objects[resource.plural]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self.objects[resource.plural].pop(name, None)
            self._tell(resource, Event("DELETED", obj))
        else:
            self.objects[resource.plural][name] = obj
            self._tell(resource, Event("MODIFIED" if known else "ADDED", obj))
        return copy.deepcopy(obj)

    def service(self, name: str = "web") -> Obj:
        return copy.deepcopy(self.objects["services"]["default", name])

    def vip(self, name: str = "web") -> str:
        ingress = self.service(name).get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
        return str(ingress[0].get("ip", ""))

    def change(self, name: str = "web", **changes: Any) -> None:
        obj = self.service(name)
        _merge(obj, changes)
        self.put(SERVICES, obj)

    def delete(self, name: str = "web") -> None:
        self.change(name, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})

    def reasons(self, name: str = "web") -> list[str]:
        events = self.objects["events"].values()
        return [event["reason"] for event in events if event["involvedObject"]["name"] == name]

    def message(self, reason: str) -> str:
        events = self.objects["events"].values()
        return str(next(event["message"] for event in events if event["reason"] == reason))

    def _tell(self, resource: Resource, event: Event) -> None:
        for plural, queue in self._watches:
            if plural == resource.plural:
                queue.put_nowait(Event(event.type, copy.deepcopy(event.object)))

    async def listing(self, resource: Resource, *_: object, **__: object) -> Listing:
        items = [copy.deepcopy(obj) for obj in self.objects[resource.plural].values()]
        return Listing(str(self.version), iter(items))

    async def watch(
        self, resource: Resource, *_: object, on_open: Callable[[], None], **__: object
    ) -> AsyncIterator[Event]:
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._watches.append((resource.plural, queue))
        on_open()
        while True:
            yield await queue.get()

    async def create(self, resource: Resource, obj: Obj) -> Obj:
        return self.put(resource, obj)

    async def patch(
        self, resource: Resource, name: str, body: Obj, namespace: str = "", *, subresource: str = ""
    ) -> Obj:
        await asyncio.sleep(0)
        obj = self.objects[resource.plural].get((namespace, name))
        if obj is None:
            raise NotFound.of(resource, name)
        version = body.get("metadata", {}).get("resourceVersion")
        if version not in (None, obj["metadata"]["resourceVersion"]):
            raise Conflict.of(resource, name)
        obj = copy.deepcopy(obj)
        _merge(obj, {"status": body["status"]} if subresource else body)
        return self.put(resource, obj)


class FakeForwarder(Forwarder):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__([POOL])
        self.targets: dict[Frontend, Target] = {}
        self.groups: dict[str, frozenset[Node]] = {}
        self.nodes: frozenset[Node] = frozenset()
        self.lost: list[Node] = []
        self.mute: list[tuple[Frontend, Node]] = []
        self.submissions = 0
        self.broken = False

    def submit(
        self,
        change: Change | None = None,
        *,
        nodes: frozenset[Node] | None = None,
        lost: Any = (),
        mute: Any = (),
    ) -> asyncio.Future[list[None]]:
        self.submissions += 1
        change = change or Change()
        for frontend, target in change.frontends.items():
            self.targets.pop(frontend, None)
            if target is not None:
                self.targets[frontend] = target
        self.groups |= change.groups
        self.nodes = self.nodes if nodes is None else nodes
        self.lost += lost
        self.mute += mute
        future: asyncio.Future[list[None]] = asyncio.get_running_loop().create_future()
        if self.broken:
            future.set_exception(PlaneError("nft: no"))
        else:
            future.set_result([])
        return future

    async def run(self) -> None:
        await asyncio.Event().wait()

    def nodes_of(self, vip: str, port: int = 80, protocol: str = "tcp") -> frozenset[Node]:
        return self.groups[self.targets[Frontend(IPv4Address(vip), protocol, port)].group]


class World:
    """An API, a forwarder, health checks that come to what `answers` says, and a controller."""

    def __init__(self) -> None:
        self.api = FakeAPI()
        self.forwarder = FakeForwarder()
        self.answers: dict[Check, Outcome] = {}
        self.controller = self.new_controller()
        for number in (1, 2, 3):
            self.put_node(number)

    def new_controller(self, pools: Sequence[IPNetwork] = (POOL,)) -> Controller:
        client = cast(Client, self.api)
        return Controller(
            client,
            EventRecorder(client, "service-controller"),
            VIPPool.of(pools, random.Random(1)),
            self.forwarder,
            Settings(),
        )

    def put_node(self, number: int, **metadata: object) -> None:
        addresses = [{"type": "InternalIP", "address": f"10.240.0.{10 + number}"}]
        self.api.put(
            NODES, {"metadata": {"name": f"node-{number}", **metadata}, "status": {"addresses": addresses}}
        )

    def put_service(self, name: str = "web", *, metadata: Obj | None = None, **spec: object) -> None:
        self.api.put(
            SERVICES,
            {
                "metadata": {
                    "namespace": "default",
                    "name": name,
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                    **(metadata or {}),
                },
                "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP"}], **spec},
            },
        )

    def put_endpoints(self, *serving: str, terminating: str = "") -> None:
        def endpoint(node: str, ready: bool) -> Obj:
            conditions = {"ready": ready, "serving": True, "terminating": not ready}
            return {
                "nodeName": node,
                "addresses": ["10.244.1.2"],
                "conditions": conditions,
            }

        endpoints = [endpoint(node, True) for node in serving]
        endpoints += [endpoint(terminating, False)] if terminating else []
        metadata = {"namespace": "default", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}
        self.api.put(ENDPOINTSLICES, {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints})

    async def ask(self, _: object, check: Check) -> tuple[Outcome, str]:
        await asyncio.sleep(0)
        return self.answers.get(check, Outcome.PASSED), "so"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self.controller.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, condition: Callable[[], object]) -> None:
        await reached(condition)

    async def vip(self, name: str = "web") -> str:
        await self.until(lambda: self.api.vip(name))
        return self.api.vip(name)
