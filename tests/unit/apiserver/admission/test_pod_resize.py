"""What a pod may not be resized to."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.api.errors import Forbidden
from wellhead.api.well_known import PODS
from wellhead.apiserver.admission.pod_resize import PodResizeValidator, beyond

NODE = {
    "metadata": {"name": "node-1", "labels": {"kubernetes.io/os": "linux"}},
    "status": {"allocatable": {"cpu": "2", "memory": "1Gi"}},
}


def _pod(cpu: str, memory: str = "1Mi", node: str = "node-1") -> dict[str, Any]:
    container = {"name": "main", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    return {"metadata": {"name": "web"}, "spec": {"nodeName": node, "containers": [container]}}


class _Environment:
    registry: Any

    def __init__(self, node: dict[str, Any] | None) -> None:
        self.registry = self
        self._node = node

    def lookup(self, resource: object, key: tuple[str, str]) -> dict[str, Any] | None:
        return self._node if self._node is not None and key[1] == "node-1" else None


class _Request:
    resource, subresource, name = PODS, "resize", "web"

    def __init__(self, obj: dict[str, Any], old: dict[str, Any] | None = None) -> None:
        self.obj, self.old = obj, old or _pod("1")


async def _judge(request: Any, node: dict[str, Any] | None = NODE) -> None:
    environment: Any = _Environment(node)
    await PodResizeValidator(environment).validate(request)


def test_what_the_node_does_not_have_is_named_with_amounts() -> None:
    allocatable = {"cpu": "2", "memory": "1Gi"}
    assert beyond(_pod("2", "1Gi"), allocatable) == []
    assert beyond(_pod("2500m", "2Gi"), allocatable) == [
        "cpu, requested: 2500, allocatable: 2000",
        "memory, requested: 2147483648, allocatable: 1073741824",
    ]


async def test_a_resize_beyond_the_node_is_refused_with_a_cause() -> None:
    await _judge(_Request(_pod("2")))
    with pytest.raises(Forbidden) as refused:
        await _judge(_Request(_pod("3")))
    assert refused.value.status["details"]["causes"] == [{"reason": "NodeCapacity"}]
    text = "node didn't have enough allocatable resources: cpu, requested: 3000, allocatable: 2000"
    assert refused.value.status["message"] == f'pods "web" is forbidden: {text}'


async def test_other_systems_and_nodes_that_are_gone_are_refused() -> None:
    windows = {**NODE, "metadata": {"name": "node-1", "labels": {"kubernetes.io/os": "windows"}}}
    with pytest.raises(Forbidden, match="only supported on linux nodes"):
        await _judge(_Request(_pod("2")), windows)
    with pytest.raises(Forbidden, match='node "node-1" not found'):
        await _judge(_Request(_pod("2")), None)


async def test_what_changes_nothing_is_on_no_node_or_is_no_resize_passes() -> None:
    await _judge(_Request(_pod("3"), _pod("3")))
    await _judge(_Request(_pod("3", node="")))
    update = _Request(_pod("3"))
    update.subresource = ""
    await _judge(update)
