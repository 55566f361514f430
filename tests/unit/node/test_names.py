"""What an API server says a pod is called doesn't lead an agent astray."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.node import pods
from wellhead.node.pods import names


def _uid(uid: object) -> dict[str, Any]:
    pod = pods.pod()
    pod["metadata"]["uid"] = uid
    return pod


@pytest.mark.parametrize("uid", ["4f2c1a52-8a1e-4b8e-9d50-1f0e6a3e9b11", "u-1", "abc.def", "A_B"])
def test_an_ordinary_pod_is_taken(uid: str) -> None:
    assert names.refusal(_uid(uid)) == ""


@pytest.mark.parametrize(
    "uid", ["", None, ".", "..", "../x", "a/b", "/etc", ".hidden", "a\0", "a\n", "x" * 129]
)
def test_a_uid_that_is_a_path_is_refused(uid: object) -> None:
    assert "metadata.uid" in names.refusal(_uid(uid))


@pytest.mark.parametrize("name", ["", "..", "../../x", "a/b", "/etc", "a\0b"])
def test_a_name_that_is_a_path_is_refused_wherever_it_stands(name: str) -> None:
    assert "container name" in names.refusal(pods.pod(pods.container(name)))
    assert "container name" in names.refusal(pods.pod(initContainers=[pods.container(name)]))
    assert "volume name" in names.refusal(pods.pod(volumes=[{"name": name, "emptyDir": {}}]))
