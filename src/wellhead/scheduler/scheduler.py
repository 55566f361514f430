"""Watches pods and nodes, decides one pod after the other, and binds in the background."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from wellhead.api.errors import ApiError, Conflict, NotFound
from wellhead.api.meta import Key, Obj, condition, is_deleting, key, labels, now
from wellhead.api.resources import NAMESPACES, NODES, PODDISRUPTIONBUDGETS, PODS, SERVICES
from wellhead.api.storage import Node, claim_names
from wellhead.client.events import EventRecorder
from wellhead.client.informer import Informer, watches
from wellhead.client.reconciler import BUSY_SECONDS, Reconciler
from wellhead.client.rest import Client, ConnectionLost
from wellhead.health import Check, Overdue
from wellhead.scheduler import affinity, spreading, volumes
from wellhead.scheduler.cluster import Cluster, NodeInfo
from wellhead.scheduler.decide import Filters, Placed, Unschedulable, decide
from wellhead.scheduler.pod import DEFAULT_SCHEDULER, Amounts, PodInfo, is_resized
from wellhead.scheduler.preemption import Hopeless, preempt
from wellhead.scheduler.preemptor import Preemptor
from wellhead.scheduler.queue import Queue
from wellhead.scheduler.volume_binding import VolumeBinder, VolumeBindingFailed
from wellhead.scheduler.volumes import Volumes

_log = logging.getLogger(__name__)

_BINDINGS_AT_ONCE = 32
_PLACEMENT_REASONS = frozenset(
    {
        affinity.AFFINITY,
        affinity.ANTI_AFFINITY,
        affinity.EXISTING_ANTI_AFFINITY,
        spreading.MISFIT,
        spreading.MISSING_LABEL,
    }
)


class Scheduler:
    """Schedules the pods that name this scheduler, or none."""

    def __init__(self, client: Client, recorder: EventRecorder, name: str = DEFAULT_SCHEDULER) -> None:
        self._client = client
        self._recorder = recorder
        self._name = name
        self._cluster = Cluster()
        self._queue = Queue()
        self._chance = random.Random()
        self._busy = Overdue("busy with one pod", BUSY_SECONDS)
        self._bindings = asyncio.Semaphore(_BINDINGS_AT_ONCE)
        self._refusals: dict[Key, Unschedulable] = {}
        self._refused = Reconciler("unschedulable", self._report)
        self._pods = Informer(client, PODS, indexes={"claim": _claims})
        self._nodes = Informer(client, NODES)
        self._services = Informer(client, SERVICES, indexes={"namespace": _namespace})
        self._budgets = Informer(client, PODDISRUPTIONBUDGETS)
        self._namespaces = Informer(client, NAMESPACES)
        self._pushing = Preemptor(client, recorder, name)
        self._volumes = VolumeBinder(client, self._users_of, self._volumes_changed)
        self._namespaces.on_change(self._namespace_changed)
        self._pods.on_change(self._pod_changed)
        self._nodes.on_change(self._node_changed)

    async def run(self) -> None:
        """Schedule until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in (
                self._pods,
                self._nodes,
                self._services,
                self._budgets,
                self._namespaces,
                *self._volumes.informers,
            ):
                group.create_task(informer.run())
            group.create_task(self._refused.run())
            for informer in (
                *self._volumes.informers,
                self._nodes,
                self._services,
                self._budgets,
                self._namespaces,
                self._pods,
            ):
                await informer.synced()
            while True:
                name = await self._queue.pop()
                self._busy.begin(asyncio.get_running_loop().time(), "/".join(name))
                await self._schedule(name, group)
                self._busy.end()

    def checks(self) -> Iterator[Check]:
        """That its watches live, and it gets on with the pods that wait."""
        others = (self._services, self._budgets, self._namespaces, *self._volumes.informers)
        yield watches(self._pods, self._nodes, *others)
        yield Check("scheduling", self._busy.problem, mortal=True)
        yield Check("queue", self._queue.problem)
        yield from self._refused.checks()

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None and new is None:
            self._pod_gone(old)
        elif new is not None:
            if new["spec"].get("nodeName"):
                self._pod_assigned(old, new)
            elif self._is_ours(new) and (old is None or _demands(old) != _demands(new)):
                pod = PodInfo(new)
                if pod.leaving:
                    self._pod_gone(new)
                elif not pod.gated:
                    self._hear_nomination(pod)
                    self._queue.add(pod.key, pod.priority)
            elif self._is_ours(new):
                self._hear_nomination(PodInfo(new))

    def _namespace_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            self._cluster.namespaces.pop((old or {})["metadata"]["name"], None)
        elif old is None or labels(old) != labels(new):
            self._cluster.namespaces[new["metadata"]["name"]] = labels(new)
            self._queue.wake(lambda reasons: bool(reasons & _PLACEMENT_REASONS))

    def _hear_nomination(self, pod: PodInfo) -> None:
        """Where place is made for the pod, as the API has it."""
        if pod.nominated_node:
            self._cluster.nominate(pod, pod.nominated_node)
        else:
            self._cluster.withdraw(pod.uid)

    def _pod_assigned(self, old: Obj | None, new: Obj) -> None:
        self._queue.remove(key(new))
        self._refusals.pop(key(new), None)
        self._cluster.withdraw(new["metadata"]["uid"])
        if _has_ended(new):
            self._pod_gone(new)
            return
        known = old is not None and old["spec"].get("nodeName")
        if old is not None and known and _weight(old) == _weight(new):
            return  # its status changed, as it often does
        shrinks = old is not None and known and _shrinks(PodInfo(old).requests, PodInfo(new).requests)
        self._cluster.put_pod(PodInfo(new))
        if shrinks:
            self._queue.wake(lambda _: True)
        elif not known or labels(old or {}) != labels(new):
            self._queue.wake(lambda reasons: bool(reasons & _PLACEMENT_REASONS))

    def _users_of(self, claim: str, namespace: str) -> dict[str, str]:
        """UID → node, those included whose binding the API hasn't told yet."""
        found = [each for each in self._pods.by_index("claim", (namespace, claim)) if not _has_ended(each)]
        uids = (each["metadata"]["uid"] for each in found)
        return {uid: place for uid in uids if (place := self._cluster.place_of(uid))}

    def _volumes_changed(self) -> None:
        self._queue.wake(lambda reasons: bool(reasons & volumes.REASONS))

    def _pod_gone(self, pod: Obj) -> None:
        self._queue.remove(key(pod))
        self._refusals.pop(key(pod), None)
        self._cluster.withdraw(pod["metadata"]["uid"])
        if next(claim_names(pod), None) is not None:
            self._volumes.hear()
        if self._cluster.remove_pod(pod["metadata"]["uid"]):
            self._queue.wake(lambda _: True)

    def _node_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            self._cluster.remove_node((old or {})["metadata"]["name"])
        elif old is None or _offer(old) != _offer(new):
            self._cluster.put_node(new)
            self._queue.wake(lambda _: True)

    def _is_ours(self, pod: Obj) -> bool:
        return (pod["spec"].get("schedulerName") or DEFAULT_SCHEDULER) == self._name and not _has_ended(pod)

    async def _schedule(self, name: Key, group: asyncio.TaskGroup) -> None:
        obj = self._pods.get(*reversed(name))
        if obj is None or obj["spec"].get("nodeName") or is_deleting(obj):
            return
        pod = PodInfo(obj)
        if self._cluster.is_assumed(pod.uid):
            return
        wants = Volumes(obj, self._volumes.sources) if next(claim_names(obj), None) is not None else None
        try:
            decision = decide(pod, self._cluster, self._chance, self._mates(pod), wants)
        except Exception:
            _log.exception("no decision for %s/%s", *name)
            self._queue.retry(name)  # one pod that can't be understood must not hold up all others
            return
        match decision:
            case Placed(node):
                self._cluster.assume(pod, node)
                there = self._cluster.node(node)
                if wants is not None and there is not None:
                    task = self._bind_with_volumes(pod, there, wants.decide(there))
                    group.create_task(task)
                else:
                    await self._bindings.acquire()
                    group.create_task(self._bind(pod, node))
            case Unschedulable() as refusal:
                self._queue.park(name, refusal.reasons)  # first: who is pushed away may be gone at once
                self._refusals[name] = await self._preempt(pod, refusal, wants)
                self._refused.enqueue(name)
        await asyncio.sleep(0)  # let the watches tell what happened meanwhile

    async def _preempt(self, pod: PodInfo, refusal: Unschedulable, wants: Volumes | None) -> Unschedulable:
        """Make place for the pod, if that helps; the refusal, with why it doesn't."""
        if not refusal.nodes:
            return refusal

        def fits(node: NodeInfo, cluster: Cluster) -> bool:
            return not Filters(pod, cluster, wants).reasons(node)

        found = preempt(pod, self._cluster, refusal.nodes, list(self._budgets), fits)
        if isinstance(found, Hopeless):
            if not found.waits:
                self._cluster.withdraw(pod.uid)
            return replace(refusal, message=f"{refusal.message} {found.message}")
        self._cluster.nominate(pod, found.node)
        lesser = self._cluster.lesser_claims(found.node, pod.priority)
        try:
            await self._pushing.push(pod, found, lesser)
        except (ApiError, ConnectionLost) as error:
            _log.warning("preemption for %s/%s: %s", *pod.key, error)
            self._cluster.withdraw(pod.uid)
            self._queue.retry(pod.key)
        return refusal

    def _mates(self, pod: PodInfo) -> Callable[[PodInfo], bool] | None:
        """For a pod without a controller: pods that a Service selects along with it."""
        if pod.owner is not None:
            return None
        selectors = [
            selector.items()
            for service in self._services.by_index("namespace", pod.namespace)
            if (selector := service["spec"].get("selector")) and selector.items() <= pod.labels.items()
        ]
        if not selectors:
            return None
        return lambda other: (
            other.namespace == pod.namespace
            and any(selector <= other.labels.items() for selector in selectors)
        )

    async def _bind_with_volumes(self, pod: PodInfo, node: NodeInfo, decision: volumes.Decision) -> None:
        namespace, name = pod.key

        def is_there() -> bool:
            found = self._pods.get(name, namespace)
            return found is not None and found["metadata"]["uid"] == pod.uid and not is_deleting(found)

        self._volumes.assume(pod.obj, decision)
        try:
            await self._volumes.bind(pod.obj, Node(node.name, node.labels), decision, is_there)
        except (VolumeBindingFailed, ApiError, ConnectionLost) as error:
            _log.log(logging.DEBUG if isinstance(error, Conflict) else logging.INFO, "%s: %s", name, error)
            self._cluster.forget(pod.uid)
            if is_there():
                self._queue.retry(pod.key)
            return
        finally:
            self._volumes.release(decision)
        await self._bindings.acquire()
        await self._bind(pod, node.name)

    async def _bind(self, pod: PodInfo, node: str) -> None:
        namespace, name = pod.key
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": pod.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            await self._client.create_subresource(PODS, name, namespace, "binding", binding)
        except (ApiError, ConnectionLost) as error:
            quiet = isinstance(error, NotFound | Conflict)
            _log.log(logging.DEBUG if quiet else logging.WARNING, "binding %s/%s: %s", namespace, name, error)
            self._cluster.forget(pod.uid)
            # If the pod is gone or has a node after all, the watch says so before the next attempt.
            if self._pods.get(name, namespace) is not None:
                self._queue.retry(pod.key)
        else:
            message = f"Successfully assigned {namespace}/{name} to {node}"
            self._recorder.event(pod.obj, "Normal", "Scheduled", message)
        finally:
            self._bindings.release()

    async def _report(self, name: Key) -> float | None:
        """Say on the pod why it waits."""
        refusal = self._refusals.get(name)
        pod = self._pods.get(*reversed(name))
        if refusal is None or pod is None or pod["spec"].get("nodeName"):
            self._refusals.pop(name, None)
            return None
        self._recorder.event(pod, "Warning", "FailedScheduling", refusal.message)
        before = condition(pod, "PodScheduled") or {}
        if before.get("status") == "False" and before.get("message") == refusal.message:
            return None
        entry = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": refusal.message,
            "lastTransitionTime": before["lastTransitionTime"] if before.get("status") == "False" else now(),
        }
        await self._client.patch(
            PODS,
            name[1],
            {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [entry]}},
            name[0],
            kind="strategic",
            subresource="status",
        )
        return None


