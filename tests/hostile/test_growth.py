"""No list or map of any kind makes the work grow faster than its length."""

from __future__ import annotations

import copy
import time

import pytest

from tests.hostile.effort import LENGTH, MUCH, effort
from tests.hostile.growing import long_fields
from tests.unit.api.test_any_body import stored
from wellhead.api.errors import ApiError, PlainError
from wellhead.api.limits import DEFAULTS, extent_of
from wellhead.api.meta import Obj
from wellhead.api.patch import apply_strategic_merge_patch
from wellhead.api.resource import Resource
from wellhead.api.resources import NAMESPACES, RESOURCES
from wellhead.api.tables import to_table

_MOST_SECONDS = 1.0  # of this process, for all that may be done to an object


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "resource", [each for each in RESOURCES if "create" in each.verbs], ids=lambda resource: str(resource.gvk)
)
def test_no_list_is_more_work_than_its_length(resource: Resource) -> None:
    slow = []
    fields = long_fields(resource)
    if not MUCH and resource is not NAMESPACES:  # metadata are all kinds'
        fields = [each for each in fields if each.path[0] != "metadata"]
    for field in effort(fields):
        obj = field.filled(LENGTH)
        if extent_of(obj).values > DEFAULTS.body_values:
            continue
        begun = time.process_time()
        _use(resource, obj)
        if (spent := time.process_time() - begun) > _MOST_SECONDS:
            slow.append(f"{field}: {spent:.2f} s")
    assert not slow, "\n".join(slow)


def _use(resource: Resource, obj: Obj) -> None:
    """All that a client can have done to an object, in any order that the API allows."""
    try:
        created = stored(resource, obj, None)
        to_table(resource, [created])
        stored(resource, copy.deepcopy(created), created)
        apply_strategic_merge_patch(created, obj, resource.gvk)
        if resource.has_status:
            stored(resource, copy.deepcopy(created), created, "status")
    except ApiError as error:
        if error.code >= 500 and not isinstance(error, PlainError):
            raise
