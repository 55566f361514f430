from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from wellhead.client.connection import Connection
from wellhead.lab import node_watch
from wellhead.lab.cluster import Cluster
from wellhead.lab.node_watch import NodeWatch


class _Informer:
    """Holds what was put into it, under the resource's plural."""

    objects: ClassVar[dict[str, list[str]]] = {}

    def __init__(self, _client: object, resource: Any, *, namespace: str = "") -> None:
        self._names = self.objects.setdefault(resource.plural, [])
        self._namespace = namespace

    def get(self, name: str, namespace: str = "") -> object | None:
        return {} if name in self._names and namespace == self._namespace else None

    def __iter__(self) -> Any:
        return iter(())

    def on_change(self, _handler: object) -> None:
        pass

    async def run(self) -> None:
        pass

    async def synced(self) -> None:
        pass


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeWatch:
    monkeypatch.setattr(node_watch, "Informer", _Informer)
    monkeypatch.setattr(node_watch, "load", lambda _path: Connection("http://127.0.0.1:1"))
    monkeypatch.setattr(_Informer, "objects", {})
    return NodeWatch(Cluster("test", tmp_path), (), lambda: None)


async def test_first_pods_need_their_account_and_the_authoritys_certificate(watch: NodeWatch) -> None:
    assert "ServiceAccount default" in watch.why_no_pods  # nobody was asked yet
    await watch.run()
    assert "ServiceAccount default" in watch.why_no_pods
    _Informer.objects["serviceaccounts"].append("default")
    assert "ConfigMap kube-root-ca.crt" in watch.why_no_pods
    _Informer.objects["configmaps"].append("kube-root-ca.crt")
    assert watch.why_no_pods == ""
