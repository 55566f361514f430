"""Creates and deletes the pods of ReplicaSets."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime

from wellhead.api.errors import ApiError, Conflict, NotFound
from wellhead.api.meta import Key, Obj, controller_of, is_controlled_by, is_deleting, key, labels
from wellhead.api.resources import PODS, REPLICASETS
from wellhead.api.selectors import LabelSelector
from wellhead.api.types.pod import Pod
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.client.rest import Client, ConnectionLost
from wellhead.controllers.ownership import carry_out, claim
from wellhead.controllers.pods import is_active
from wellhead.controllers.replicaset.plan import first_to_go, missing, new_pod, slow_start
from wellhead.controllers.replicaset.status import seconds_to_next_available, status_of
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check


class ReplicaSetController:
    """Reconciles ReplicaSets, one at a time each."""

    name = "replicaset"

    def __init__(self, client: Client, stores: Stores, recorder: EventRecorder) -> None:
        self._client = client
        self._stores = stores
        self._replicasets: Store[Obj] = stores[REPLICASETS]
        self._pods: Store[Pod] = stores[PODS]
        self._recorder = recorder
        self._uncertain: set[Key] = set()
        """Those of which a create may or may not have worked: the connection broke before the answer."""
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._replicasets.on_change(self._replicaset_changed)
        self._pods.on_change(self._pod_changed)

    async def run(self) -> None:
        await self._stores.synced(REPLICASETS, PODS)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _replicaset_changed(self, old: Obj | None, new: Obj | None) -> None:
        self._reconciler.enqueue(key(new or old or {}))

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            if pod is None:
                continue
            controller = controller_of(pod)
            if controller is None:
                self._enqueue_selecting(pod)
            elif controller["kind"] == "ReplicaSet":
                self._reconciler.enqueue((pod["metadata"]["namespace"], controller["name"]))

    def _enqueue_selecting(self, pod: Pod) -> None:
        """ReplicaSets that may adopt the pod."""
        if not labels(pod):
            return
        for replicaset in self._replicasets.by_index("namespace", pod["metadata"]["namespace"]):
            if _selector(replicaset).matches(labels(pod)):
                self._reconciler.enqueue(key(replicaset))

    async def _reconcile(self, name: Key) -> float | None:
        replicaset = self._replicasets.get(*reversed(name))
        if replicaset is None:
            self._uncertain.discard(name)
            return None
        if name in self._uncertain:
            await self._find_unknown(replicaset)
            self._uncertain.discard(name)
        pods = await self._claimed(replicaset)
        failure: tuple[str, str] | None = None
        error: Exception | None = None
        if not is_deleting(replicaset):
            active = [pod for pod in pods if is_active(pod)]
            lacking = missing(replicaset, active)
            try:
                if lacking > 0:
                    await self._create(replicaset, lacking)
                elif lacking < 0:
                    await self._delete(replicaset, active, -lacking)
            except (ApiError, ConnectionLost) as failed:
                if not _is_ending_namespace(failed):
                    error = failed
                    failure = ("FailedCreate" if lacking > 0 else "FailedDelete", str(failed))
        pods = self._controlled(replicaset)
        again = await self._write_status(replicaset, pods, failure)
        if error is not None:
            raise error
        return again

    async def _claimed(self, replicaset: Obj) -> list[Pod]:
        orphans = self._pods.by_index("uncontrolled", replicaset["metadata"]["namespace"])
        candidates = [*self._controlled(replicaset), *filter(is_active, orphans)]
        decided = claim(replicaset, _selector(replicaset), candidates)
        return await carry_out(decided, replicaset, self._replicasets, self._pods)

    def _controlled(self, replicaset: Obj) -> list[Pod]:
        return self._pods.by_index("controller", replicaset["metadata"]["uid"])

    async def _create(self, replicaset: Obj, count: int) -> None:
        for batch in slow_start(count):
            creating = (self._create_one(replicaset) for _ in range(batch))
            errors = await asyncio.gather(*creating, return_exceptions=True)
            for error in errors:
                if error is not None:
                    raise error

    async def _create_one(self, replicaset: Obj) -> None:
        try:
            pod = await self._pods.create(new_pod(replicaset))
        except ConnectionLost:
            self._uncertain.add(key(replicaset))
            raise
        except ApiError as error:
            if not _is_ending_namespace(error):
                self._recorder.event(replicaset, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self._recorder.event(
            replicaset, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}"
        )

    async def _delete(self, replicaset: Obj, active: list[Pod], count: int) -> None:
        going = first_to_go(active, count, self._crowd(replicaset), datetime.now(UTC))
        errors = await asyncio.gather(
            *(self._delete_one(replicaset, pod) for pod in going), return_exceptions=True
        )
        for error in errors:
            if error is not None:
                raise error

    async def _delete_one(self, replicaset: Obj, pod: Pod) -> None:
        name = pod["metadata"]["name"]
        try:
            await self._pods.delete(pod)
        except (NotFound, Conflict):
            raise  # somebody else was faster, and the watch is about to say so
        except ApiError as error:
            self._recorder.event(replicaset, "Warning", "FailedDelete", f"Error deleting: {error}")
            raise
        self._recorder.event(replicaset, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")

    def _crowd(self, replicaset: Obj) -> Counter[str]:
        """Active pods per node, of all ReplicaSets with the same controller."""
        controller = controller_of(replicaset)
        related = self._replicasets.by_index("controller", controller["uid"]) if controller else [replicaset]
        return Counter(
            pod["spec"].get("nodeName") or ""
            for each in related
            for pod in self._controlled(each)
            if is_active(pod)
        )

    async def _find_unknown(self, replicaset: Obj) -> None:
        """Learn of pods that a create whose answer was lost has made after all."""
        metadata = replicaset["metadata"]
        listed = await self._client.list(
            PODS, metadata["namespace"], label_selector=str(_selector(replicaset))
        )
        for pod in listed.get("items") or []:
            if is_controlled_by(pod, replicaset):
                self._pods.learn(pod)

    async def _write_status(
        self, replicaset: Obj, pods: list[Pod], failure: tuple[str, str] | None
    ) -> float | None:
        now = datetime.now(UTC)
        # What the store holds may be newer than what was reconciled; its status must still be written to it.
        status = status_of(replicaset, pods, now, failure)
        if status != replicaset.get("status"):
            await self._replicasets.update({**replicaset, "status": status}, "status")
        return seconds_to_next_available(replicaset, pods, now)


def _selector(replicaset: Obj) -> LabelSelector:
    return LabelSelector.from_object(replicaset["spec"].get("selector"))


def _is_ending_namespace(error: Exception) -> bool:
    """The namespace is being deleted: nothing can be created there any more, and nobody needs to know."""
    return isinstance(error, ApiError) and any(
        cause.reason == "NamespaceTerminating" for cause in error.causes
    )
