"""Pushes pods away for one of higher priority: says why on each, deletes it, reserves the place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from wellhead.api.errors import ApiError, Conflict, NotFound
from wellhead.api.meta import Obj, now
from wellhead.api.resources import PODS
from wellhead.client.events import EventRecorder
from wellhead.client.rest import Client
from wellhead.scheduler.pod import PodInfo
from wellhead.scheduler.preemption import Victims


class Preemptor:
    """Carries out what `preemption` decided."""

    def __init__(self, client: Client, recorder: EventRecorder, name: str) -> None:
        self._client = client
        self._recorder = recorder
        self._name = name

    async def push(self, pod: PodInfo, victims: Victims, lesser: Iterable[PodInfo]) -> None:
        """`lesser` pods have lost the place that was made for them on that node. Raises ApiError."""
        outcomes = await asyncio.gather(
            *(self._push_away(each, pod, victims.node) for each in victims.pods if not each.leaving),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        await self._write(pod, {"nominatedNodeName": victims.node})
        for each in lesser:
            try:
                await self._write(each, {"nominatedNodeName": None})
            except ApiError:
                continue  # it is looked at again anyway

    async def _push_away(self, victim: PodInfo, pod: PodInfo, node: str) -> None:
        entry = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": f"{self._name}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": now(),
        }
        try:
            await self._write(victim, {"conditions": [entry]})
            namespace, name = victim.key
            await self._client.delete(PODS, name, namespace, uid=victim.uid)
        except (NotFound, Conflict):
            return  # it, or this one of the name, is gone
        text = f"Preempted by pod {pod.uid} on node {node}"
        self._recorder.event(victim.obj, "Normal", "Preempted", text)

    async def _write(self, pod: PodInfo, status: Obj) -> None:
        namespace, name = pod.key
        change = {"metadata": {"uid": pod.uid}, "status": status}
        await self._client.patch(PODS, name, change, namespace, kind="strategic", subresource="status")
