"""The right to write a claim's status isn't the right to write all of it."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.api.errors import Invalid
from wellhead.api.kinds.devices import RESOURCECLAIMS
from wellhead.api.meta import Obj
from wellhead.apiserver.admission.claim_status import ClaimStatusAuthorization
from wellhead.apiserver.attributes import Attributes

CONSUMER = {"resource": "pods", "name": "p", "uid": "u"}
DEVICE = {"driver": "d.example.com", "pool": "p", "device": "x"}
ON_NODE = {
    "nodeSelector": {
        "nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}
        ]
    }
}


class _User:
    name, groups = "system:serviceaccount:a:b", ()

    def __init__(self, node: str) -> None:
        self.extra = {"authentication.kubernetes.io/node-name": (node,)} if node else {}


class _Request:
    resource, subresource, namespace = RESOURCECLAIMS, "status", "default"

    def __init__(self, after: Obj, before: Obj, node: str, verb: str) -> None:
        self.obj, self.old = ({"metadata": {"name": "c"}, "status": each} for each in (after, before))
        self.user = _User(node)
        self.verb = verb


class _Environment:
    def __init__(self, *allowed: Attributes) -> None:
        self.authorizer = self
        self._allowed = allowed

    def allows(self, user: object, action: Attributes) -> bool:
        return action in self._allowed


def action(verb: str, part: str, namespace: str = "", name: str = "") -> Attributes:
    return Attributes(verb, RESOURCECLAIMS.group, RESOURCECLAIMS.plural, part, namespace, name)


async def judge(
    after: Obj, before: Obj | None = None, *allowed: Attributes, node: str = "", verb: str = "update"
) -> None:
    environment: Any = _Environment(*allowed)
    request: Any = _Request(after, before or {}, node, verb)
    await ClaimStatusAuthorization(environment).validate(request)


async def test_who_reserves_a_claim_may_bind_claims() -> None:
    with pytest.raises(Invalid) as refused:
        await judge({"reservedFor": [CONSUMER]})
    assert 'requires resource="resourceclaims/binding", verb="update" permission' in refused.value.message
    await judge({"reservedFor": [CONSUMER]}, None, action("update", "binding"))
    await judge({"reservedFor": [CONSUMER]}, None, action("patch", "binding"), verb="patch")
    # What stays isn't asked about.
    await judge({"reservedFor": [CONSUMER]}, {"reservedFor": [CONSUMER]})


async def test_a_driver_speaks_of_its_devices() -> None:
    anywhere = action("arbitrary-node:update", "driver", "default", "d.example.com")
    with pytest.raises(Invalid) as refused:
        await judge({"devices": [DEVICE]})
    assert 'verb="[arbitrary-node:update]" permission for d.example.com' in refused.value.message
    await judge({"devices": [DEVICE]}, None, anywhere)
    await judge({}, {"devices": [DEVICE]}, anywhere)
    other = {**DEVICE, "data": {"a": 1}}
    with pytest.raises(Invalid):
        await judge({"devices": [other]}, {"devices": [DEVICE]})
    await judge({"devices": [DEVICE]}, {"devices": [DEVICE]})


async def test_a_driver_on_the_claims_node_needs_less() -> None:
    nearby = action("associated-node:update", "driver", "default", "d.example.com")
    before = {"allocation": ON_NODE}
    after = {**before, "devices": [DEVICE]}
    await judge(after, before, nearby, node="node-1")
    for node in ("node-2", ""):
        with pytest.raises(Invalid):
            await judge(after, before, nearby, node=node)
