"""Objects as the tables that `kubectl get` prints: meta.k8s.io Table.

The columns of a kind are in `columns/<singular>.py`, in the constant PRINTER; without one: name and age.
Upstream: pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Literal

from wellhead.api.duration import age
from wellhead.api.errors import BadRequest
from wellhead.api.meta import Obj
from wellhead.api.resources import Resource

IncludeObject = Literal["None", "Metadata", "Object"]
Cell = str | int


@dataclass(frozen=True)
class Column:
    """A column; a `wide` one is shown by `-o wide` only."""

    name: str
    type: Literal["string", "integer"] = "string"
    wide: bool = False
    description: str = ""

    def definition(self) -> Obj:
        return {
            "name": self.name,
            "type": self.type,
            "format": "name" if self.name == "Name" else "",
            "description": self.description,
            "priority": 1 if self.wide else 0,
        }


@dataclass(frozen=True)
class Printer:
    """The columns of a kind, and the cells of one object."""

    columns: tuple[Column, ...]
    cells: Callable[[Obj, datetime], list[Cell]]
    """Takes the object and the time; gives as many cells as there are columns."""


NAME = Column("Name", description="Name must be unique within a namespace.")
AGE = Column("Age", description="The time since the object was created.")

_DEFAULT = Printer(
    (NAME, AGE),
    lambda obj, now: [obj["metadata"]["name"], age(obj["metadata"].get("creationTimestamp"), now)],
)


def to_table(
    resource: Resource,
    objects: Iterable[Obj],
    *,
    include_object: str = "Metadata",
    now: datetime | None = None,
) -> Obj:
    """A Table of the objects. Raises BadRequest for an `include_object` that isn't one.

    A row carries no object (None), its metadata (Metadata) or all of it (Object).
    """
    if include_object not in ("None", "Metadata", "Object"):
        raise BadRequest(f'unrecognized includeObject value: "{include_object}"')
    printer = printer_for(resource)
    moment = now or datetime.now(UTC)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": [column.definition() for column in printer.columns],
        "rows": [
            {"cells": printer.cells(obj, moment), "object": _included(obj, include_object)} for obj in objects
        ],
    }


def partial_metadata(obj: Obj) -> Obj:
    """An object's metadata alone: meta.k8s.io PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


@lru_cache
def printer_for(resource: Resource) -> Printer:
    """The columns of a kind."""
    module = f"wellhead.api.columns.{resource.singular}"
    if find_spec(module) is None:
        return _DEFAULT
    printer: Printer = import_module(module).PRINTER
    return printer


def _included(obj: Obj, include_object: str) -> Obj | None:
    if include_object == "None":
        return None
    return obj if include_object == "Object" else partial_metadata(obj)
