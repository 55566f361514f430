"""What server-side apply knows of a value's type: what merges field by field, and what only as a whole.

Made from JSON schemas with Kubernetes' extensions: x-kubernetes-list-type and -list-map-keys,
x-kubernetes-map-type, and where those are missing the patch strategy (kube-openapi's schemaconv). List-map
keys are not the merge keys of a strategic patch: a Service's ports are told apart by port and protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from wellhead.api.definitions import (
    INT_OR_STRING,
    OBJECT_META,
    QUANTITY,
    RawDefinitions,
    definition_name,
    json_type,
    reference,
)
from wellhead.api.go_values import is_struct_by_value
from wellhead.api.meta import GroupVersionKind, Obj

_RAW_EXTENSION = "io.k8s.apimachinery.pkg.runtime.RawExtension"

_NO_ZERO_KEY = "io.k8s.api.core.v1.ObjectReference"
"""The only item of a list map whose key may be left out and then isn't there: others' are their zeros."""
# The only key of a list map that has another default (Kubernetes 1.36's OpenAPI v3 documents).
_KEY_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "core.v1.ContainerPort": {"protocol": "TCP"},
    "core.v1.ServicePort": {"protocol": "TCP"},
}


@dataclass(slots=True, eq=False)
class Type:
    """The forms that a value may have: most types have one, one that accepts anything has all three."""

    scalar: str = ""
    """numeric, string, boolean or untyped; "" if it can't be a scalar."""
    map: MapType | None = None
    list: ListType | None = None


@dataclass(slots=True, eq=False)
class MapType:
    """An object: a struct has `fields`, a map an `element` type, and something in between both."""

    fields: dict[str, Field] = field(default_factory=dict)
    element: Field | None = None
    """What a key that isn't among `fields` holds; without it there may be none such."""
    atomic: bool = False
    always: tuple[Field, ...] = ()
    """Those of `fields` that are structs which are always there."""

    def field(self, name: str) -> Field | None:
        """What is known of a key."""
        return self.fields.get(name, self.element)


@dataclass(slots=True, eq=False)
class ListType:
    """A list: atomic, or a set of scalars, or a map whose items are told apart by their `keys`."""

    element: Type
    atomic: bool = True
    keys: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    has_zeros: bool = False
    """Whether a key without default is its type's zero where it is left out, as Go has it."""
    """Of keys."""


@dataclass(slots=True, eq=False)
class Field:
    """A field of a struct, or (nameless) an element of a map."""

    type: Type
    name: str = ""
    always: bool = False
    """Whether it is a struct that is there even where JSON leaves it out."""
    kept: bool = False
    """Whether Go writes it even if it is nothing: what JSON leaves out is null, zero or empty."""


UNTYPED = Type("untyped")
"""Any value, as a whole."""
UNTYPED.map = MapType(element=Field(UNTYPED), atomic=True)
UNTYPED.list = ListType(UNTYPED)

DEDUCED = Type("untyped", list=ListType(UNTYPED))
"""Any value: maps merge, lists are replaced."""
DEDUCED.map = MapType(element=Field(DEDUCED))


def custom_type(schema: Obj) -> Type:
    """The type of a custom resource, from its structural schema."""
    root = _Builder({}, lambda name: _builtin(name)).type(schema)
    if root.map is None:
        return DEDUCED
    for name in ("apiVersion", "kind"):
        root.map.fields[name] = Field(Type("string"), name)
    root.map.fields["metadata"] = Field(_builtin(OBJECT_META), "metadata", always=True)
    return root


@lru_cache
def type_of(gvk: GroupVersionKind) -> Type:
    """The type of a built-in kind. Raises KeyError if the schema doesn't have it."""
    name = definition_name(gvk)
    if name not in _types and name not in RawDefinitions():
        raise KeyError(str(gvk))
    return _builtin(name)


_types: dict[str, Type] = {}
"""Of every definition that was needed so far: kinds share most of theirs."""


def _builtin(name: str) -> Type:
    if name not in _types:
        schemas = {
            each: schema for each, schema in RawDefinitions().reachable([name]).items() if each not in _types
        }
        # All are named before any is filled in: a type may hold itself.
        _types.update((each, Type()) for each in schemas)
        builder = _Builder(schemas, _types.__getitem__)
        for each, schema in schemas.items():
            made = builder.named(each, schema)
            known = _types[each]
            known.scalar, known.map, known.list = made.scalar, made.map, made.list
        for each, schema in schemas.items():
            if (struct := _types[each].map) is not None:
                _mark(each, schema, struct)
    return _types[name]


