"""Whom the kernel ends first."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.node import pods
from wellhead.node.pods import oom, room

GIB = 1 << 30


def _of(memory: str, /, **limits: str) -> dict[str, Any]:
    return {"resources": {"requests": {"memory": memory}, **({"limits": limits} if limits else {})}}


def _score(*containers: dict[str, Any], **spec: Any) -> list[int]:
    pod = pods.pod(*containers, **spec)
    everyone = [*(spec.get("initContainers") or ()), *pod["spec"]["containers"]]
    return [oom.score(pod, each, 10 * GIB) for each in everyone]


def test_who_asks_for_nothing_goes_first_and_the_guaranteed_last() -> None:
    given = {"cpu": "1", "memory": "1Gi"}
    sure = pods.container("main", resources={"requests": given, "limits": given})
    assert _score(pods.container("main")) == [1000]
    assert _score(sure) == [-997]
    assert _score(pods.container("main"), priority=2_000_001_000) == [-997]


@pytest.mark.parametrize(("memory", "score"), [("1Gi", 900), ("1", 999), ("20Gi", 3)])
def test_between_them_who_asks_for_less_goes_sooner(memory: str, score: int) -> None:
    assert _score(pods.container("main", **_of(memory))) == [score]


def test_a_sidecar_goes_no_sooner_than_whom_it_serves() -> None:
    sidecar = pods.container("beside", restartPolicy="Always", **_of("1Gi"))
    assert _score(pods.container("main", **_of("2Gi")), initContainers=[sidecar]) == [800, 800]


def test_what_a_pod_asks_for_beyond_its_containers_is_shared() -> None:
    containers = pods.container("one", **_of("1Gi")), pods.container("two")
    assert _score(*containers, resources={"requests": {"memory": "3Gi"}}) == [800, 900]


def test_a_pod_is_limited_as_a_whole_or_by_each_of_its_containers() -> None:
    one, two = (
        pods.container("one", **_of("1Gi", memory="1Gi", cpu="1")),
        pods.container("two", **_of("1Gi", memory="2Gi")),
    )
    assert room.together(pods.pod(one, two)) == {"requests": {"memory": "2Gi"}, "limits": {"memory": "3Gi"}}
    whole = {"limits": {"cpu": "3"}}
    assert room.together(pods.pod(one, two, resources=whole))["limits"] == {"cpu": "3", "memory": "3Gi"}
    assert room.together(pods.pod()) == {}


def test_a_container_without_a_limit_has_its_pods() -> None:
    whole = {"limits": {"cpu": "3", "memory": "4Gi", "hugepages-2Mi": "2Mi"}}
    assert room.within({"limits": {"cpu": "1"}}, whole) == {"limits": {"cpu": "1", "memory": "4Gi"}}
    assert room.within({}, None) == {}
