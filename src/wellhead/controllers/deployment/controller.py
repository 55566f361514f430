"""Carries out the plans for Deployments."""

from __future__ import annotations

from datetime import UTC, datetime

from wellhead.api.errors import AlreadyExists, ApiError, namespace_ends
from wellhead.api.meta import (
    Key,
    Obj,
    controller_of,
    is_controlled_by,
    is_deleting,
    key,
    labels,
)
from wellhead.api.resources import DEPLOYMENTS, PODS, REPLICASETS
from wellhead.api.selectors import LabelSelector
from wellhead.api.types.pod import Pod
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.deployment import rolling
from wellhead.controllers.deployment.plan import (
    Action,
    CreateReplicaSet,
    DeleteReplicaSet,
    UpdateDeployment,
    UpdateReplicaSet,
    plan,
    split,
)
from wellhead.controllers.deployment.status import seconds_to_deadline, status_of, without_replicaset
from wellhead.controllers.ownership import carry_out, claim
from wellhead.controllers.pods import is_terminal
from wellhead.controllers.store import Store, Stores
from wellhead.controllers.template import same_template
from wellhead.health import Check

_MOST_STEPS = 10
"""Plans carried out in a row; a Deployment that needs more waits for its turn again."""


class DeploymentController:
    """Reconciles Deployments, one at a time each."""

    name = "deployment"

    def __init__(self, stores: Stores, recorder: EventRecorder) -> None:
        self._stores = stores
        self._deployments: Store[Obj] = stores[DEPLOYMENTS]
        self._replicasets: Store[Obj] = stores[REPLICASETS]
        self._pods: Store[Pod] = stores[PODS]
        self._recorder = recorder
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._deployments.on_change(self._deployment_changed)
        self._replicasets.on_change(self._replicaset_changed)
        self._pods.on_change(self._pod_changed)

    async def run(self) -> None:
        await self._stores.synced(DEPLOYMENTS, REPLICASETS, PODS)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _deployment_changed(self, old: Obj | None, new: Obj | None) -> None:
        self._reconciler.enqueue(key(new or old or {}))

    def _replicaset_changed(self, old: Obj | None, new: Obj | None) -> None:
        for replicaset in (old, new):
            if replicaset is None:
                continue
            controller = controller_of(replicaset)
            if controller is None:
                self._enqueue_selecting(replicaset)
            elif controller["kind"] == "Deployment":
                self._reconciler.enqueue((replicaset["metadata"]["namespace"], controller["name"]))

    def _enqueue_selecting(self, replicaset: Obj) -> None:
        """Deployments that may adopt it. Such ReplicaSets are rare, so this may look at all."""
        namespace = replicaset["metadata"]["namespace"]
        for deployment in self._deployments.values():
            if deployment["metadata"]["namespace"] == namespace and _selector(deployment).matches(
                labels(replicaset)
            ):
                self._reconciler.enqueue(key(deployment))

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        """A Recreate rollout goes on when the last old pod has ended."""
        if old is None or (new is not None and (is_terminal(old) or not is_terminal(new))):
            return
        owner = controller_of(old)
        if owner is None or owner["kind"] != "ReplicaSet":
            return
        replicaset = self._replicasets.get(owner["name"], old["metadata"]["namespace"])
        controller = controller_of(replicaset) if replicaset else None
        if controller is not None and controller["kind"] == "Deployment":
            self._reconciler.enqueue((old["metadata"]["namespace"], controller["name"]))

    async def _reconcile(self, name: Key) -> float | None:
        deployment = self._deployments.get(*reversed(name))
        if deployment is None:
            return None
        if _selector(deployment).is_everything:
            text = "This deployment is selecting all pods. A non-empty selector is required."
            self._recorder.event(deployment, "Warning", "SelectingAll", text)
            return None
        created = False
        for _ in range(_MOST_STEPS):
            replicasets = await self._claimed(deployment)
            actions = plan(deployment, replicasets, self._with_pods(replicasets))
            if not actions:
                break
            for action in actions:
                deployment = await self._act(deployment, action)
                created = created or isinstance(action, CreateReplicaSet)
        else:
            self._reconciler.enqueue(name)
        return await self._write_status(deployment, await self._claimed(deployment), created=created)

    async def _claimed(self, deployment: Obj) -> list[Obj]:
        metadata = deployment["metadata"]
        candidates = self._replicasets.by_index("controller", metadata["uid"])
        candidates += self._replicasets.by_index("uncontrolled", metadata["namespace"])
        decided = claim(deployment, _selector(deployment), candidates)
        owned = await carry_out(decided, deployment, self._deployments, self._replicasets)
        return [each for each in owned if not is_deleting(each)]

    def _with_pods(self, replicasets: list[Obj]) -> set[str]:
        uids = (each["metadata"]["uid"] for each in replicasets)
        return {
            uid for uid in uids if any(not is_terminal(pod) for pod in self._pods.by_index("controller", uid))
        }

    async def _act(self, deployment: Obj, action: Action) -> Obj:
        """Carry out one action; the answer is the Deployment, newer if it was written."""
        match action:
            case CreateReplicaSet(replicaset):
                return await self._create(deployment, replicaset)
            case UpdateReplicaSet(replicaset, before):
                await self._replicasets.update(replicaset)
                self._say_scaled(deployment, replicaset, before)
            case DeleteReplicaSet(replicaset):
                await self._replicasets.delete(replicaset)
            case UpdateDeployment(updated):
                return await self._deployments.update(updated)
        return deployment

    async def _create(self, deployment: Obj, replicaset: Obj) -> Obj:
        try:
            await self._replicasets.create(replicaset)
        except AlreadyExists:
            metadata = replicaset["metadata"]
            there = await self._replicasets.live(metadata["name"], metadata["namespace"])
            if is_controlled_by(there, deployment) and same_template(
                there["spec"]["template"], replicaset["spec"]["template"]
            ):
                self._replicasets.learn(there)
                return deployment
            status = dict(deployment.get("status") or {})
            status["collisionCount"] = status.get("collisionCount", 0) + 1
            return await self._deployments.update({**deployment, "status": status}, "status")
        except ApiError as error:
            if not namespace_ends(error):
                await self._say_not_created(deployment, replicaset, error)
            raise
        self._say_scaled(deployment, replicaset, 0)
        return deployment

    async def _say_not_created(self, deployment: Obj, replicaset: Obj, error: ApiError) -> None:
        name = replicaset["metadata"]["name"]
        message = f'Failed to create new replica set "{name}": {error}'
        self._recorder.event(deployment, "Warning", "ReplicaSetCreateError", message)
        status = without_replicaset(deployment, message, datetime.now(UTC))
        if status != deployment.get("status"):
            await self._deployments.update({**deployment, "status": status}, "status")

    def _say_scaled(self, deployment: Obj, replicaset: Obj, before: int) -> None:
        after = replicaset["spec"]["replicas"]
        if after != before:
            direction = "up" if after > before else "down"
            name = replicaset["metadata"]["name"]
            message = f"Scaled {direction} replica set {name} from {before} to {after}"
            self._recorder.event(deployment, "Normal", "ScalingReplicaSet", message)

    async def _write_status(self, deployment: Obj, replicasets: list[Obj], *, created: bool) -> float | None:
        now = datetime.now(UTC)
        new, old = split(deployment, replicasets)
        limits = rolling.bounds(deployment)
        status = status_of(deployment, new, old, limits, now, created=created)
        if status != deployment.get("status"):
            await self._deployments.update({**deployment, "status": status}, "status")
        return seconds_to_deadline(deployment, status, now)


def _selector(deployment: Obj) -> LabelSelector:
    return LabelSelector.from_object(deployment["spec"].get("selector"))
