"""DaemonSets: which nodes get a pod, and how a new template comes to all of them, whatever happens."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from wellhead.api.meta import Obj, is_deleting
from wellhead.api.types.pod import Pod
from wellhead.controllers.daemonset.placement import Placement, by_node, is_updated, new_pod, node_of
from wellhead.controllers.daemonset.plan import plan
from wellhead.controllers.daemonset.rolling import Limits, limits, roll
from wellhead.controllers.daemonset.status import status_of
from wellhead.controllers.failed_pods import FailedPods
from wellhead.controllers.pods import is_ready, phase, seconds_to_next_available

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TIME = "2026-01-01T11:00:00Z"


def daemonset(*, rolling: Obj | None = None, generation: int = 1, **spec: Any) -> Obj:
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling or {"maxUnavailable": 1, "maxSurge": 0}}
    annotations = {"deprecated.daemonset.template.generation": str(generation)}
    template = {"metadata": {"labels": {"app": "d"}}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": "d",
            "namespace": "default",
            "uid": "d",
            "generation": generation,
            "annotations": annotations,
        },
        "spec": {"template": template, "updateStrategy": strategy},
    }


def node(name: str, *taints: tuple[str, str], **labels: str) -> Obj:
    found = [{"key": key, "effect": effect} for key, effect in taints]
    return {"metadata": {"name": name, "labels": labels}, "spec": {"taints": found}}


def verdict(owner: Obj, where: Obj) -> tuple[bool, bool]:
    placement = Placement(owner)
    return placement.should_run(where), placement.may_stay(where)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (node("n"), (True, True)),
        (node("n", ("node.kubernetes.io/unschedulable", "NoSchedule")), (True, True)),
        (node("n", ("node.kubernetes.io/not-ready", "NoExecute")), (True, True)),
        (node("n", ("node.kubernetes.io/network-unavailable", "NoSchedule")), (False, True)),
        (node("n", ("dedicated", "NoSchedule")), (False, True)),
        (node("n", ("dedicated", "NoExecute")), (False, False)),
    ],
)
def test_taints_keep_pods_away_or_drive_them_out(where: Obj, expected: tuple[bool, bool]) -> None:
    assert verdict(daemonset(), where) == expected


def test_pods_on_the_hosts_network_need_no_other() -> None:
    where = node("n", ("node.kubernetes.io/network-unavailable", "NoSchedule"))
    assert verdict(daemonset(hostNetwork=True), where) == (True, True)


def test_selectors_affinity_and_names_choose_nodes() -> None:
    terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    for spec in (
        {"nodeSelector": {"zone": "a"}},
        {"affinity": {"nodeAffinity": required}},
        {"nodeName": "a"},
    ):
        assert verdict(daemonset(**spec), node("a", zone="a")) == (True, True)
        assert verdict(daemonset(**spec), node("b", zone="b")) == (False, False)


def test_a_pod_is_bound_to_its_node_by_affinity() -> None:
    preferred = [{"weight": 1, "preference": {}}]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    tolerations = [{"key": "node.kubernetes.io/disk-pressure", "operator": "Exists", "effect": "NoSchedule"}]
    made: Any = new_pod(daemonset(affinity=affinity, tolerations=tolerations), "n", "h")
    assert node_of(made) == "n"
    assert made["spec"]["affinity"]["nodeAffinity"].keys() == {
        "preferredDuringSchedulingIgnoredDuringExecution",
        "requiredDuringSchedulingIgnoredDuringExecution",
    }
    assert len(made["spec"]["tolerations"]) == 6
    assert made["metadata"]["labels"] == {
        "app": "d",
        "controller-revision-hash": "h",
        "pod-template-generation": "1",
    }


def test_both_limits_round_up_and_are_never_both_nothing() -> None:
    assert limits(daemonset(rolling={"maxUnavailable": "10%"}), 5) == Limits(0, 1)
    assert limits(daemonset(rolling={"maxUnavailable": 0, "maxSurge": "50%"}), 5) == Limits(3, 0)
    assert limits(daemonset(rolling={"maxUnavailable": 0, "maxSurge": 0}), 5) == Limits(0, 1)
    on_delete = daemonset()
    on_delete["spec"]["updateStrategy"] = {"type": "OnDelete"}
    assert limits(on_delete, 5) == Limits(0, 0)


def test_failed_pods_are_replaced_later_each_time() -> None:
    failed, now, waits = FailedPods(), 0.0, []
    for _ in range(4):
        wait = failed.wait("n", now)
        waits.append(wait)
        now += wait
        assert failed.wait("n", now) == 0 or wait == 0
    assert waits == [0, 1, 2, 4]
    assert failed.wait("other", now) == 0
    assert failed.wait("n", now + 10_000) == 0
    failed.forget_old(now + 100_000)
    assert failed.wait("n", now + 100_000) == 0


class World:
    """Nodes and their pods, as the API would have them."""

    def __init__(self, nodes: list[Obj]) -> None:
        self.nodes = nodes
        self.pods: dict[str, Pod] = {}
        self._numbers = itertools.count()

    def step(self, owner: Obj, digest: str) -> bool:
        """What the controller does once; whether that was anything."""
        placement = Placement(owner)
        managed = plan(owner, self.nodes, by_node(self.pods.values()), placement, digest, NOW)
        ended = [pod for _, pod in (*managed.failed, *managed.succeeded)]
        self._apply(owner, digest, managed.create, [*managed.delete, *ended])
        step = roll(owner, self.nodes, by_node(self.pods.values()), placement, digest, NOW)
        self._apply(owner, digest, step.create, step.delete)
        return bool(managed.create or managed.delete or ended or step.create or step.delete)

    def _apply(self, owner: Obj, digest: str, create: list[str], delete: list[Pod]) -> None:
        assert len({pod["metadata"]["name"] for pod in delete}) == len(delete)
        for pod in delete:
            self._put({**pod, "metadata": {**pod["metadata"], "deletionTimestamp": TIME}})
        for name in create:
            pod = new_pod(owner, name, digest)
            metadata = pod["metadata"] | {"name": f"p-{next(self._numbers):03}", "creationTimestamp": TIME}
            self._put({**pod, "metadata": metadata, "status": {"phase": "Pending"}})

    def _put(self, pod: Any) -> None:
        self.pods[pod["metadata"]["name"]] = pod

    def becomes(self, pod: Pod, happening: str) -> None:
        name = pod["metadata"]["name"]
        if happening == "goes" or is_deleting(pod):
            del self.pods[name]
            return
        ready = {"type": "Ready", "status": "True" if happening == "ready" else "False"}
        condition = {**ready, "lastTransitionTime": TIME}
        phase = "Failed" if happening == "fails" else "Running"
        spec = {**pod["spec"], "nodeName": node_of(pod)}
        self._put({**pod, "spec": spec, "status": {"phase": phase, "conditions": [condition]}})

    def here(self, name: str) -> list[Pod]:
        """The pods of a node that aren't on their way out, and haven't ended."""
        return [
            pod
            for pod in self.pods.values()
            if node_of(pod) == name and not is_deleting(pod) and phase(pod) != "Failed"
        ]

    def unavailable(self, owner: Obj) -> int:
        placement = Placement(owner)
        wanted = [each["metadata"]["name"] for each in self.nodes if placement.should_run(each)]
        return sum(not any(map(is_ready, self.here(name))) for name in wanted)

    def settle(self, owner: Obj, digest: str) -> None:
        """Everything that is made becomes ready, what shall go goes, until nothing is left to do."""
        for _ in range(6 * len(self.nodes) + 6):
            before = dict(self.pods)
            busy = self.step(owner, digest)
            for pod in list(self.pods.values()):
                self.becomes(pod, "goes" if is_deleting(pod) else "ready")
            if not busy and self.pods == before:
                return
        raise AssertionError("it never ends")


ROLLINGS = st.sampled_from(
    [
        {"maxUnavailable": 1, "maxSurge": 0},
        {"maxUnavailable": 2, "maxSurge": 0},
        {"maxUnavailable": "50%", "maxSurge": 0},
        {"maxUnavailable": 0, "maxSurge": 1},
        {"maxUnavailable": 0, "maxSurge": "60%"},
    ]
)
HAPPENINGS = st.sampled_from(["ready", "unready", "fails", "goes"])


@settings(max_examples=examples(80), deadline=None)
@given(ROLLINGS, st.integers(1, 5), st.data())
def test_a_rollout_keeps_its_bounds_and_ends_whatever_pods_do(
    rolling: Obj, count: int, data: st.DataObject
) -> None:
    world = World([node(f"n{number}") for number in range(count)])
    world.settle(daemonset(rolling=rolling), "old")
    owner = daemonset(rolling=rolling, generation=2)
    allowed = limits(owner, count)
    for _ in range(data.draw(st.integers(0, 15))):
        before = world.unavailable(owner)
        world.step(owner, "new")
        assert world.unavailable(owner) <= max(before, allowed.unavailable)
        per_node = [len(world.here(each["metadata"]["name"])) for each in world.nodes]
        assert max(per_node) <= (2 if allowed.surge else 1)
        if world.pods:
            name = data.draw(st.sampled_from(sorted(world.pods)))
            world.becomes(world.pods[name], data.draw(HAPPENINGS))
    world.settle(owner, "new")
    assert sorted(map(node_of, world.pods.values())) == [f"n{number}" for number in range(count)]
    assert all(is_updated(pod, owner, "new") for pod in world.pods.values())
    status = status_of(owner, world.nodes, by_node(world.pods.values()), Placement(owner), "new", NOW)
    names = ("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable")
    assert [status[name] for name in names] == [count] * 3
    assert "numberUnavailable" not in status


@settings(max_examples=examples(60), deadline=None)
@given(
    ROLLINGS, st.lists(st.sampled_from(["come", "leave", "taint", "evict", "step"]), max_size=20), st.data()
)
def test_pods_follow_nodes_that_come_and_go(rolling: Obj, changes: list[str], data: st.DataObject) -> None:
    world, owner = World([]), daemonset(rolling=rolling)
    for number, change in enumerate(changes):
        if change == "come":
            world.nodes.append(node(f"n{number}"))
        elif change == "step":
            world.step(owner, "h")
        elif world.nodes:
            position = data.draw(st.integers(0, len(world.nodes) - 1))
            name = world.nodes.pop(position)["metadata"]["name"]
            if change == "leave":
                # The pod garbage collector's part: pods that were on it.
                for pod in [each for each in world.pods.values() if each["spec"].get("nodeName") == name]:
                    world.becomes(pod, "goes")
            else:
                world.nodes.append(node(name, ("x", "NoExecute" if change == "evict" else "NoSchedule")))
    world.settle(owner, "h")
    placement = Placement(owner)
    there = sorted(map(node_of, world.pods.values()))
    wanted = [each["metadata"]["name"] for each in world.nodes if placement.should_run(each)]
    may_stay = [each["metadata"]["name"] for each in world.nodes if placement.may_stay(each)]
    assert set(wanted) <= set(there) <= set(may_stay)
    assert len(set(there)) == len(there)
    status = status_of(owner, world.nodes, by_node(world.pods.values()), placement, "h", NOW)
    assert status["numberMisscheduled"] == len(set(there) - set(wanted))


def test_a_surging_pod_waits_for_its_seconds() -> None:
    owner = daemonset(rolling={"maxUnavailable": 0, "maxSurge": 1}, generation=2)
    world = World([node("n")])
    world.settle(daemonset(rolling={"maxUnavailable": 0, "maxSurge": 1}), "old")
    owner["spec"]["minReadySeconds"] = 2 * 3600
    world.step(owner, "new")
    world.becomes(world.pods["p-001"], "ready")
    assert not world.step(owner, "new")
    assert seconds_to_next_available(owner, world.pods.values(), NOW) == 3600
