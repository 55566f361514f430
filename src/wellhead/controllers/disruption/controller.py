"""Counts what disruption budgets are about, and takes back what evictions said of pods that stayed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from wellhead.api.disruption import selector_of
from wellhead.api.errors import ApiError
from wellhead.api.meta import Key, Obj, condition, format_time, is_deleting, key, labels, parse_time
from wellhead.api.resources import PODDISRUPTIONBUDGETS, PODS
from wellhead.api.types.pod import Pod
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.client.rest import Client
from wellhead.controllers.disruption.counting import disrupted, expected, failed, needs_scale, status_of
from wellhead.controllers.disruption.scales import SCALED, Scales, UnknownScaleError
from wellhead.controllers.pods import is_ready
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check

_STALE = timedelta(minutes=2)
"""So long may a pod say that it is about to be disrupted without being deleted."""

_UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the"
    " status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account"
    ' for these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
)


class DisruptionController:
    """Reconciles PodDisruptionBudgets, and pods that say they are about to be disrupted."""

    name = "disruption"

    def __init__(self, client: Client, stores: Stores, recorder: EventRecorder) -> None:
        self._stores = stores
        self._budgets: Store[Obj] = stores[PODDISRUPTIONBUDGETS]
        self._pods: Store[Pod] = stores[PODS]
        self._scales = Scales(client, stores)
        self._recorder = recorder
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._stale = Reconciler("stale disruption", self._look_at)
        self._budgets.on_change(lambda old, new: self._reconciler.enqueue(key(new or old or {})))
        self._pods.on_change(self._pod_changed)
        for resource in SCALED:
            stores[resource].on_change(self._scale_changed)

    async def run(self) -> None:
        await self._stores.synced(PODDISRUPTIONBUDGETS, PODS, *SCALED)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reconciler.run())
            group.create_task(self._stale.run())

    def checks(self) -> list[Check]:
        return [*self._reconciler.checks(), *self._stale.checks()]

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None and _says_disrupted(new):
            self._stale.enqueue(key(new))
        if old is not None and new is not None and _looks(old) == _looks(new):
            return
        for pod in (old, new):
            if pod is not None:
                for budget in self._budgets.by_index("namespace", pod["metadata"]["namespace"]):
                    if selector_of(budget).matches(labels(pod)):
                        self._reconciler.enqueue(key(budget))

    def _scale_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Those that count by a size that is another now."""
        if old is None or new is None or old["spec"].get("replicas") == new["spec"].get("replicas"):
            return
        for budget in self._budgets.by_index("namespace", new["metadata"]["namespace"]):
            if needs_scale(budget):
                self._reconciler.enqueue(key(budget))

    async def _reconcile(self, name: Key) -> float | None:
        budget = self._budgets.get(*reversed(name))
        if budget is None:
            return None
        now, pods = datetime.now(UTC), self._selected(budget)
        if not pods:
            self._recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            scale = await self._scale(budget, pods)
        except (ApiError, UnknownScaleError) as error:
            text = f"Failed to calculate the number of expected pods: {error}"
            self._recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", text)
            await self._write(budget, failed(budget, str(error), now))
            if isinstance(error, ApiError):
                raise
            return None  # until something changes
        going = disrupted(budget, pods, now)
        for pod in going.overdue:
            text = f"Pod was expected by PDB {'/'.join(name)} to be deleted but it wasn't"
            self._recorder.event(pod, "Warning", "NotDeleted", text)
        wanted = expected(budget, len(pods), scale)
        await self._write(budget, status_of(budget, pods, wanted, going, now))
        return None if going.seconds is None else going.seconds + 1  # times are in whole seconds

    def _selected(self, budget: Obj) -> list[Pod]:
        selector, namespace = selector_of(budget), budget["metadata"]["namespace"]
        exact = ((budget["spec"].get("selector") or {}).get("matchLabels") or {}).items()
        if exact:
            found = self._pods.by_index("label", (namespace, *min(exact)))
        else:
            found = self._pods.by_index("namespace", namespace)
        return [pod for pod in found if selector.matches(labels(pod))]

    async def _scale(self, budget: Obj, pods: list[Pod]) -> int:
        if not needs_scale(budget):
            return 0
        scale, unmanaged = await self._scales.total(pods)
        if unmanaged:
            text = _UNMANAGED.format(selector_of(budget))
            self._recorder.event(budget, "Warning", "UnmanagedPods", text)
        return scale

    async def _write(self, budget: Obj, status: Obj) -> None:
        if status != budget.get("status"):
            await self._budgets.update({**budget, "status": status}, "status")

    async def _look_at(self, name: Key) -> float | None:
        """A pod that was to be disrupted and stays says so no more."""
        pod = self._pods.get(*reversed(name))
        if pod is None or not _says_disrupted(pod):
            return None
        since = parse_time((condition(pod, "DisruptionTarget") or {})["lastTransitionTime"])
        left = (since + _STALE - datetime.now(UTC)).total_seconds()
        if left > 0:
            return left
        cleared = {
            "type": "DisruptionTarget",
            "status": "False",
            "lastTransitionTime": format_time(datetime.now(UTC)),
            "reason": None,
            "message": None,
        }
        await self._pods.put_condition(pod, cleared)
        return None


def _says_disrupted(pod: Pod) -> bool:
    """Whether the pod, which isn't being deleted, says that it is about to be disrupted."""
    found = condition(pod, "DisruptionTarget") or {}
    phase = (pod.get("status") or {}).get("phase")
    return (
        found.get("status") == "True"
        and bool(found.get("lastTransitionTime"))
        and not is_deleting(pod)
        and phase not in ("Succeeded", "Failed")
    )


def _looks(pod: Pod) -> tuple[object, ...]:
    """All of a pod that counts for budgets, its name aside."""
    metadata = pod["metadata"]
    return (
        metadata.get("uid"),
        metadata.get("labels"),
        metadata.get("ownerReferences"),
        is_deleting(pod),
        is_ready(pod),
    )
