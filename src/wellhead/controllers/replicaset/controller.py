"""Creates and deletes the pods of ReplicaSets and of ReplicationControllers."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from wellhead.api.errors import ApiError, namespace_ends
from wellhead.api.kinds.workload import selector_of
from wellhead.api.meta import Key, Obj, controller_of, is_deleting, key
from wellhead.api.resource import Resource
from wellhead.api.resources import PODS
from wellhead.api.types.pod import Pod
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.client.rest import ConnectionLost
from wellhead.controllers.ownership import carry_out, claim
from wellhead.controllers.pod_control import PodControl, pod_from_template
from wellhead.controllers.pod_owners import owned_handler
from wellhead.controllers.pods import is_active, seconds_to_next_available
from wellhead.controllers.replicaset.plan import first_to_go, missing
from wellhead.controllers.replicaset.status import status_of
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check


class ReplicasController:
    """Reconciles the objects of one kind that asks for a number of pods, one at a time each."""

    def __init__(self, stores: Stores, recorder: EventRecorder, resource: Resource) -> None:
        self.name = resource.singular
        self._resource = resource
        self._stores = stores
        self._owners: Store[Obj] = stores[resource]
        self._pods: Store[Pod] = stores[PODS]
        self._control = PodControl(self._pods, recorder)
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._owners.on_change(self._owner_changed)
        self._pods.on_change(owned_handler(self._owners, self._reconciler.enqueue))

    async def run(self) -> None:
        await self._stores.synced(self._resource, PODS)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _owner_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None and old is not None:
            self._control.forget(old["metadata"]["uid"])
        self._reconciler.enqueue(key(new or old or {}))

    async def _reconcile(self, name: Key) -> float | None:
        owner = self._owners.get(*reversed(name))
        if owner is None:
            return None
        await self._control.settle(owner)
        pods = await self._claimed(owner)
        failure: tuple[str, str] | None = None
        error: Exception | None = None
        if not is_deleting(owner):
            active = [pod for pod in pods if is_active(pod)]
            lacking = missing(owner, active)
            try:
                await self._correct(owner, active, lacking)
            except (ApiError, ConnectionLost) as failed:
                if not namespace_ends(failed):
                    error = failed
                    failure = ("FailedCreate" if lacking > 0 else "FailedDelete", str(failed))
        pods = self._controlled(owner)
        again = await self._write_status(owner, pods, failure)
        if error is not None:
            raise error
        return again

    async def _correct(self, owner: Obj, active: list[Pod], lacking: int) -> None:
        if lacking > 0:
            pod = pod_from_template(owner, owner["spec"]["template"])
            await self._control.create(owner, [pod] * lacking)
        elif lacking < 0:
            going = first_to_go(active, -lacking, self._crowd(owner), datetime.now(UTC))
            await self._control.delete(owner, going)

    async def _claimed(self, owner: Obj) -> list[Pod]:
        orphans = self._pods.by_index("uncontrolled", owner["metadata"]["namespace"])
        candidates = [*self._controlled(owner), *filter(is_active, orphans)]
        decided = claim(owner, selector_of(owner), candidates)
        return await carry_out(decided, owner, self._owners, self._pods)

    def _controlled(self, owner: Obj) -> list[Pod]:
        return self._pods.by_index("controller", owner["metadata"]["uid"])

    def _crowd(self, owner: Obj) -> Counter[str]:
        """Active pods per node, of all objects of this kind with the same controller."""
        controller = controller_of(owner)
        related = self._owners.by_index("controller", controller["uid"]) if controller else [owner]
        return Counter(
            pod["spec"].get("nodeName") or ""
            for each in related
            for pod in self._controlled(each)
            if is_active(pod)
        )

    async def _write_status(
        self, owner: Obj, pods: list[Pod], failure: tuple[str, str] | None
    ) -> float | None:
        now = datetime.now(UTC)
        # What the store holds may be newer than what was reconciled; its status must still be written to it.
        status = status_of(owner, pods, now, failure)
        if status != owner.get("status"):
            await self._owners.update({**owner, "status": status}, "status")
        return seconds_to_next_available(owner, filter(is_active, pods), now)
