"""The helper on a node: found by its label, and no line that it is sent ends it."""

from __future__ import annotations

import io
import json

import pytest

from wellhead.api.meta import Obj
from wellhead.trace.helper import Helper
from wellhead.trace.nodes import helpers
from wellhead.trace.observer import CannotWatch
from wellhead.trace.target import Objects
from wellhead.trace.watcher import told


def pod(name: str, node: str, *, ready: bool = True, label: str = "wellhead-trace") -> Obj:
    return {
        "metadata": {"name": name, "namespace": "tools", "labels": {"app.kubernetes.io/name": label}},
        "spec": {"nodeName": node},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def test_each_node_with_a_ready_helper_is_reached_by_kubectl_exec() -> None:
    pods = [pod("a", "node-2"), pod("b", "node-1"), pod("c", "node-3", ready=False), pod("d", "x", label="y")]
    found = helpers(Objects(pods=pods), ("kubectl",))
    assert [node for node, _ in found] == ["node-1", "node-2"]
    assert found[0][1] == ("kubectl", "exec", "-i", "-n", "tools", "b", "--", "wellhead", "trace-node")


def test_without_helpers_it_is_said_what_is_missing() -> None:
    with pytest.raises(CannotWatch, match="deploy/trace"):
        helpers(Objects(), ("kubectl",))


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b'{"do": 5}', b'{"do": "dance"}', b'{"do": "sightings"}', b"\xff\xfe", b"[" * 9999],
)
def test_whatever_line_comes_the_answer_is_a_line_that_says_what_is_wrong(line: bytes) -> None:
    answers = io.BytesIO()
    Helper("node-1").serve(io.BytesIO(line + b"\n"), answers)
    [answer] = answers.getvalue().splitlines()
    assert json.loads(answer)["error"]
    with pytest.raises(CannotWatch, match="node-1: "):
        told(answer, bool, "node-1")


@pytest.mark.parametrize("line", [b"Unable to use a TTY", b"{}", b'{"told": 5}', b"\xff"])
def test_what_is_no_helper_is_not_believed(line: bytes) -> None:
    with pytest.raises(CannotWatch, match="node-1: not a helper's answer"):
        told(line, list[str], "node-1")
