"""Which nodes can still answer for a Service."""

from __future__ import annotations

import pytest

from wellhead.api.meta import Obj
from wellhead.cloud.endpoints import service_of, serving_nodes


@pytest.mark.parametrize(
    ("conditions", "serves"),
    [
        ({"ready": True, "serving": True}, True),
        ({"ready": False, "serving": True, "terminating": True}, True),
        ({"ready": False, "serving": False}, False),
        ({"ready": False}, False),
        ({}, True),
        (None, True),
    ],
)
def test_an_endpoint_serves_until_it_says_otherwise(conditions: Obj | None, serves: bool) -> None:
    endpoints = [{"nodeName": "node-1", "conditions": conditions}, {"addresses": ["10.244.1.9"]}]
    assert serving_nodes([{"endpoints": endpoints}]) == ({"node-1"} if serves else set())


def test_a_slice_belongs_to_the_service_in_its_label() -> None:
    metadata = {"namespace": "default", "name": "web-x", "labels": {"kubernetes.io/service-name": "web"}}
    assert service_of({"metadata": metadata}) == [("default", "web")]
    assert service_of({"metadata": {"namespace": "default", "name": "loose"}}) == []
