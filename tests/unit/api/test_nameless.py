"""An object without a name is refused, whatever its kind: no rule of a kind relies on one."""

from __future__ import annotations

import pytest

from wellhead.api import writes
from wellhead.api.errors import ApiError
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import RESOURCES
from wellhead.api.strategy import Context


@pytest.mark.parametrize(
    "resource",
    [each for each in RESOURCES if not each.is_review],
    ids=lambda each: f"{each.plural}.{each.group}",
)
def test_an_object_without_a_name_is_refused(resource: Resource) -> None:
    context = Context(namespace="default" if resource.namespaced else "")
    obj: Obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {}, "spec": {}}
    with pytest.raises(ApiError):
        writes.create(resource, writes.received(resource, obj, context), context)
