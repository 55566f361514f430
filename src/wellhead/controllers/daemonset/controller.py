"""Carries out the plans for DaemonSets."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime

from wellhead.api.errors import ApiError, namespace_ends
from wellhead.api.kinds.workload import selector_of
from wellhead.api.meta import Key, Obj, is_deleting, key, labels
from wellhead.api.resources import CONTROLLERREVISIONS, DAEMONSETS, NODES, PODS
from wellhead.api.types.pod import Pod
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.daemonset.placement import (
    Placement,
    PodsByNode,
    by_node,
    looks,
    new_pod,
)
from wellhead.controllers.daemonset.plan import plan
from wellhead.controllers.daemonset.rolling import roll
from wellhead.controllers.daemonset.status import status_of
from wellhead.controllers.failed_pods import FailedPods
from wellhead.controllers.history import History
from wellhead.controllers.ownership import carry_out, claim
from wellhead.controllers.pod_control import PodControl
from wellhead.controllers.pod_owners import owned_handler
from wellhead.controllers.pods import seconds_to_next_available
from wellhead.controllers.revisions import POD_LABEL, Revisions, surplus
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check

_BURST = 250
"""The most pods that are created or deleted in one go."""


class DaemonSetController:
    """Reconciles DaemonSets, one at a time each."""

    name = "daemonset"

    def __init__(self, stores: Stores, recorder: EventRecorder) -> None:
        self._stores = stores
        self._daemonsets: Store[Obj] = stores[DAEMONSETS]
        self._nodes: Store[Obj] = stores[NODES]
        self._pods: Store[Pod] = stores[PODS]
        self._recorder = recorder
        self._control = PodControl(self._pods, recorder)
        self._history = History(stores, self._daemonsets, POD_LABEL)
        self._failed = FailedPods()
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._daemonsets.on_change(self._daemonset_changed)
        self._nodes.on_change(self._node_changed)
        self._pods.on_change(owned_handler(self._daemonsets, self._reconciler.enqueue))
        stores[CONTROLLERREVISIONS].on_change(owned_handler(self._daemonsets, self._reconciler.enqueue))

    async def run(self) -> None:
        await self._stores.synced(DAEMONSETS, NODES, PODS, CONTROLLERREVISIONS)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _daemonset_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None and old is not None:
            self._control.forget(old["metadata"]["uid"])
        self._reconciler.enqueue(key(new or old or {}))

    def _node_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Those whose pods the node shall have, or lose, by what changed of it."""
        if old is not None and new is not None and looks(old) == looks(new):
            return
        for daemonset in self._daemonsets.values():
            placement = Placement(daemonset)
            if _verdict(placement, old) != _verdict(placement, new):
                self._reconciler.enqueue(key(daemonset))

    async def _reconcile(self, name: Key) -> float | None:
        daemonset = self._daemonsets.get(*reversed(name))
        if daemonset is None or is_deleting(daemonset):
            return None
        if selector_of(daemonset).is_everything:
            text = "This daemon set is selecting all pods. A non-empty selector is required."
            self._recorder.event(daemonset, "Warning", "SelectingAll", text)
            return None
        await self._control.settle(daemonset)
        revisions = await self._history.settle(daemonset)
        digest = labels(revisions.current[0]).get(POD_LABEL, "")
        await self._claim(daemonset)
        placement, error = Placement(daemonset), None
        wait: float | None = None
        try:
            await self._merge(daemonset, revisions, digest)
            wait = await self._manage(daemonset, placement, digest)
            await self._roll(daemonset, placement, digest)
            await self._clean_up(daemonset, revisions)
        except ApiError as failed:
            error = None if namespace_ends(failed) else failed
        available = await self._write_status(daemonset, placement, digest)
        if error is not None:
            raise error
        return min((each for each in (wait, available) if each is not None), default=None)

    async def _claim(self, daemonset: Obj) -> None:
        orphans = self._pods.by_index("uncontrolled", daemonset["metadata"]["namespace"])
        decided = claim(daemonset, selector_of(daemonset), [*self._controlled(daemonset), *orphans])
        await carry_out(decided, daemonset, self._daemonsets, self._pods)

    def _controlled(self, daemonset: Obj) -> list[Pod]:
        return self._pods.by_index("controller", daemonset["metadata"]["uid"])

    def _pods_by_node(self, daemonset: Obj) -> PodsByNode:
        return by_node(self._controlled(daemonset))

    async def _merge(self, daemonset: Obj, revisions: Revisions, digest: str) -> None:
        """Of several revisions with one template the latest stays, and all their pods become its own."""
        duplicates = revisions.current[1:]
        if not duplicates:
            return
        hashes = {labels(each).get(POD_LABEL) for each in duplicates}
        for pod in self._controlled(daemonset):
            if labels(pod).get(POD_LABEL) in hashes:
                metadata = pod["metadata"]
                changed: Pod = {
                    **pod,
                    "metadata": {**metadata, "labels": {**labels(pod), POD_LABEL: digest}},
                }
                await self._pods.update(changed)
        await self._history.drop(duplicates)

    async def _manage(self, daemonset: Obj, placement: Placement, digest: str) -> float | None:
        """Pods for all nodes that lack one. Seconds until a failed one may be replaced."""
        nodes, time = self._nodes.values(), asyncio.get_running_loop().time()
        pods = self._pods_by_node(daemonset)
        decided = plan(daemonset, nodes, pods, placement, digest, datetime.now(UTC))
        going, waits = list(decided.delete), list[float]()
        self._failed.forget_old(time)
        for node, pod in decided.failed:
            place = (daemonset["metadata"]["uid"], daemonset["metadata"].get("generation"), node)
            if wait := self._failed.wait(place, time):
                waits.append(wait)
                continue
            text = f"Found failed daemon pod {_path(pod)} on node {node}, will try to kill it"
            self._recorder.event(daemonset, "Warning", "FailedDaemonPod", text)
            going.append(pod)
        for node, pod in decided.succeeded:
            text = f"Found succeeded daemon pod {_path(pod)} on node {node}, will try to delete it"
            self._recorder.event(daemonset, "Normal", "SucceededDaemonPod", text)
            going.append(pod)
        await self._sync(daemonset, decided.create, going, digest)
        return min(waits, default=None)

    async def _roll(self, daemonset: Obj, placement: Placement, digest: str) -> None:
        strategy = daemonset["spec"].get("updateStrategy") or {}
        if strategy.get("type") == "RollingUpdate":
            pods, now = self._pods_by_node(daemonset), datetime.now(UTC)
            step = roll(daemonset, self._nodes.values(), pods, placement, digest, now)
            await self._sync(daemonset, step.create, step.delete, digest)

    async def _sync(self, daemonset: Obj, create: list[str], delete: list[Pod], digest: str) -> None:
        made = [new_pod(daemonset, node, digest) for node in create[:_BURST]]
        try:
            await self._control.create(daemonset, made)
        finally:
            await self._control.delete(daemonset, delete[:_BURST])
        if len(create) > _BURST or len(delete) > _BURST:
            self._reconciler.enqueue(key(daemonset))

    async def _clean_up(self, daemonset: Obj, revisions: Revisions) -> None:
        hashes = {labels(pod).get(POD_LABEL) for pod in self._controlled(daemonset)}
        live = [each for each in revisions.old if labels(each).get(POD_LABEL) in hashes]
        limit = daemonset["spec"].get("revisionHistoryLimit", 10)
        await self._history.drop(surplus(revisions.old, live, limit, len(revisions.old) - limit))

    async def _write_status(self, daemonset: Obj, placement: Placement, digest: str) -> float | None:
        pods, now = self._pods_by_node(daemonset), datetime.now(UTC)
        status = status_of(daemonset, self._nodes.values(), pods, placement, digest, now)
        if status != daemonset.get("status"):
            await self._daemonsets.update({**daemonset, "status": status}, "status")
        return seconds_to_next_available(daemonset, itertools.chain(*pods.values()), now)


def _verdict(placement: Placement, node: Obj | None) -> tuple[bool, bool] | None:
    return None if node is None else (placement.should_run(node), placement.may_stay(node))


def _path(pod: Pod) -> str:
    return "/".join(key(pod))
