"""Carries out the plans for StatefulSets."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby

from wellhead.api.errors import AlreadyExists, ApiError, Conflict, NotFound, namespace_ends
from wellhead.api.kinds.workload import selector_of
from wellhead.api.meta import Key, Obj, is_deleting, key
from wellhead.api.resources import CONTROLLERREVISIONS, PERSISTENTVOLUMECLAIMS, PODS, STATEFULSETS
from wellhead.api.types.pod import Pod
from wellhead.client.events import EventRecorder
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.history import History
from wellhead.controllers.ownership import carry_out, claim
from wellhead.controllers.pod_control import in_batches
from wellhead.controllers.pod_owners import owned_handler
from wellhead.controllers.pods import seconds_to_next_available
from wellhead.controllers.revisions import Revisions, surplus
from wellhead.controllers.statefulset import claims as of_claims
from wellhead.controllers.statefulset.claims import Claims
from wellhead.controllers.statefulset.identity import (
    claim_name,
    claim_templates,
    is_member,
    ordinal_of,
    ordinals,
    revision_of,
)
from wellhead.controllers.statefulset.plan import (
    Action,
    Blocked,
    CreateClaims,
    CreatePod,
    DeletePod,
    UpdateClaim,
    UpdatePod,
    View,
    plan,
)
from wellhead.controllers.statefulset.status import status_of
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check

_NAME_HASH_LABEL = "controller.kubernetes.io/hash"
_NUMBER = re.compile("-[0-9]+", re.ASCII)


class StatefulSetController:
    """Reconciles StatefulSets, one at a time each."""

    name = "statefulset"

    def __init__(self, stores: Stores, recorder: EventRecorder) -> None:
        self._stores = stores
        self._statefulsets: Store[Obj] = stores[STATEFULSETS]
        self._pods: Store[Pod] = stores[PODS]
        self._claims: Store[Obj] = stores[PERSISTENTVOLUMECLAIMS]
        self._recorder = recorder
        self._history = History(stores, self._statefulsets, _NAME_HASH_LABEL)
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._statefulsets.on_change(lambda old, new: self._reconciler.enqueue(key(new or old or {})))
        owned_changed = owned_handler(self._statefulsets, self._reconciler.enqueue)
        self._pods.on_change(owned_changed)
        stores[CONTROLLERREVISIONS].on_change(owned_changed)
        self._claims.on_change(self._claim_changed)

    async def run(self) -> None:
        await self._stores.synced(STATEFULSETS, PODS, PERSISTENTVOLUMECLAIMS, CONTROLLERREVISIONS)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    def _claim_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Those for whose pods the claim is, by its name."""
        namespace, name = key(new or old or {})
        for statefulset in self._statefulsets.by_index("namespace", namespace):
            prefixes = (
                f"{each['metadata']['name']}-{statefulset['metadata']['name']}"
                for each in claim_templates(statefulset)
            )
            if any(name.startswith(each) and _NUMBER.fullmatch(name[len(each) :]) for each in prefixes):
                self._reconciler.enqueue(key(statefulset))

    async def _reconcile(self, name: Key) -> float | None:
        statefulset = self._statefulsets.get(*reversed(name))
        if statefulset is None or selector_of(statefulset).is_everything:
            return None
        if not is_deleting(statefulset):
            await self._claim(statefulset)
        revisions = await self._history.settle(statefulset)
        if not revisions.current:
            return None
        update = revisions.current[0]
        current = _named((statefulset.get("status") or {}).get("currentRevision"), revisions) or update
        view = self._view(statefulset, current, update)
        error: ApiError | None = None
        try:
            await self._carry_out(view, plan(view))
        except ApiError as failed:
            error = None if namespace_ends(failed) else failed
        pods = self._controlled(statefulset)
        await self._write_status(statefulset, current, update, pods)
        if error is not None:
            raise error
        await self._clean_up(statefulset, revisions, [current, update], pods)
        return seconds_to_next_available(statefulset, pods, datetime.now(UTC))

    async def _claim(self, statefulset: Obj) -> None:
        orphans = self._pods.by_index("uncontrolled", statefulset["metadata"]["namespace"])
        candidates = [*self._controlled(statefulset), *orphans]
        decided = claim(
            statefulset, selector_of(statefulset), candidates, lambda pod: is_member(statefulset, pod)
        )
        await carry_out(decided, statefulset, self._statefulsets, self._pods)

    def _controlled(self, statefulset: Obj) -> list[Pod]:
        found = self._pods.by_index("controller", statefulset["metadata"]["uid"])
        return [pod for pod in found if is_member(statefulset, pod)]

    def _view(self, statefulset: Obj, current: Obj, update: Obj) -> View:
        pods = self._controlled(statefulset)
        numbers = {*ordinals(statefulset), *map(ordinal_of, pods)}
        return View(
            statefulset, current, update, pods, self._claims_of(statefulset, numbers), datetime.now(UTC)
        )

    def _claims_of(self, statefulset: Obj, numbers: Iterable[int]) -> Claims:
        namespace = statefulset["metadata"]["namespace"]
        names = [
            claim_name(statefulset, template, number)
            for template in claim_templates(statefulset)
            for number in numbers
        ]
        found = ((name, self._claims.get(name, namespace)) for name in names)
        return {name: claim for name, claim in found if claim is not None}

    async def _carry_out(self, view: View, actions: Sequence[Action]) -> None:
        """In order; those of one kind at once, but in growing batches."""
        for _, same in groupby(actions, type):
            await in_batches([self._task(view, action) for action in same])

    def _task(self, view: View, action: Action) -> Callable[[], Awaitable[None]]:
        return lambda: self._act(view, action)

    async def _act(self, view: View, action: Action) -> None:
        statefulset = view.statefulset
        match action:
            case CreatePod(pod, claims):
                await self._create(statefulset, pod, claims)
            case DeletePod(pod):
                await self._told("Delete", statefulset, pod, self._delete(pod))
            case UpdatePod(pod):
                await self._told("Update", statefulset, pod, self._pods.update(pod))
            case CreateClaims(pod, claims):
                await self._create_claims(statefulset, pod, claims)
            case UpdateClaim(changed):
                await self._claims.update(changed)
            case Blocked(pod, why):
                self._say("Create", statefulset, pod, why)
                raise Conflict.of(PODS, pod["metadata"]["name"], why)
        if isinstance(action, CreatePod | CreateClaims):
            for name in of_claims.conflicting(statefulset, action.pod, view.claims):
                text = (
                    f"PersistentVolumeClaim {name} has a conflicting OwnerReference that acts as a managing "
                    "controller, the retention policy is ignored for this claim"
                )
                self._recorder.event(statefulset, "Warning", "ConflictingController", text)

    async def _create(self, statefulset: Obj, pod: Pod, claims: Sequence[Obj]) -> None:
        try:
            await self._create_claims(statefulset, pod, claims)
            await self._pods.create(pod)
        except AlreadyExists:
            # Made by a request whose answer was lost, or not ours: the next look will tell.
            metadata = pod["metadata"]
            self._pods.learn(await self._pods.live(metadata["name"], metadata["namespace"]))
            raise
        except ApiError as error:
            if not namespace_ends(error):
                self._say("Create", statefulset, pod, str(error))
            raise
        self._say("Create", statefulset, pod)

    async def _create_claims(self, statefulset: Obj, pod: Pod, claims: Sequence[Obj]) -> None:
        owner, name = statefulset["metadata"]["name"], pod["metadata"]["name"]
        for each in claims:
            what = each["metadata"]["name"]
            try:
                await self._claims.create(each)
            except AlreadyExists:
                self._claims.learn(await self._claims.live(what, each["metadata"]["namespace"]))
            except ApiError as error:
                if namespace_ends(error):
                    raise
                text = f"Create Claim {what} for Pod {name} in StatefulSet {owner} failed error: {error}"
                self._recorder.event(statefulset, "Warning", "FailedCreate", text)
                raise
            else:
                text = f"Create Claim {what} Pod {name} in StatefulSet {owner} success"
                self._recorder.event(statefulset, "Normal", "SuccessfulCreate", text)

    async def _delete(self, pod: Pod) -> None:
        with contextlib.suppress(NotFound):  # which is what was wanted
            await self._pods.delete(pod)

    async def _told(self, verb: str, statefulset: Obj, pod: Pod, deed: Awaitable[object]) -> None:
        try:
            await deed
        except Conflict:
            raise  # somebody else was faster, and the watch is about to say so
        except ApiError as error:
            self._say(verb, statefulset, pod, str(error))
            raise
        self._say(verb, statefulset, pod)

    def _say(self, verb: str, statefulset: Obj, pod: Pod, problem: str = "") -> None:
        names = f"Pod {pod['metadata']['name']} in StatefulSet {statefulset['metadata']['name']}"
        if problem:
            text = f"{verb} {names} failed error: {problem}"
            self._recorder.event(statefulset, "Warning", f"Failed{verb}", text)
        else:
            self._recorder.event(statefulset, "Normal", f"Successful{verb}", f"{verb} {names} successful")

    async def _write_status(self, statefulset: Obj, current: Obj, update: Obj, pods: Sequence[Pod]) -> None:
        was, becomes = (each["metadata"]["name"] for each in (current, update))
        status = status_of(statefulset, was, becomes, pods, datetime.now(UTC))
        if status != statefulset.get("status"):
            await self._statefulsets.update({**statefulset, "status": status}, "status")

    async def _clean_up(
        self, statefulset: Obj, revisions: Revisions, needed: Sequence[Obj], pods: Sequence[Pod]
    ) -> None:
        everything = [*revisions.old, *reversed(revisions.current)]
        names = {each["metadata"]["name"] for each in needed} | {revision_of(pod) for pod in pods}
        live = [each for each in everything if each["metadata"]["name"] in names]
        limit = statefulset["spec"].get("revisionHistoryLimit", 10)
        excess = len(everything) - len(live) - limit
        await self._history.drop(surplus(everything, live, limit, excess))


def _named(name: str | None, revisions: Revisions) -> Obj | None:
    everything = (*revisions.current, *revisions.old)
    return next((each for each in everything if each["metadata"]["name"] == name), None)
