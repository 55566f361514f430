"""Types of variables, as the checker is told of them: scalars, lists, maps, objects with fields.

The checker knows objects by descriptions in Protobuf alone, so those are made here. A field that Protobuf
can't say (a list of lists) is `dyn`: it is checked when the expression runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

_PACKAGE = "object"


@dataclass(frozen=True)
class Scalar:
    """A type without parts, by CEL's name."""

    name: str
    most: float = math.inf
    """How long a string or bytes may be, for the estimate of what an expression costs."""


@dataclass(frozen=True)
class ListOf:
    element: Type
    most: float = math.inf
    """How many elements there may be."""


@dataclass(frozen=True)
class MapOf:
    """A map from strings."""

    value: Type
    most: float = math.inf
    most_key: float = math.inf


@dataclass(frozen=True)
class ObjectOf:
    """An object of these fields and no others."""

    fields: Mapping[str, Type] = field(default_factory=dict)


Type: TypeAlias = Scalar | ListOf | MapOf | ObjectOf

DYN, BOOL, INT, DOUBLE, STRING, BYTES, TIMESTAMP, DURATION, NULL = (
    Scalar(name)
    for name in ("dyn", "bool", "int", "double", "string", "bytes", "timestamp", "duration", "null_type")
)


class Declarations:
    """Variables with their types, in the checker's own terms."""

    def __init__(self, variables: Mapping[str, Type]) -> None:
        self._messages: Any = None
        self._named: dict[int, tuple[str, Type]] = {}
        """The message of each object's type, by its identity: self and oldSelf are of one type."""
        self.variables: dict[str, Any] = {name: self._checker_type(of) for name, of in variables.items()}
        self.pool: Any = None
        if self._messages is not None:
            from google.protobuf import descriptor_pool

            self.pool = descriptor_pool.DescriptorPool()
            _add_well_known(self.pool)
            self.pool.Add(self._messages)

    def _checker_type(self, type: Type) -> Any:
        from cel_expr_python import cel

        match type:
            case Scalar(name):
                known = _CHECKER_NAMES.get(name)
                return getattr(cel.Type, known) if known else cel.Type.AbstractType(name)
            case ListOf(element):
                return cel.Type.List(self._checker_type(element))
            case MapOf(value):
                return cel.Type.Map(cel.Type.STRING, self._checker_type(value))
            case ObjectOf():
                return cel.Type(self._message(type).lstrip("."))

    def _message(self, type: ObjectOf) -> str:
        """The name of a message with the object's fields, which is made."""
        from google.protobuf import descriptor_pb2

        if self._messages is None:
            self._messages = descriptor_pb2.FileDescriptorProto(
                name="object.proto",
                package=_PACKAGE,
                syntax="proto2",
                dependency=list(_DEPENDENCIES),
            )
        if id(type) in self._named:
            return self._named[id(type)][0]
        message = descriptor_pb2.DescriptorProto(name=f"T{len(self._named) + 1}")
        name = f".{_PACKAGE}.{message.name}"
        # Two fields may have one name in Protobuf's own JSON: `jwksUri` and `jwks_uri`.
        message.options.deprecated_legacy_json_field_conflicts = True
        self._named[id(type)] = (name, type)
        for number, (field_name, of) in enumerate(type.fields.items(), 1):
            self._field(message, field_name, number if number < 19000 else number + 1000, of)
        self._messages.message_type.append(message)
        return name

    def _field(self, message: Any, name: str, number: int, type: Type) -> None:
        kinds = partial(message.field.add, json_name=name)
        match type:
            case ListOf(element) if _is_single(element):
                kinds(name=name, number=number, label=3, **self._single(element))
            case MapOf(value) if _is_single(value) and _entry_name(name) not in _names(message.nested_type):
                entry = message.nested_type.add(name=_entry_name(name))
                entry.options.map_entry = True
                entry.field.add(name="key", number=1, label=1, type=9)
                entry.field.add(name="value", number=2, label=1, **self._single(value))
                kinds(
                    name=name,
                    number=number,
                    label=3,
                    type=11,
                    type_name=f".{_PACKAGE}.{message.name}.{entry.name}",
                )
            case ListOf():
                kinds(name=name, number=number, label=1, type=11, type_name=".google.protobuf.ListValue")
            case MapOf():
                kinds(name=name, number=number, label=1, type=11, type_name=".google.protobuf.Struct")
            case _:
                kinds(name=name, number=number, label=1, **self._single(type))

    def _single(self, type: Type) -> dict[str, Any]:
        if isinstance(type, ObjectOf):
            return {"type": 11, "type_name": self._message(type)}
        assert isinstance(type, Scalar)
        if type.name in _FIELD_TYPES:
            return {"type": _FIELD_TYPES[type.name]}
        return {"type": 11, "type_name": _WELL_KNOWN.get(type.name, ".google.protobuf.Value")}


def _entry_name(field: str) -> str:
    """What Protobuf wants a map's entries to be called."""
    return "".join(word[:1].upper() + word[1:] for word in field.split("_")) + "Entry"


def _names(messages: Any) -> set[str]:
    return {each.name for each in messages}


def _is_single(type: Type) -> bool:
    return isinstance(type, Scalar | ObjectOf)


_CHECKER_NAMES = {
    "dyn": "DYN",
    "bool": "BOOL",
    "int": "INT",
    "double": "DOUBLE",
    "string": "STRING",
    "bytes": "BYTES",
    "timestamp": "TIMESTAMP",
    "duration": "DURATION",
    "null_type": "NULL",
}
_FIELD_TYPES = {"bool": 8, "int": 3, "double": 1, "string": 9, "bytes": 12}
_WELL_KNOWN = {"timestamp": ".google.protobuf.Timestamp", "duration": ".google.protobuf.Duration"}


_DEPENDENCIES = tuple(f"google/protobuf/{name}.proto" for name in ("timestamp", "duration", "struct"))


def _add_well_known(pool: Any) -> None:
    from google.protobuf import duration_pb2, struct_pb2, timestamp_pb2

    for module in (timestamp_pb2, duration_pb2, struct_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
