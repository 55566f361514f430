"""Looks at each HorizontalPodAutoscaler every 15 seconds, and sets the scale of its target.

Source: reconcileAutoscaler in pkg/controller/podautoscaler/horizontal.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from wellhead.api.errors import ApiError, BadRequest
from wellhead.api.meta import Key, Obj, format_time, key
from wellhead.api.resources import HORIZONTALPODAUTOSCALERS, PODS
from wellhead.api.selectors import LabelSelector
from wellhead.api.types.pod import Pod
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.client.rest import Client, ConnectionLost
from wellhead.controllers.podautoscaler.limits import Condition, Memory, limit
from wellhead.controllers.podautoscaler.measuring import Measuring, described
from wellhead.controllers.podautoscaler.proposal import Incalculable, matching
from wellhead.controllers.podautoscaler.scales import Scales
from wellhead.controllers.podautoscaler.sources import Sources
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check

_PERIOD = 15.0
_FAILED_GET = {
    "Object": "FailedGetObjectMetric",
    "Pods": "FailedGetPodsMetric",
    "Resource": "FailedGetResourceMetric",
    "ContainerResource": "FailedGetContainerResourceMetric",
    "External": "FailedGetExternalMetric",
}


def _utc_now() -> datetime:
    return datetime.now(UTC)


class HorizontalPodAutoscalerController:
    """Reconciles autoscalers, one at a time each."""

    name = "horizontal-pod-autoscaler"

    def __init__(
        self,
        client: Client,
        stores: Stores,
        recorder: EventRecorder,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._stores = stores
        self._autoscalers: Store[Obj] = stores[HORIZONTALPODAUTOSCALERS]
        self._pods: Store[Pod] = stores[PODS]
        self._recorder = recorder
        self._now = now
        self.sources, self.scales = Sources(client), Scales(client)
        self.memory: dict[Key, Memory] = {}
        self.selectors: dict[Key, LabelSelector] = {}
        self._reconciler = Reconciler(self.name, self.reconcile)
        self._autoscalers.on_change(self._changed)

    async def run(self) -> None:
        await self._stores.synced(HORIZONTALPODAUTOSCALERS, PODS)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        # What changes the status is its own doing, and no reason to look again.
        if old is None or new is None or old["spec"] != new["spec"]:
            self._reconciler.enqueue(key(new or old or {}))

    async def reconcile(self, name: Key) -> float | None:
        """Do what is to be done now; the answer is in how many seconds to look again."""
        autoscaler = self._autoscalers.get(*reversed(name))
        if autoscaler is None:
            self.memory.pop(name, None)
            self.selectors.pop(name, None)
            return None
        look = _Look(self, autoscaler, self._now())
        status = await look.status()
        if status != autoscaler.get("status"):
            await self._autoscalers.update({**autoscaler, "status": status}, "status")
        return _PERIOD

    def pods(self, namespace: str, selector: LabelSelector) -> list[Pod]:
        """Those that a selector selects: looked up by one of its labels where it has one."""
        for each in selector.requirements:
            if each.operator == "in" and len(each.values) == 1:
                (value,) = each.values
                return matching(self._pods.by_index("label", (namespace, each.key, value)), selector)
        found = (pod for pod in self._pods.values() if pod["metadata"]["namespace"] == namespace)
        return matching(found, selector)

    def tell(self, autoscaler: Obj, kind: Any, reason: str, message: str) -> None:
        self._recorder.event(autoscaler, kind, reason, message)


@dataclass
class _Found:
    """What the metrics ask for together."""

    replicas: int
    name: str


class _Failed(Exception):
    """This look ends here; the status says why."""


class _Look:
    """One look at an autoscaler: its conditions and metrics as they become known."""

    def __init__(self, controller: HorizontalPodAutoscalerController, autoscaler: Obj, now: datetime) -> None:
        self._controller = controller
        self._autoscaler = autoscaler
        self._now = now
        self._spec: Obj = autoscaler["spec"]
        self._key = key(autoscaler)
        self._before: Obj = autoscaler.get("status") or {}
        self._conditions: list[Obj] = [dict(each) for each in self._before.get("conditions") or ()]
        self._metrics: list[Obj] = []
        self._current = 0

    async def status(self) -> Obj:
        """Look, scale, and say how it went."""
        try:
            desired, rescaled = await self._scale()
        except _Failed:
            if not self._conditions_known():
                return {**self._before, "conditions": self._conditions}
            desired, rescaled = self._before.get("desiredReplicas", 0), False
        status: Obj = {
            "currentReplicas": self._current,
            "desiredReplicas": desired,
            "currentMetrics": self._metrics,
            "conditions": self._conditions,
            "lastScaleTime": format_time(self._now) if rescaled else self._before.get("lastScaleTime"),
        }
        return {name: value for name, value in status.items() if value or name == "desiredReplicas"}

    def _conditions_known(self) -> bool:
        """Whether the target's scale could be read."""
        return any(
            each["type"] == "AbleToScale" and each["reason"] != "FailedGetScale" for each in self._conditions
        )

    async def _scale(self) -> tuple[int, bool]:
        """(replicas that shall be, whether they were set now). Raises _Failed."""
        controller, spec = self._controller, self._spec
        resource, scale = await self._read_scale()
        current = self._current = (scale.get("spec") or {}).get("replicas", 0)
        memory = controller.memory.setdefault(self._key, Memory(((self._now, current),)))
        least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
        if current == 0:
            text = "scaling is disabled since the replica count of the target is zero"
            self._set(Condition("ScalingActive", False, "ScalingDisabled", text))
            return 0, False
        if current > most:
            desired, reason = most, "Current number of replicas above Spec.MaxReplicas"
        elif current < least:
            desired, reason = least, "Current number of replicas below Spec.MinReplicas"
        else:
            found = await self._ask(scale)
            reason = f"{found.name} above target" if found.replicas > current else "All metrics below target"
            limited = limit(spec, memory, current, found.replicas, self._now)
            memory = controller.memory[self._key] = limited.memory
            for condition in limited.conditions:
                self._set(condition)
            desired = limited.replicas
        if desired == current:
            return current, False
        try:
            await controller.scales.set(resource, scale, desired)
        except (ApiError, ConnectionLost) as error:
            text = f"New size: {desired}; reason: {reason}; error: {error}"
            controller.tell(self._autoscaler, "Warning", "FailedRescale", text)
            text = f"the HPA controller was unable to update the target scale: {error}"
            self._set(Condition("AbleToScale", False, "FailedUpdateScale", text))
            raise _Failed from error
        text = f"the HPA controller was able to update the target scale to {desired}"
        self._set(Condition("AbleToScale", True, "SucceededRescale", text))
        text = f"New size: {desired}; reason: {reason}"
        controller.tell(self._autoscaler, "Normal", "SuccessfulRescale", text)
        controller.memory[self._key] = memory.scaled(current, desired, self._now)
        return desired, True

    async def _read_scale(self) -> tuple[Any, Obj]:
        target = self._spec["scaleTargetRef"]
        scales = self._controller.scales
        try:
            resource = await scales.resource(target.get("apiVersion") or "v1", target["kind"])
            scale = await scales.get(resource, target["name"], self._key[0])
        except (ApiError, ConnectionLost) as error:
            self._controller.tell(self._autoscaler, "Warning", "FailedGetScale", str(error))
            text = f"the HPA controller was unable to get the target's current scale: {error}"
            self._set(Condition("AbleToScale", False, "FailedGetScale", text))
            raise _Failed from error
        text = "the HPA controller was able to get the target's current scale"
        self._set(Condition("AbleToScale", True, "SucceededGetScale", text))
        return resource, scale

    async def _ask(self, scale: Obj) -> _Found:
        """What the metrics ask for: the most that one of them does. Raises _Failed."""
        status = scale.get("status") or {}
        selector = self._selector(status.get("selector") or "")
        measuring = Measuring(
            self._controller.sources,
            self._controller.scales,
            self._spec,
            self._key[0],
            selector,
            self._controller.pods(self._key[0], selector),
            self._current,
            status.get("replicas", 0),
            self._now,
        )
        metrics = self._spec["metrics"]
        found: _Found | None = None
        failures: list[tuple[Condition, str]] = []
        for metric in metrics:
            try:
                replicas, name, value = await measuring.proposal(metric)
            except Incalculable as error:
                failures.append(self._failure(metric, str(error)))
                self._metrics.append({"type": ""})
                continue
            self._metrics.append(value)
            if found is None or replicas > found.replicas:
                found = _Found(replicas, name)
        error_text = ""
        if failures:
            error_text = (
                f"invalid metrics ({len(failures)} invalid out of {len(metrics)}), "
                f"first error is: {failures[0][1]}"
            )
        # With some of them unknown, it may go up and not down.
        if found is None or (failures and found.replicas < self._current):
            self._set(failures[0][0])
            reason = "FailedComputeMetricsReplicas"
            self._controller.tell(self._autoscaler, "Warning", reason, error_text)
            raise _Failed
        text = f"the HPA was able to successfully calculate a replica count from {found.name}"
        self._set(Condition("ScalingActive", True, "ValidMetricFound", text))
        return found

    def _selector(self, text: str) -> LabelSelector:
        controller = self._controller
        if not text:
            controller.tell(self._autoscaler, "Warning", "SelectorRequired", "selector is required")
            why = "the HPA target's scale is missing a selector"
            self._invalid_selector("InvalidSelector", why, "selector is required")
        try:
            selector = LabelSelector.parse(text)
        except BadRequest as error:
            why = f"couldn't convert selector into a corresponding internal selector object: {error}"
            controller.tell(self._autoscaler, "Warning", "InvalidSelector", why)
            self._invalid_selector("InvalidSelector", why, why)
        controller.selectors[self._key] = selector
        namespace = self._key[0]
        pods = controller.pods(namespace, selector)
        rivals = [
            name
            for name, theirs in sorted(controller.selectors.items())
            if name[0] == namespace and (name == self._key or matching(pods, theirs))
        ]
        if len(rivals) > 1:
            names = " ".join(f"{{{name} {space}}}" for space, name in rivals)
            why = f"pods by selector {text} are controlled by multiple HPAs: [{names}]"
            controller.tell(self._autoscaler, "Warning", "AmbiguousSelector", why)
            self._invalid_selector("AmbiguousSelector", why, why)
        return selector

    def _invalid_selector(self, reason: str, message: str, event: str) -> None:
        self._set(Condition("ScalingActive", False, reason, message))
        self._controller.tell(self._autoscaler, "Warning", "FailedComputeMetricsReplicas", event)
        raise _Failed

    def _failure(self, metric: Obj, why: str) -> tuple[Condition, str]:
        """(the condition, the text of the event that names all failures)"""
        kind = metric["type"]
        self._controller.tell(self._autoscaler, "Warning", _FAILED_GET[kind], why)
        text = f"the HPA was unable to compute the replica count: {why}"
        condition = Condition("ScalingActive", False, _FAILED_GET[kind], text)
        return condition, f"failed to get {described(metric)}: {why}"

    def _set(self, condition: Condition) -> None:
        status = "True" if condition.status else "False"
        said = {"status": status, "reason": condition.reason, "message": condition.message}
        for entry in self._conditions:
            if entry["type"] == condition.type:
                if entry["status"] != status:
                    entry["lastTransitionTime"] = format_time(self._now)
                entry.update(said)
                return
        time = format_time(self._now)
        self._conditions.append({"type": condition.type, "lastTransitionTime": time, **said})
