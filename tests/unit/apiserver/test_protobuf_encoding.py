"""What is written in Protobuf is read again as it was."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.api.meta import Obj
from wellhead.api.resources import RESOURCES
from wellhead.apiserver.protobuf.decoding import decode_protobuf
from wellhead.apiserver.protobuf.encoding import encode_event, encode_protobuf
from wellhead.apiserver.protobuf.messages import messages

LEAVES = {
    "string": "ä",
    "bool": True,
    "int": -5,
    "float": 1.5,
    "bytes": "AP8=",
    "items": ["a", "b"],
    "quantity": "1500m",
    "intorstring": "web",
    "time": "2026-11-29T10:00:00Z",
    "microtime": "2026-11-29T10:00:00.000250Z",
    "raw": {"a": [1, None]},
    "schemas": [{"type": "string"}],
    "schemaorbool": {"type": "string"},
    "schemaorstrings": ["a"],
}


def filled(name: str, above: tuple[str, ...] = ()) -> Obj:
    """Something in every field, but for a message that is in itself."""
    obj: Obj = {}
    for field in messages()[name].values():
        if not field.json:
            obj |= filled(field.type, above)
        elif (value := value_of(field.type, (*above, name))) is not None:
            obj[field.json] = value
    return obj


def value_of(kind: str, above: tuple[str, ...]) -> Any:
    if kind.startswith(("{}", "[]")):
        each = value_of(kind[2:], above)
        if each is None:
            return None
        return {"b": each, "a": each} if kind.startswith("{}") else [each, each]
    if kind in LEAVES:
        return LEAVES[kind]
    return None if kind in above else filled(kind, above)


KINDS = sorted(
    {
        (each.api_version, each.kind)
        for each in RESOURCES
        if f"{each.group.partition('.')[0] or 'core'}/{each.version}.{each.kind}" in messages()
    }
)


@pytest.mark.parametrize(("api_version", "kind"), KINDS, ids=[f"{a}-{k}" for a, k in KINDS])
def test_every_kind_with_all_its_fields(api_version: str, kind: str) -> None:
    group, _, version = api_version.rpartition("/")
    fields = filled(f"{group.partition('.')[0] or 'core'}/{version}.{kind}")
    obj = {"apiVersion": api_version, "kind": kind} | fields
    assert decode_protobuf(encode_protobuf(obj)) == obj


def test_other_forms_of_unions_and_numbers() -> None:
    for name, value in (("items", {"type": "integer"}), ("additionalProperties", False), ("maximum", 2.0)):
        schema = {"openAPIV3Schema": {name: value}}
        versions = [{"name": "v1", "served": True, "schema": schema}]
        obj = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "spec": {"group": "a.b", "versions": versions},
        }
        assert decode_protobuf(encode_protobuf(obj)) == obj
    port = {"port": 80, "targetPort": 8080}
    service = {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [port], "clusterIP": None}}
    assert decode_protobuf(encode_protobuf(service))["spec"] == {"ports": [port]}


def test_a_list_holds_its_objects_and_its_metadata() -> None:
    pods = [{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name}} for name in "ab"]
    found = encode_protobuf(
        {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": pods}
    )
    assert found == (
        b"k8s\x00\n\x0d\n\x02v1\x12\x07PodList\x12\x13\n\x03\x12\x017"
        b"\x12\x05\n\x03\n\x01a\x12\x05\n\x03\n\x01b\x1a\x00\x22\x00"
    )


def test_an_event_holds_an_object_with_its_envelope() -> None:
    whole = encode_protobuf({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}})
    event = encode_event("ADDED", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}})
    assert event == b"\n\x05ADDED\x12" + bytes([len(whole) + 2]) + b"\n" + bytes([len(whole)]) + whole
