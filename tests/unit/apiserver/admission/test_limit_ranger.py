"""Defaults and bounds for single pods and claims."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.api.kinds.limitrange import KIND
from wellhead.api.meta import Obj
from wellhead.api.resources import PODS
from wellhead.apiserver.admission.limit_ranger import broken, fill_in


def limits(**item: Any) -> Obj:
    found: Obj = {"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", **item}]}}
    KIND.strategy.default(found)
    return found


def pod(**resources: Obj) -> Obj:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "resources": resources}]}}


def test_defaults_follow_from_bounds() -> None:
    item = limits(max={"cpu": "2"}, min={"cpu": "1", "memory": "1024Ki"})["spec"]["limits"][0]
    assert item["default"] == {"cpu": "2"}
    assert item["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


def test_containers_get_what_they_do_not_ask_for() -> None:
    made = pod(requests={"cpu": "100m"})
    rule = limits(default={"cpu": "1", "memory": "1Gi"})
    fill_in(made, rule)
    fill_in(made, rule)
    assert made["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "100m", "memory": "1Gi"},
        "limits": {"cpu": "1", "memory": "1Gi"},
    }
    assert made["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": (
            "LimitRanger plugin set: memory request for container c; cpu, memory limit for container c"
        )
    }


@pytest.mark.parametrize(
    ("rule", "resources", "problems"),
    [
        (
            {"min": {"cpu": "1"}},
            {"requests": {"cpu": "500m"}},
            ["minimum cpu usage per Container is 1, but request is 500m"],
        ),
        ({"min": {"cpu": "1"}}, {}, ["minimum cpu usage per Container is 1.  No request is specified"]),
        (
            {"max": {"cpu": "1"}},
            {"limits": {"cpu": "2"}},
            ["maximum cpu usage per Container is 1, but limit is 2"],
        ),
        ({"max": {"cpu": "1"}}, {}, ["maximum cpu usage per Container is 1.  No limit is specified"]),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}},
            ["cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"],
        ),
        ({"max": {"cpu": "1"}}, {"limits": {"cpu": "1"}}, []),
    ],
)
def test_bounds_are_kept(rule: Obj, resources: Obj, problems: list[str]) -> None:
    assert list(broken(PODS, pod(**resources), limits(**rule))) == problems


def test_a_pod_is_bounded_as_a_whole() -> None:
    rule = limits(type="Pod", max={"cpu": "1"})
    both = {"name": "c", "resources": {"limits": {"cpu": "600m"}, "requests": {"cpu": "600m"}}}
    together = {"metadata": {"name": "p"}, "spec": {"containers": [both, both]}}
    assert list(broken(PODS, together, rule)) == ["maximum cpu usage per Pod is 1, but limit is 1200m"]
