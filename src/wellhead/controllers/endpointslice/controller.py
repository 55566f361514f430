"""Writes the EndpointSlices of Services that have a selector."""

from __future__ import annotations

import asyncio

from wellhead.api.errors import ApiError, Conflict, NotFound, namespace_ends
from wellhead.api.meta import Key, is_condition_true, is_deleting, key, labels
from wellhead.api.meta import annotations as annotations_of
from wellhead.api.names import SLICE_MANAGER_LABEL, TOPOLOGY_MODE_ANNOTATION, ZONE_LABEL
from wellhead.api.resources import ENDPOINTSLICES, NODES, PODS, SERVICES
from wellhead.api.types.endpointslice import EndpointSlice
from wellhead.api.types.node import Node
from wellhead.api.types.pod import Pod
from wellhead.api.types.service import Service
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.endpointslice.desired import (
    MANAGED_BY,
    desired_endpoints,
    families_of,
    frame_of,
)
from wellhead.controllers.endpointslice.slices import Changes, changes, slice_handler
from wellhead.controllers.endpointslice.trigger import TriggerTimes
from wellhead.controllers.selection import pod_handler, pods_of, services_of
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check


class EndpointSliceController:
    """Reconciles Services, one at a time each."""

    name = "endpointslice"

    def __init__(self, stores: Stores, recorder: EventRecorder) -> None:
        self._stores = stores
        self._recorder = recorder
        self._services: Store[Service] = stores[SERVICES]
        self._pods: Store[Pod] = stores[PODS]
        self._nodes: Store[Node] = stores[NODES]
        self._slices: Store[EndpointSlice] = stores[ENDPOINTSLICES]
        self._trigger_times = TriggerTimes()
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._services.on_change(lambda old, new: self._reconciler.enqueue(key(new or old or {})))
        self._pods.on_change(pod_handler(self._services, self._reconciler.enqueue))
        self._nodes.on_change(self._node_changed)
        self._slices.on_change(slice_handler(MANAGED_BY, self._slices, self._reconciler.enqueue))

    async def run(self) -> None:
        await self._stores.synced(SERVICES, PODS, NODES, ENDPOINTSLICES)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if old is None or new is None or _place(old) != _place(new):
            node = new or old or {}
            for pod in self._pods.by_index("node", node["metadata"]["name"]):
                for service in services_of(pod, self._services):
                    self._reconciler.enqueue(service)
        if old is None or new is None or is_condition_true(old, "Ready") != is_condition_true(new, "Ready"):
            for each in self._services.values():
                if annotations_of(each).get(TOPOLOGY_MODE_ANNOTATION):
                    self._reconciler.enqueue(key(each))

    async def _reconcile(self, name: Key) -> float | None:
        service = self._services.get(*reversed(name))
        if service is None:
            self._trigger_times.forget(name)  # the garbage collector deletes its slices
            return None
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return None
        if is_deleting(service):
            return None
        pods = pods_of(service, self._pods)
        frame = frame_of(service, self._trigger_times.next(service, pods))
        desired = desired_endpoints(service, pods, self._known_nodes(service, pods))
        existing = [
            each
            for each in self._slices.by_index("service", name)
            if labels(each).get(SLICE_MANAGER_LABEL) == MANAGED_BY
        ]
        try:
            await write(self._slices, changes(existing, desired, frame, families_of(service)))
        except (Conflict, NotFound):
            raise
        except ApiError as error:
            if namespace_ends(error):
                return None
            text = f"Error updating Endpoint Slices for Service {'/'.join(name)}: {error}"
            self._recorder.event(service, "Warning", "FailedToUpdateEndpointSlices", text)
            raise
        return None

    def _known_nodes(self, service: Service, pods: list[Pod]) -> dict[str, Node]:
        if annotations_of(service).get(TOPOLOGY_MODE_ANNOTATION):
            return {node["metadata"]["name"]: node for node in self._nodes.values()}
        names = {pod["spec"].get("nodeName") or "" for pod in pods}
        return {name: node for name in names if (node := self._nodes.get(name)) is not None}


async def write(slices: Store[EndpointSlice], decided: Changes) -> None:
    """Carry changes of slices out: what is added first, so that an endpoint that moves is never missing."""
    await asyncio.gather(*map(slices.create, decided.create), *map(slices.update, decided.update))
    await asyncio.gather(*map(slices.delete, decided.delete))


def _place(node: Node) -> object:
    return node["metadata"].get("uid"), labels(node).get(ZONE_LABEL)
