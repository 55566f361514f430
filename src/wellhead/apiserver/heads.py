"""The small part of an object that selectors look at, decoded without the rest."""

from __future__ import annotations

from typing import Any, TypedDict

import msgspec

from wellhead.api.resource import Resource
from wellhead.api.resources import RESOURCES

_Tree = dict[str, Any]


def head_of(resource: str, data: bytes) -> dict[str, object]:
    """The head of an object of the resource that is stored as `resource`: name, labels, uid … and every field
    that a field selector may name. It has the object's shape, so selectors need not know of it."""
    return _DECODERS.get(resource, _PLAIN).decode(data)


def _decoder(resources: list[Resource]) -> msgspec.json.Decoder[dict[str, object]]:
    metadata = ("name", "namespace", "labels", "uid", "deletionTimestamp")
    tree: _Tree = {"metadata": dict.fromkeys(metadata)}
    for resource in resources:
        for label in resource.field_labels:
            node = tree
            *path, last = label.split(".")
            for part in path:
                node = node.setdefault(part, {})
            node[last] = None
    if "involvedObject" in tree:  # an event's source is its component, or the newer field
        tree |= {"source": {"component": None}, "reportingComponent": None}
    return msgspec.json.Decoder(_typed_dict("Head", tree))


def _typed_dict(name: str, tree: _Tree) -> Any:
    fields = {
        field: Any if children is None else _typed_dict(f"{name}_{field}", children) | None
        for field, children in tree.items()
    }
    return TypedDict(name, fields, total=False)  # type: ignore[operator]  # built from data, not from source


def _decoders() -> dict[str, msgspec.json.Decoder[dict[str, object]]]:
    shared: dict[str, list[Resource]] = {}
    for resource in RESOURCES:
        shared.setdefault(resource.storage_prefix, []).append(resource)
    return {prefix: _decoder(resources) for prefix, resources in shared.items()}


_DECODERS = _decoders()
_PLAIN = _decoder([])
