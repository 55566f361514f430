"""When a node is under pressure, who goes first, and what is said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.node.eviction import local_storage, ranking, thresholds
from wellhead.node.eviction.local_storage import Usage
from wellhead.node.eviction.pressure import Pressure
from wellhead.node.eviction.ranking import Used
from wellhead.node.eviction.thresholds import MEMORY, NODE_FS, PIDS, Observation, Threshold, parse

Obj = dict[str, Any]
GIB = 1 << 30


def memory(available: int) -> dict[str, Observation]:
    return {MEMORY: Observation(available, 10 * GIB)}


def pod(name: str, *containers: Obj, **spec: Any) -> Obj:
    listed = [{"name": f"c{number}", **each} for number, each in enumerate(containers or ({},))]
    return {"metadata": {"name": name, "uid": name}, "spec": {"containers": listed, **spec}}


def said(one: Obj, usage: Usage) -> str:
    found = local_storage.excess(one, usage)
    return found.message if found else ""


def asks(kind: str, **amounts: str) -> Obj:
    return {"resources": {kind: {name.replace("_", "-"): text for name, text in amounts.items()}}}


# Pressure


def test_a_hard_threshold_acts_at_once_and_its_condition_stays_for_a_while() -> None:
    [hard] = parse({MEMORY: "1Gi"}, {}, {}, {})
    pressure = Pressure([hard], transition=300)
    assert pressure.look(memory(GIB), 0) == []
    assert pressure.look(memory(GIB - 1), 10) == [hard]
    assert pressure.conditions == {"MemoryPressure"}
    assert pressure.look(memory(2 * GIB), 20) == []
    assert pressure.conditions == {"MemoryPressure"}
    pressure.look(memory(2 * GIB), 309)
    assert pressure.conditions == {"MemoryPressure"}
    pressure.look(memory(2 * GIB), 310)
    assert pressure.conditions == frozenset()


def test_a_soft_threshold_acts_after_its_grace_and_begins_anew_once_over() -> None:
    [soft] = parse({}, {MEMORY: "10%"}, {MEMORY: "1m30s"}, {})
    pressure = Pressure([soft], transition=0)
    assert pressure.look(memory(GIB - 1), 0) == []
    assert pressure.conditions == {"MemoryPressure"}
    assert pressure.look(memory(GIB), 89) == []
    assert pressure.conditions == frozenset()
    assert pressure.look(memory(GIB - 1), 91) == []
    assert pressure.look(memory(GIB - 1), 180) == []
    assert pressure.look(memory(GIB - 1), 181) == [soft]


def test_what_acts_goes_on_until_enough_has_come_back() -> None:
    [hard] = parse({MEMORY: "1Gi"}, {}, {}, {MEMORY: "500Mi"})
    pressure = Pressure([hard], transition=0)
    assert pressure.look(memory(GIB - 1), 0) == [hard]
    assert pressure.look(memory(GIB + (499 << 20)), 10) == [hard]
    assert pressure.conditions == {"MemoryPressure"}
    assert pressure.look(memory(GIB + (500 << 20)), 20) == []
    assert pressure.look(memory(GIB + 1), 30) == []  # it is another time


def test_what_cant_be_told_is_no_pressure() -> None:
    every = parse({MEMORY: "1Gi", NODE_FS: "5%"}, {}, {}, {})
    assert Pressure(every, 0).look({}, 0) == []


def test_memory_comes_first_and_hard_before_soft() -> None:
    hard = parse({PIDS: "1%", NODE_FS: "5%", MEMORY: "1Gi"}, {}, {}, {})
    soft = parse({}, {MEMORY: "2Gi", PIDS: "5%"}, {MEMORY: "1m", PIDS: "1m"}, {})
    assert thresholds.first([*soft, *hard]) == hard[2]
    assert thresholds.first([soft[1], hard[1]]) == hard[1]


@given(st.integers(0, 10 * GIB), st.integers(1, 100))
def test_a_percentage_is_one_of_the_whole(available: int, percent: int) -> None:
    [one] = parse({MEMORY: f"{percent}%"}, {}, {}, {}) or (None,)
    if one is not None:
        expected = available < int(10 * GIB * (percent / 100))
        assert bool(thresholds.met([one], memory(available))) == expected


def test_what_hard_thresholds_keep_free_is_not_for_pods() -> None:
    every = parse({MEMORY: "1Gi", PIDS: "5%"}, {MEMORY: "2Gi"}, {MEMORY: "1m"}, {})
    assert thresholds.held_back(every, memory(5 * GIB)) == {"memory": GIB}


# Who goes


def test_who_uses_more_than_asked_goes_first_then_the_least_important_then_the_largest() -> None:
    pods = [
        pod("within", asks("requests", memory="100Mi"), priority=-5),
        pod("important", priority=10),
        pod("over", asks("requests", memory="10Mi")),
        pod("far over"),
        pod("unknown", priority=1000),
    ]
    used = {
        "within": Used(memory=90 << 20),
        "important": Used(memory=500 << 20),
        "over": Used(memory=30 << 20),
        "far over": Used(memory=40 << 20),
    }
    order = [each["metadata"]["name"] for each in ranking.ranked(pods, "memory", used)]
    assert order == ["unknown", "far over", "over", "important", "within"]


def test_for_processes_requests_say_nothing() -> None:
    pods = [pod("few"), pod("many"), pod("important", priority=1)]
    used = {"few": Used(processes=2), "many": Used(processes=20), "important": Used(processes=99)}
    order = [each["metadata"]["name"] for each in ranking.ranked(pods, "pids", used)]
    assert order == ["many", "few", "important"]


def test_a_pod_asks_for_its_peak_and_its_overhead() -> None:
    steps = [{"name": "i", **asks("requests", memory="100Mi")}]
    sidecars = [{"name": "s", "restartPolicy": "Always", **asks("requests", memory="20Mi")}]
    one = pod("x", asks("requests", memory="50Mi"), initContainers=steps, overhead={"memory": "1Mi"})
    assert ranking.request(one, "memory") == 101 << 20
    two = pod("x", asks("requests", memory="50Mi"), initContainers=sidecars)
    assert ranking.request(two, "memory") == 70 << 20
    whole = pod("x", asks("requests", memory="50Mi"), resources={"requests": {"memory": "80Mi"}})
    assert ranking.request(whole, "memory") == 80 << 20


@pytest.mark.parametrize(
    ("annotations", "priority", "critical"),
    [
        ({}, 2_000_000_000, True),
        ({"kubernetes.io/config.source": "file"}, 0, True),
        ({"kubernetes.io/config.source": "api"}, 0, False),
        ({}, 1_000_000_000, False),
    ],
)
def test_static_and_system_pods_are_spared(annotations: Obj, priority: int, critical: bool) -> None:
    one = pod("x", priority=priority)
    one["metadata"]["annotations"] = annotations
    assert ranking.is_critical(one) == critical


def test_the_message_says_what_was_short_and_who_took_too_much() -> None:
    one = pod("x", asks("requests", memory="1Mi"), asks("requests", memory="1Gi"), {})
    used = Used(containers={"memory": {"c0": 3 << 20, "c1": 1 << 20, "c2": 5000}})
    threshold = Threshold(MEMORY, thresholds.Amount(100 << 20))
    text, annotations = ranking.message(one, threshold, Observation(50 << 20, GIB), used)
    assert text == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Container c0 was using 3Mi, request is 1Mi, has larger consumption of memory. "
        "Container c2 was using 4Ki, request is 0, has larger consumption of memory. "
    )
    assert annotations == {
        "offending_containers": "c0,c2",
        "offending_containers_usage": "3Mi,4Ki",
        "starved_resource": "memory",
    }


# What a pod takes of the disk


def test_an_empty_dir_has_its_limit() -> None:
    one = pod("x", volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "w", "emptyDir": {}}])
    assert local_storage.excess(one, Usage(volumes={"v": 1 << 20, "w": 1 << 30})) is None
    assert said(one, Usage(volumes={"v": (1 << 20) + 1})) == (
        'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '
    )
    assert local_storage.largest(one) == 1 << 20


def test_containers_have_theirs_and_the_pod_their_sum() -> None:
    one = pod("x", asks("limits", ephemeral_storage="1Mi"), asks("limits", ephemeral_storage="2Mi"))
    assert local_storage.excess(one, Usage({"c0": 1 << 20, "c1": 2 << 20})) is None
    assert said(one, Usage({"c0": (1 << 20) + 1})) == (
        'Container c0 exceeded its local ephemeral storage limit "1Mi". '
    )
    assert said(one, Usage({"c0": 1 << 20}, {"v": (2 << 20) + 1})) == (
        "Pod ephemeral local storage usage exceeds the total limit of containers 3Mi. "
    )


def test_one_limit_is_the_pods_too() -> None:
    one = pod("x", asks("limits", ephemeral_storage="1Mi"), {})
    assert "total limit of containers 1Mi" in said(one, Usage({"c1": 2 << 20}))
    assert local_storage.largest(pod("x")) is None
    assert local_storage.largest(pod("x", asks("limits", memory="1Mi"))) is None
