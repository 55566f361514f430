"""Reading a cluster with few rights: what is forbidden is listed, and the rest is used."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.paths.objects import FLANNEL, LOCAL, NODES, ONE, Obj, kube_proxy, pod, service
from wellhead.api.errors import Forbidden, NotFound
from wellhead.api.resource import Resource
from wellhead.client.connection import Connection
from wellhead.paths.explain import Question
from wellhead.paths.report import explain
from wellhead.paths.world import World
from wellhead.snapshot import cluster
from wellhead.snapshot.cluster import Reading, read_cluster

OBJECTS = [
    *NODES,
    *FLANNEL,
    kube_proxy(),
    service(type="NodePort", **LOCAL),
    ONE,
    pod("shell", "10.50.2.40", "lima"),
]


class FakeClient:
    """Answers from OBJECTS; some kinds are forbidden, and none of the optional ones is served."""

    forbidden: frozenset[str] = frozenset()
    forbidden_everywhere_but: str = ""

    def __init__(self, connection: Connection, user_agent: str) -> None:
        pass

    async def __aenter__(self) -> FakeClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def list(
        self, resource: Resource, namespace: str | None = None, *, field_selector: str = ""
    ) -> Obj:
        if resource.kind in self.forbidden and (namespace or "") != (self.forbidden_everywhere_but or "-"):
            raise Forbidden(f"{resource.plural} is forbidden")
        if "." in resource.group and not resource.group.endswith("k8s.io"):
            raise NotFound("the server could not find the requested resource")
        name = field_selector.removeprefix("metadata.name=")
        return {
            "items": [
                each
                for each in OBJECTS
                if each["kind"] == resource.kind and name in ("", each["metadata"]["name"])
            ]
        }

    async def get(self, resource: Resource, name: str, namespace: str) -> Obj:
        if "ConfigMap" in self.forbidden and namespace == "kube-system":
            raise Forbidden("configmaps is forbidden")
        raise NotFound(name)


async def read(monkeypatch: pytest.MonkeyPatch, *forbidden: str, but: str = "") -> Reading:
    monkeypatch.setattr(FakeClient, "forbidden", frozenset(forbidden))
    monkeypatch.setattr(FakeClient, "forbidden_everywhere_but", but)
    monkeypatch.setattr(cluster, "Client", FakeClient)
    return await read_cluster(Connection("https://example.org"), "team")


async def test_everything_that_matters_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await read(monkeypatch)
    assert {each["kind"] for each in found.objects} == {each["kind"] for each in OBJECTS}
    assert found.unread == []


@pytest.mark.parametrize("kind", ["Node", "Pod", "DaemonSet", "ConfigMap", "EndpointSlice", "Ingress"])
async def test_what_is_forbidden_is_listed_with_what_it_leaves_open(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    found = await read(monkeypatch, kind)
    assert any(each.what.startswith(kind) and each.leaves_open for each in found.unread)
    world = World(found.entries(), found.unread)
    report = explain(world, Question("svc/api", "team", ("203.0.113.9",)))
    assert report.unread == tuple(found.unread)
    ends: list[Any] = [each.disposition.value for way in report.ways for each in way.outcomes]
    if kind == "EndpointSlice":
        assert set(ends) <= {"unknown"}


async def test_where_listing_everywhere_is_forbidden_the_namespace_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = await read(monkeypatch, "Pod", but="team")
    assert any(each["kind"] == "Pod" for each in found.objects)
    assert [each.what for each in found.unread] == ["Pod objects outside of namespace team"]
