"""What a Deployment's conditions and its ReplicaSets' annotations say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.meta import Obj
from wellhead.controllers.deployment.plan import CreateReplicaSet, plan, split
from wellhead.controllers.deployment.revision import replicaset_annotations
from wellhead.controllers.deployment.rolling import bounds
from wellhead.controllers.deployment.status import seconds_to_deadline, status_of, without_replicaset

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HISTORY = "deployment.kubernetes.io/revision-history"


def deployment(**spec: Any) -> Obj:
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "default", "uid": "d", "generation": 1},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "d"}},
            "template": template,
            "progressDeadlineSeconds": 60,
            **spec,
        },
    }


def progressing(status: Obj) -> tuple[str, str]:
    [found] = [each for each in status["conditions"] if each["type"] == "Progressing"]
    return found["status"], found["reason"]


def stepped(owner: Obj, replicasets: list[Obj], now: datetime, *, created: bool = False) -> Obj:
    new, old = split(owner, replicasets)
    status = owner["status"] = status_of(owner, new, old, bounds(owner), now, created=created)
    return status


def made(owner: Obj) -> Obj:
    [action] = plan(owner, [], set())
    assert isinstance(action, CreateReplicaSet)
    replicaset = action.replicaset
    replicaset["metadata"] |= {"uid": "rs", "generation": 1}
    return replicaset


def test_a_rollout_without_progress_times_out_and_recovers() -> None:
    owner = deployment()
    new = made(owner)
    assert progressing(stepped(owner, [new], NOW, created=True)) == ("True", "NewReplicaSetCreated")
    assert seconds_to_deadline(owner, owner["status"], NOW) == 61
    late = NOW + timedelta(seconds=61)
    assert progressing(stepped(owner, [new], late)) == ("False", "ProgressDeadlineExceeded")
    assert seconds_to_deadline(owner, owner["status"], late) is None
    new["status"] = {"replicas": 2, "readyReplicas": 1, "availableReplicas": 1}
    assert progressing(stepped(owner, [new], late)) == ("True", "ReplicaSetUpdated")
    new["status"] = {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    assert progressing(stepped(owner, [new], late)) == ("True", "NewReplicaSetAvailable")


def test_a_pause_stops_the_clock() -> None:
    owner = deployment(paused=True)
    assert progressing(stepped(owner, [], NOW)) == ("Unknown", "DeploymentPaused")
    late = NOW + timedelta(hours=1)
    assert seconds_to_deadline(owner, owner["status"], late) is None
    owner["spec"]["paused"] = False
    assert progressing(stepped(owner, [], late)) == ("Unknown", "DeploymentResumed")


def test_a_replicaset_that_cannot_be_made_is_said_where_a_deadline_is() -> None:
    status = without_replicaset(deployment(), 'Failed to create new replica set "d-x": no', NOW)
    assert progressing(status) == ("False", "ReplicaSetCreateError")
    assert without_replicaset(deployment(progressDeadlineSeconds=None), "no", NOW) == {}


@given(st.lists(st.integers(1, 10**6), max_size=700))
def test_the_history_of_revisions_stays_short_and_keeps_the_latest(numbers: list[int]) -> None:
    before = {"deployment.kubernetes.io/revision": "7", HISTORY: ",".join(map(str, numbers))}
    replicaset = {"metadata": {"annotations": before}}
    after = replicaset_annotations(deployment(), replicaset, 8, 2, 3)[HISTORY]
    assert len(after) <= 2000
    assert after.split(",") == [*map(str, numbers), "7"][-len(after.split(",")) :]
