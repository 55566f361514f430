"""Which pods go first, how long they may stay on a tainted node, and when a node counts as silent."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.meta import Obj
from wellhead.api.types.node import Node, Taint
from wellhead.api.types.pod import Pod, Toleration
from wellhead.controllers.node.health import heartbeat, silent_status
from wellhead.controllers.node.taints import tainted, wanted_taints
from wellhead.controllers.node.toleration import seconds_tolerated
from wellhead.controllers.pod_control import slow_start
from wellhead.controllers.replicaset.plan import first_to_go, missing
from wellhead.controllers.replicaset.status import status_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TIME = "2026-01-01T11:00:00Z"


def pod(
    name: str, *, node: str = "node-1", phase: str = "Running", ready: bool = True, **metadata: Any
) -> Any:
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": metadata.pop("since", TIME)}
    return {
        "metadata": {"name": name, "uid": name, "creationTimestamp": TIME, **metadata},
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "conditions": [condition]},
    }


def order(*pods: Pod, crowd: dict[str, int] | None = None) -> list[str]:
    return [each["metadata"]["name"] for each in first_to_go(pods, len(pods), crowd or {}, NOW)]


def test_pods_that_are_missed_least_go_first() -> None:
    cost = {"controller.kubernetes.io/pod-deletion-cost": "-1"}
    assert order(
        pod("steady"),
        pod("young", since="2026-01-01T11:59:59Z"),
        pod("cheap", annotations=cost),
        pod("unready", ready=False),
        pod("pending", phase="Pending", ready=False),
        pod("unassigned", node="", phase="Pending", ready=False),
    ) == ["unassigned", "pending", "unready", "cheap", "young", "steady"]


def test_pods_of_crowded_nodes_go_before_others() -> None:
    found = order(pod("a", node="node-1"), pod("b", node="node-2"), crowd={"node-1": 1, "node-2": 2})
    assert found == ["b", "a"]


@given(st.integers(0, 2000))
def test_slow_start_creates_exactly_what_is_missing(count: int) -> None:
    batches = list(slow_start(count))
    assert sum(batches) == count
    assert all(later <= 2 * earlier for earlier, later in itertools.pairwise(batches))


def test_a_huge_change_is_made_in_steps() -> None:
    assert missing({"spec": {"replicas": 5000}}, []) == 500
    assert missing({"spec": {"replicas": 0}}, [{}] * 5000) == -500


def test_a_replicasets_status_counts_active_pods_only() -> None:
    replicaset = {
        "kind": "ReplicaSet",
        "metadata": {"generation": 3},
        "spec": {"replicas": 3, "minReadySeconds": 60, "template": {}},
    }
    pods = [
        pod("available"),
        pod("ready", since="2026-01-01T11:59:30Z"),
        pod("ended", phase="Failed"),
        pod("ending", deletionTimestamp=TIME),
    ]
    status = status_of(replicaset, pods, NOW, None)
    assert status == {
        "replicas": 2,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "terminatingReplicas": 1,
        "observedGeneration": 3,
    }


TAINT: Taint = {"key": "a", "value": "x", "effect": "NoExecute"}


@pytest.mark.parametrize(
    ("tolerations", "seconds"),
    [
        ([], 0.0),
        ([{"key": "b", "operator": "Exists"}], 0.0),
        ([{"key": "a", "operator": "Exists"}], None),
        ([{"operator": "Exists"}], None),
        ([{"key": "a", "value": "x", "effect": "NoExecute", "tolerationSeconds": 300}], 300.0),
        ([{"key": "a", "operator": "Exists", "tolerationSeconds": -5}], 0.0),
        ([{"key": "a", "operator": "Exists", "tolerationSeconds": 9}, {"operator": "Exists"}], 9.0),
    ],
)
def test_how_long_a_pod_may_stay(tolerations: list[Toleration], seconds: float | None) -> None:
    assert seconds_tolerated([TAINT], tolerations) == seconds


def node(status: str | None, **spec: Any) -> Any:
    conditions = [{"type": "Ready", "status": status, "lastHeartbeatTime": TIME}] if status else []
    return {
        "metadata": {"name": "node-1", "creationTimestamp": TIME},
        "spec": spec,
        "status": {"conditions": conditions},
    }


def test_taints_follow_conditions_and_leave_others_alone() -> None:
    mine = {"key": "mine", "effect": "NoExecute"}
    silent = node("Unknown", taints=[mine, {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}])
    changed = tainted(silent, wanted_taints(silent, evict=True), TIME)
    assert changed is not None
    assert changed["spec"]["taints"] == [
        mine,
        {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": TIME},
        {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"},
    ]
    assert tainted(changed, wanted_taints(changed, evict=True), TIME) is None
    back: Node = {**changed, "status": node("True")["status"]}
    cleared = tainted(back, wanted_taints(back, evict=True), TIME)
    assert cleared is not None
    assert cleared["spec"]["taints"] == [mine]


def lease(time: str) -> Obj:
    return {"spec": {"renewTime": time}}


def test_a_heartbeat_counts_from_when_it_was_seen_whatever_its_own_time_says() -> None:
    first = heartbeat(node("True"), lease("2026-01-01T00:00:00Z"), None, 100.0)
    assert first.seen == 100.0
    assert heartbeat(node("True"), lease("2026-01-01T00:00:00Z"), first, 110.0) == first
    jumped = heartbeat(node("True"), lease("1999-01-01T00:00:00Z"), first, 120.0)
    assert jumped.seen == 120.0


def test_what_we_write_about_a_silent_node_is_no_heartbeat() -> None:
    first = heartbeat(node("True"), lease("2026-01-01T00:00:00Z"), None, 100.0)
    assert heartbeat(node("Unknown"), lease("2026-01-01T00:00:00Z"), first, 150.0).seen == 100.0


def test_a_silent_node_is_unknown_once() -> None:
    status = silent_status(node("True"), TIME)
    assert status is not None
    by_type = {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}
    assert by_type["Ready"] == ("Unknown", "NodeStatusUnknown")
    assert by_type["MemoryPressure"] == ("Unknown", "NodeStatusNeverUpdated")
    assert silent_status(node("True") | {"status": status}, TIME) is None
