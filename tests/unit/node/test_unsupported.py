"""What a pod asks for in vain, and what its user is told of it."""

from __future__ import annotations

from typing import Any

from tests.unit.node import pods
from wellhead.node.pods.unsupported import without_effect

AVAILABLE = frozenset({"CAP_MKNOD", "CAP_NET_ADMIN"})


def _said(container: dict[str, Any] | None = None, **spec: Any) -> list[str]:
    return without_effect(pods.pod(pods.container("main", **(container or {})), **spec), AVAILABLE)


def test_an_ordinary_pod_gets_what_it_asks_for() -> None:
    assert _said() == []
    requests = {"resources": {"requests": {"cpu": "1"}}}
    context = {
        "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
        "seccompProfile": {"type": "Unconfined"},
    }
    assert _said({**requests, "securityContext": context}) == []


def test_limits_are_not_enforced() -> None:
    limits = {"resources": {"limits": {"memory": "1Gi", "cpu": "1"}}}
    assert _said(limits) == [
        'container "main": limits of cpu, memory are not enforced: containers have no cgroups of their own'
    ]


def test_each_thing_is_named_with_its_place_and_the_reason() -> None:
    context = {"seccompProfile": {"type": "RuntimeDefault"}}
    own = {**context, "capabilities": {"add": ["MKNOD", "SYS_TIME", "NET_ADMIN"]}}
    volumes = [
        {"name": "a", "emptyDir": {"sizeLimit": "1Gi"}},
        {"name": "b", "emptyDir": {"sizeLimit": "1Gi", "medium": "Memory"}},
    ]
    said = _said({"securityContext": own}, securityContext=context, volumes=volumes, hostUsers=False)
    assert [each.split(":")[0] for each in said] == [
        "spec.hostUsers has no effect",
        "spec.securityContext.seccompProfile has no effect",
        'sizeLimit of volume "a" has no effect',
        *['container "main"'] * 3,
    ]
    assert "securityContext.seccompProfile has no effect: system calls are not filtered" in said[3]
    assert "CAP_MKNOD is not given: only privileged containers have it" in said[4]
    assert "CAP_SYS_TIME is not given: the node's agent doesn't have it itself" in said[5]
