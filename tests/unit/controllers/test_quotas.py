"""Quotas: what their status says is put right, whoever wrote it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.patience import pass_time, settled
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import PODS, RESOURCEQUOTAS
from wellhead.controllers.resourcequota.controller import ResourceQuotaController, uses_otherwise

Handler = Callable[[Obj | None, Obj | None], None]


class Quotas:
    """The quotas, and as all stores: there is no other. Handlers hear of each write."""

    resource = RESOURCEQUOTAS

    def __init__(self) -> None:
        self._handlers: list[Handler] = []
        self.quota: Obj | None = None

    def __getitem__(self, resource: Resource) -> Quotas:
        return self

    def all(self) -> list[Quotas]:
        return [self]

    async def synced(self) -> None:
        """They are."""

    def on_change(self, handler: Handler) -> None:
        self._handlers.append(handler)

    def get(self, name: str, namespace: str) -> Obj | None:
        return self.quota

    def by_index(self, index: str, value: str) -> Iterable[Obj]:
        return () if self.quota is None else (self.quota,)

    async def update(self, obj: Obj, subresource: str) -> None:
        self.write(obj)

    def write(self, obj: Obj) -> None:
        old, self.quota = self.quota, copy.deepcopy(obj)
        for handler in self._handlers:
            handler(old, self.quota)


class Nobody:
    """There are no custom objects."""

    def on_change(self, handler: object) -> None:
        """None changes."""


async def test_limits_in_a_status_that_are_not_the_quotas_are_put_right_in_a_while() -> None:
    quotas: Any = Quotas()
    nobody: Any = Nobody()
    running = asyncio.ensure_future(ResourceQuotaController(quotas, nobody).run())
    quota = {"metadata": {"name": "q", "namespace": "a"}, "spec": {"hard": {"resourcequotas": "5"}}}
    quotas.write(quota)
    await settled()
    right = {"hard": {"resourcequotas": "5"}, "used": {"resourcequotas": "1"}}
    assert quotas.quota["status"] == right
    wrong = {**right, "hard": {"resourcequotas": "7"}}
    quotas.write({**quota, "status": wrong})
    await settled()
    assert quotas.quota["status"] == wrong  # whoever wrote it can read it
    await pass_time(61)
    assert quotas.quota["status"] == right
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


POD: Obj = {
    "metadata": {"name": "a", "namespace": "n"},
    "spec": {"containers": [{"name": "c"}]},
    "status": {},
}


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"spec": POD["spec"] | {"nodeName": "node-1"}}, False),
        ({"status": {"phase": "Running", "containerStatuses": [{"name": "c", "resources": {}}]}}, False),
        ({"status": {"phase": "Succeeded"}}, True),
        ({"spec": POD["spec"] | {"activeDeadlineSeconds": 5}}, True),
    ],
)
def test_a_pod_that_gets_its_node_uses_what_it_used(change: Obj, counts: bool) -> None:
    """What is counted anew then might lack the pods that were made with it."""
    assert uses_otherwise(PODS, POD | change, POD) is counts
