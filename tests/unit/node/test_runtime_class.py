"""Which runtime classes a node serves."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.api.errors import NotFound
from wellhead.api.meta import Obj
from wellhead.api.resources import RUNTIMECLASSES
from wellhead.node.pods import runtime_class


class Api:
    """One RuntimeClass, `known`, with this handler."""

    def __init__(self, handler: str) -> None:
        self._handler = handler

    async def get(self, resource: object, name: str) -> Obj:
        if name != "known":
            raise NotFound.of(RUNTIMECLASSES, name)
        return {"handler": self._handler}


@pytest.mark.parametrize(
    ("name", "handler", "problem"),
    [
        (None, "", ""),
        ("known", "crun", ""),
        ("known", "runc", ""),
        ("known", "kata", 'no runtime for "kata" is configured'),
        ("unknown", "crun", 'RuntimeClass "unknown" not found'),
    ],
)
async def test_a_class_whose_runtime_is_not_here_is_said(
    name: str | None, handler: str, problem: str
) -> None:
    api: Any = Api(handler)
    found = await runtime_class.problem(api, {"spec": {"runtimeClassName": name}})
    assert found.startswith(problem)
    assert bool(found) == bool(problem)
