"""What to do next for a Deployment: a pure function of it, its ReplicaSets and which of those have pods.

The controller carries the actions out and asks again, until there is none; then it writes the status.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from wellhead.api.meta import Obj, is_deleting, owner_reference
from wellhead.api.meta import annotations as annotations_of
from wellhead.controllers.deployment import rolling
from wellhead.controllers.deployment.revision import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    REVISION,
    next_revision,
    number,
    replicaset_annotations,
    revision,
    size_annotations,
)
from wellhead.controllers.deployment.rolling import Bounds, Size
from wellhead.controllers.deployment.status import is_complete
from wellhead.controllers.template import HASH_LABEL, same_template, template_hash


@dataclass(frozen=True)
class CreateReplicaSet:
    replicaset: Obj


@dataclass(frozen=True)
class UpdateReplicaSet:
    """`before` is its size until now: where it differs, people are told."""

    replicaset: Obj
    before: int


@dataclass(frozen=True)
class DeleteReplicaSet:
    replicaset: Obj


@dataclass(frozen=True)
class UpdateDeployment:
    """The Deployment with its revision annotation."""

    deployment: Obj


Action = CreateReplicaSet | UpdateReplicaSet | DeleteReplicaSet | UpdateDeployment


def split(deployment: Obj, replicasets: Sequence[Obj]) -> tuple[Obj | None, list[Obj]]:
    """(the ReplicaSet with the Deployment's template, all others). Of several, the oldest is the new one."""
    oldest_first = sorted(replicasets, key=_age)
    template = deployment["spec"]["template"]
    new = next((each for each in oldest_first if same_template(each["spec"]["template"], template)), None)
    return new, [each for each in oldest_first if each is not new]


def plan(deployment: Obj, replicasets: Sequence[Obj], with_pods: AbstractSet[str]) -> list[Action]:
    """The next actions; none when only time and the ReplicaSets' own controller can bring more.

    `with_pods` holds the uids of ReplicaSets that still have pods which aren't terminal.
    """
    if is_deleting(deployment):
        return []
    limits = rolling.bounds(deployment)
    paused = bool(deployment["spec"].get("paused"))
    recreate = _is_recreate(deployment)
    new, old = split(deployment, replicasets)
    if synced := _sync_revision(deployment, new, old, limits):
        return synced
    if paused or _is_resized(replicasets, limits):
        sizes = rolling.rescale(
            _size(new) if new else None, list(map(_size, old)), limits, rolling=not recreate
        )
        if resized := _resize(replicasets, sizes, limits, annotate=True):
            return resized
    elif recreate:
        if steps := _recreate(deployment, new, old, with_pods, limits):
            return steps
        if new is None:
            return []  # pods of the old template still run
    elif steps := _roll(deployment, new, old, limits):
        return steps
    if paused or is_complete(deployment, deployment.get("status") or {}):
        return _clean_up(deployment, old)
    return []


def _sync_revision(deployment: Obj, new: Obj | None, old: Sequence[Obj], limits: Bounds) -> list[Action]:
    """What the new ReplicaSet and the Deployment say about themselves, brought up to date."""
    if new is None:
        return []
    if not deployment["spec"].get("paused"):
        wanted = replicaset_annotations(deployment, new, next_revision(old), limits.desired, limits.most)
        # Sizes are recorded when the sizes follow; until then they tell that the Deployment was resized.
        for name in (DESIRED_REPLICAS, MAX_REPLICAS):
            wanted.pop(name)
            if name in annotations_of(new):
                wanted[name] = annotations_of(new)[name]
        min_ready = deployment["spec"].get("minReadySeconds", 0)
        if wanted != annotations_of(new) or new["spec"].get("minReadySeconds", 0) != min_ready:
            updated = _annotated(new, wanted)
            updated["spec"] = {**new["spec"], "minReadySeconds": min_ready}
            return [UpdateReplicaSet(updated, new["spec"].get("replicas", 1))]
    current = annotations_of(new).get(REVISION)
    if current and annotations_of(deployment).get(REVISION) != current:
        return [UpdateDeployment(_annotated(deployment, {**annotations_of(deployment), REVISION: current}))]
    return []


def _roll(deployment: Obj, new: Obj | None, old: Sequence[Obj], limits: Bounds) -> list[Action]:
    old_sizes = list(map(_size, old))
    if new is None:
        size = rolling.grow_new(Size("", "", 0, 0), old_sizes, limits)
        return [CreateReplicaSet(_new_replicaset(deployment, old, size.replicas, limits))]
    size = _size(new)
    if grown := _resize([new], [rolling.grow_new(size, old_sizes, limits)], limits):
        return grown
    return _resize(old, rolling.shrink_old(size, old_sizes, limits), limits)


def _recreate(
    deployment: Obj, new: Obj | None, old: Sequence[Obj], with_pods: AbstractSet[str], limits: Bounds
) -> list[Action]:
    none = [Size(each["metadata"]["name"], "", 0, 0) for each in old]
    if emptied := _resize(old, none, limits):
        return emptied
    if any(each["metadata"]["uid"] in with_pods for each in old):
        return []
    if new is None:
        return [CreateReplicaSet(_new_replicaset(deployment, old, limits.desired, limits))]
    full = Size(new["metadata"]["name"], "", limits.desired, 0)
    return _resize([new], [full], limits)


def _is_resized(replicasets: Sequence[Obj], limits: Bounds) -> bool:
    """Whether the Deployment's size was changed since an active ReplicaSet was last scaled."""
    recorded = (
        number(annotations_of(rs), DESIRED_REPLICAS) for rs in replicasets if rs["spec"].get("replicas", 1)
    )
    return any(desired is not None and desired != limits.desired for desired in recorded)


def _resize(
    replicasets: Sequence[Obj], sizes: Sequence[Size], limits: Bounds, *, annotate: bool = False
) -> list[Action]:
    """Updates for those whose size changes; with `annotate`, also for active ones with outdated records."""
    wanted = {size.name: size.replicas for size in sizes}
    record = size_annotations(limits.desired, limits.most)
    actions: list[Action] = []
    for each in replicasets:
        before = each["spec"].get("replicas", 1)
        after = wanted[each["metadata"]["name"]]
        outdated = annotate and after > 0 and not record.items() <= annotations_of(each).items()
        if after != before or outdated:
            updated = _annotated(each, {**annotations_of(each), **record})
            updated["spec"] = {**each["spec"], "replicas": after}
            actions.append(UpdateReplicaSet(updated, before))
    return actions


def _clean_up(deployment: Obj, old: Sequence[Obj]) -> list[Action]:
    limit = deployment["spec"].get("revisionHistoryLimit")
    if limit is None or limit == 2**31 - 1:
        return []
    present = sorted((each for each in old if not is_deleting(each)), key=revision)
    surplus = present[: max(0, len(present) - limit)]
    return [DeleteReplicaSet(each) for each in surplus if _is_empty(each)]


def _is_empty(replicaset: Obj) -> bool:
    status = replicaset.get("status") or {}
    settled = status.get("observedGeneration", 0) >= replicaset["metadata"].get("generation", 0)
    return settled and not replicaset["spec"].get("replicas", 1) and not status.get("replicas", 0)


def _new_replicaset(deployment: Obj, old: Sequence[Obj], replicas: int, limits: Bounds) -> Obj:
    metadata, spec = deployment["metadata"], deployment["spec"]
    digest = template_hash(spec["template"], (deployment.get("status") or {}).get("collisionCount") or 0)
    template = spec["template"]
    template_labels = {**(template.get("metadata", {}).get("labels") or {}), HASH_LABEL: digest}
    selector = spec["selector"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name']}-{digest}",
            "namespace": metadata["namespace"],
            "labels": template_labels,
            "annotations": replicaset_annotations(
                deployment, None, next_revision(old), limits.desired, limits.most
            ),
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": spec.get("minReadySeconds", 0),
            "selector": {
                **selector,
                "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: digest},
            },
            "template": {**template, "metadata": {**template.get("metadata", {}), "labels": template_labels}},
        },
    }


def _size(replicaset: Obj) -> Size:
    metadata = replicaset["metadata"]
    return Size(
        metadata["name"],
        metadata.get("creationTimestamp") or "",
        replicaset["spec"].get("replicas", 1),
        (replicaset.get("status") or {}).get("availableReplicas", 0),
        number(annotations_of(replicaset), DESIRED_REPLICAS),
        number(annotations_of(replicaset), MAX_REPLICAS),
    )


def _annotated(obj: Obj, found: dict[str, str]) -> Obj:
    return {**obj, "metadata": {**obj["metadata"], "annotations": found}}


def _is_recreate(deployment: Obj) -> bool:
    return (deployment["spec"].get("strategy") or {}).get("type") == "Recreate"


def _age(obj: Obj) -> tuple[str, str]:
    return obj["metadata"].get("creationTimestamp") or "", obj["metadata"]["name"]