class _Builder:
    """Makes types of schemas, which refer to `named` ones."""

    def __init__(
        self, schemas: Mapping[str, Obj], named: Callable[[str], Type], preserve_unknown: bool = False
    ) -> None:
        self._schemas = schemas
        self._named = named
        self._preserve_unknown = preserve_unknown

    def named(self, name: str, schema: Obj) -> Type:
        """The type of a definition."""
        if name in (QUANTITY, INT_OR_STRING):
            return Type("untyped")
        if name == _RAW_EXTENSION:
            return UNTYPED
        return self.type(schema)

    def type(self, schema: Obj) -> Type:
        """The type of a schema, which may be a reference."""
        if name := _reference(schema):
            known = self._named(name)
            if "x-kubernetes-map-type" not in schema:
                return known
            # Said where the type is used: it merges otherwise there.
            made = self.named(name, self._schemas[name]) if name in self._schemas else known
            if made.map is None:
                return made
            atomic = schema["x-kubernetes-map-type"] == "atomic"
            return Type(made.scalar, replace(made.map, atomic=atomic), made.list)
        if schema.get("x-kubernetes-int-or-string"):
            return Type("untyped")
        preserving = self._preserve_unknown or bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        inner = _Builder(self._schemas, self._named, True) if preserving else self
        match json_type(schema):
            case "object":
                return Type(map=inner._map(schema))
            case "array":
                return Type(list=inner._list(schema))
            case "integer" | "number":
                return Type("numeric")
            case "boolean":
                return Type("boolean")
            case "string":
                return Type("string" if schema.get("format") in (None, "", "byte") else "untyped")
        return Type("untyped", inner._map(schema), inner._list(schema))

    def _map(self, schema: Obj) -> MapType:
        fields = {
            name: Field(self.type(each), name) for name, each in (schema.get("properties") or {}).items()
        }
        values = schema.get("additionalProperties")
        element: Type | None = None
        if isinstance(values, dict):
            element = self.type(values)
        elif values is True or (values is None and (self._preserve_unknown or not fields)):
            element = DEDUCED
        atomic = schema.get("x-kubernetes-map-type") == "atomic"
        return MapType(fields, None if element is None else Field(element), atomic)

    def _list(self, schema: Obj) -> ListType:
        items = schema.get("items")
        element = self.type(items) if isinstance(items, dict) else UNTYPED
        match schema.get("x-kubernetes-list-type"):
            case "set":
                return ListType(element, atomic=False)
            case "map":
                keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
            case None if "merge" in schema.get("x-kubernetes-patch-strategy", "").split(","):
                key = schema.get("x-kubernetes-patch-merge-key")
                keys = (key,) if key else ()
            case _:
                return ListType(element)
        target = _reference(items) if isinstance(items, dict) else ""
        has_zeros = bool(target) and target != _NO_ZERO_KEY
        return ListType(element, False, tuple(sorted(keys)), self._defaults(items, keys), has_zeros)

    def _defaults(self, items: object, keys: tuple[str, ...]) -> Mapping[str, Any]:
        if not isinstance(items, dict):
            return {}
        if name := _reference(items):
            return _KEY_DEFAULTS.get(name.removeprefix("io.k8s.api."), {})
        properties = items.get("properties") or {}
        defaults = {key: properties.get(key, {}).get("default") for key in keys}
        return {key: default for key, default in defaults.items() if default is not None}


def _mark(name: str, schema: Obj, made: MapType) -> None:
    """Say of each field whether Go has it even where JSON leaves it out."""
    required = {*(schema.get("required") or ())}
    of_kind = ("spec", "status") if "x-kubernetes-group-version-kind" in schema else ()
    for field_name, each in (schema.get("properties") or {}).items():
        known = made.fields[field_name]
        target = _reference(each)
        is_struct = bool(target) and known.type.map is not None and bool(known.type.map.fields)
        known.always = is_struct and (
            field_name in of_kind
            or target == OBJECT_META
            or is_struct_by_value(name, field_name, required=field_name in required)
        )
        known.kept = field_name in required and not known.always
    made.always = tuple(known for known in made.fields.values() if known.always)


def _reference(schema: Obj) -> str:
    whole = schema.get("allOf")
    if isinstance(whole, list) and len(whole) == 1 and isinstance(whole[0], dict):
        return reference(whole[0])
    return reference(schema)
