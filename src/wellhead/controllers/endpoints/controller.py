"""Writes the Endpoints of Services that have a selector, and deletes those of Services that are gone."""

from __future__ import annotations

from wellhead.api.errors import ApiError, Conflict, NotFound, namespace_ends
from wellhead.api.meta import Key, Obj, key, labels
from wellhead.api.meta import annotations as annotations_of
from wellhead.api.names import ENDPOINTS_MANAGER_LABEL, HEADLESS_LABEL, TRIGGER_TIME_ANNOTATION
from wellhead.api.resources import ENDPOINTS, PODS, SERVICES
from wellhead.api.types.pod import Pod
from wellhead.api.types.service import Service
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.endpoints.subsets import subsets_of
from wellhead.controllers.endpointslice.desired import is_headless
from wellhead.controllers.endpointslice.trigger import TriggerTimes
from wellhead.controllers.selection import pod_handler, pods_of
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check

MANAGED_BY = "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"


def endpoints_of(service: Service, pods: list[Pod], before: Obj | None, trigger_time: str | None) -> Obj:
    """The Endpoints object as it should be, made from the one that is there."""
    subsets, truncated = subsets_of(service, pods)
    wanted_labels = {
        name: value
        for name, value in labels(service).items()
        if name not in (HEADLESS_LABEL, ENDPOINTS_MANAGER_LABEL)
    }
    wanted_labels[ENDPOINTS_MANAGER_LABEL] = MANAGED_BY
    if is_headless(service):
        wanted_labels[HEADLESS_LABEL] = ""
    found = dict(annotations_of(before)) if before else {}
    found.pop(OVER_CAPACITY, None)
    if truncated:
        found[OVER_CAPACITY] = "truncated"
    if trigger_time is not None and (before is None or (before.get("subsets") or []) != subsets):
        found[TRIGGER_TIME_ANNOTATION] = trigger_time
    namespace, name = key(service)
    metadata = dict(before["metadata"]) if before else {"name": name, "namespace": namespace}
    metadata |= {"labels": wanted_labels}
    if found:
        metadata["annotations"] = found
    else:
        metadata.pop("annotations", None)
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}


class EndpointsController:
    """Reconciles Services, one at a time each."""

    name = "endpoint"

    def __init__(self, stores: Stores, recorder: EventRecorder) -> None:
        self._stores = stores
        self._services: Store[Service] = stores[SERVICES]
        self._pods: Store[Pod] = stores[PODS]
        self._endpoints: Store[Obj] = stores[ENDPOINTS]
        self._recorder = recorder
        self._trigger_times = TriggerTimes()
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._ended: set[Key] = set()
        """Services that were deleted: their Endpoints go too, even those that users wrote."""
        self._services.on_change(self._service_changed)
        self._endpoints.on_change(self._endpoints_changed)
        self._pods.on_change(pod_handler(self._services, self._reconciler.enqueue))

    async def run(self) -> None:
        await self._stores.synced(SERVICES, PODS, ENDPOINTS)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        name = key(new or old or {})
        if new is None:
            self._ended.add(name)
        else:
            self._ended.discard(name)
        self._reconciler.enqueue(name)

    def _endpoints_changed(self, old: Obj | None, new: Obj | None) -> None:
        if not self._endpoints.echoes:
            self._reconciler.enqueue(key(new or old or {}))

    async def _reconcile(self, name: Key) -> float | None:
        service = self._services.get(*reversed(name))
        before = self._endpoints.get(*reversed(name))
        if service is None:
            self._trigger_times.forget(name)
            managed = before is not None and labels(before).get(ENDPOINTS_MANAGER_LABEL) == MANAGED_BY
            if before is not None and (managed or name in self._ended):
                await self._endpoints.delete(before)
            self._ended.discard(name)
            return None
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return None
        pods = pods_of(service, self._pods)
        wanted = endpoints_of(service, pods, before, self._trigger_times.next(service, pods))
        try:
            if before is None:
                await self._endpoints.create(wanted)
            elif _differs(before, wanted):
                await self._endpoints.update(wanted)  # which makes those that somebody deleted
        except (Conflict, NotFound):
            raise
        except ApiError as error:
            if namespace_ends(error):
                return None
            verb = "create" if before is None else "update"
            text = f"Failed to {verb} endpoint for service {'/'.join(name)}: {error}"
            self._recorder.event(service, "Warning", f"FailedTo{verb.capitalize()}Endpoint", text)
            raise
        return None


def _differs(before: Obj, wanted: Obj) -> bool:
    return bool(
        before["metadata"] != wanted["metadata"] or (before.get("subsets") or []) != wanted["subsets"]
    )
