"""The types of the API, from the OpenAPI definitions that the package kubernetes-validate ships as data.

The file has 860 definitions; only those that served kinds reach are ever decoded, one by one, and what is
kept of them is small: `Definition` and `Field`. The raw ones (with descriptions) are for OpenAPI alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec

from wellhead.api import go_values, usage_definitions
from wellhead.api.meta import GroupVersionKind, Obj

KUBERNETES_VERSION = "v1.37.0"

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
META_PREFIX = "io.k8s.apimachinery.pkg.apis.meta.v1."
OBJECT_META = META_PREFIX + "ObjectMeta"
TIME, MICRO_TIME = META_PREFIX + "Time", META_PREFIX + "MicroTime"
TIMES = frozenset({TIME, MICRO_TIME})

_REF_PREFIX = "#/$defs/"
_GROUP_PREFIXES = {
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
    "metrics.k8s.io": usage_definitions.PREFIX,
}
"""Of the groups whose types aren't in k8s.io/api."""
_META_KINDS = frozenset({"DeleteOptions", "Status", "Patch", "WatchEvent", "APIResourceList"})

# Go's json tags have no omitempty here either, though the schema doesn't call the fields required.
_NOT_REQUIRED_YET_KEPT = {
    "io.k8s.api.discovery.v1.EndpointSlice": ("endpoints", "ports"),
    "io.k8s.api.rbac.v1.ClusterRole": ("rules",),
    "io.k8s.api.rbac.v1.Role": ("rules",),
    # An empty list says that the record is to begin anew.
    META_PREFIX + "ObjectMeta": ("managedFields",),
}

_EMPTY: Mapping[str, object] = {}
_ZEROS: Mapping[str, object] = {
    "string": "",
    "byte": "",
    "boolean": False,
    **dict.fromkeys(("integer", "int32", "int64"), 0),
}
"""Of scalars, by type. (Floating numbers are all held by pointer.)"""

Shape = Literal["scalar", "object", "list", "map"]


@dataclass(frozen=True, slots=True)
class Field:
    """What a value of a field is, and how a strategic merge patch treats it."""

    shape: Shape
    type: str = ""
    """The definition of the value (of an item, for lists and maps); else a JSON type, int32, int64, byte."""
    patch_strategies: frozenset[str] = frozenset()
    merge_key: str = ""
    nothing: object = None
    """What isn't written, since Go's tag has `omitempty`: an empty list or map, or a zero that Go can't tell
    from one that wasn't sent. None if everything is written."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One type. Without fields: a scalar with a JSON form of its own (times, quantities), or free-form."""

    name: str
    fields: Mapping[str, Field]
    always: tuple[tuple[str, object], ...] = ()
    """What is written though nobody said so: zeros of what Go holds by value and writes always."""


class _File(msgspec.Struct):
    definitions: dict[str, msgspec.Raw] = msgspec.field(name="$defs")


class RawDefinitions:
    """The definitions as they are in the file: JSON Schema 2020-12, decoded when asked for."""

    def __init__(self) -> None:
        package = find_spec("kubernetes_validate")
        if package is None or not package.submodule_search_locations:
            raise RuntimeError("the package kubernetes-validate, whose data the API's schema is, is missing")
        release = f"{KUBERNETES_VERSION}-local-strict"
        path = Path(package.submodule_search_locations[0], "kubernetes-json-schema", release)
        data = (path / "_definitions.json").read_bytes()
        self._raw = msgspec.json.decode(data, type=_File).definitions
        for name, definition in usage_definitions.DEFINITIONS.items():
            self._raw[name] = msgspec.Raw(msgspec.json.encode(definition))

    def __contains__(self, name: str) -> bool:
        return name in self._raw

    def __getitem__(self, name: str) -> Obj:
        definition: Obj = msgspec.json.decode(self._raw[name])
        return definition

    def reachable(self, roots: Iterable[str]) -> dict[str, Obj]:
        """The definitions that `roots` lead to, themselves included."""
        found: dict[str, Obj] = {}
        todo = [name for name in roots if name in self._raw]
        while todo:
            name = todo.pop()
            if name not in found:
                found[name] = self[name]
                todo += _references(found[name])
        return found


def definition_name(gvk: GroupVersionKind) -> str:
    """`apps/v1 Deployment` → `io.k8s.api.apps.v1.Deployment`."""
    if gvk.kind in _META_KINDS:
        return META_PREFIX + gvk.kind
    prefix = _GROUP_PREFIXES.get(gvk.group) or f"io.k8s.api.{gvk.group.partition('.')[0] or 'core'}"
    return f"{prefix}.{gvk.version}.{gvk.kind}"


