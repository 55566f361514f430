"""Whatever a client sends: an object, or an error that says why; never a crash, never a half-valid object."""

from __future__ import annotations

import copy
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.api.objects import CONTEXT
from wellhead.api import writes
from wellhead.api.definitions import INT_OR_STRING, QUANTITY, Definitions, Field, definitions
from wellhead.api.errors import ApiError, PlainError
from wellhead.api.kinds.service.allocation import ServicePool, allocate
from wellhead.api.meta import Obj
from wellhead.api.patch import apply_strategic_merge_patch
from wellhead.api.ranges import AddressRanges
from wellhead.api.resource import Resource
from wellhead.api.resources import RESOURCES, SERVICES
from wellhead.api.schema import decode
from wellhead.api.tables import to_table

STRINGS = st.sampled_from(
    [
        "",
        "a",
        "A b",
        "1",
        "a/b",
        "None",
        "Always",
        "ClientIP",
        "10.0.0.1",
        "::1",
        "Local",
        "LoadBalancer",
        "UDP",
        "NodePort",
        "ExternalName",
        "IPv4",
        "IPv6",
        "RollingUpdate",
        "50%",
        "In",
        "Exists",
        "NoExecute",
        "100m",
    ]
)
NUMBERS = st.sampled_from([-1, 0, 1, 80, 31000, 70000, 2**31 - 1])
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "integer": NUMBERS,
    "int32": NUMBERS,
    "int64": NUMBERS,
    "boolean": st.booleans(),
    "number": st.just(0.5),
    INT_OR_STRING: NUMBERS | STRINGS,
    QUANTITY: st.sampled_from(["1", "100m", "1Gi", "-1", "x"]),
}
TIMES = ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime")


def value_of(draw: st.DrawFn, known: Definitions, type: str, depth: int) -> Any:
    if type in SCALARS:
        return draw(SCALARS[type])
    if type in TIMES:
        return "2026-01-01T00:00:00Z"
    if "." not in type:
        return draw(STRINGS)
    return object_of(draw, known, type, depth)


def field_of(draw: st.DrawFn, known: Definitions, field: Field, depth: int) -> Any:
    if field.shape == "list":
        return [value_of(draw, known, field.type, depth) for _ in range(draw(st.integers(0, 2)))]
    if field.shape == "map":
        keys = draw(st.lists(st.sampled_from(["a", "A b", "cpu", "tls.crt"]), max_size=2, unique=True))
        return {key: value_of(draw, known, field.type or "string", depth) for key in keys}
    return value_of(draw, known, field.type, depth)


def object_of(draw: st.DrawFn, known: Definitions, type: str, depth: int) -> Obj:
    names = sorted(known.fields(type))
    if not names or depth > 7:
        return {}
    chosen = draw(st.lists(st.sampled_from(names), max_size=6, unique=True))
    if depth < 2:
        chosen = sorted(
            {*chosen, *({"metadata", "spec", "template", "ports", "subsets", "endpoints"} & set(names))}
        )
    made = {}
    for name in chosen:
        field = known.field(type, name)
        assert field is not None
        if name not in ("apiVersion", "kind"):
            made[name] = field_of(draw, known, field, depth + 1)
    return made


POD_SPEC: Obj = {"containers": [{"name": "a", "image": "a"}]}
WORKLOAD: Obj = {
    "selector": {"matchLabels": {"a": "a"}},
    "template": {"metadata": {"labels": {"a": "a"}}, "spec": POD_SPEC},
}
VALID: dict[str, Obj] = {
    "Pod": {"spec": POD_SPEC},
    "Deployment": {"spec": WORKLOAD},
    "ReplicaSet": {"spec": WORKLOAD},
    "Service": {"spec": {"ports": [{"port": 80, "name": "a"}]}},
    "EndpointSlice": {"addressType": "IPv4"},
}


@st.composite
def bodies(draw: st.DrawFn, resource: Resource) -> Obj:
    """Any object of the kind: of all its fields, or a valid one in which a few fields are any."""
    known = definitions(resource.gvk)
    body = object_of(draw, known, known.root, 0)
    if draw(st.booleans()):
        return body
    path = draw(st.sampled_from([(), ("spec",), ("spec",), ("data",), ("subsets",), ("endpoints",)]))
    valid: Obj = copy.deepcopy({"metadata": {"name": "a"}, **VALID.get(resource.kind, {})})
    for part in path:
        if isinstance(body.get(part), dict):
            few = draw(st.lists(st.sampled_from(sorted(body[part]) or [""]), max_size=2))
            valid.setdefault(part, {}).update({name: body[part][name] for name in few if name})
        elif part in body:
            valid[part] = body[part]
    return valid


@pytest.mark.parametrize(
    "resource",
    [each for each in RESOURCES if "create" in each.verbs],
    ids=lambda resource: str(resource.gvk),
)
@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_body(resource: Resource, data: st.DataObject) -> None:
    try:
        created = stored(resource, data.draw(bodies(resource)), None)
    except ApiError as error:
        assert 400 <= error.code < 500  # noqa: PT017  (any error is fine, a crash is not)
        return
    before = copy.deepcopy(created)
    to_table(resource, [created])
    assert decode(created, resource.gvk, "Strict").object == created
    again = stored(resource, created, created)
    assert again == created
    for subresource in ("", "status") if resource.has_status else ("",):
        patch = data.draw(bodies(resource))
        try:
            patched = apply_strategic_merge_patch(created, patch, resource.gvk)
            stored(resource, patched, created, subresource)
        except PlainError:
            pass  # what upstream's library says of a malformed strategic patch
        except ApiError as error:
            assert 400 <= error.code < 500  # noqa: PT017
    assert created == before


def stored(resource: Resource, body: Obj, old: Obj | None, subresource: str = "") -> Obj:
    decoded = decode(copy.deepcopy(body), resource.gvk, "Ignore").object
    if not subresource:
        decoded = writes.received(resource, decoded, CONTEXT)
    if old is None:
        new = writes.create(resource, decoded, CONTEXT)
    else:
        new = writes.update(resource, decoded, old, CONTEXT, subresource)
    if resource == SERVICES and not subresource:
        return allocate(new, old, ServicePool(AddressRanges((ip_network("10.0.0.0/16"),))))
    return new
