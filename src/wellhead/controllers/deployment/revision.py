"""The annotations by which Deployments and their ReplicaSets tell rollouts apart.

Source: upstream's pkg/controller/deployment/util; `kubectl rollout history` and `undo` read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wellhead.api.meta import Obj
from wellhead.api.meta import annotations as annotations_of
from wellhead.api.names import LAST_APPLIED_ANNOTATION

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"

_LONGEST_HISTORY = 2000

_OWN = frozenset(
    {
        LAST_APPLIED_ANNOTATION,
        "deprecated.deployment.rollback.to",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
    }
)
"""Annotations that mean something else on a ReplicaSet than on its Deployment."""


def revision(obj: Obj) -> int:
    """The number of the rollout that made this ReplicaSet the current one; 0 if it doesn't say."""
    return number(annotations_of(obj), REVISION) or 0


def next_revision(old_replicasets: Iterable[Obj]) -> int:
    return max(map(revision, old_replicasets), default=0) + 1


def number(found: Mapping[str, str], name: str) -> int | None:
    """An annotation as a number; None if it is absent or isn't one."""
    try:
        return int(found[name])
    except (KeyError, ValueError):
        return None


def replicaset_annotations(
    deployment: Obj, replicaset: Obj | None, current: int, desired: int, most: int
) -> dict[str, str]:
    """What the current ReplicaSet's annotations must be; `replicaset` is None for one yet to be made."""
    before = annotations_of(replicaset) if replicaset is not None else {}
    copied = {name: text for name, text in annotations_of(deployment).items() if name not in _OWN}
    after = {**before, **copied, **size_annotations(desired, most)}
    was = number(before, REVISION) or 0
    if was < current:
        after[REVISION] = str(current)
        if was:
            after[REVISION_HISTORY] = _with(before.get(REVISION_HISTORY) or "", was)
    return after


def _with(history: str, number: int) -> str:
    """The numbers that a ReplicaSet had, with one more; the oldest are forgotten when it gets long."""
    numbers = [*filter(None, history.split(",")), str(number)]
    while len(numbers) > 1 and len(",".join(numbers)) > _LONGEST_HISTORY:
        del numbers[0]
    return ",".join(numbers)


def size_annotations(desired: int, most: int) -> dict[str, str]:
    """Remembered on every ReplicaSet, so that a later change of the size can be shared out in proportion."""
    return {DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(most)}