def _claims(pod: Obj) -> list[Key]:
    return [(pod["metadata"]["namespace"], name) for name, _ in claim_names(pod)]


def _namespace(obj: Obj) -> list[str]:
    return [obj["metadata"]["namespace"]]


def _has_ended(pod: Obj) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _demands(pod: Obj) -> tuple[object, ...]:
    """All of a pending pod that a decision depends on."""
    return pod["spec"], labels(pod), is_deleting(pod), pod["metadata"]["uid"]


def _weight(pod: Obj) -> tuple[object, ...]:
    """All of an assigned pod that counts for others."""
    spec = pod["spec"]
    return (
        pod["metadata"]["uid"],
        spec["nodeName"],
        labels(pod),
        is_deleting(pod),
        spec.get("containers"),
        spec.get("initContainers"),
        spec.get("resources"),
        PodInfo(pod).requests if is_resized(pod) else None,
    )


def _shrinks(before: Amounts, after: Amounts) -> bool:
    return any(after.get(name, 0) < amount for name, amount in before.items())


def _offer(node: Obj) -> tuple[object, ...]:
    """All of a node that a decision depends on: not its heartbeats."""
    status = node.get("status") or {}
    spec = node["spec"]
    return (
        spec.get("taints"),
        spec.get("unschedulable"),
        labels(node),
        status.get("allocatable"),
        status.get("capacity"),
        status.get("declaredFeatures"),
    )
