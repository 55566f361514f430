"""What enforces policies says one condition of the Node that it runs on, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.api.errors import Forbidden
from wellhead.api.resources import NODES
from wellhead.apiserver.authn import User
from wellhead.apiserver.proxy_restriction import check_policies

USER = User("wellhead:policy", groups=("wellhead.dev/node:node-1",))
READY = {"type": "Ready", "status": "True"}
OURS = {"type": "NetworkPolicyUnavailable", "status": "True"}


def node(*conditions: Any, name: str = "node-1", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"conditions": list(conditions), **status}}


def test_its_condition_may_come_and_change() -> None:
    check_policies(USER, NODES, node(READY, OURS), node(READY))
    check_policies(USER, NODES, node(READY, OURS | {"status": "False"}), node(OURS, READY))


@pytest.mark.parametrize(
    "new",
    [
        node(READY | {"status": "False"}, OURS),
        node(OURS),
        node(READY, capacity={"cpu": "1"}),
        node(READY) | {"spec": {"unschedulable": True}},
        {"metadata": {"name": "node-1", "labels": {"a": "b"}}, "status": {"conditions": [READY]}},
    ],
)
def test_nothing_else_may(new: dict[str, Any]) -> None:
    with pytest.raises(Forbidden, match="condition"):
        check_policies(USER, NODES, new, node(READY))


def test_other_nodes_are_not_its_business() -> None:
    with pytest.raises(Forbidden, match="the Node that it runs on"):
        check_policies(USER, NODES, node(OURS, name="node-2"), node(name="node-2"))
