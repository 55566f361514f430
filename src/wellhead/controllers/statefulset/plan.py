"""What to do next for a StatefulSet: a pure function of it, its revisions, its pods and their claims.

Source: upstream's pkg/controller/statefulset/stateful_set_control.go. With OrderedReady one pod is created or
deleted at a time, up by number and down again, and only while all before it are available; so a rollout that
is stuck stays so until the broken pod is deleted by hand, as upstream's. With Parallel nobody waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from wellhead.api.meta import Obj, is_deleting
from wellhead.api.types.pod import Pod
from wellhead.controllers.pods import is_ready, is_terminal, phase, seconds_to_available
from wellhead.controllers.revisions import template_of
from wellhead.controllers.shares import resolve
from wellhead.controllers.statefulset import claims as of_claims
from wellhead.controllers.statefulset.claims import Claims
from wellhead.controllers.statefulset.identity import (
    matches_identity,
    new_pod,
    ordinal_of,
    ordinals,
    replicas_of,
    revision_of,
    start_of,
    with_identity,
)


@dataclass(frozen=True)
class CreatePod:
    """Of its claims, those that are missing come first."""

    pod: Pod
    claims: tuple[Obj, ...]


@dataclass(frozen=True)
class DeletePod:
    pod: Pod


@dataclass(frozen=True)
class UpdatePod:
    """A pod that had lost what makes it this StatefulSet's."""

    pod: Pod


@dataclass(frozen=True)
class CreateClaims:
    """Claims that a pod which waits for them lacks."""

    pod: Pod
    claims: tuple[Obj, ...]


@dataclass(frozen=True)
class UpdateClaim:
    """A claim with other owners."""

    claim: Obj


@dataclass(frozen=True)
class Blocked:
    """The pod can't be made yet: why."""

    pod: Pod
    why: str


Action = CreatePod | DeletePod | UpdatePod | CreateClaims | UpdateClaim | Blocked


@dataclass(frozen=True)
class View:
    """What a plan is made of. `current` and `update` are ControllerRevisions."""

    statefulset: Obj
    current: Obj
    update: Obj
    pods: Sequence[Pod]
    claims: Claims
    now: datetime

    def is_available(self, pod: Pod) -> bool:
        min_ready = self.statefulset["spec"].get("minReadySeconds", 0)
        return seconds_to_available(pod, min_ready, self.now) == 0

    def is_healthy(self, pod: Pod) -> bool:
        return phase(pod) == "Running" and is_ready(pod) and self.is_available(pod)

    def is_unavailable(self, pod: Pod) -> bool:
        return is_deleting(pod) or not self.is_available(pod)


def plan(view: View) -> list[Action]:
    """The next actions; none when only time, or pods that change, can bring more."""
    statefulset = view.statefulset
    if is_deleting(statefulset):
        return []
    ordered = statefulset["spec"].get("podManagementPolicy") != "Parallel"
    there = {ordinal_of(pod): pod for pod in view.pods}
    numbers = ordinals(statefulset)
    actions: list[Action] = []
    for number in numbers:
        steps, goes_on = _replica(view, there.get(number), number)
        actions += steps
        if ordered and not goes_on:
            return actions
    condemned = sorted(
        (pod for pod in view.pods if ordinal_of(pod) >= 0 and ordinal_of(pod) not in numbers),
        key=ordinal_of,
        reverse=True,
    )
    for pod in condemned:
        actions += map(UpdateClaim, of_claims.disowned(statefulset, pod, view.claims))
    if ordered:
        going, goes_on = _first_condemned(view, condemned)
        if not goes_on:
            return [*actions, *going]
    else:
        actions += [DeletePod(pod) for pod in condemned if not is_deleting(pod)]
    return actions + _roll(view, [there.get(number) for number in numbers], actions)


def _replica(view: View, pod: Pod | None, number: int) -> tuple[list[Action], bool]:
    """What one pod of the right number needs, and whether those after it may be looked at, in order."""
    statefulset = view.statefulset
    if pod is None:
        return list(_creation(view, number)), False
    if is_terminal(pod):
        return ([] if is_deleting(pod) else [DeletePod(pod)]), False
    actions: list[Action] = []
    if phase(pod) == "Pending" and not is_deleting(pod):
        lacking = of_claims.missing(statefulset, pod, view.claims)
        if lacking:
            actions.append(CreateClaims(pod, tuple(lacking)))
    healthy = not is_deleting(pod) and view.is_healthy(pod)
    ordered = statefulset["spec"].get("podManagementPolicy") != "Parallel"
    if healthy or not ordered or phase(pod) == "Pending":
        actions += map(UpdateClaim, of_claims.disowned(statefulset, pod, view.claims))
    if (healthy or not ordered) and not matches_identity(statefulset, pod):
        lacking = of_claims.missing(statefulset, pod, view.claims)
        if lacking and not any(isinstance(each, CreateClaims) for each in actions):
            actions.append(CreateClaims(pod, tuple(lacking)))
        actions.append(UpdatePod(with_identity(statefulset, pod)))
    return actions, healthy


def _creation(view: View, number: int) -> Iterator[Action]:
    statefulset = view.statefulset
    pod = _new_pod(view, number)
    if of_claims.is_stale(statefulset, pod, view.claims):
        return
    if going := of_claims.going(statefulset, pod, view.claims):
        yield Blocked(pod, f"pvc {going} is being deleted")
        return
    yield CreatePod(pod, tuple(of_claims.missing(statefulset, pod, view.claims)))


def _new_pod(view: View, number: int) -> Pod:
    """Of the current revision below the partition, of the update revision else."""
    statefulset = view.statefulset
    strategy = statefulset["spec"].get("updateStrategy") or {}
    rolling = strategy.get("rollingUpdate")
    kept = 0
    if rolling is not None:
        kept = rolling.get("partition", 0)
    elif strategy.get("type") == "RollingUpdate":
        kept = (statefulset.get("status") or {}).get("currentReplicas", 0)
    revision = view.current if number < start_of(statefulset) + kept else view.update
    return new_pod(statefulset, template_of(revision), revision["metadata"]["name"], number)


def _first_condemned(view: View, condemned: Sequence[Pod]) -> tuple[list[Action], bool]:
    """In order: the last pod goes, when it and all before it are available, or it is the first that isn't.

    One that has ended goes, too: upstream waits for it for ever.
    """
    if not condemned:
        return [], True
    last = condemned[0]
    if is_deleting(last):
        return [], False
    ascending = sorted(condemned, key=ordinal_of)
    unavailable = next((pod for pod in ascending if view.is_unavailable(pod)), None)
    if not view.is_healthy(last) and last is not unavailable and not is_terminal(last):
        return [], False
    return [DeletePod(last)], False


def _roll(view: View, replicas: Sequence[Pod | None], actions: Iterable[Action]) -> list[Action]:
    """Pods of another revision go, the highest numbers first, as many as may be unavailable."""
    strategy = view.statefulset["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return []
    rolling = strategy.get("rollingUpdate") or {}
    partition = rolling.get("partition", 0)
    most = max(1, resolve(rolling.get("maxUnavailable", 1), replicas_of(view.statefulset), up=False))
    room = most - sum(pod is None or view.is_unavailable(pod) for pod in replicas)
    gone = {id(each.pod) for each in actions if isinstance(each, DeletePod)}
    update = view.update["metadata"]["name"]
    old = [
        pod
        for pod in reversed(replicas[partition:])
        if pod is not None and revision_of(pod) != update and not is_deleting(pod) and id(pod) not in gone
    ]
    return [DeletePod(pod) for pod in old[: max(0, room)]]