def reference(schema: Obj) -> str:
    """The definition that a `$ref` names, '' if the schema isn't a reference."""
    return str(schema.get("$ref") or "").removeprefix(_REF_PREFIX)


def json_type(schema: Obj) -> str:
    """The JSON type of a schema, apart from null; '' if it has none."""
    kind = schema.get("type") or ""
    if isinstance(kind, list):
        return next((str(name) for name in kind if name != "null"), "")
    return str(kind)


class Definitions:
    """The types that one kind reaches."""

    def __init__(self, root: str, types: Mapping[str, Definition]) -> None:
        self.root = root
        self._types = types

    def fields(self, definition: str) -> Mapping[str, Field]:
        """The fields of a type; none if it is a scalar, free-form or unknown."""
        known = self._types.get(definition)
        return known.fields if known is not None else {}

    def always(self, definition: str) -> tuple[tuple[str, object], ...]:
        """What every value of a type has, and as what where it wasn't sent."""
        known = self._types.get(definition)
        return known.always if known is not None else ()

    def field(self, definition: str, name: str) -> Field | None:
        """The field of that name, None if the type has none such."""
        return self.fields(definition).get(name)


_types: dict[str, Definition] = {}
"""Every definition decoded so far: kinds share most of theirs."""


@lru_cache
def definitions(gvk: GroupVersionKind) -> Definitions:
    """The types of a kind. Raises KeyError if the schema doesn't have it."""
    root = definition_name(gvk)
    if root not in _types:
        raw = RawDefinitions()
        if root not in raw:
            raise KeyError(str(gvk))
        for name, schema in raw.reachable([root]).items():
            _types.setdefault(name, definition(name, schema))
    return Definitions(root, _types)


def definition(name: str, schema: Obj) -> Definition:
    """The type that a definition of the data describes."""
    required, short = {*(schema.get("required") or ())}, go_values.short_name(name)
    kept = {
        *required.difference(go_values.OMITTED.get(short, ())),
        *go_values.KEPT.get(short, ()),
        *_NOT_REQUIRED_YET_KEPT.get(name, ()),
    }
    pointers = go_values.pointers().get(name, frozenset())
    fields = {}
    of_kind = ("spec", "status") if "x-kubernetes-group-version-kind" in schema else ()
    always: list[tuple[str, object]] = []
    for field, value in (schema.get("properties") or {}).items():
        found = fields[field] = _field(value, is_kept=field in kept or field in pointers)
        if found.shape == "scalar" and field in kept and field not in pointers and found.type in _ZEROS:
            always.append((field, _ZEROS[found.type]))
        elif field in go_values.NULL_LISTS.get(short, ()) or (
            found.type in TIMES and go_values.is_time_by_value(name, field)
        ):
            always.append((field, None))
        elif found.shape == "object" and (
            field in of_kind
            or found.type == OBJECT_META
            or go_values.is_struct_by_value(name, field, required=field in required)
        ):
            always.append((field, _EMPTY))
    return Definition(name, fields, tuple(always))


def _field(schema: Obj, *, is_kept: bool) -> Field:
    strategies = frozenset(filter(None, schema.get("x-kubernetes-patch-strategy", "").split(",")))
    merge_key = schema.get("x-kubernetes-patch-merge-key", "")
    if name := reference(schema):
        return Field("object", name, strategies, merge_key)
    match json_type(schema):
        case "array":
            return Field("list", _type(schema["items"]), strategies, merge_key, None if is_kept else [])
        case "object":
            values = schema.get("additionalProperties")
            of = _type(values) if isinstance(values, dict) else ""
            return Field("map", of, strategies, merge_key, None if is_kept else _EMPTY)
        case _:
            scalar = _type(schema)
            return Field("scalar", scalar, strategies, merge_key, None if is_kept else _ZEROS.get(scalar))


def _type(schema: Obj) -> str:
    kind = json_type(schema)
    form = schema.get("format") or kind
    return reference(schema) or (form if kind == "integer" or form == "byte" else kind)


def _references(schema: object) -> list[str]:
    if isinstance(schema, list):
        return [name for part in schema for name in _references(part)]
    if not isinstance(schema, dict):
        return []
    own = [reference(schema)] if isinstance(schema.get("$ref"), str) else []
    return own + [name for part in schema.values() for name in _references(part)]
